import { isUtf8 } from 'node:buffer';
import { type IngestLimits, noLimits } from '../protocol/limits.ts';
import { digest, murmur3 } from '../protocol/murmur3.ts';
import { ProtoReader } from '../protocol/proto-reader.ts';
import type { DoorDrop, DoorReason } from '../telemetry/reasons.ts';
import { Column, room } from './columns.ts';
import { IdTable } from './id-table.ts';
import { sameBytes, sameWords } from './same-bytes.ts';
import { SeriesMetadata } from './series-metadata.ts';

/**
 * The dictionary of the segment that is being written: label strings, label pairs and series, each once.
 *
 *     string  bytes
 *     pair    (name string, value string); kept as the encoded `Label` field it is on the wire:
 *             0a <len> 0a <len> name 12 <len> value
 *     series  (tenant string, pairs sorted by name), with its hash
 *
 * Ids count from 0 in order of first appearance; string 0 is empty and string 1 is `__name__`. What is new
 * since the last frame is written into the next one. The tables live as long as the segment: a dictionary
 * per frame would be a miss for every series every time.
 *
 * A series is found in one of three ways, from the cheapest:
 *  1. Prediction. Senders repeat themselves: behind series A comes the series that came behind it last time.
 *     Its pairs are compared with the bytes at the cursor; no hash, and nothing is parsed.
 *  2. The hash of the whole label block (128 bits, seeded) is looked up.
 *  3. Label by label: pairs interned, sorted, checked; then the series by its list of pairs, so another
 *     order or encoding of the same labels gives the same series (RLY-05).
 *
 * The hash of a series is stored and must be the same in every process and version:
 *
 *     hash(pair)   = murmur3_x86_128(name 0xff value, seed 0), first 8 bytes
 *     hash(series) = murmur3_x86_128(hash(pair)... in sorted order, seed 0), first 8 bytes
 *
 * A tenant counts as one more pair in front, with an empty name, which no label has. Series of different tenants are
 * never taken for one another: wherever a series is found, whose it is is compared, and not only hashed.
 */
export class Dictionary {
  stringCount = 0;
  pairCount = 0;
  seriesCount = 0;
  /** Counts the times that it was emptied: ids that were given out before mean nothing now. */
  generation = 0;

  /** Bytes of all strings, one behind the other. */
  readonly text: Column = new Column();
  stringAt: Uint32Array = new Uint32Array(256);

  /** Encoded `Label` fields of all pairs. */
  readonly labels: Column = new Column();
  pairAt: Uint32Array = new Uint32Array(256);
  pairName: Uint32Array = new Uint32Array(256);
  pairValue: Uint32Array = new Uint32Array(256);
  /** Length of the tag and length before the inner bytes of each pair. */
  #pairHead: Uint8Array = new Uint8Array(256);
  /** Two words a pair. */
  pairHash: Uint32Array = new Uint32Array(512);

  /** Pair ids of all series; series `s` has those in `[seriesAt[s], seriesAt[s + 1])`. */
  seriesPairs: Uint32Array = new Uint32Array(1024);
  seriesAt: Uint32Array = new Uint32Array(257);
  /** Two words a series. */
  seriesHash: Uint32Array = new Uint32Array(512);
  seriesTenant: Uint32Array = new Uint32Array(256);
  /** What came behind series `s - 1` last time, plus one; `[0]` is the first series of a request. */
  #next: Uint32Array = new Uint32Array(257);
  #last = 0;

  readonly #strings: IdTable = new IdTable();
  readonly #pairs: IdTable = new IdTable();
  /** Of the series below `#indexed`: the others came from a kernel, and are entered when one is looked for. */
  readonly #series: IdTable = new IdTable();
  #indexed = 0;
  #blocks: Uint32Array = new Uint32Array(5 * 512);
  #blockCount = 0;
  #blocksElsewhere = 0;
  #seed: number;

  #labelsView: DataView = new DataView(this.labels.bytes.buffer);
  #scratch: Uint8Array = new Uint8Array(1024);
  #scratchView: DataView = new DataView(this.#scratch.buffer);
  #blockPairs: Uint32Array = new Uint32Array(64);
  #blockAt = 0;
  /** The names, as string ids, of the series that was looked at last, by their order; none is there twice. */
  #orderedNames: Uint32Array = new Uint32Array(64);
  #namesInOrder = 0;
  /** Of the request at hand. They are looked at on a miss alone: what is in the tables was within them. */
  #limits: IngestLimits = noLimits;
  #tenant = 0;
  /** Of the hash of label blocks: another one for each tenant, whose blocks are often the same. */
  #blockSeed = 0;
  #tenantHash: readonly [lo: number, hi: number] = [0, 0];

  /** What remote write 2.0 has said of the series in this segment. */
  readonly metadata: SeriesMetadata = new SeriesMetadata();

  #gate: SeriesGate | undefined;
  /** What `#gate` becomes when the dictionary is emptied: series that are known were decided by the one of before. */
  nextGate: SeriesGate | undefined;
  /** With a gate: one bit a series that came in with the labels that it has. Only those may be predicted. */
  #asItCame: Uint32Array = new Uint32Array(0);

  /** Why the last `intern` returned -1: the labels are not valid, or the gate has dropped the series. */
  invalid: DoorReason | DoorDrop = 'no_metric_name';
  /** Where the label block that `predict` matched ends. */
  matchedTo = 0;

  /**
   * `seed` guards the tables against chosen collisions: a random 32-bit number. `gate` is asked of every label block
   * that has not been seen since the dictionary was emptied.
   */
  constructor(seed: number, gate?: SeriesGate) {
    this.#seed = seed;
    this.nextGate = gate;
    this.reset(seed);
  }

  /** Empties the dictionary for the next segment. Ids of before mean nothing from here on. */
  reset(seed: number): void {
    this.#seed = seed;
    this.#blockSeed = seed;
    this.#tenant = 0;
    this.#gate = this.nextGate;
    this.generation++;
    this.stringCount = 0;
    this.pairCount = 0;
    this.seriesCount = 0;
    this.text.clear();
    this.labels.clear();
    this.#labelsView = new DataView(this.labels.bytes.buffer);
    this.#strings.clear();
    this.#pairs.clear();
    this.#series.clear();
    this.#indexed = 0;
    if (this.#blockCount * 40 < this.#blocks.length)
      this.#blocks = new Uint32Array(this.#blocks.length >>> 1 || 5);
    if (this.#blocks.length < 5 * 512) this.#blocks = new Uint32Array(5 * 512);
    this.#blocks.fill(0);
    this.#blockCount = 0;
    this.#blocksElsewhere = 0;
    this.#next.fill(0);
    this.#asItCame.fill(0);
    this.#last = 0;
    this.#namesInOrder = 0;
    this.metadata.clear();
    this.internString(EMPTY, 0, 0);
    this.internString(METRIC_NAME, 0, METRIC_NAME.length);
  }

  /** Memory that the content needs, in bytes (not what is allocated): what the segment's cap is held against. */
  get contentBytes(): number {
    return (
      this.text.length +
      this.labels.length +
      16 * this.stringCount +
      40 * this.pairCount +
      48 * this.seriesCount +
      4 * (this.seriesAt[this.seriesCount] ?? 0) +
      40 * (this.#blockCount + this.#blocksElsewhere) +
      this.metadata.contentBytes
    );
  }

  /** What the tenant adds to the hash of a series: that of one more pair in front. For another tenant than none. */
  get tenantHash(): readonly [lo: number, hi: number] {
    return this.#tenantHash;
  }

  /** The tenant that series are interned for, as a string id; 0 is none. */
  get tenant(): number {
    return this.#tenant;
  }

  /**
   * Interns series for this tenant, given as UTF-8, from now until the next call; an empty one is none, as it is after
   * a reset. Returns its string id.
   */
  useTenant(tenant: Uint8Array): number {
    if (tenant.length === 0) {
      this.#blockSeed = this.#seed;
      this.#tenant = 0;
      return 0;
    }
    this.#tenant = this.internString(tenant, 0, tenant.length);
    this.#blockSeed = this.#seed ^ digest[0]!;
    this.#tenantHash = tenantHash(tenant);
    return this.#tenant;
  }

  /** To be called at the start of each request, so that predictions start anew; with its limits of labels. */
  startRequest(limits: IngestLimits = noLimits): void {
    this.#last = 0;
    this.#limits = limits;
  }

  /**
   * Compares the labels at `start` with those of the series that is expected next. Returns its id and sets
   * `matchedTo` when they are the same and no label follows; else -1. `view` spans `raw`.
   */
  predict(raw: Uint8Array, view: DataView, start: number, end: number): number {
    const series = this.expected;
    if (series < 0) return -1;
    const labels = this.#labelsView;
    let at = start;
    for (let i = this.seriesAt[series]!, to = this.seriesAt[series + 1]!; i < to; i++) {
      const pair = this.seriesPairs[i]!;
      const from = this.pairAt[pair]!;
      const length = this.pairAt[pair + 1]! - from;
      if (length > end - at || !sameWords(view, at, labels, from, length)) return -1;
      at += length;
    }
    if (at < end && raw[at] === 0x0a) return -1;
    this.matchedTo = at;
    this.accept(series);
    return series;
  }

  /** The series that is expected next, or -1. */
  get expected(): number {
    const series = this.#next[this.#last]! - 1;
    return series >= 0 && this.seriesTenant[series] === this.#tenant ? series : -1;
  }

  /** Says that the series which was expected has come. */
  accept(series: number): void {
    this.#last = series + 1;
  }

  /**
   * The series whose `Label` fields stand in `raw[start, end)`, interned when new. Returns -1 and sets
   * `invalid` when the labels make no valid series (RW2-R-19 to -21, RW1-R-10), or one that the gate drops. Throws
   * `MalformedError` (WIRE-07).
   */
  intern(raw: Uint8Array, view: DataView, start: number, end: number): number {
    murmur3(view, start, end - start, this.#blockSeed);
    const h0 = digest[0]!;
    const h1 = digest[1]!;
    const h2 = digest[2]!;
    const h3 = digest[3]!;
    const blocks = this.#blocks;
    const mask = blocks.length / 5 - 1;
    let slot = h0 & mask;
    for (;;) {
      const at = slot * 5;
      const id = blocks[at + 4]!;
      if (id === 0) break;
      if (blocks[at] === h0 && blocks[at + 1] === h1 && blocks[at + 2] === h2 && blocks[at + 3] === h3) {
        // Whoever makes blocks with the hash of another tenant's writes into no series but its own.
        if (this.seriesTenant[id - 1] === this.#tenant) {
          this.#expect(id - 1);
          return id - 1;
        }
      }
      slot = (slot + 1) & mask;
    }
    const series = this.#internLabels(raw, view, start, end);
    if (series < 0) return -1;
    this.#addBlock(h0, h1, h2, h3, series + 1);
    this.#expect(series);
    return series;
  }

  /**
   * As `intern`, but always label by label: for a kernel that knows the blocks it has seen by itself. The memory of
   * each counts as content here, so the kernel has to say what it keeps: `countBlocks`.
   */
  internLabels(raw: Uint8Array, view: DataView, start: number, end: number): number {
    return this.#internLabels(raw, view, start, end);
  }

  /**
   * The pair of the `Label` message in `raw[start, end)`, interned when new; `INVALID`, with `invalid` set, and `ABSENT`
   * as for `internLabel`. Throws `MalformedError`. Not with a gate.
   */
  internPair(raw: Uint8Array, view: DataView, start: number, end: number): number {
    return this.#internPair(raw, view, start, end);
  }

  /** True when the field in `raw[start, end)` is `pair` as it is kept, byte by byte. */
  isWrittenAs(pair: number, raw: Uint8Array, start: number, end: number): boolean {
    const at = this.pairAt[pair]!;
    const length = end - start;
    return this.pairAt[pair + 1]! - at === length && sameBytes(this.labels.bytes, at, raw, start, length);
  }

  /** Bytes of the `Label` fields of a series. */
  blockLength(series: number): number {
    let length = 0;
    for (let i = this.seriesAt[series]!; i < this.seriesAt[series + 1]!; i++) {
      const pair = this.seriesPairs[i]!;
      length += this.pairAt[pair + 1]! - this.pairAt[pair]!;
    }
    return length;
  }

  /** Writes the `Label` fields of a series to `dst`, from `start` on. */
  writeBlock(series: number, dst: Uint8Array, start: number): void {
    let at = start;
    for (let i = this.seriesAt[series]!; i < this.seriesAt[series + 1]!; i++) {
      const pair = this.seriesPairs[i]!;
      const [from, to] = [this.pairAt[pair]!, this.pairAt[pair + 1]!];
      dst.set(this.labels.bytes.subarray(from, to), at);
      at += to - from;
    }
  }

  /**
   * Takes over series of this tenant that a kernel has interned by itself, which are not here yet: of each the number
   * of its pairs, its hash (low, high), and its pairs in order. Not with a gate.
   */
  adopt(words: Uint32Array): void {
    let id = this.seriesCount;
    let end = this.seriesAt[id]!;
    this.seriesPairs = room(this.seriesPairs, end + words.length);
    for (let at = 0; at < words.length; id++) {
      const count = words[at]!;
      this.#makeRoomForSeries(id);
      this.seriesHash[2 * id] = words[at + 1]!;
      this.seriesHash[2 * id + 1] = words[at + 2]!;
      this.seriesTenant[id] = this.#tenant;
      at += 3;
      for (const stop = at + count; at < stop; at++) this.seriesPairs[end++] = words[at]!;
      this.seriesAt[id + 1] = end;
    }
    this.seriesCount = id;
  }

  /** A kernel keeps so many more blocks. */
  countBlocks(count: number): void {
    this.#blocksElsewhere += count;
  }

  /** True when series have to pass a gate: then they can be interned as label blocks only. */
  get hasGate(): boolean {
    return this.#gate !== undefined;
  }

  /**
   * The pair of the label with this name and this value, interned when new; `ABSENT` when the value is empty;
   * `INVALID`, with `invalid` set, when it makes no valid label. Not with a gate.
   */
  internLabel(
    raw: Uint8Array,
    view: DataView,
    nameAt: number,
    nameEnd: number,
    valueAt: number,
    valueEnd: number,
  ): number {
    return this.#internTexts(raw, view, nameAt, nameEnd, valueAt, valueEnd);
  }

  /** True when `pair` is that of the label with this name and this value. */
  isLabel(
    pair: number,
    raw: Uint8Array,
    nameAt: number,
    nameEnd: number,
    valueAt: number,
    valueEnd: number,
  ): boolean {
    return (
      this.#isString(this.pairValue[pair]!, raw, valueAt, valueEnd) &&
      this.#isString(this.pairName[pair]!, raw, nameAt, nameEnd)
    );
  }

  #isString(id: number, raw: Uint8Array, start: number, end: number): boolean {
    const at = this.stringAt[id]!;
    const length = end - start;
    return this.stringAt[id + 1]! - at === length && sameBytes(this.text.bytes, at, raw, start, length);
  }

  /**
   * The series with the first `count` of these pairs, in any order, interned when new. Returns -1 and sets `invalid`
   * when they make no valid series. Not with a gate.
   */
  internPairs(pairs: Uint32Array, count: number): number {
    if (count > this.#limits.labels) {
      this.invalid = 'too_many_labels';
      return -1;
    }
    this.#blockPairs = room(this.#blockPairs, count + 1);
    this.#blockPairs.set(pairs.subarray(0, count));
    const series = this.#internSeries(count, this.#tenant);
    if (series >= 0) this.#expect(series);
    return series;
  }

  /** Next time, this series will be expected where it came now. */
  #expect(series: number): void {
    // A prediction compares with the labels that a series has, and these are not those of all that became it.
    const predictable =
      this.#gate === undefined || (((this.#asItCame[series >>> 5] ?? 0) >>> (series & 31)) & 1) === 1;
    this.#next[this.#last] = predictable ? series + 1 : 0;
    this.#last = series + 1;
  }

  /** The id of the string `src[start, end)`, interned when new. It must be UTF-8. */
  internString(
    src: Uint8Array,
    start: number,
    end: number,
    view: DataView = new DataView(src.buffer, src.byteOffset, src.byteLength),
  ): number {
    const length = end - start;
    murmur3(view, start, length, this.#seed);
    const hash = digest[0]!;
    const table = this.#strings;
    for (let slot = table.first(hash); ; slot = table.next(slot)) {
      const id = table.idAt(slot);
      if (id < 0) break;
      if (table.hashes[id] !== hash) continue;
      const at = this.stringAt[id]!;
      if (this.stringAt[id + 1]! - at === length && sameBytes(this.text.bytes, at, src, start, length))
        return id;
    }
    const id = this.stringCount++;
    this.stringAt = room(this.stringAt, id + 2);
    this.text.putBytes(src, start, end);
    this.stringAt[id + 1] = this.text.length;
    table.add(hash, id);
    return id;
  }

  /** The series of a label block as the gate, if there is one, lets it in. */
  #internLabels(raw: Uint8Array, view: DataView, start: number, end: number): number {
    if (this.#gate === undefined) return this.#internAdmitted(raw, view, start, end);
    const admission = this.#gate.admit(raw, view, start, end, this.#limits);
    if (admission === 'dropped') {
      this.invalid = 'dropped_by_relabel_configs';
      return -1;
    }
    if (admission !== 'unchanged') {
      const changed = new DataView(admission.buffer, admission.byteOffset, admission.length);
      return this.#internAdmitted(admission, changed, 0, admission.length);
    }
    const series = this.#internAdmitted(raw, view, start, end);
    if (series >= 0) {
      this.#asItCame = room(this.#asItCame, (series >>> 5) + 1);
      this.#asItCame[series >>> 5]! |= 1 << (series & 31);
    }
    return series;
  }

  #internAdmitted(raw: Uint8Array, view: DataView, start: number, end: number): number {
    const reader = new ProtoReader(raw, start, end);
    const maxLabels = this.#limits.labels;
    let count = 0;
    let refused: DoorReason | DoorDrop | undefined;
    for (;;) {
      count = this.#matchBlock(view, reader.at, end, count);
      reader.at = this.#blockAt;
      if (reader.done) break;
      if (count > maxLabels) {
        refused ??= 'too_many_labels';
        checkLabels(reader);
        break;
      }
      reader.tag();
      const length = reader.length();
      const pair = this.#internPair(raw, view, reader.at, reader.at + length);
      reader.at += length;
      // The rest is read all the same: a malformed label refuses the whole request (WIRE-07).
      if (pair === INVALID) refused ??= this.invalid;
      if (pair < 0) continue;
      // What matched may end where the array does.
      this.#blockPairs = room(this.#blockPairs, count + 1);
      this.#blockPairs[count++] = pair;
    }
    if (count > maxLabels) refused ??= 'too_many_labels';
    if (refused !== undefined) {
      this.invalid = refused;
      return -1;
    }
    return this.#internSeries(count, this.#tenant);
  }

  /**
   * Passes over labels from `start` on as long as they are, as they are kept, those that stood there in the block
   * before, since neighbours share most of them. The first of them is number `count` of its block; returns that of
   * the first that is another, and sets `#blockAt` to where that stands.
   */
  #matchBlock(view: DataView, start: number, end: number, count: number): number {
    const { pairAt, pairCount } = this;
    const pairs = this.#blockPairs;
    const labels = this.#labelsView;
    let at = start;
    let n = count;
    while (at < end) {
      const pair = pairs[n]!;
      // Nor does one behind the end of the array count: it is undefined.
      if (!(pair < pairCount)) break;
      const from = pairAt[pair]!;
      const length = pairAt[pair + 1]! - from;
      if (length > end - at || !sameWords(view, at, labels, from, length)) break;
      at += length;
      n++;
    }
    this.#blockAt = at;
    return n;
  }

  /** The series with the first `count` pairs of `#blockPairs` (sorted here) and this tenant. */
  #internSeries(count: number, tenant: number): number {
    const pairs = this.#blockPairs;
    if (!this.#isInOrder(count) && !this.#putInOrder(count)) return -1;
    this.#needScratch(8 * count + 8);
    const scratch = this.#scratchView;
    const pairHash = this.pairHash;
    let at = 0;
    if (tenant !== 0) {
      scratch.setUint32(0, this.#tenantHash[0], true);
      scratch.setUint32(4, this.#tenantHash[1], true);
      at = 8;
    }
    for (let i = 0; i < count; i++, at += 8) {
      const pair = pairs[i]!;
      scratch.setUint32(at, pairHash[2 * pair]!, true);
      scratch.setUint32(at + 4, pairHash[2 * pair + 1]!, true);
    }
    murmur3(scratch, 0, at, 0);
    const lo = digest[0]!;
    const hi = digest[1]!;
    const table = this.#series;
    while (this.#indexed < this.seriesCount) table.add(this.seriesHash[2 * this.#indexed]!, this.#indexed++);
    for (let slot = table.first(lo); ; slot = table.next(slot)) {
      const id = table.idAt(slot);
      if (id < 0) break;
      if (table.hashes[id] === lo && this.seriesTenant[id] === tenant && this.#hasPairs(id, count)) return id;
    }
    const id = this.seriesCount++;
    const start = this.seriesAt[id]!;
    this.seriesPairs = room(this.seriesPairs, start + count);
    this.#makeRoomForSeries(id);
    const seriesPairs = this.seriesPairs;
    for (let i = 0; i < count; i++) seriesPairs[start + i] = pairs[i]!;
    this.seriesAt[id + 1] = start + count;
    this.seriesHash[2 * id] = lo;
    this.seriesHash[2 * id + 1] = hi;
    this.seriesTenant[id] = tenant;
    table.add(lo, id);
    this.#indexed = id + 1;
    return id;
  }

  #makeRoomForSeries(id: number): void {
    this.seriesAt = room(this.seriesAt, id + 2);
    this.#next = room(this.#next, id + 2);
    this.seriesHash = room(this.seriesHash, 2 * id + 2);
    this.seriesTenant = room(this.seriesTenant, id + 1);
  }

  /** True when the names of `#blockPairs` are, one by one, those that were found in order before. */
  #isInOrder(count: number): boolean {
    if (count === 0 || count !== this.#namesInOrder) return false;
    for (let i = 0; i < count; i++) {
      if (this.pairName[this.#blockPairs[i]!] !== this.#orderedNames[i]) return false;
    }
    return true;
  }

  /** Sorts `#blockPairs` by name. False, with `invalid` set, when a name is there twice or that of the metric is not. */
  #putInOrder(count: number): boolean {
    const pairs = this.#blockPairs;
    let named = false;
    let sorted = true;
    for (let i = 0; i < count; i++) {
      const name = this.pairName[pairs[i]!]!;
      if (name === METRIC_NAME_ID) named = true;
      if (i > 0 && this.#compareNames(this.pairName[pairs[i - 1]!]!, name) >= 0) sorted = false;
    }
    if (!sorted) {
      // Not by insertion: a request may bring one series with a million labels, in the worst order.
      pairs.subarray(0, count).sort((a, b) => this.#compareNames(this.pairName[a]!, this.pairName[b]!));
      for (let i = 1; i < count; i++) {
        if (this.pairName[pairs[i - 1]!] !== this.pairName[pairs[i]!]) continue;
        this.invalid = 'duplicate_label';
        return false;
      }
    }
    if (!named) {
      this.invalid = 'no_metric_name';
      return false;
    }
    // A series of the same family has the same names, mostly: those need not be compared again.
    this.#orderedNames = room(this.#orderedNames, count);
    for (let i = 0; i < count; i++) this.#orderedNames[i] = this.pairName[pairs[i]!]!;
    this.#namesInOrder = count;
    return true;
  }

  #hasPairs(series: number, count: number): boolean {
    const at = this.seriesAt[series]!;
    if (this.seriesAt[series + 1]! - at !== count) return false;
    for (let i = 0; i < count; i++) if (this.seriesPairs[at + i] !== this.#blockPairs[i]) return false;
    return true;
  }

  /** The pair of the `Label` message in `raw[start, end)`, or INVALID, or ABSENT when its value is empty. */
  #internPair(raw: Uint8Array, view: DataView, start: number, end: number): number {
    const known = this.#findPair(view, start, end);
    if (known >= 0) return known;
    let nameAt = 0;
    let nameEnd = 0;
    let valueAt = 0;
    let valueEnd = 0;
    const reader = new ProtoReader(raw, start, end);
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x0a || tag === 0x12) {
        const length = reader.length();
        if (tag === 0x0a) {
          nameAt = reader.at;
          nameEnd = nameAt + length;
        } else {
          valueAt = reader.at;
          valueEnd = valueAt + length;
        }
        reader.at += length;
      } else reader.skip(tag);
    }
    return this.#internTexts(raw, view, nameAt, nameEnd, valueAt, valueEnd);
  }

  /** The pair of a label with this name and this value, or INVALID, or ABSENT when the value is empty. */
  #internTexts(
    raw: Uint8Array,
    view: DataView,
    nameAt: number,
    nameEnd: number,
    valueAt: number,
    valueEnd: number,
  ): number {
    const nameLength = nameEnd - nameAt;
    const valueLength = valueEnd - valueAt;
    if (nameLength === 0) {
      this.invalid = 'empty_label_name';
      return INVALID;
    }
    if (nameLength > this.#limits.nameBytes || valueLength > this.#limits.valueBytes) {
      this.invalid = nameLength > this.#limits.nameBytes ? 'label_name_too_long' : 'label_value_too_long';
      return INVALID;
    }
    if (!isUtf8(raw.subarray(nameAt, nameEnd)) || !isUtf8(raw.subarray(valueAt, valueEnd))) {
      this.invalid = 'invalid_utf8';
      return INVALID;
    }
    if (valueLength === 0) return ABSENT;

    // The canonical encoding; the one at hand may have been another (fields swapped, long varints).
    this.#needScratch(nameLength + valueLength + 24);
    const scratch = this.#scratch;
    const inner = 16;
    let at = inner;
    scratch[at++] = 0x0a;
    at = putLength(scratch, at, nameLength);
    scratch.set(raw.subarray(nameAt, nameEnd), at);
    at += nameLength;
    scratch[at++] = 0x12;
    at = putLength(scratch, at, valueLength);
    scratch.set(raw.subarray(valueAt, valueEnd), at);
    at += valueLength;
    const innerLength = at - inner;
    const canonical = this.#findPair(this.#scratchView, inner, at);
    if (canonical >= 0) return canonical;
    const hash = digest[0]!;

    const pair = this.pairCount++;
    this.pairAt = room(this.pairAt, pair + 2);
    this.pairName = room(this.pairName, pair + 1);
    this.pairValue = room(this.pairValue, pair + 1);
    this.pairHash = room(this.pairHash, 2 * pair + 2);
    if (pair >= this.#pairHead.length) {
      const grown = new Uint8Array(pair * 2);
      grown.set(this.#pairHead);
      this.#pairHead = grown;
    }
    let head = inner - 1 - lengthSize(innerLength);
    const outer = head;
    scratch[head++] = 0x0a;
    putLength(scratch, head, innerLength);
    this.labels.putBytes(scratch, outer, at);
    if (this.#labelsView.buffer !== this.labels.bytes.buffer)
      this.#labelsView = new DataView(this.labels.bytes.buffer);
    this.pairAt[pair + 1] = this.labels.length;
    this.#pairHead[pair] = inner - outer;
    this.#pairs.add(hash, pair);

    scratch.set(raw.subarray(nameAt, nameEnd), 0);
    scratch[nameLength] = 0xff;
    scratch.set(raw.subarray(valueAt, valueEnd), nameLength + 1);
    murmur3(this.#scratchView, 0, nameLength + 1 + valueLength, 0);
    this.pairHash[2 * pair] = digest[0]!;
    this.pairHash[2 * pair + 1] = digest[1]!;
    this.pairName[pair] = this.internString(raw, nameAt, nameEnd, view);
    this.pairValue[pair] = this.internString(raw, valueAt, valueEnd, view);
    return pair;
  }

  /** The pair with these inner bytes, or -1; leaves their hash in `digest[0]`. */
  #findPair(view: DataView, start: number, end: number): number {
    const length = end - start;
    murmur3(view, start, length, this.#seed);
    const hash = digest[0]!;
    const table = this.#pairs;
    for (let slot = table.first(hash); ; slot = table.next(slot)) {
      const id = table.idAt(slot);
      if (id < 0) return -1;
      if (table.hashes[id] !== hash) continue;
      const at = this.pairAt[id]! + this.#pairHead[id]!;
      if (this.pairAt[id + 1]! - at === length && sameWords(this.#labelsView, at, view, start, length))
        return id;
    }
  }

  /** Compares two strings by their bytes, which for UTF-8 is the order of code points (RW1-S-10). */
  #compareNames(a: number, b: number): number {
    if (a === b) return 0;
    const text = this.text.bytes;
    let i = this.stringAt[a]!;
    let j = this.stringAt[b]!;
    const iEnd = this.stringAt[a + 1]!;
    const jEnd = this.stringAt[b + 1]!;
    while (i < iEnd && j < jEnd) {
      const d = text[i++]! - text[j++]!;
      if (d !== 0) return d;
    }
    return iEnd - i - (jEnd - j);
  }

  #addBlock(h0: number, h1: number, h2: number, h3: number, id: number): void {
    if (2 * ++this.#blockCount > this.#blocks.length / 5) {
      const old = this.#blocks;
      this.#blocks = new Uint32Array(old.length * 2);
      for (let at = 0; at < old.length; at += 5) {
        if (old[at + 4] !== 0)
          this.#placeBlock(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!, old[at + 4]!);
      }
    }
    this.#placeBlock(h0, h1, h2, h3, id);
  }

  #placeBlock(h0: number, h1: number, h2: number, h3: number, id: number): void {
    const blocks = this.#blocks;
    const mask = blocks.length / 5 - 1;
    let slot = h0 & mask;
    while (blocks[slot * 5 + 4] !== 0) slot = (slot + 1) & mask;
    blocks[slot * 5] = h0;
    blocks[slot * 5 + 1] = h1;
    blocks[slot * 5 + 2] = h2;
    blocks[slot * 5 + 3] = h3;
    blocks[slot * 5 + 4] = id;
  }

  #needScratch(size: number): void {
    if (size <= this.#scratch.length) return;
    this.#scratch = new Uint8Array(size * 2);
    this.#scratchView = new DataView(this.#scratch.buffer);
  }
}

/** What a tenant, given as UTF-8, adds to the hash of a series: the hash of a pair with an empty name. */
export function tenantHash(tenant: Uint8Array): readonly [lo: number, hi: number] {
  const pair = new Uint8Array(1 + tenant.length);
  pair[0] = 0xff;
  pair.set(tenant, 1);
  murmur3(new DataView(pair.buffer), 0, pair.length, 0);
  return [digest[0]!, digest[1]!];
}

/** Decides what becomes of series before they are interned: `relabel_configs`. */
export interface SeriesGate {
  /**
   * What becomes of the series whose `Label` fields stand in `raw[start, end)`; always the same for the same labels.
   * Throws `MalformedError`.
   */
  admit(raw: Uint8Array, view: DataView, start: number, end: number, limits: IngestLimits): Admission;
}

/**
 * Bytes are the `Label` fields that the series has instead, valid until the next call. What is not valid is
 * `unchanged`.
 */
export type Admission = 'unchanged' | 'dropped' | Uint8Array;

/** In place of a pair: the label is not valid. */
export const INVALID = -1;
/** In place of a pair: the value is empty, which is the same as no label. */
export const ABSENT = -2;
const EMPTY = new Uint8Array(0);
const METRIC_NAME = new TextEncoder().encode('__name__');
/** `__name__`, as a string: the second of each dictionary. Also in protocol/assembly/intern.ts. */
export const METRIC_NAME_ID = 1;

/** Reads label fields for nothing but their form: a malformed one refuses the whole request (WIRE-07). */
function checkLabels(reader: ProtoReader): void {
  while (!reader.done) {
    reader.tag();
    const length = reader.length();
    const label = new ProtoReader(reader.bytes, reader.at, reader.at + length);
    while (!label.done) label.skip(label.tag());
    reader.at += length;
  }
}

function lengthSize(length: number): number {
  let size = 1;
  for (let v = length; v >= 0x80; v >>>= 7) size++;
  return size;
}

function putLength(dst: Uint8Array, outAt: number, length: number): number {
  let at = outAt;
  let v = length;
  while (v >= 0x80) {
    dst[at++] = (v & 0x7f) | 0x80;
    v >>>= 7;
  }
  dst[at++] = v;
  return at;
}
