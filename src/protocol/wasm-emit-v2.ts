import type { EmitExports } from './emit-module.ts';
import type { EmittedBody, OutgoingRows } from './emit-v1.ts';
import { align, MEMORY_LIMIT, type MemoryBlocks } from './memory-blocks.ts';
import { copyPayloads, PAYLOAD_ROW, SLACK as PAYLOAD_SLACK, payloadSpan } from './wasm-payloads.ts';

/** What a 2.0 body is made of within the module, beside the columns in its memory. */
export interface RequestV2 {
  readonly rows: OutgoingRows;
  readonly first: number;
  readonly count: number;
  /** The family of each row, plus one. */
  readonly familyOf: Uint32Array;
  /** How many there are of each. */
  readonly series: number;
  readonly slots: number;
  readonly strings: number;
  readonly families: number;
  /** Its number, which no record is marked with. */
  readonly number: number;
  readonly compression: 'fast' | 'small';
}

/** Bytes of a row in the memory but for its start time and its payload: see assembly/emit-v2.ts. */
const ROW = 8 + 8 + 4 + 4 + 1 + 1;
/** Bytes before the rows that are left to the symbols. Where they do not do, with thousands of strings, the rows move. */
const GAP = 1 << 18;
/** Messages are shorter. */
const LONGEST = 0x7fffffff;
/** Bytes behind the message that may be written and read. */
const SLACK = 64;
/** What the compressors need to work in: assembly/compress.ts, assembly/dense.ts. */
const ROOM = { fast: 65536, small: 65536 + 12 * 8192 + 8 * 64 } as const;

/**
 * The body of a 2.0 request, made behind the last block of the memory:
 *
 *     rows, payloads | strings of its symbols | gap, symbols | all TimeSeries, slack | room of the compressor | body
 *
 * Undefined when it is not for the module: a row is neither sample nor histogram, or the message is of gigabytes.
 * Throws what WebAssembly throws when the module stops itself, which is a bug, and `RangeError` when there is no
 * memory.
 */
export function emitV2Within(
  module: EmitExports,
  memory: MemoryBlocks,
  request: RequestV2,
): EmittedBody | undefined {
  const { rows: from, count, series, slots, strings, families, number } = request;
  const started = hasStarts(from, request.first, count);
  const rows = align(memory.top);
  const span = payloadSpan(from, request.first, count);
  const payloads = align(rows + (ROW + (started ? 8 : 0) + (span === undefined ? 0 : PAYLOAD_ROW)) * count);
  const order = span === undefined ? payloads : align(payloads + span.to - span.from + PAYLOAD_SLACK);
  const gap = align(order + 4 * strings);
  if (gap > MEMORY_LIMIT) return undefined;
  memory.ensure(gap);
  copyRows(memory, request, rows, started, span !== undefined);
  copyPayloads(module, memory, from, span, payloads);
  const area = gap + GAP;
  const areaEnd = area + module.roomV2(rows, count, started, series);
  if (areaEnd > MEMORY_LIMIT) return undefined;
  memory.ensure(areaEnd);
  const end =
    module.writeV2(rows, count, started, series, slots, strings, families, number, order, area, areaEnd) >>>
    0;
  if (end === 0) return undefined;
  if (end === area) return { bytes: Uint8Array.of(0), rawBytes: 0 };
  const symbols = module.symbolsV2();
  const rawBytes = symbols + end - area;
  const plain = symbols > GAP ? gap : area - symbols;
  if (rawBytes >= LONGEST || plain + rawBytes + SLACK > MEMORY_LIMIT) return undefined;
  memory.ensure(plain + rawBytes + SLACK);
  if (symbols > GAP) memory.bytes.copyWithin(plain + symbols, area, end);
  module.writeSymbolsV2(plain, plain + symbols);
  const { compression } = request;
  const room = align(plain + rawBytes + SLACK);
  const out = room + ROOM[compression];
  const outEnd = out + rawBytes + Math.ceil(rawBytes / 6) + 128;
  if (outEnd > MEMORY_LIMIT) return undefined;
  memory.ensure(outEnd);
  const compress = compression === 'small' ? module.compressDense : module.compressV2;
  const bodyEnd = compress(plain, rawBytes, room, out, outEnd) >>> 0;
  return { bytes: memory.bytes.subarray(out, bodyEnd), rawBytes };
}

/** True when a row has a start time. */
function hasStarts({ start, mask }: OutgoingRows, first: number, count: number): boolean {
  if (start === undefined) return false;
  for (let i = 0; i < count; i++) {
    const at = 2 * ((first + i) & mask);
    if ((start[at]! | start[at + 1]!) !== 0) return true;
  }
  return false;
}

/** Puts the rows behind one another, from wherever they stand in their ring. */
function copyRows(
  { words, bytes }: MemoryBlocks,
  request: RequestV2,
  rows: number,
  started: boolean,
  payloads: boolean,
): void {
  const { rows: from, first, count } = request;
  const start = first & from.mask;
  const head = Math.min(count, from.mask + 1 - start);
  const rest = count - head;
  let at = rows >>> 2;
  const put = (column: Int32Array | Uint32Array, width: number) => {
    words.set(column.subarray(width * start, width * (start + head)), at);
    if (rest > 0) words.set(column.subarray(0, width * rest), at + width * head);
    at += width * count;
  };
  put(from.time, 2);
  put(from.value, 2);
  if (started) put(from.start!, 2);
  put(from.series, 1);
  words.set(request.familyOf.subarray(0, count), at);
  at += count;
  if (payloads) {
    put(from.payload!.at, 1);
    put(from.payload!.size, 1);
  }
  const skips = 4 * at;
  const kinds = skips + count;
  bytes.set(from.skip.subarray(start, start + head), skips);
  bytes.set(from.kind.subarray(start, start + head), kinds);
  if (rest === 0) return;
  bytes.set(from.skip.subarray(0, rest), skips + head);
  bytes.set(from.kind.subarray(0, rest), kinds + head);
}
