import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import { type IngestReport, ingestV1 } from './ingest-v1.ts';
import { type IngestLimits, LimitError } from './limits.ts';
import { declaredLength, Scratch, uncompress } from './snappy.ts';

/**
 * The inner loop on the way in: from a request body to rows.
 *
 * There is one implementation, in TypeScript; it is the reference that any faster one is held against. Its
 * counterpart on the way out is `EmitterV1`.
 */
export interface IngestKernel {
  /**
   * Takes the rows of a remote write 1.0 body, a snappy block, into `batch`. Throws `SnappyError` for a body
   * that is no such block (WIRE-01), `MalformedError` for one that is no such message (WIRE-07), and `LimitError`
   * for one over the limits of a request (WIRE-02, RW1-R-10); then the batch must be rolled back.
   */
  ingestV1(body: Uint8Array, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport;
}

/**
 * What a request body takes once it is decoded, in bytes, by the length that it declares; nothing is decoded.
 * Throws `SnappyError` and `LimitError` (WIRE-02).
 */
export function decodedLength(body: Uint8Array, { decodedBytes }: IngestLimits): number {
  const declared = declaredLength(body);
  if (declared <= decodedBytes) return declared;
  throw new LimitError(`declares ${declared} decoded bytes`, decodedBytes, 'max_decoded_bytes');
}

/** The kernel in plain TypeScript. Keeps one buffer, as large as the largest body so far. */
export function createTypeScriptKernel(): IngestKernel {
  const raw = new Scratch();
  return {
    ingestV1(body, limits, dictionary, batch) {
      const length = uncompress(body, raw, decodedLength(body, limits));
      return ingestV1(raw.bytes, raw.view, length, dictionary, batch, limits);
    },
  };
}
