/*
 * Places the series that a frame adds to a dictionary, as `SegmentDictionary#placeAll` in
 * ../../serialization/segment-dictionary.ts does it, which is the reference (test/protocol/place-series.test.ts holds
 * them against each other). Of a series that leaves as it is stored there is nothing to decide, and most of its labels
 * are those of the series before: what is left is to read where they differ, and to copy the rest.
 *
 * Whatever is not as it should be ends with 0: TypeScript reads the same columns once more then, and says what it is.
 * What was written until then stands behind the last series, where nobody looks.
 */

/** Series with more labels are not for this module. */
const WIDEST: u32 = 256;
const MISSING: u32 = 0xffffffff;

/** Of the series at hand, label by label: its pair, and its slot or `MISSING`. Slack for whole vectors. */
const pairOf: usize = memory.data((WIDEST + 4) << 2, 16);
const slotOf: usize = memory.data((WIDEST + 4) << 2, 16);

// Columns of the dictionary, and how many words they have room for.
let slotAt: usize = 0;
let pairSlot: usize = 0;
let seriesSlots: usize = 0;
let seriesAt: usize = 0;
let seriesBytes: usize = 0;
let slotRoom: u32 = 0;
let pairRoom: u32 = 0;
let seriesSlotRoom: u32 = 0;
let seriesRoom: u32 = 0;

/** Tells where the columns of the dictionary stand, and their rooms. */
export function placeSeriesColumns(
  slotStarts: usize,
  slotStartRoom: u32,
  slotsOfPairs: usize,
  pairsRoom: u32,
  slotsOfSeries: usize,
  slotsOfSeriesRoom: u32,
  seriesStarts: usize,
  seriesLengths: usize,
  bothRoom: u32,
): void {
  slotAt = slotStarts;
  slotRoom = slotStartRoom;
  pairSlot = slotsOfPairs;
  pairRoom = pairsRoom;
  seriesSlots = slotsOfSeries;
  seriesSlotRoom = slotsOfSeriesRoom;
  seriesAt = seriesStarts;
  seriesBytes = seriesLengths;
  seriesRoom = bothRoom;
}

/**
 * Places `added` series from id `first` on. How many labels each has stands in `[counts, pairs)`, and their pairs as
 * differences to the series before in `[pairs, end)`. Returns 1, or 0 when that is for TypeScript.
 */
export function placeSeries(
  first: u32,
  added: u32,
  counts: usize,
  pairs: usize,
  end: usize,
  pairCount: u32,
  slotCount: u32,
): u32 {
  if (<u64>first + added >= seriesRoom || pairCount > pairRoom || slotCount >= slotRoom) return 0;
  const countsEnd = pairs;
  const last = first + added;
  let at = pairs;
  let start = load<u32>(seriesAt + ((<usize>first) << 2));
  /** Labels of the series before, how many of them are missing, and the bytes of the others. */
  let before: u32 = 0;
  let missing: u32 = 0;
  let bytes: u32 = 0;
  for (let id = first; id < last; id++) {
    if (counts >= countsEnd) return 0;
    let size: u32 = load<u8>(counts++);
    if (size >= 0x80) {
      if (counts >= countsEnd) return 0;
      const more: u32 = load<u8>(counts++);
      if (more >= 0x80) return 0;
      size = (size & 0x7f) | (more << 7);
    }
    if (size > WIDEST) return 0;
    // Labels that the series before had beyond.
    for (let k = size; k < before; k++) {
      const slot = load<u32>(slotOf + ((<usize>k) << 2));
      if (slot == MISSING) missing--;
      else bytes -= lengthOf(slot);
    }
    const both = min(size, before);
    let k: u32 = 0;
    while (k < size) {
      if (at + 8 <= end && k < both) {
        // Mostly it is the same pair: a zero.
        const eight = load<u64>(at);
        const same = min(eight == 0 ? 8 : <u32>ctz(eight) >>> 3, both - k);
        if (same > 0) {
          at += same;
          k += same;
          continue;
        }
      }
      if (at >= end) return 0;
      let b: u32 = load<u8>(at++);
      let z = b & 0x7f;
      for (let shift: u32 = 7; b >= 0x80; shift += 7) {
        if (at >= end || shift > 28) return 0;
        b = load<u8>(at++);
        z |= (b & 0x7f) << shift;
      }
      const to = (<usize>k) << 2;
      let pair = (z >>> 1) ^ (0 - (z & 1));
      if (k < both) {
        pair += load<u32>(pairOf + to);
        const slot = load<u32>(slotOf + to);
        if (slot == MISSING) missing--;
        else bytes -= lengthOf(slot);
      }
      store<u32>(pairOf + to, pair);
      const known: u32 = pair < pairCount ? load<u32>(pairSlot + ((<usize>pair) << 2)) : 0;
      const slot = known - 1;
      if (known == 0) missing++;
      else {
        if (slot >= slotCount) return 0;
        bytes += lengthOf(slot);
      }
      // Zero less one is `MISSING`.
      store<u32>(slotOf + to, slot);
      k++;
    }
    before = size;
    let next = start;
    if (missing == 0) {
      next += size;
      // Whole vectors are copied.
      if (<u64>next + 3 > seriesSlotRoom) return 0;
      const target = seriesSlots + ((<usize>start) << 2);
      for (let from: usize = 0; from < (<usize>size) << 2; from += 16)
        v128.store(target + from, v128.load(slotOf + from));
    }
    store<u32>(seriesBytes + ((<usize>id) << 2), missing == 0 ? bytes : 0);
    store<u32>(seriesAt + ((<usize>id) << 2), next, 4);
    start = next;
  }
  return counts == countsEnd && at == end ? 1 : 0;
}

/** Bytes of a slot that is known. */
// @ts-ignore: decorator
@inline
function lengthOf(slot: u32): u32 {
  const at = slotAt + ((<usize>slot) << 2);
  return load<u32>(at, 4) - load<u32>(at);
}
