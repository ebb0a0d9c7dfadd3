import type { WriteRequestV1, WriteRequestV2 } from '../../src/protocol/schema.ts';
import type { Random } from '../support/random.ts';
import {
  type FieldSpec,
  isPackable,
  type MessageSpec,
  type Scalar,
  wireTypeOf,
  writeRequestSpec,
  writeRequestV2Spec,
} from './wire.ts';

type Values = Readonly<Record<string, unknown>>;

/**
 * Writes messages in every way that protobuf allows and no sender uses: fields in any order, labels behind
 * samples, numbers unpacked or in several runs, varints longer than they need be, zeros written or left out,
 * scalars and members of a oneof written several times (the last one counts), unknown fields of all wire
 * types, known fields with a wire type that makes them unknown. Many messages are written as everybody does,
 * so that the usual and the unusual meet.
 */
export class OddWriter {
  readonly #random: Random;
  /** Whether the message at hand is written in odd ways. */
  #odd = true;

  constructor(random: Random) {
    this.#random = random;
  }

  request(request: WriteRequestV1): Uint8Array {
    return this.message(request as unknown as Values, writeRequestSpec);
  }

  requestV2(request: WriteRequestV2): Uint8Array {
    return this.message(request as unknown as Values, writeRequestV2Spec);
  }

  message(values: Values, spec: MessageSpec): Uint8Array {
    const outer = this.#odd;
    const odd = this.#chance(outer ? 0.6 : 0.1);
    this.#odd = odd;
    // Fields within a stream keep their order, streams mix.
    const streams = new Map<string, Uint8Array[]>();
    for (const field of spec.fields) {
      const stream = field.oneof ?? field.name;
      const written = this.#field(field, values[field.name], spec);
      streams.set(stream, [...(streams.get(stream) ?? []), ...written]);
    }
    if (odd) {
      for (let n = this.#random.int(0, 3); n > 0; n--) streams.set(`unknown ${n}`, [this.#unknown(spec)]);
    }
    const bytes = Buffer.concat(odd ? this.#mix([...streams.values()]) : [...streams.values()].flat());
    this.#odd = outer;
    return bytes;
  }

  #field(field: FieldSpec, value: unknown, spec: MessageSpec): Uint8Array[] {
    const { number, type } = field;
    if (field.repeated) {
      const elements = value as readonly unknown[];
      return isPackable(field)
        ? this.#numbers(field, elements)
        : elements.map((element) => this.#one(number, type, element));
    }
    if (field.oneof !== undefined) {
      if (value === undefined) return [];
      const members = spec.fields.filter(({ oneof }) => oneof === field.oneof);
      const others = this.#few().map(() => this.#pick(members));
      return [
        ...others.map((other) => this.#one(other.number, other.type, decoy(other.type))),
        this.#one(number, type, value),
      ];
    }
    if (typeof type === 'object') return value === null ? [] : [this.#one(number, type, value)];
    const before = this.#few().map(() => this.#one(number, type, decoy(type)));
    const isDefault = value === 0n || value === 0 || value === '';
    if (isDefault && before.length === 0 && !(this.#odd && this.#chance(0.5))) return [];
    return [...before, this.#one(number, type, value)];
  }

  /** Repeated numbers, in one packed run or cut into runs and single fields. */
  #numbers({ number, type }: FieldSpec, elements: readonly unknown[]): Uint8Array[] {
    const scalars = elements.map((element) => this.#scalar(type as Scalar, element));
    if (!this.#odd) return scalars.length === 0 ? [] : [this.#delimited(number, Buffer.concat(scalars))];
    const out: Uint8Array[] = [];
    for (let at = 0; at < scalars.length; ) {
      const length = this.#random.int(0, 4);
      if (length === 1) out.push(this.#tagged(number, wireTypeOf(type), scalars[at]!));
      else out.push(this.#delimited(number, Buffer.concat(scalars.slice(at, at + length))));
      at += length;
    }
    return out;
  }

  #one(number: number, type: FieldSpec['type'], value: unknown): Uint8Array {
    if (typeof type === 'object') return this.#delimited(number, this.message(value as Values, type));
    if (type === 'string') return this.#delimited(number, Buffer.from(value as string));
    return this.#tagged(number, wireTypeOf(type), this.#scalar(type, value));
  }

  #unknown(spec: MessageSpec): Uint8Array {
    const wireType = this.#pick([0, 1, 2, 5] as const);
    const wrong = spec.fields.filter((field) => {
      return wireTypeOf(field.type) !== wireType && !(isPackable(field) && wireType === 2);
    });
    const free = spec.fields.some(({ number }) => number === 17) ? 23 : 17;
    const number = this.#pick([free, 2 ** 29 - 1, ...wrong.map((field) => field.number)]);
    const size = wireType === 1 ? 8 : wireType === 5 ? 4 : this.#random.int(0, 20);
    const bytes = Uint8Array.from({ length: size }, () => this.#random.int(0, 256));
    if (wireType === 2) return this.#delimited(number, bytes);
    return this.#tagged(number, wireType, wireType === 0 ? this.#varint(BigInt(size), 10) : bytes);
  }

  #tagged(number: number, wireType: number, value: Uint8Array): Uint8Array {
    return Buffer.concat([this.#varint((BigInt(number) << 3n) | BigInt(wireType), 5), value]);
  }

  #delimited(number: number, bytes: Uint8Array): Uint8Array {
    return this.#tagged(number, 2, Buffer.concat([this.#varint(BigInt(bytes.length), 5), bytes]));
  }

  #scalar(type: Scalar, value: unknown): Uint8Array {
    if (type === 'double') {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(value as bigint);
      return bytes;
    }
    let n = BigInt(value as number | bigint);
    if (type === 'sint32' || type === 'sint64') n = n < 0n ? -2n * n - 1n : 2n * n;
    return this.#varint(BigInt.asUintN(64, n), 10);
  }

  /** A varint, at times with more bytes than it needs, up to `most`. */
  #varint(value: bigint, most: number): Uint8Array {
    const bytes: number[] = [];
    for (let rest = value; ; rest >>= 7n) {
      bytes.push(Number(rest & 0x7fn));
      if (rest < 0x80n) break;
    }
    if (this.#odd && this.#chance(0.2)) {
      for (let n = this.#random.int(bytes.length, most + 1); bytes.length < n; ) bytes.push(0);
    }
    return Uint8Array.from(bytes, (byte, i) => (i < bytes.length - 1 ? byte | 0x80 : byte));
  }

  #mix(streams: Uint8Array[][]): Uint8Array[] {
    const out: Uint8Array[] = [];
    for (;;) {
      const open = streams.filter((stream) => stream.length > 0);
      if (open.length === 0) return out;
      out.push(this.#pick(open).shift()!);
    }
  }

  /** Nothing, mostly; else one or two somethings. */
  #few(): undefined[] {
    return new Array<undefined>(this.#odd && this.#chance(0.2) ? this.#random.int(1, 3) : 0).fill(undefined);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.int(0, from.length)]!;
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }
}

/** A value that must not come through. */
function decoy(type: FieldSpec['type']): unknown {
  if (type === 'string') return 'decoy';
  return type === 'double' || type === 'int64' || type === 'uint64' ? 0xdec0n : 0xdec0;
}
