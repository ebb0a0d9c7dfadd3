import { type FieldSpec, isPackable, type MessageSpec, wireTypeOf } from './wire.ts';

/** What can be wrong with the encoding of a message (WIRE-07). */
export type Problem =
  | 'cut short'
  | 'number of more than ten bytes'
  | 'tag or length of more than 32 bits'
  | 'field 0'
  | 'group'
  | 'wire type 6 or 7';

/**
 * The first problem in the encoding of a message, by the plainest code that can find it, or undefined. Strings
 * are not looked at: what is not UTF-8 is no problem of the encoding (WIRE-08).
 */
export function problemIn(bytes: Uint8Array, spec: MessageSpec): Problem | undefined {
  try {
    checkMessage(bytes, spec);
    return undefined;
  } catch (error) {
    if (error instanceof Found) return error.problem;
    throw error;
  }
}

class Found extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem);
    this.problem = problem;
  }
}

function checkMessage(bytes: Uint8Array, spec: MessageSpec): void {
  let rest = bytes;
  while (rest.length > 0) {
    const tag = varint(rest, 5);
    const field = Number(tag.value >> 3n);
    const wireType = Number(tag.value & 7n);
    if (field === 0) throw new Found('field 0');
    rest = rest.subarray(tag.size);
    if (wireType === 0) rest = rest.subarray(varint(rest, 10).size);
    else if (wireType === 1) rest = after(rest, 8);
    else if (wireType === 5) rest = after(rest, 4);
    else if (wireType === 2) {
      const length = varint(rest, 5);
      const value = rest.subarray(length.size);
      rest = after(value, Number(length.value));
      const known = spec.fields.find(({ number }) => number === field);
      if (known !== undefined) checkKnown(value.subarray(0, Number(length.value)), known);
    } else throw new Found(wireType < 5 ? 'group' : 'wire type 6 or 7');
  }
}

/** Looks into a message or a packed run. */
function checkKnown(bytes: Uint8Array, field: FieldSpec): void {
  if (typeof field.type === 'object') checkMessage(bytes, field.type);
  else if (isPackable(field)) {
    for (let rest = bytes; rest.length > 0; ) {
      rest = after(rest, wireTypeOf(field.type) === 1 ? 8 : varint(rest, 10).size);
    }
  }
}

function after(bytes: Uint8Array, length: number): Uint8Array {
  if (length > bytes.length) throw new Found('cut short');
  return bytes.subarray(length);
}

function varint(bytes: Uint8Array, most: 5 | 10): { value: bigint; size: number } {
  let value = 0n;
  for (let size = 1; ; size++) {
    const byte = bytes[size - 1];
    if (byte === undefined) throw new Found('cut short');
    value |= BigInt(byte & 0x7f) << BigInt(7 * (size - 1));
    if (most === 5 && (value >= 1n << 32n || (size === 5 && byte >= 0x80)))
      throw new Found('tag or length of more than 32 bits');
    if (byte < 0x80) return { value, size };
    if (size === most) throw new Found('number of more than ten bytes');
  }
}
