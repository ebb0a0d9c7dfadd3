/**
 * What we use of snappyjs 0.7, which ships no types: snappy block format (WIRE-01), a Buffer for a Buffer and
 * a plain Uint8Array for a plain one. It does not notice a block that ends before the length that it
 * declares: the rest is zeros.
 */
declare module 'snappyjs' {
  /** Throws an Error when the input is not a snappy block, or declares more than `maxLength` bytes. */
  export function uncompress<Bytes extends Uint8Array>(compressed: Bytes, maxLength?: number): Bytes;
  export function compress<Bytes extends Uint8Array>(uncompressed: Bytes): Bytes;
}
