import { Column } from '../serialization/columns.ts';
import { ProtoReader } from './proto-reader.ts';
import type { RequestSymbols } from './request-symbols.ts';

/**
 * The labels of exemplars as `labels_refs`: made while a request is measured, and taken out in the same order while it
 * is written. On their way through the queue they are `Label` fields of 1.0, seen to be well-formed at the door.
 */
export class ExemplarRefs {
  readonly #refs: Column = new Column();
  readonly #ends: number[] = [];
  #next = 0;
  #from = 0;

  /** Begins a request. */
  clear(): void {
    this.#refs.clear();
    this.#ends.length = 0;
    this.#next = 0;
    this.#from = 0;
  }

  /** Takes the labels of the next exemplar; returns the bytes of its refs. Throws `MalformedError`. */
  put(payload: Uint8Array, symbols: RequestSymbols): number {
    const refs = this.#refs;
    const start = refs.length;
    const reader = new ProtoReader(payload, 0, payload.length);
    while (!reader.done) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      const size = reader.length();
      const end = reader.at + size;
      const label = new ProtoReader(payload, reader.at, end);
      const at = [0, 0];
      const length = [0, 0];
      while (!label.done) {
        const inner = label.tag();
        if (inner !== 0x0a && inner !== 0x12) {
          label.skip(inner);
          continue;
        }
        // A field that is there twice: the last one counts.
        const which = inner === 0x0a ? 0 : 1;
        length[which] = label.length();
        at[which] = label.at;
        label.skipBytes(length[which]);
      }
      for (let i = 0; i < 2; i++) refs.putVarint(symbols.useBytes(payload, at[i]!, length[i]!));
      reader.at = end;
    }
    this.#ends.push(refs.length);
    return refs.length - start;
  }

  /** The refs of the next exemplar, as a view. */
  take(): Uint8Array {
    const end = this.#ends[this.#next++]!;
    const refs = this.#refs.bytes.subarray(this.#from, end);
    this.#from = end;
    return refs;
  }
}
