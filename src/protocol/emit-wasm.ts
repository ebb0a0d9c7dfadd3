import type { LabelColumns } from '../serialization/label-columns.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { SmallEmitter } from './emit-small.ts';
import { type EmittedBody, type Emitter, EmitterV1, type OutgoingRows } from './emit-v1.ts';
import type { Scratch } from './snappy.ts';
import { type EmitSpace, WasmColumns } from './wasm-columns.ts';

/**
 * `EmitterV1` with the work done in WebAssembly (assembly/emit.ts): a third of the CPU for the same bytes, as
 * bench/emit.ts shows.
 *
 * What the module does not do goes to `EmitterV1` (and `SmallEmitter`), which reads the same columns: metadata,
 * dictionaries in arrays of their own, and everything once the module has failed.
 */
export class WasmEmitterV1 implements Emitter {
  readonly #plain: Emitter;
  readonly #compression: 'fast' | 'small';
  readonly #onFailure: (error: unknown) => void;
  #failed = false;
  /** What the last dictionary has left; one is enough, since segments are read one after the other. */
  #spare: EmitSpace | undefined;

  /** `onFailure` hears once of a module that does not work; bodies come from TypeScript then. */
  constructor(onFailure: (error: unknown) => void, compression: 'fast' | 'small' = 'fast') {
    this.#onFailure = onFailure;
    this.#compression = compression;
    this.#plain = typescriptEmitter(compression);
  }

  newColumns(): LabelColumns {
    if (!this.#failed) {
      try {
        const space = this.#spare;
        this.#spare = undefined;
        return new WasmColumns(space, (left) => {
          this.#spare = left;
        });
      } catch (error) {
        this.#fail(error);
      }
    }
    return this.#plain.newColumns();
  }

  emit(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    out: Scratch,
  ): EmittedBody {
    const { columns } = dictionary;
    if (columns instanceof WasmColumns && !this.#failed) {
      try {
        const body = columns.emit(rows, first, count, dictionary.slots, dictionary.series, this.#compression);
        if (body !== undefined) return body;
      } catch (error) {
        this.#fail(error);
      }
    }
    return this.#plain.emit(rows, first, count, dictionary, out);
  }

  emitMetadata(rows: OutgoingRows, first: number, count: number, out: Scratch): EmittedBody {
    return this.#plain.emitMetadata(rows, first, count, out);
  }

  #fail(error: unknown): void {
    this.#failed = true;
    this.#onFailure(error);
  }
}

/**
 * The emitter of a kernel, for the `wire_compression` of an endpoint. `onFailure` hears once of a module that does not
 * work.
 */
export function createEmitter(
  kernel: 'wasm' | 'typescript',
  onFailure: (error: unknown) => void,
  compression: 'fast' | 'small' = 'fast',
): Emitter {
  return kernel === 'wasm' ? new WasmEmitterV1(onFailure, compression) : typescriptEmitter(compression);
}

function typescriptEmitter(compression: 'fast' | 'small'): Emitter {
  return compression === 'small' ? new SmallEmitter(new EmitterV1()) : new EmitterV1();
}
