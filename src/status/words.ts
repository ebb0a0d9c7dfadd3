/** Numbers as people say them. Used by the agent and by the page in the browser alike. */

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** `0.4 s`, `20 s`, `14 min`, `2 h 5 min`, `3 d 4 h`: two units at most. */
export function durationText(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${Number(s.toFixed(1))} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 90 * MINUTE) return `${Math.round(s / MINUTE)} min`;
  if (s < 2 * DAY) return two(s, HOUR, 'h', MINUTE, 'min', 10 * HOUR);
  return two(s, DAY, 'd', HOUR, 'h', 10 * DAY);
}

/** Without the smaller unit from `exact` seconds on. */
function two(
  s: number,
  big: number,
  bigName: string,
  small: number,
  smallName: string,
  exact: number,
): string {
  if (s >= exact) return `${Math.round(s / big)} ${bigName}`;
  const smalls = Math.round(s / small);
  const perBig = big / small;
  const rest = smalls % perBig;
  return `${Math.floor(smalls / perBig)} ${bigName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`;
}

/** `0`, `950`, `12,345`, `1.23 million`: exact as far as that is read at a glance. */
export function countText(count: number): string {
  if (count < 1e6) return Math.round(count).toLocaleString('en-US');
  if (count < 1e9) return `${threeDigits(count / 1e6)} million`;
  return `${threeDigits(count / 1e9)} billion`;
}

/** `0/s`, `0.3/s`, `42/s`, `12,345/s`. */
export function rateText(perSecond: number): string {
  const digits = perSecond > 0 && perSecond < 9.95 ? Number(perSecond.toFixed(1)) : undefined;
  return `${digits ?? countText(perSecond)}/s`;
}

/** `512 B`, `1.5 MiB`, `20 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : threeDigits(value)} ${units[unit]}`;
}

/** `1 sample`, `2 samples`. */
export function samplesText(count: number): string {
  return `${countText(count)} ${count === 1 ? 'sample' : 'samples'}`;
}

/** `1 dead letter`, `2 dead letters`. */
export function lettersText(count: number): string {
  return `${countText(count)} dead ${count === 1 ? 'letter' : 'letters'}`;
}

/** `03:12 UTC`; with the day when that is another one than that of `nowMs`. Logs are in UTC, too. */
export function clockText(atMs: number, nowMs: number): string {
  const at = new Date(atMs).toISOString();
  const time = `${at.slice(11, 16)} UTC`;
  return at.slice(0, 10) === new Date(nowMs).toISOString().slice(0, 10) ? time : `${at.slice(0, 10)} ${time}`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return String(Number(value.toFixed(value >= 9.995 ? 1 : 2)));
}
