/*
 * What rows of a request have beyond time and value: histograms, exemplars. Their bytes stand together behind the rows;
 * each row says where its own are, counted from where the first of these were in the queue.
 */

export const HISTOGRAM: u32 = 1;
export const EXEMPLAR: u32 = 2;

let bytes: usize = 0;
let length: u32 = 0;
let origin: u32 = 0;
// The columns of the request at work.
let places: usize = 0;
let sizes: usize = 0;

/** Tells where the bytes stand, how many they are, and what the first of them counts as; 0 when there are none. */
export function placePayloads(at: usize, size: u32, from: u32): void {
  bytes = at;
  length = size;
  origin = from;
}

/** Takes the columns at `at`, if there are any; returns what is behind them. */
export function takePayloads(at: usize, count: u32): usize {
  if (bytes == 0) return at;
  places = at;
  sizes = at + ((<usize>count) << 2);
  return sizes + ((<usize>count) << 2);
}

/** True when rows of this kind are to be read here. */
// @ts-ignore: decorator
@inline
export function hasPayloads(kind: u32): bool {
  return bytes != 0 && (kind == HISTOGRAM || kind == EXEMPLAR);
}

// @ts-ignore: decorator
@inline
export function payloadSize(row: u32): u32 {
  return load<u32>(sizes + ((<usize>row) << 2));
}

/** Where the bytes of a row stand, all of them among those that were placed. */
export function payloadOf(row: u32): usize {
  const place = load<u32>(places + ((<usize>row) << 2)) - origin;
  if (place > length || payloadSize(row) > length - place) unreachable();
  return bytes + place;
}
