import { type BodyWriter, NEAR } from './body-writer.ts';

/** Entries of the table of words, as a power of two; three numbers each. */
const TABLE_BITS = 11;
/** Shorter copies take the room of their bytes. */
const MATCH = 4;
/** After 2^n words that were not found one more is passed over each time: of payloads, whose ends are often random. */
const PAYLOAD_PATIENCE = 1;
const LABEL_PATIENCE = 31;

/**
 * Writes labels that are new in a body by what they share with labels that were new before them: their names, the
 * starts and the ends of values. It is what snappy does with all bytes, done with these few alone, so that labels
 * which repeat cost nothing (bench/emit.ts).
 *
 *     0a <len> 0a <len> name 12 | <len> | start of the value | rest
 *     copy                        literal copy                 literal, or copies
 *
 * Two places are looked at. The label in the same place of the series above: a copy from there often goes on from the
 * bytes before the label, and into those behind it. And a table of where words of four bytes were written last, by
 * their hash: the start of every label, and what became literals.
 */
export class NewLabels {
  readonly #out: BodyWriter;
  /** For each hash: where the word stands in the message (0: nowhere), where in the arena, and where its label ends there. */
  readonly #table: Uint32Array = new Uint32Array(3 << TABLE_BITS);
  #arena: Uint8Array = new Uint8Array(0);
  #words: DataView = new DataView(this.#arena.buffer);
  /** Where in the message the last match stands. */
  #matchAt = 0;

  constructor(out: BodyWriter) {
    this.#out = out;
  }

  /** Begins a body, of labels in this arena. */
  begin(arena: Uint8Array): void {
    this.#table.fill(0);
    this.#arena = arena;
    this.#words = new DataView(arena.buffer, arena.byteOffset, arena.byteLength);
  }

  /**
   * Writes the label in `arena[from, end)`. The one above it is `arena[above, aboveEnd)`, at most `NEAR` back at
   * `aboveAt` in the message; 0 when there is none. At least `shared` bytes at their ends must be the same to be
   * copied: fewer than `MATCH` only where what follows goes on with the copy.
   */
  put(from: number, end: number, above: number, aboveEnd: number, aboveAt: number, shared: number): void {
    const out = this.#out;
    const arena = this.#arena;
    let start = from;
    const match = this.#match(from, end, out.at);
    const matchAt = this.#matchAt;
    let ends = 0;
    if (aboveAt === 0) {
      if (match > 0) out.copy(matchAt, match);
      start += match;
    } else {
      const most = Math.min(end - from, aboveEnd - above);
      const alike = arena[from + 1] === arena[above + 1];
      let same = 2;
      while (same < most && arena[from + same] === arena[above + same]) same++;
      if (alike && same >= 2 + MATCH && same >= match) {
        out.copy(aboveAt, same);
        start += same;
      } else if (match > 0) {
        out.copy(matchAt, match);
        start += match;
      } else if (same >= 2 + MATCH) {
        if (out.extends(aboveAt)) {
          out.copy(aboveAt, 1);
          out.putBytes(arena, from + 1, 1);
        } else out.putBytes(arena, from, 2);
        out.copy(aboveAt + 2, same - 2);
        start += same;
      }
      const aboveLength = aboveEnd - above;
      // A copy from further away would have another form.
      if (out.at + (end - start) - (aboveAt + aboveLength) <= NEAR) {
        const rest = Math.min(end - start, most - (start - from));
        while (ends < rest && arena[end - 1 - ends] === arena[aboveEnd - 1 - ends]) ends++;
        if (ends < shared) ends = 0;
      }
    }
    this.#putRest(start, end - ends, end, start === from ? from + 1 : start, LABEL_PATIENCE);
    if (ends > 0) out.copy(aboveAt + aboveEnd - above - ends, ends);
  }

  /** Writes the payload of a row in `arena[from, end)`, by what it shares with others of a `NewLabels` of their own. */
  putPayload(from: number, end: number): void {
    const match = this.#match(from, end, this.#out.at);
    if (match > 0) this.#out.copy(this.#matchAt, match);
    this.#putRest(from + match, end, end, match > 0 ? from + match : from + 1, PAYLOAD_PATIENCE);
  }

  /** Writes `arena[from, to)` of a label that goes on to `end`; the words before `first` have been looked at. */
  #putRest(from: number, to: number, end: number, first: number, patience: number): void {
    const out = this.#out;
    let literal = from;
    let at = first;
    let misses = 0;
    while (at + MATCH <= to) {
      const match = Math.min(this.#match(at, end, out.at + at - literal), to - at);
      if (match === 0) at += 1 + (misses++ >>> patience);
      else {
        misses = 0;
        out.putBytes(this.#arena, literal, at - literal);
        out.copy(this.#matchAt, match);
        at += match;
        literal = at;
      }
    }
    out.putBytes(this.#arena, literal, to - literal);
  }

  /** How many of the bytes at `from` stand together elsewhere, at `#matchAt`: 0, or at least `MATCH`. Notes that they stand at `at`. */
  #match(from: number, end: number, at: number): number {
    if (from + MATCH > end) return 0;
    const table = this.#table;
    const words = this.#words;
    const word = words.getInt32(from, true);
    const entry = 3 * (Math.imul(word, 0x1e35a7bd) >>> (32 - TABLE_BITS));
    const seenAt = table[entry]!;
    const seen = table[entry + 1]!;
    const seenEnd = table[entry + 2]!;
    table[entry] = at;
    table[entry + 1] = from;
    table[entry + 2] = end;
    if (seenAt === 0 || at - seenAt > NEAR || words.getInt32(seen, true) !== word) return 0;
    const arena = this.#arena;
    const most = Math.min(end - from, seenEnd - seen);
    let length = MATCH;
    while (length < most && arena[from + length] === arena[seen + length]) length++;
    this.#matchAt = seenAt;
    return length;
  }
}
