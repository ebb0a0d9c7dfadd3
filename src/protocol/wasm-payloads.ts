import { SAMPLE } from '../serialization/rows.ts';
import type { EmitExports } from './emit-module.ts';
import type { OutgoingRows } from './emit-v1.ts';
import type { MemoryBlocks } from './memory-blocks.ts';

/** Bytes of a row in the memory for its payload: where it is, and its length (assembly/payloads.ts). */
export const PAYLOAD_ROW: number = 4 + 4;
/** Bytes behind the payloads that may be read. */
export const SLACK = 64;

/** A part of the buffer of payloads. */
export interface PayloadSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * The part with the payloads of all rows of a request that are to be sent; undefined when all of these are samples.
 * Payloads of neighbours stand one behind the other, but for those where the buffer was made room in: it is hardly ever
 * much more than what is sent.
 */
export function payloadSpan(
  { mask, kind, skip, payload }: OutgoingRows,
  first: number,
  count: number,
): PayloadSpan | undefined {
  if (payload === undefined) return undefined;
  const { at: places, size } = payload;
  let some = false;
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (let i = 0; i < count; i++) {
    const at = (first + i) & mask;
    if (kind[at] === SAMPLE || skip[at] !== 0) continue;
    some = true;
    // One of none stands anywhere.
    if (places[at]! < from) from = places[at]!;
    if (places[at]! + size[at]! > to) to = places[at]! + size[at]!;
  }
  return some ? { from, to } : undefined;
}

/** Puts them at `at`, and tells the module; or that there are none. */
export function copyPayloads(
  module: EmitExports,
  memory: MemoryBlocks,
  { payload }: OutgoingRows,
  span: PayloadSpan | undefined,
  at: number,
): void {
  if (span === undefined) {
    module.placePayloads(0, 0, 0);
    return;
  }
  const { from, to } = span;
  memory.bytes.set(payload!.bytes.subarray(from, to), at);
  module.placePayloads(at, to - from, from);
}
