import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import type { IngestReport } from './ingest-report.ts';
import { ingestV1 } from './ingest-v1.ts';
import { ingestV2 } from './ingest-v2.ts';
import { WasmIngest } from './ingest-wasm.ts';
import { type IngestLimits, LimitError } from './limits.ts';
import { declaredLength, longestOf, Scratch, SnappyError, uncompress } from './snappy.ts';
import { Symbols } from './symbols.ts';
import { WasmError } from './wasm-module.ts';

/** Which message a request is: `prometheus.WriteRequest` or `io.prometheus.write.v2.Request`. */
export type WriteVersion = '1.0' | '2.0';

/**
 * The inner loop on the way in: from a request body to rows.
 *
 * There are two implementations: one in TypeScript, which is the reference, and one whose loop is in WebAssembly.
 * They give the same rows, the same dictionary and the same errors. The counterpart on the way out is `EmitterV1`.
 */
export interface IngestKernel {
  /**
   * Takes the rows of a remote write 1.0 body, a snappy block, into `batch`. Throws `SnappyError` for a body
   * that is no such block (WIRE-01), `MalformedError` for one that is no such message (WIRE-07), and `LimitError`
   * for one over the limits of a request (WIRE-02, RW1-R-10); then the batch must be rolled back.
   */
  ingestV1(body: Uint8Array, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport;

  /** The same for a remote write 2.0 body. */
  ingestV2(body: Uint8Array, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport;
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
  const symbols = new Symbols();
  return {
    ingestV1(body, limits, dictionary, batch) {
      const length = uncompress(body, raw, decodedLength(body, limits));
      return ingestV1(raw.bytes, raw.view, length, dictionary, batch, limits);
    },
    ingestV2(body, limits, dictionary, batch) {
      const length = uncompress(body, raw, decodedLength(body, limits));
      return ingestV2(raw.bytes, raw.view, length, dictionary, batch, limits, symbols);
    },
  };
}

/**
 * The kernel with its loop in WebAssembly; what that does not read, and all that is wrong, is left to the TypeScript.
 * Keeps the memory of the module: room for the largest bodies of the segment and for the table of its series.
 * Throws `WasmError` where the module cannot be loaded.
 */
export function createWasmKernel(): IngestKernel {
  const wasm = new WasmIngest();
  const uncompressed = (body: Uint8Array, limits: IngestLimits, dictionary: Dictionary): number => {
    const length = decodedLength(body, limits);
    if (length > longestOf(body) || wasm.uncompress(body, length, dictionary) === undefined) {
      uncompress(body, new Scratch(), length);
      throw new SnappyError('the body is not a well-formed snappy block');
    }
    return length;
  };
  return {
    ingestV1(body, limits, dictionary, batch) {
      return wasm.ingest(uncompressed(body, limits, dictionary), limits, dictionary, batch);
    },
    ingestV2(body, limits, dictionary, batch) {
      return wasm.ingestV2(uncompressed(body, limits, dictionary), limits, dictionary, batch);
    },
  };
}

/** The kernel that the configuration asks for. Where WebAssembly cannot be had it is the other, and `warn` is told. */
export function createKernel(which: 'wasm' | 'typescript', warn: (error: WasmError) => void): IngestKernel {
  if (which === 'wasm') {
    try {
      return createWasmKernel();
    } catch (error) {
      if (!(error instanceof WasmError)) throw error;
      warn(error);
    }
  }
  return createTypeScriptKernel();
}
