/*
 * Snappy blocks, both ways, for frames of the queue (../snappy-blocks.ts). Memory is laid out there.
 */

import { compressBlock } from './compress';
import { uncompressBlock } from './snappy';

/** Decodes the elements in `[source, end)` to `target`; 1 when they are well-formed and make `total` bytes. */
export function uncompress(source: usize, end: usize, target: usize, total: u32): bool {
  return uncompressBlock(source, end, target, total);
}

/** Writes the elements of `[source, source + length)` at `start`, and returns where they end. Traps at `end`. */
export function compress(source: usize, length: u32, table: usize, start: usize, end: usize): usize {
  return compressBlock(source, length, table, start, end);
}
