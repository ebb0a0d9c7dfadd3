import type { Label } from '../../src/protocol/schema.ts';

/** The `Label` fields of a series as every sender writes them. */
export function labelBlock(labels: readonly Label[]): Uint8Array {
  return Buffer.concat(
    labels.map(({ name, value }) => delimited(0x0a, delimited(0x0a, name), delimited(0x12, value))),
  );
}

function delimited(tag: number, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Uint8Array.of(tag, ...length, rest), bytes]);
}
