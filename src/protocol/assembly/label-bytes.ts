import { SERIES_AT, SYMBOL_COUNT } from './layout';
import { field, fieldStart, sizeOf } from './symbols';

/**
 * The bytes of all labels of a 2.0 request, each symbol as often as it is used: no more than these can be looked up
 * for it, whatever of it is known. Only requests that may have too many are read for it, which costs a pass over the
 * refs.
 */

/**
 * Adds them up for the series between the first one, which `scan` has found, and `end`. Infinite when a series is
 * written in another way than anybody does.
 */
export function labelBytes(end: u32): f64 {
  let total: u64 = 0;
  let at = load<u32>(SERIES_AT);
  while (at < end) {
    const isSeries = load<u8>(at) == 0x2a;
    const stop = field(at, end);
    let inner = fieldStart;
    while (isSeries && inner < stop) {
      const tag = load<u8>(inner);
      if (tag == 0x30) {
        // The time of creation is no text.
        inner++;
        while (inner < stop && load<u8>(inner) >= 0x80) inner++;
        inner++;
        continue;
      }
      if (tag >= 0x80 || (tag & 7) != 2) return Infinity;
      const innerStop = field(inner, stop);
      if (innerStop == 0) return Infinity;
      if (tag == 0x0a) {
        total += bytesOf(fieldStart, innerStop);
        if (tooLong) return Infinity;
      }
      inner = innerStop;
    }
    at = stop;
  }
  return <f64>total;
}

/** Of `bytesOf`: a ref has more than five bytes. */
let tooLong: bool = false;

/** Bytes of the symbols with the refs in `[at, end)`; those that are none are refused before anything is looked up. */
function bytesOf(start: u32, end: u32): u64 {
  const symbols = load<u32>(SYMBOL_COUNT);
  let total: u64 = 0;
  let at = start;
  tooLong = false;
  while (at < end) {
    let ref: u32 = 0;
    let shift = 0;
    while (true) {
      const byte = <u32>load<u8>(at++);
      ref |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
      shift += 7;
      if (shift == 35) {
        tooLong = true;
        return 0;
      }
    }
    if (ref < symbols) total += sizeOf(ref);
  }
  return total;
}
