/**
 * Compares `length` bytes, at least four, by words of eight: the last one overlaps the one before. It comes first, since
 * labels differ towards their end.
 */
export function sameWords(a: DataView, aAt: number, b: DataView, bAt: number, length: number): boolean {
  const last = length - 8;
  if (last < 0) return sameWord(a, aAt, b, bAt) && sameWord(a, aAt + length - 4, b, bAt + length - 4);
  if (!sameWord(a, aAt + last + 4, b, bAt + last + 4) || !sameWord(a, aAt + last, b, bAt + last))
    return false;
  for (let i = 0; i < last; i += 8) {
    // As doubles: the two instructions of four bytes, for eight. Those that are equal, and not 0, have the same bits. A
    // NaN is not equal to itself, and 0 is to -0: there the words decide.
    const double = a.getFloat64(aAt + i, true);
    if (double === b.getFloat64(bAt + i, true) && double !== 0) continue;
    if (!sameWord(a, aAt + i, b, bAt + i) || !sameWord(a, aAt + i + 4, b, bAt + i + 4)) return false;
  }
  return true;
}

function sameWord(a: DataView, aAt: number, b: DataView, bAt: number): boolean {
  return a.getInt32(aAt, true) === b.getInt32(bAt, true);
}

/** Compares `length` bytes. For few of them. */
export function sameBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}
