import { PlainEmitterV2 } from './emit-v2.ts';
import type { EmitterV2 } from './emitter-v2.ts';

/**
 * The emitter of 2.0 bodies of a kernel, for the `wire_compression` of an endpoint. `onFailure` hears once of a module
 * that does not work.
 */
export function createEmitterV2(
  _kernel: 'wasm' | 'typescript',
  _onFailure: (error: unknown) => void,
  _compression: 'fast' | 'small' = 'fast',
): EmitterV2 {
  return new PlainEmitterV2();
}
