/**
 * Upper and lower case as Go maps them: one code point to one, whatever stands around it. JavaScript follows the
 * full mapping of Unicode (`ß` to `SS`, a last `Σ` to `ς`), by which a rule would give another label here than in
 * Prometheus.
 */

export function lowerCase(text: string): string {
  return ascii.test(text) ? text.toLowerCase() : mapCodePoints(text, lowerOf);
}

export function upperCase(text: string): string {
  return ascii.test(text) ? text.toUpperCase() : mapCodePoints(text, upperOf);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them.
const ascii = /^[\x00-\x7f]*$/;

function mapCodePoints(text: string, map: (char: string) => string): string {
  let mapped = '';
  for (const char of text) mapped += map(char);
  return mapped;
}

function lowerOf(char: string): string {
  // The only code point whose full lower case is two.
  return char === 'İ' ? 'i' : char.toLowerCase();
}

function upperOf(char: string): string {
  const upper = char.toUpperCase();
  const point = char.codePointAt(0)!;
  if (upper.length === (point > 0xffff ? 2 : 1)) return upper;
  // Its full upper case is two code points or three. Small Greek letters with an iota below have a single one too.
  if (point === 0x1fb3 || point === 0x1fc3 || point === 0x1ff3) return String.fromCodePoint(point + 9);
  const isSmallWithIota = point >= 0x1f80 && point <= 0x1faf && (point & 0x08) === 0;
  return isSmallWithIota ? String.fromCodePoint(point + 8) : char;
}
