import { readFileSync } from 'node:fs';
import { SpillwayError } from '../runtime/errors.ts';
import { programFile } from '../runtime/program-files.ts';

/** A WebAssembly module is not there, or this Node cannot run it. The TypeScript kernel does the same work. */
export class WasmError extends SpillwayError {
  readonly code = 'WASM_UNAVAILABLE';
}

/** The modules that `npm run build` compiles from `assembly/` and puts beside this file. */
export type WasmModuleName = 'ingest' | 'emit' | 'blocks';

/** The part of the WebAssembly interface in use; the types of Node 20 leave it to those of the browser. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

/** The memory of an instance. Every `grow` leaves a new `buffer` behind, and views of the old one empty. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** Grows by so many pages of 64 KiB. Throws a `RangeError` when there is no more memory. */
  grow(pages: number): number;
}

const compiled = new Map<WasmModuleName, object>();

/**
 * A new instance of a module, with a memory of its own, as its exports: `memory` and the functions of
 * `assembly/<name>.ts`. Compiled synchronously, and once a thread. Throws `WasmError`.
 */
export function instantiateWasm<T extends { readonly memory: WasmMemory }>(name: WasmModuleName): T {
  try {
    let module = compiled.get(name);
    if (module === undefined) {
      module = new WebAssembly.Module(readFileSync(programFile(`protocol/${name}.wasm`)));
      compiled.set(name, module);
    }
    return new WebAssembly.Instance(module).exports as T;
  } catch (cause) {
    throw new WasmError(`the WebAssembly module ${name}.wasm cannot be loaded`, {}, cause);
  }
}
