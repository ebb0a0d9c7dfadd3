/** Decodes a snappy block by the letter of the format, a byte at a time; undefined for a broken one. */
export function plainUncompress(body: Uint8Array, limit: number): Uint8Array | undefined {
  const out: number[] = [];
  let at = 0;
  const number = (size: number): number => {
    let value = 0;
    for (let i = 0; i < size; i++) value += (body[at++] ?? Number.NaN) * 2 ** (8 * i);
    return value;
  };
  let declared = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = body[at++];
    if (byte === undefined || shift > 28) return undefined;
    declared += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (declared > limit) return undefined;
  while (at < body.length) {
    const tag = body[at++]!;
    const kind = tag & 3;
    const high = tag >>> 2;
    if (kind === 0) {
      const length = (high < 60 ? high : number(high - 59)) + 1;
      if (!(length <= body.length - at)) return undefined;
      for (let i = 0; i < length; i++) out.push(body[at++]!);
    } else {
      const length = kind === 1 ? (high & 7) + 4 : high + 1;
      const offset = kind === 1 ? (high >>> 3) * 256 + number(1) : number(kind === 2 ? 2 : 4);
      if (!(offset > 0 && offset <= out.length)) return undefined;
      for (let i = 0; i < length; i++) out.push(out[out.length - offset]!);
    }
    if (out.length > declared) return undefined;
  }
  return out.length === declared ? Uint8Array.from(out) : undefined;
}
