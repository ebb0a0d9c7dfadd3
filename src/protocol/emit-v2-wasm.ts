import { EXEMPLAR } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import type { EmittedBody, OutgoingRows } from './emit-v1.ts';
import { FamiliesOfRows, PlainEmitterV2, symbolTables } from './emit-v2.ts';
import type { EmitterV2, MetadataOf } from './emitter-v2.ts';
import type { Scratch } from './snappy.ts';
import { SymbolTable } from './symbol-table.ts';
import { WasmColumns } from './wasm-columns.ts';

/**
 * `PlainEmitterV2` with the work done in WebAssembly (assembly/emit-v2.ts), for the same bytes; bench/emit.ts shows the
 * gain.
 *
 * What the module does not do goes to `PlainEmitterV2`, which reads and marks the same columns: requests with
 * exemplars, dictionaries in arrays of their own, and everything once the module has failed.
 */
export class WasmEmitterV2 implements EmitterV2 {
  readonly #tableOf: (dictionary: SegmentDictionary) => SymbolTable;
  readonly #plain: PlainEmitterV2;
  readonly #families: FamiliesOfRows = new FamiliesOfRows();
  readonly #compression: 'fast' | 'small';
  readonly #onFailure: (error: unknown) => void;
  #failed = false;

  /** `onFailure` hears once of a module that does not work; bodies come from TypeScript then. */
  constructor(
    onFailure: (error: unknown) => void,
    compression: 'fast' | 'small',
    tableOf: (dictionary: SegmentDictionary) => SymbolTable = symbolTables(tableFor),
  ) {
    this.#onFailure = onFailure;
    this.#compression = compression;
    this.#tableOf = tableOf;
    this.#plain = new PlainEmitterV2(compression, tableOf);
  }

  emitV2(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    metadataOf: MetadataOf,
    out: Scratch,
  ): EmittedBody {
    const { columns } = dictionary;
    if (columns instanceof WasmColumns && !this.#failed && !hasExemplars(rows, first, count)) {
      try {
        const table = this.#tableOf(dictionary);
        this.#families.take(rows, first, count, metadataOf, table);
        const number = table.begin();
        const body = columns.emitV2({
          rows,
          first,
          count,
          familyOf: this.#families.of,
          series: dictionary.series,
          slots: dictionary.slots,
          strings: table.strings,
          families: table.families,
          number,
          compression: this.#compression,
        });
        if (body !== undefined) return body;
      } catch (error) {
        this.#failed = true;
        this.#onFailure(error);
      }
    }
    return this.#plain.emitV2(rows, first, count, dictionary, metadataOf, out);
  }
}

/**
 * The emitter of 2.0 bodies of a kernel, for the `wire_compression` of an endpoint. `onFailure` hears once of a module
 * that does not work. One for all dictionaries of a thread; columns of `createEmitter(kernel, ...)` are what it is
 * fastest with.
 */
export function createEmitterV2(
  kernel: 'wasm' | 'typescript',
  onFailure: (error: unknown) => void,
  compression: 'fast' | 'small' = 'fast',
): EmitterV2 {
  return kernel === 'wasm' ? new WasmEmitterV2(onFailure, compression) : new PlainEmitterV2(compression);
}

function tableFor(dictionary: SegmentDictionary): SymbolTable {
  const { columns } = dictionary;
  return columns instanceof WasmColumns
    ? new SymbolTable(dictionary, columns.symbols)
    : new SymbolTable(dictionary);
}

/** True when an exemplar is to be sent. */
function hasExemplars({ mask, kind, skip, payload }: OutgoingRows, first: number, count: number): boolean {
  if (payload === undefined) return false;
  for (let i = 0; i < count; i++) {
    const at = (first + i) & mask;
    if (kind[at] === EXEMPLAR && skip[at] === 0) return true;
  }
  return false;
}
