/** The forms of an HTTP date (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 ...`, `Sunday, 06-Nov-94 ...`, `Sun Nov  6 ...`. */
const httpDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [\w :-]+$/;

/**
 * How long a `Retry-After` header asks to wait, in milliseconds, at most `maxMs` (RW2-S-20).
 *
 * Undefined where it asks for nothing that can be waited for: no header, neither whole seconds nor an HTTP
 * date, no seconds, a date that has passed.
 *
 * @param nowMs the time of the answer, milliseconds since the epoch
 */
export function retryAfterMs(header: string | undefined, nowMs: number, maxMs: number): number | undefined {
  const text = header?.trim() ?? '';
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : dateMs(text) - nowMs;
  return waitMs > 0 ? Math.min(waitMs, maxMs) : undefined;
}

/** The time that an HTTP date names; NaN when `text` is none. */
function dateMs(text: string): number {
  if (!httpDate.test(text)) return Number.NaN;
  // The third form names no zone: Date.parse would take it for local time.
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
}
