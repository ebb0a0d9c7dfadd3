import type { Random } from '../support/random.ts';

/** `bytes` with up to four changes, at times none. */
export function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  let out = Buffer.from(bytes);
  for (let n = random.int(0, 5); n > 0; n--) {
    const at = random.int(0, out.length + 1);
    const length = random.int(0, 1 + Math.min(20, out.length - at));
    const before = out.subarray(0, at);
    const behind = out.subarray(at + length);
    const some = Uint8Array.from({ length }, () => random.int(0, 256));
    const edge = Uint8Array.of([0x00, 0x01, 0x0a, 0x12, 0x7f, 0x80, 0xff][random.int(0, 7)]!);
    const parts = [
      [before, some, behind],
      [before, behind],
      [before, edge, behind],
      [before, edge, out.subarray(at)],
      [before, out.subarray(at, at + length), out.subarray(at)],
      [before],
      [before, Uint8Array.of((out[at] ?? 0) ^ (1 << random.int(0, 8))), out.subarray(at + 1)],
    ];
    out = Buffer.concat(parts[random.int(0, parts.length)]!);
  }
  return Uint8Array.from(out);
}

/** Cuts a well-formed request into its fields. */
export function topLevelFields(raw: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let at = 0; at < raw.length; ) {
    let length = 0;
    let p = at + 1;
    for (let shift = 0; ; shift += 7) {
      const byte = raw[p++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    out.push(raw.subarray(at, p + length));
    at = p + length;
  }
  return out;
}
