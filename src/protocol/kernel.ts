import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import { type IngestReport, ingestV1 } from './ingest-v1.ts';
import { Scratch, uncompress } from './snappy.ts';

/**
 * The inner loop on the way in: from a request body to rows.
 *
 * There is one implementation, in TypeScript; it is the reference that any faster one is held against. Its
 * counterpart on the way out is `EmitterV1`.
 */
export interface IngestKernel {
  /**
   * Takes the rows of a remote write 1.0 body, a snappy block, into `batch`. Throws `SnappyError` for a body
   * that is no such block or declares more than `maxDecodedBytes` (WIRE-01, WIRE-02), `MalformedError` for one
   * that is no such message (WIRE-07); then the batch must be rolled back.
   */
  ingestV1(body: Uint8Array, maxDecodedBytes: number, dictionary: Dictionary, batch: RowBatch): IngestReport;
}

/** The kernel in plain TypeScript. Keeps one buffer, as large as the largest body so far. */
export function createTypeScriptKernel(): IngestKernel {
  const raw = new Scratch();
  return {
    ingestV1(body, maxDecodedBytes, dictionary, batch) {
      const length = uncompress(body, raw, maxDecodedBytes);
      return ingestV1(raw.bytes, raw.view, length, dictionary, batch);
    },
  };
}
