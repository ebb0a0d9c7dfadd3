import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import type { SnappyBlocks } from '../protocol/snappy-blocks.ts';

/** How the bodies of frames are packed; in the order in which they are tried when a header does not say. */
export const codecs = ['snappy', 'brotli', 'none'] as const;
export type Codec = (typeof codecs)[number];

/** The lowest quality already has most of what brotli saves here; the next ones take a multiple of its time. */
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } } as const;

/** A body as it goes to disk; with `snappy` a view that the next call overwrites. */
export function pack(codec: Codec, body: Uint8Array, blocks: SnappyBlocks): Uint8Array {
  switch (codec) {
    case 'none':
      return body;
    case 'snappy':
      return blocks.compress(body);
    case 'brotli':
      return brotliCompressSync(body, quality);
  }
}

/**
 * The reverse of `pack`: the body, of `raw` bytes at most. Throws `SnappyError`, or what zlib throws, when it is none.
 */
export function unpack(codec: Codec, packed: Uint8Array, raw: number, blocks: SnappyBlocks): Uint8Array {
  switch (codec) {
    case 'none':
      return packed;
    case 'snappy':
      return blocks.uncompress(packed, raw);
    case 'brotli':
      // Zero is no limit that zlib takes, and no body is empty.
      return bytesOf(brotliDecompressSync(packed, { maxOutputLength: Math.max(1, raw) }));
  }
}

/** Slices of a `Buffer` are buffers; what is read here are plain bytes, whatever the codec. */
function bytesOf({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
