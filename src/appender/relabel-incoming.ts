import type { IngestLimits } from '../protocol/limits.ts';
import { digest, murmur3 } from '../protocol/murmur3.ts';
import { LabelCache, type LabelText } from '../relabel/label-cache.ts';
import { LabelSet } from '../relabel/label-set.ts';
import { Relabeller, type RelabelRule } from '../relabel/rules.ts';
import { compareTexts, decodeText } from '../relabel/texts.ts';
import { Column } from '../serialization/columns.ts';
import { type Admission, Dictionary, type SeriesGate } from '../serialization/dictionary.ts';
import { HashSet } from './hash-set.ts';

/** 16 bytes each, in a table that is at most half full. Beyond, what is dropped is decided once more. */
const MOST_DROPPED = 1 << 20;
/** What the labels of series that are decided are read with; it is emptied when it has grown to this. */
const MOST_SOURCE_BYTES = 1 << 20;

/**
 * `relabel_configs`: stands before the dictionary of the open segment, and is asked of label blocks that it has not
 * seen. So a series is decided when it first comes in a segment, and its samples cost nothing; of the series that
 * are dropped only the hash of their labels is kept, across segments.
 *
 * Labels are read by a small dictionary of its own, which checks them and sorts them as the other does: what is
 * dropped leaves no trace in the segment.
 */
export class RelabelIncoming implements SeriesGate {
  readonly #relabeller: Relabeller;
  readonly #source: Dictionary;
  readonly #seed: number;
  readonly #dropped: HashSet;
  readonly #texts: LabelCache = new LabelCache((pair) => this.#textsOf(pair));
  readonly #encoded: Column = new Column();
  readonly #label: Column = new Column();

  /**
   * `seed` guards against chosen collisions: a random 32-bit number. `dropped` takes the hashes of what is dropped.
   * Throws `RegexError`.
   */
  constructor(rules: readonly RelabelRule[], seed: number, dropped: HashSet = new HashSet(MOST_DROPPED)) {
    this.#relabeller = new Relabeller(rules);
    this.#source = new Dictionary(seed);
    this.#seed = seed;
    this.#dropped = dropped;
  }

  admit(raw: Uint8Array, view: DataView, start: number, end: number, limits: IngestLimits): Admission {
    murmur3(view, start, end - start, this.#seed);
    const [h0, h1, h2, h3] = [digest[0]!, digest[1]!, digest[2]!, digest[3]!];
    if (this.#dropped.has(h0, h1, h2, h3)) return 'dropped';
    const source = this.#source;
    if (source.contentBytes > MOST_SOURCE_BYTES) {
      source.reset(this.#seed);
      this.#texts.clear();
    }
    source.startRequest(limits);
    const series = source.intern(raw, view, start, end);
    // Not valid: the dictionary says so itself.
    if (series < 0) return 'unchanged';
    const pairs = source.seriesPairs.subarray(source.seriesAt[series]!, source.seriesAt[series + 1]!);
    const labels = new Map<string, string>();
    for (const pair of pairs) {
      const { name, value } = this.#texts.get(pair);
      labels.set(name, value);
    }
    const set = new LabelSet(labels);
    if (!this.#relabeller.apply(set) || set.get('__name__') === '') {
      this.#dropped.add(h0, h1, h2, h3);
      return 'dropped';
    }
    const added = [...set.added];
    return added.length === 0 && labels.size === pairs.length ? 'unchanged' : this.#encode(pairs, set, added);
  }

  /** As `Label` fields, by their names. */
  #encode(pairs: Uint32Array, set: LabelSet, added: (readonly [name: string, value: string])[]): Uint8Array {
    const { labels, pairAt } = this.#source;
    const all = this.#encoded;
    all.clear();
    added.sort(([a], [b]) => compareTexts(a, b));
    let next = 0;
    for (const pair of pairs) {
      const { name } = this.#texts.get(pair);
      while (next < added.length && compareTexts(added[next]![0], name) < 0) this.#put(added[next++]!);
      if (set.isOriginal(name)) all.putBytes(labels.bytes, pairAt[pair]!, pairAt[pair + 1]!);
    }
    while (next < added.length) this.#put(added[next++]!);
    return all.used;
  }

  #put([name, value]: readonly [name: string, value: string]): void {
    const one = this.#label;
    one.clear();
    putText(one, 0x0a, name);
    putText(one, 0x12, value);
    this.#encoded.putVarint(0x0a);
    this.#encoded.putVarint(one.length);
    this.#encoded.putBytes(one.bytes, 0, one.length);
  }

  #textsOf(pair: number): LabelText {
    const { text, stringAt, pairName, pairValue } = this.#source;
    const read = (id: number): string => decodeText(text.bytes.subarray(stringAt[id]!, stringAt[id + 1]!));
    return { name: read(pairName[pair]!), value: read(pairValue[pair]!) };
  }
}

function putText(column: Column, tag: number, text: string): void {
  column.putVarint(tag);
  const start = column.length;
  column.putVarint(text.length);
  column.reserve(text.length);
  const out = column.bytes;
  let at = column.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) {
      column.length = start;
      putEncoded(column, text);
      return;
    }
    out[at++] = code;
  }
  column.length = at;
}

/** What most texts are spared, which are ASCII: for a short one the encoder takes longer than all else. */
function putEncoded(column: Column, text: string): void {
  const bytes = encoder.encode(text);
  column.putVarint(bytes.length);
  column.putBytes(bytes, 0, bytes.length);
}

const encoder = new TextEncoder();
