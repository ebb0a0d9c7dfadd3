/**
 * Sizes in bytes: a whole number with an optional unit. `KiB`, `MiB`, `GiB`, `TiB` are powers of 1024; `KB`, `MB`,
 * `GB`, `TB` are powers of 1000; no unit, or `B`, is bytes.
 */

/** Largest first. */
const units: ReadonlyMap<string, number> = new Map([
  ['TiB', 1024 ** 4],
  ['TB', 1000 ** 4],
  ['GiB', 1024 ** 3],
  ['GB', 1000 ** 3],
  ['MiB', 1024 ** 2],
  ['MB', 1000 ** 2],
  ['KiB', 1024],
  ['KB', 1000],
  ['B', 1],
]);

/** Bytes, a safe integer; `undefined` when `text` is not a size. */
export function parseSize(text: string): number | undefined {
  const [, digits, unit] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = units.get(unit || 'B');
  const bytes = Number(digits) * (factor ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `bytes`, a safe integer from 0, in the largest unit that leaves no remainder: `32MiB`, `1GB`, `1025B`. */
export function formatSize(bytes: number): string {
  for (const [unit, size] of units) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return '0B';
}
