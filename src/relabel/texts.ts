/** The byte order mark is a character like any other here. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text of valid UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Compares two texts as their UTF-8 compares byte by byte, which is the order of code points (RW1-S-10). */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    // Surrogates stand for what comes behind all of U+E000 to U+FFFF, and have their own place before them.
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? (x ^ 0x2000) - (y ^ 0x2000) : x - y;
  }
  return a.length - b.length;
}
