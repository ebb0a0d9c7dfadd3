import { hash0, hash1, hashBlock } from './block-hash';
import { internSeries } from './intern';
import {
  AT, DONE, END, ENTRY_LENGTH, ENTRY_NEXT, ENTRY_SERIES, ENTRY_TENANT, FIELD_END, FIELDS_LEFT, FOUND, FULL, LABEL_AT,
  LABEL_COUNT, LABELS_END, LABELS_START, LAST_ENTRY, NEXT_SERIES, ODD, OUT_ROWS, ROWS, ROWS_LEFT, SAMPLES, TENANT,
} from './layout';
import { MOST_ROWS, plainSample, plainSamples, putRow, putRows } from './samples';
import { uncompressBlock } from './snappy';
import { addEntry, entryAt, expectNext, fillSlots, findEntry, hasHash } from './table';

export { learnPair, learnSeries } from './intern';
export { learnText, rememberRefs, runV2, takeV2 } from './ingest-v2';
export { labelBytes } from './label-bytes';
export { forgetTexts, scan } from './symbols';
export { fillSlots };

/** For tests. */
export { hash0, hash1, hashBlock };

/**
 * The inner loop on the way in, as `ingestV1` of ../ingest-v1.ts: from the bytes of a `WriteRequest` to columns of
 * samples; ingest-v2.ts has that of 2.0. It takes series with plain samples, and new ones as far as intern.ts goes;
 * whatever else there is, errors among it, is handed back to the TypeScript, one field at a time, so the order of rows
 * and the words of errors have one source.
 *
 * ../ingest-wasm.ts and ../ingest-wasm-v2.ts drive it, in the memory of ../ingest-memory.ts; layout.ts says where
 * things stand. Nothing here trusts a length: each is held
 * against the end of what it is part of, which is within the memory.
 */

export function uncompress(source: usize, end: usize, target: usize, total: u32): i32 {
  return uncompressBlock(source, end, target, total) ? 1 : 0;
}

/** Goes on at `AT`; returns why it stopped. */
export function run(): i32 {
  if (load<u32>(LABEL_AT) != 0) {
    const resumed = internSeries();
    if (resumed != DONE) return resumed;
    putRows(load<u32>(LABELS_END), load<u32>(FIELD_END), load<u32>(NEXT_SERIES) - 1);
    pass();
  }
  const end = load<u32>(END);
  let at = load<u32>(AT);
  let fieldsLeft = load<u32>(FIELDS_LEFT);
  let status = DONE;
  while (at < end) {
    // `AT` is behind the last field that was taken, whatever ends the loop.
    store<u32>(LABELS_END, 0);
    store<i32>(FOUND, -1);
    if (fieldsLeft == 0 || load<u8>(at) != 0x0a) {
      status = ODD;
      break;
    }
    let start = at + 1;
    let size = <u32>load<u8>(start++);
    if (size >= 0x80) {
      let more = <u32>load<u8>(start++);
      size = (size & 0x7f) | ((more & 0x7f) << 7);
      if (more >= 0x80) {
        more = <u32>load<u8>(start++);
        size |= (more & 0x7f) << 14;
        if (more >= 0x80) {
          status = ODD;
          break;
        }
      }
    }
    if (start > end || size > end - start) {
      status = ODD;
      break;
    }
    const fieldEnd = start + size;

    const entry = lookUp(start, fieldEnd);
    if (entry < 0) {
      status = ODD;
      break;
    }
    const labelsEnd = load<u32>(LABELS_END);
    let series = entry == 0 ? -1 : load<i32>(entryAt(entry), ENTRY_SERIES);

    let rows: u32 = 1;
    const plain = plainSample(labelsEnd, fieldEnd);
    if (plain != fieldEnd) rows = plain == 0 ? 0 : plainSamples(plain, fieldEnd);
    if (rows == 0 || rows > MOST_ROWS || <i32>rows > load<i32>(ROWS_LEFT) - load<i32>(SAMPLES)) {
      if (entry != 0) expectNext(entry);
      store<i32>(FOUND, series);
      store<u32>(FIELD_END, fieldEnd);
      status = ODD;
      break;
    }
    if (load<u32>(OUT_ROWS) + rows > MOST_ROWS) {
      status = FULL;
      break;
    }
    if (entry == 0) {
      store<u32>(FIELD_END, fieldEnd);
      store<u32>(ROWS, rows);
      store<u32>(LABEL_AT, start);
      store<u32>(LABEL_COUNT, 0);
      status = internSeries();
      if (status != DONE) break;
      series = load<u32>(NEXT_SERIES) - 1;
    } else expectNext(entry);
    if (rows == 1) putRow(series);
    else putRows(labelsEnd, fieldEnd, series);
    fieldsLeft--;
    at = fieldEnd;
  }
  store<u32>(AT, at);
  store<u32>(FIELDS_LEFT, fieldsLeft);
  return status;
}

/** After `UNKNOWN`: the series has this id. Its samples are taken; there must be room in the table. */
export function take(series: u32): void {
  remember(series);
  const fieldEnd = load<u32>(FIELD_END);
  putRows(load<u32>(LABELS_END), fieldEnd, series);
  pass();
}

/** After `UNKNOWN`, or `ODD` when the driver has read the field: on behind the series at hand. */
export function pass(): void {
  store<u32>(AT, load<u32>(FIELD_END));
  store<u32>(FIELDS_LEFT, load<u32>(FIELDS_LEFT) - 1);
}

/** Enters the labels at hand, which `run` found unknown, into the table; there must be room. */
export function remember(series: u32): void {
  const start = load<u32>(LABELS_START);
  const length = load<u32>(LABELS_END) - start;
  hashBlock(start, length);
  expectNext(addEntry(length, load<u32>(TENANT), series));
}

/**
 * The entry of the labels at the start of `[start, fieldEnd)`, which end at `LABELS_END` then: 0 when there is none,
 * -1 when there are no labels, or such as no sender writes.
 */
@inline
function lookUp(start: u32, fieldEnd: u32): i32 {
  // What came behind the series before, the last time: the hash of as many bytes says whether it is that again. No
  // label needs to be looked at then, but for one that might follow.
  const last = load<u32>(LAST_ENTRY);
  const expected = load<u32>(entryAt(last), ENTRY_NEXT);
  const tenant = load<u32>(TENANT);
  let hashed: u32 = 0;
  store<u32>(LABELS_START, start);
  if (expected != 0) {
    const entry = entryAt(expected);
    hashed = load<u32>(entry, ENTRY_LENGTH);
    if (hashed <= fieldEnd - start && load<u32>(entry, ENTRY_TENANT) == tenant) {
      hashBlock(start, hashed);
      const stop = start + hashed;
      if (hasHash(entry) && (stop == fieldEnd || load<u8>(stop) != 0x0a)) {
        store<u32>(LABELS_END, stop);
        return <i32>expected;
      }
    } else hashed = 0;
  }
  let at = start;
  while (at < fieldEnd && load<u8>(at) == 0x0a) {
    let size = <u32>load<u8>(at, 1);
    at += 2;
    if (size >= 0x80) {
      const more = <u32>load<u8>(at++);
      if (more >= 0x80) return -1;
      size = (size & 0x7f) | (more << 7);
    }
    at += size;
  }
  if (at > fieldEnd || at == start) return -1;
  store<u32>(LABELS_END, at);
  const length = at - start;
  if (length != hashed) hashBlock(start, length);
  return <i32>findEntry(length, tenant);
}
