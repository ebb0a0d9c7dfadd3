import { digest, murmur3 } from '../protocol/murmur3.ts';
import { Column, readDeltas, readVarints, room } from './columns.ts';
import { bin, count, type FrameBody, FrameError, section } from './frame.ts';
import { HeapColumns, type LabelColumns } from './label-columns.ts';
import { type ChooseTenant, LeavingTenants, type TenantChoice } from './leaving-tenants.ts';

/** A gap is what a damaged frame took with it; one far beyond any segment is damage itself. */
const LONGEST_GAP = 1 << 26;

/**
 * The dictionary of a segment as a reader rebuilds it, frame by frame, with its series as they shall leave.
 *
 * A pair is kept as its encoded `Label` field in a slot; a series is a list of slots. A `SeriesRewrite` may
 * change that list once, when the series is first seen (external labels, relabelling), so that nothing is
 * decided per row. Then a `TenantChoice` says under which tenant it leaves; without one, under none. The hash that
 * routing goes by is that of the series as it leaves, with its tenant, since both can make two series one.
 *
 * Ids whose additions were in a damaged frame are missing: a pair of a missing string is missing, and so is a
 * series of a missing pair. Rows of a missing series are lost, and the reader counts them.
 */
export class SegmentDictionary {
  /** Bytes of all strings; string `s` is `[stringAt[s], stringAt[s] + stringLength[s])`. */
  readonly text: Column = new Column();
  #stringAt: Uint32Array = new Uint32Array(64);
  /** Length plus one; 0 for a missing string. */
  #stringSize: Uint32Array = new Uint32Array(64);
  #strings = 0;

  /** Slots, and the series as lists of them. */
  readonly columns: LabelColumns;
  slots = 0;
  #slotHash: Uint32Array = new Uint32Array(128);
  #pairs = 0;

  series = 0;
  /** The tenants that series leave under. */
  readonly tenants: LeavingTenants = new LeavingTenants();
  /** Which of them it is, by series: of those up to the last one that leaves under any. */
  #seriesTenant: Uint32Array = new Uint32Array(0);
  /** The tenants that series of the frame at hand came in under, as string ids. */
  #cameIn: Uint32Array = new Uint32Array(0);

  /** One bit a series: the rewrite dropped it. */
  #dropped: Uint32Array = new Uint32Array(0);

  /** Slots below it are hashed; that happens only where the stored hash of a series is not that of what leaves. */
  #hashedTo = 0;
  readonly #rewrite: RewriteSeries | undefined;
  readonly #choose: ChooseTenant | undefined;
  #work: Uint32Array = new Uint32Array(64);
  #numbers: Uint32Array = new Uint32Array(0);
  #more: Uint32Array = new Uint32Array(0);
  #scratch: Uint8Array = new Uint8Array(256);
  #scratchView: DataView = new DataView(this.#scratch.buffer);

  /**
   * `rewrite` opens a rewrite for this dictionary; undefined leaves series as they are. `columns` are empty. Without
   * `tenants` series leave under none.
   */
  constructor(rewrite?: SeriesRewrite, columns: LabelColumns = new HeapColumns(), tenants?: TenantChoice) {
    this.columns = columns;
    this.#rewrite = rewrite?.open(this);
    this.#choose = tenants?.open(this);
  }

  /** Adds what a frame brings. Throws `FrameError` or `ColumnError`; then the frame is damaged. */
  add(body: FrameBody): void {
    if (body.strings !== undefined) this.#addStrings(section(body.strings, 'strings'));
    if (body.pairs !== undefined) this.#addPairs(section(body.pairs, 'pairs'));
    if (body.series !== undefined) this.#addSeries(section(body.series, 'series'));
  }

  /** Two words a series: the hash of the series as it leaves. Another array once there is more of the dictionary. */
  get seriesHash(): Uint32Array {
    return this.columns.seriesHash;
  }

  /** The tenant that a series leaves under, as a number of `tenants`. */
  tenantOf(series: number): number {
    return series < this.#seriesTenant.length ? this.#seriesTenant[series]! : 0;
  }

  /** Notes the tenant that a series leaves under. */
  leavesUnder(series: number, tenant: number): void {
    this.#seriesTenant = room(this.#seriesTenant, series + 1);
    this.#seriesTenant[series] = tenant;
  }

  /** True when rows of this series can be delivered. */
  has(series: number): boolean {
    const { seriesAt } = this.columns;
    return series < this.series && seriesAt[series + 1]! > seriesAt[series]!;
  }

  /** True when the rewrite dropped this series: its rows are not to be delivered. They keep the stored hash. */
  isDropped(series: number): boolean {
    return (((this.#dropped[series >>> 5] ?? 0) >>> (series & 31)) & 1) === 1;
  }

  /** Nobody reads it any more. Idempotent. */
  release(): void {
    this.columns.release(this.series);
  }

  /** The number of the tenant that metadata leaves under which came in under this one, a string id. */
  metadataTenant(incoming: number): number {
    return this.#choose?.ofMetadata(incoming) ?? 0;
  }

  /** The bytes of a string, as a view; undefined when it is missing. */
  string(id: number): Uint8Array | undefined {
    const size = id < this.#strings ? this.#stringSize[id]! : 0;
    if (size === 0) return undefined;
    const at = this.#stringAt[id]!;
    return this.text.bytes.subarray(at, at + size - 1);
  }

  /** Adds the pair (name, value), given as UTF-8 and no views of `columns`, and returns its slot. For rewrites. */
  addSlot(name: Uint8Array, value: Uint8Array): number {
    const { columns } = this;
    const { labels } = columns;
    columns.reserveSlots(this.slots + 1);
    labels.reserve(name.length + value.length + 20);
    labels.putVarint(0x0a);
    labels.putVarint(2 + varintSize(name.length) + name.length + varintSize(value.length) + value.length);
    labels.putVarint(0x0a);
    labels.putVarint(name.length);
    labels.putBytes(name, 0, name.length);
    labels.putVarint(0x12);
    labels.putVarint(value.length);
    labels.putBytes(value, 0, value.length);
    const slot = this.slots++;
    columns.slotAt[slot + 1] = labels.length;
    return slot;
  }

  /** The name in a slot, as a view. */
  slotName(slot: number): Uint8Array {
    const { bytes } = this.columns.labels;
    let at = this.columns.slotAt[slot]! + 1;
    while (bytes[at++]! >= 0x80);
    at++;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const b = bytes[at++]!;
      length |= (b & 0x7f) << shift;
      if (b < 0x80) break;
    }
    return bytes.subarray(at, at + length);
  }

  /** The value in a slot, as a view: what is behind its name, its tag and its length. */
  slotValue(slot: number): Uint8Array {
    const name = this.slotName(slot);
    const { bytes } = this.columns.labels;
    let at = name.byteOffset - bytes.byteOffset + name.length + 1;
    while (bytes[at++]! >= 0x80);
    return bytes.subarray(at, this.columns.slotAt[slot + 1]!);
  }

  #hashSlots(): void {
    this.#slotHash = room(this.#slotHash, 2 * this.slots);
    for (; this.#hashedTo < this.slots; this.#hashedTo++) {
      this.#hashSlot(this.#hashedTo, this.slotName(this.#hashedTo), this.slotValue(this.#hashedTo));
    }
  }

  #hashSlot(slot: number, name: Uint8Array, value: Uint8Array): void {
    const length = name.length + 1 + value.length;
    this.#needScratch(length);
    this.#scratch.set(name, 0);
    this.#scratch[name.length] = 0xff;
    this.#scratch.set(value, name.length + 1);
    murmur3(this.#scratchView, 0, length, 0);
    this.#slotHash[2 * slot] = digest[0]!;
    this.#slotHash[2 * slot + 1] = digest[1]!;
  }

  #addStrings(from: FrameBody): void {
    const first = count(from, 'first');
    const bytes = bin(from, 'bytes');
    const added = this.#numbersOf(bin(from, 'lengths'));
    this.#gap('strings', this.#strings, first);
    this.#stringAt = room(this.#stringAt, first + added);
    this.#stringSize = room(this.#stringSize, first + added);
    this.#stringSize.fill(0, this.#strings, first);
    let at = 0;
    for (let i = 0; i < added; i++) {
      const length = this.#numbers[i]!;
      this.#stringAt[first + i] = this.text.length + at;
      this.#stringSize[first + i] = length + 1;
      at += length;
    }
    if (at !== bytes.length) throw new FrameError('string lengths do not add up to the bytes they divide');
    this.text.putBytes(bytes, 0, bytes.length);
    this.#strings = first + added;
  }

  #addPairs(from: FrameBody): void {
    const first = count(from, 'first');
    const names = bin(from, 'names');
    const values = bin(from, 'values');
    const added = varintsIn(names);
    this.#numbers = room(this.#numbers, added);
    this.#more = room(this.#more, added);
    readDeltas(names, added, this.#numbers);
    readDeltas(values, added, this.#more);
    this.#gap('pairs', this.#pairs, first);
    const { columns } = this;
    columns.reservePairs(first + added);
    columns.pairSlot.fill(0, this.#pairs, first);
    for (let i = 0; i < added; i++) {
      const name = this.string(this.#numbers[i]!);
      const value = this.string(this.#more[i]!);
      const slot = name === undefined || value === undefined ? 0 : this.addSlot(name, value) + 1;
      // Not before: another slot may move the columns.
      columns.pairSlot[first + i] = slot;
    }
    this.#pairs = first + added;
  }

  #addSeries(from: FrameBody): void {
    const first = count(from, 'first');
    const hashes = bin(from, 'hashes');
    const counts = bin(from, 'counts');
    const pairs = bin(from, 'pairs');
    if (this.#placeAsStored(from, first, counts, pairs, hashes)) return;
    const added = this.#numbersOf(counts);
    if (hashes.length !== added * 8) throw new FrameError('there are not as many hashes as series');
    const inAll = varintsIn(pairs);
    this.#more = room(this.#more, inAll);
    readVarints(pairs, inAll, this.#more);
    this.#gap('series', this.series, first);
    this.#makeRoom(first, added);
    this.#cameIn = room(this.#cameIn, added);
    if (from.tenants === undefined) this.#cameIn.fill(0, 0, added);
    else readVarints(bin(from, 'tenants'), added, this.#cameIn);
    this.#placeAll(first, added, inAll, hashes);
    this.series = first + added;
  }

  /**
   * The short way, in the memory where the columns are: of series that leave just as they are stored, without a fault.
   * False when there is any, or anything to decide.
   */
  #placeAsStored(
    from: FrameBody,
    first: number,
    counts: Uint8Array,
    pairs: Uint8Array,
    hashes: Uint8Array,
  ): boolean {
    if (this.#rewrite !== undefined || this.#choose !== undefined || from.tenants !== undefined) return false;
    const added = hashes.length / 8;
    if (!Number.isInteger(added) || first < this.series || first - this.series > LONGEST_GAP) return false;
    this.#makeRoom(first, added);
    const { columns } = this;
    if (!columns.placeSeries({ first, counts, pairs, hashes, pairCount: this.#pairs, slotCount: this.slots }))
      return false;
    this.series = first + added;
    return true;
  }

  /** Makes room for `added` series from id `first` on; those that are missing before them have no labels. */
  #makeRoom(first: number, added: number): void {
    const { columns, series } = this;
    columns.reserveSeries(first + added);
    columns.seriesAt.fill(columns.seriesAt[series]!, series, first + 1);
    columns.seriesBytes.fill(0, series, first + added);
    // What a frame left there that was damaged.
    this.#seriesTenant.fill(0, series, first + added);
  }

  /** Places the series from id `first` on: their sizes stand in `#numbers`, their pairs as differences in `#more`. */
  #placeAll(first: number, added: number, inAll: number, hashes: Uint8Array): void {
    const hashView = new DataView(hashes.buffer, hashes.byteOffset, hashes.byteLength);
    const more = this.#more;
    let at = 0;
    let before = 0;
    let beforeCount = 0;
    for (let i = 0; i < added; i++) {
      const size = this.#numbers[i]!;
      if (size > inAll - at) throw new FrameError('a series has more pairs than there are');
      for (let k = 0; k < size; k++) {
        const z = more[at + k]!;
        const base = k < beforeCount ? more[before + k]! : 0;
        more[at + k] = (base + ((z >>> 1) ^ -(z & 1))) | 0;
      }
      this.#placeSeries(
        first + i,
        this.#cameIn[i]!,
        at,
        size,
        hashView.getUint32(8 * i, true),
        hashView.getUint32(8 * i + 4, true),
      );
      before = at;
      beforeCount = size;
      at += size;
    }
    if (at !== inAll) throw new FrameError('there are more pairs than the series have');
  }

  /** Places series `id`, which came in under a tenant, and whose `size` pairs stand in `#more[at...]`. */
  #placeSeries(id: number, cameIn: number, at: number, size: number, hashLo: number, hashHi: number): void {
    const { columns } = this;
    const start = columns.seriesAt[id]!;
    columns.seriesAt[id + 1] = start;
    this.#work = room(this.#work, size + 256);
    let work = this.#work;
    const more = this.#more;
    const { pairSlot } = columns;
    const pairs = this.#pairs;
    for (let k = 0; k < size; k++) {
      const pair = more[at + k]!;
      const slot = pair < pairs ? pairSlot[pair]! : 0;
      if (slot === 0) return;
      work[k] = slot - 1;
    }
    let length = size;
    let lo = hashLo;
    let hi = hashHi;
    if (this.#rewrite !== undefined) {
      length = this.#rewrite(work, size);
      if (length > work.length) {
        work = this.#work = room(work, length);
        // The rewrite may have moved the columns.
        const { pairSlot } = columns;
        for (let k = 0; k < size; k++) work[k] = pairSlot[more[at + k]!]! - 1;
        length = this.#rewrite(work, size);
      }
      if (length === 0) {
        this.#dropped = room(this.#dropped, (id >>> 5) + 1);
        this.#dropped[id >>> 5]! |= 1 << (id & 31);
        columns.seriesHash[2 * id] = hashLo;
        columns.seriesHash[2 * id + 1] = hashHi;
        return;
      }
    }
    const tenant = this.#choose?.ofSeries(cameIn, work, length) ?? 0;
    const left = tenant === 0 ? length : this.#choose!.left;
    // As it is stored, it is that of the pairs and of the tenant that it came in under.
    if (this.#rewrite !== undefined || tenant !== 0 || cameIn !== 0) {
      length = left;
      this.#hashLeaving(tenant, length);
      lo = digest[0]!;
      hi = digest[1]!;
    }
    if (tenant !== 0) this.leavesUnder(id, tenant);
    columns.reserveSeriesSlots(start + length);
    const { seriesSlots, slotAt, seriesHash } = columns;
    let bytes = 0;
    for (let k = 0; k < length; k++) {
      const slot = work[k]!;
      seriesSlots[start + k] = slot;
      bytes += slotAt[slot + 1]! - slotAt[slot]!;
    }
    columns.seriesAt[id + 1] = start + length;
    columns.seriesBytes[id] = bytes;
    seriesHash[2 * id] = lo;
    seriesHash[2 * id + 1] = hi;
  }

  /** Leaves the hash of a series in `digest`: of the first `length` slots of `#work`, with its tenant. */
  #hashLeaving(tenant: number, length: number): void {
    this.#hashSlots();
    this.#needScratch(8 * length + 8);
    let end = 0;
    if (tenant !== 0) {
      const [lo, hi] = this.tenants.hash(tenant);
      this.#scratchView.setUint32(0, lo, true);
      this.#scratchView.setUint32(4, hi, true);
      end = 8;
    }
    for (let k = 0; k < length; k++, end += 8) {
      this.#scratchView.setUint32(end, this.#slotHash[2 * this.#work[k]!]!, true);
      this.#scratchView.setUint32(end + 4, this.#slotHash[2 * this.#work[k]! + 1]!, true);
    }
    murmur3(this.#scratchView, 0, end, 0);
  }

  #gap(what: string, have: number, first: number): void {
    if (first < have) throw new FrameError(`the frame adds ${what} that were there before`, { have, first });
    if (first - have > LONGEST_GAP)
      throw new FrameError(`the frame adds ${what} far behind the last`, { have, first });
  }

  #numbersOf(bytes: Uint8Array): number {
    const added = varintsIn(bytes);
    this.#numbers = room(this.#numbers, added);
    readVarints(bytes, added, this.#numbers);
    return added;
  }

  #needScratch(size: number): void {
    if (size <= this.#scratch.length) return;
    this.#scratch = new Uint8Array(size * 2);
    this.#scratchView = new DataView(this.#scratch.buffer);
  }
}

/** Changes series on their way out. */
export interface SeriesRewrite {
  /** Prepares for a new dictionary, to which it may add slots. */
  open(dictionary: SegmentDictionary): RewriteSeries;
}

/**
 * Rewrites the first `count` slots of `slots` in place, keeping them sorted by name, and returns how many they
 * are now; 0 drops the series. When they are more than `slots` has room for, what is in `slots` means nothing, and it
 * is called again for the same series with as much room as it said.
 */
export type RewriteSeries = (slots: Uint32Array, count: number) => number;

function varintsIn(bytes: Uint8Array): number {
  let numbers = 0;
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! < 0x80) numbers++;
  return numbers;
}

function varintSize(value: number): number {
  let size = 1;
  for (let v = value; v >= 0x80; v >>>= 7) size++;
  return size;
}
