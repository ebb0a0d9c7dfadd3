import { hashBlock } from './block-hash';
import {
  BLOCK_BYTES, CAPACITY, DONE, ENTRY_COUNT, ENTRY_NEXT, ENTRY_SERIES, FULL, KNOWN_LABELS, LABEL_AT, LABEL_COUNT,
  LABEL_HASHES, LABEL_NAMES, LABEL_PAIRS, LABEL_PLACES, LABELS_END, LABELS_START, MOST_LABELS, NEW_BYTES, NEW_END,
  NEW_LABEL, NEW_SERIES, NEXT_SERIES, OF_PAIR, ORDERED_COUNT, ORDERED_NAMES, ROOM, TENANT, UNKNOWN,
} from './layout';
import { digestHigh, digestLow, murmur3 } from './murmur3';
import { addEntry, addRoom, entryAt, expectNext, findEntry } from './table';

/**
 * New series, as `Dictionary.internLabels`: label by label, then sorted, checked and hashed.
 *
 * It takes labels that the dictionary has, each written as it is kept there, in order, with that of the metric among
 * them. There is one way only to write such a series: when its block is not in the table, the series is not in the
 * dictionary. For that, each series of the dictionary has its block in the table, wherever it was interned. What is
 * another way round is left to the TypeScript, series by series; so are new labels, one by one.
 */

/** `METRIC_NAME_ID` of ../../serialization/dictionary.ts. */
const METRIC_NAME: u32 = 1;

/**
 * Goes on at `LABEL_AT` to `LABELS_END`. `DONE` means that the labels are those of the series before `NEXT_SERIES`, which
 * is on its way into the dictionary and in the table. With `UNKNOWN` and `FULL` the series is to be begun anew.
 */
export function internSeries(): i32 {
  const end = load<u32>(LABELS_END);
  const most = load<u32>(MOST_LABELS);
  let at = load<u32>(LABEL_AT);
  let count = load<u32>(LABEL_COUNT);
  let known = load<u32>(KNOWN_LABELS);
  if (end - load<u32>(LABELS_START) > <u32>BLOCK_BYTES) return leave(UNKNOWN);
  while (at < end) {
    if (count == most) return leave(UNKNOWN);
    const stop = labelEnd(at);
    const place = LABEL_PLACES + (count << 2);
    // Neighbours share most of their labels.
    if (count >= known || !isSame(load<u32>(place), at, stop - at)) {
      hashBlock(at, stop - at);
      const entry = findEntry(stop - at, OF_PAIR);
      if (entry == 0) {
        store<u32>(LABEL_AT, at);
        store<u32>(LABEL_COUNT, count);
        return NEW_LABEL;
      }
      usePair(count, entry);
    }
    store<u32>(place, at);
    count++;
    at = stop;
    if (count > known) {
      known = count;
      store<u32>(KNOWN_LABELS, known);
    }
  }
  return finish(count);
}

/**
 * After `NEW_LABEL`: the label at `LABEL_AT` is this pair of the dictionary, with this name and this hash, and is written
 * there as it is here. There must be room for two entries.
 */
export function learnPair(pair: u32, name: u32, hashLow: u32, hashHigh: u32): void {
  const at = load<u32>(LABEL_AT);
  const length = labelEnd(at) - at;
  hashBlock(at, length);
  const entry = entryAt(addEntry(length, OF_PAIR, pair));
  store<u32>(entry, name, ENTRY_NEXT);
  const rest = addRoom();
  store<u32>(rest, hashLow);
  store<u32>(rest, hashHigh, 4);
}

/**
 * The dictionary has this series, whose labels as they are kept there stand in `[start, start + length)`. There must be
 * room for an entry. Leaves the prediction as it is.
 */
export function learnSeries(start: u32, length: u32, tenant: u32, series: u32): void {
  hashBlock(start, length);
  if (findEntry(length, tenant) == 0) addEntry(length, tenant, series);
}

/** Gives up the series at hand. */
@inline
function leave(status: i32): i32 {
  store<u32>(LABEL_AT, 0);
  return status;
}

/** Label `index` of the block at hand is that of this entry. */
@inline
function usePair(index: u32, entryIndex: u32): void {
  const entry = entryAt(entryIndex);
  store<u32>(LABEL_PAIRS + (index << 2), load<u32>(entry, ENTRY_SERIES));
  store<u32>(LABEL_NAMES + (index << 2), load<u32>(entry, ENTRY_NEXT));
  store<u64>(LABEL_HASHES + (index << 3), load<u64>(entryAt(entryIndex + 1)));
}

/** All labels of the block at hand are known. */
@inline
function finish(count: u32): i32 {
  store<u32>(LABEL_AT, load<u32>(LABELS_END));
  store<u32>(LABEL_COUNT, count);
  if (load<u32>(ENTRY_COUNT) == load<u32>(CAPACITY)) return ROOM;
  const newEnd = load<u32>(NEW_END);
  if (newEnd + 12 + (count << 2) > <u32>(NEW_SERIES + NEW_BYTES)) return leave(FULL);
  if (!isInOrder(count)) return leave(UNKNOWN);

  const tenant = load<u32>(TENANT);
  if (tenant == 0) murmur3(LABEL_HASHES, count << 3);
  else murmur3(LABEL_HASHES - 8, (count + 1) << 3);
  store<u32>(newEnd, count);
  store<u32>(newEnd, digestLow, 4);
  store<u32>(newEnd, digestHigh, 8);
  memory.copy(newEnd + 12, LABEL_PAIRS, count << 2);
  store<u32>(NEW_END, newEnd + 12 + (count << 2));

  const series = load<u32>(NEXT_SERIES);
  store<u32>(NEXT_SERIES, series + 1);
  const start = load<u32>(LABELS_START);
  const length = load<u32>(LABELS_END) - start;
  hashBlock(start, length);
  expectNext(addEntry(length, tenant, series));
  return leave(DONE);
}

/** True when the names of the labels at hand grow, and that of the metric is one of them. */
@inline
function isInOrder(count: u32): bool {
  // A series of the same family has the same names, mostly: those need not be compared again.
  if (
    count == load<u32>(ORDERED_COUNT) &&
    memory.compare(LABEL_NAMES, ORDERED_NAMES, count << 2) == 0
  ) {
    return true;
  }
  let named = load<u32>(LABEL_NAMES) == METRIC_NAME;
  for (let i: u32 = 1; i < count; i++) {
    const place = LABEL_PLACES + (i << 2);
    if (!isBefore(load<u32>(place - 4), load<u32>(place))) return false;
    if (load<u32>(LABEL_NAMES + (i << 2)) == METRIC_NAME) named = true;
  }
  if (!named) return false;
  memory.copy(ORDERED_NAMES, LABEL_NAMES, count << 2);
  store<u32>(ORDERED_COUNT, count);
  return true;
}

/** True when the name of the label at `a` comes before that at `b`, by their bytes; both are written as they are kept. */
function isBefore(a: u32, b: u32): bool {
  const aAt = nameAt(a);
  const aLength = nameLength;
  const bAt = nameAt(b);
  const order = memory.compare(aAt, bAt, min(aLength, nameLength));
  return order < 0 || (order == 0 && aLength < nameLength);
}

/** Length of the name that `nameAt` has found. */
let nameLength: u32 = 0;

/** Where the name of the label at `at` is. */
@inline
function nameAt(at: u32): u32 {
  // The tag and the length of the label, the tag and the length of its name: lengths of one or two bytes.
  let p = at + 1;
  p += load<u8>(p) < 0x80 ? 2 : 3;
  nameLength = load<u8>(p++);
  if (nameLength >= 0x80) nameLength = (nameLength & 0x7f) | (<u32>load<u8>(p++) << 7);
  return p;
}

/** Where the label at `at` ends. Its length has one or two bytes, and is within the block: `lookUp` has been there. */
@inline
function labelEnd(at: u32): u32 {
  const size = <u32>load<u8>(at, 1);
  return size < 0x80 ? at + 2 + size : at + 3 + ((size & 0x7f) | (<u32>load<u8>(at, 2) << 7));
}

/** True when the bytes at `a` and `b` are the same. Reads up to 15 bytes behind them. */
@inline
function isSame(a: u32, b: u32, length: u32): bool {
  let i: u32 = 0;
  for (; i + 16 <= length; i += 16) {
    if (v128.any_true(v128.xor(v128.load(a + i), v128.load(b + i)))) return false;
  }
  if (i == length) return true;
  const other = i8x16.bitmask(i8x16.ne(v128.load(a + i), v128.load(b + i)));
  return (other & ((1 << (length - i)) - 1)) == 0;
}
