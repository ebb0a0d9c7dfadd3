import type { LabelColumns } from '../serialization/label-columns.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import type { EmittedBody, Emitter, OutgoingRows } from './emit-v1.ts';
import { Scratch, SnappyCompressor, uncompress } from './snappy.ts';

/**
 * Bodies for links that cost more than CPU: what another emitter writes is uncompressed again, and the general
 * compressor looks for more. At most the bytes of plain snappy; over 1.0 nearly all of those of direct emission, over 2.0
 * eleven twelfths, for two to four times its CPU (bench/emit.ts). `WasmEmitterV1` does the same within the module.
 */
export class SmallEmitter implements Emitter {
  readonly #emitter: Emitter;
  readonly #compressor: SnappyCompressor = new SnappyCompressor();
  readonly #plain: Scratch = new Scratch();
  readonly #out: Scratch = new Scratch();

  constructor(emitter: Emitter) {
    this.#emitter = emitter;
  }

  newColumns(): LabelColumns {
    return this.#emitter.newColumns();
  }

  emit(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    out: Scratch,
  ): EmittedBody {
    const body = this.#emitter.emit(rows, first, count, dictionary, out);
    const plain = this.#plain;
    const length = uncompress(body.bytes, plain, body.rawBytes);
    const end = this.#compressor.compress(plain.bytes, plain.view, length, this.#out, 0);
    // What repeats from far away, direct emission knows and the compressor does not.
    if (end >= body.bytes.length) return body;
    return { bytes: this.#out.bytes.subarray(0, end), rawBytes: length };
  }

  emitMetadata(rows: OutgoingRows, first: number, count: number, out: Scratch): EmittedBody {
    return this.#emitter.emitMetadata(rows, first, count, out);
  }
}
