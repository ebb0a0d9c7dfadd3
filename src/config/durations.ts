/**
 * Durations in the syntax of Prometheus: `1h30m`, `500ms`, `1d`, `0`. Units go from large to small, each at most
 * once, whole numbers only; a day has 24 hours, a week 7 days, a year 365 days.
 */

const units = [
  ['y', 365 * 24 * 60 * 60 * 1000],
  ['w', 7 * 24 * 60 * 60 * 1000],
  ['d', 24 * 60 * 60 * 1000],
  ['h', 60 * 60 * 1000],
  ['m', 60 * 1000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** Years, weeks and days are written only when nothing is left over: `90m` is `1h30m`, but `36h` stays `36h`. */
const wholeOnly: ReadonlySet<string> = new Set(['y', 'w', 'd']);

const syntax = new RegExp(`^${units.map(([unit]) => `(?:(\\d+)${unit})?`).join('')}$`);

/** Milliseconds, a safe integer; `undefined` when `text` is not a duration. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const counts = text === '' ? null : syntax.exec(text);
  if (counts === null) return undefined;
  const ms = units.reduce((sum, [, size], i) => sum + Number(counts[i + 1] ?? 0) * size, 0);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** The shortest text that `parseDuration` reads as `ms`, a safe integer from 0; zero is `0s`. */
export function formatDuration(ms: number): string {
  let text = '';
  let rest = ms;
  for (const [unit, size] of units) {
    if (wholeOnly.has(unit) && rest % size !== 0) continue;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest %= size;
  }
  return text === '' ? '0s' : text;
}
