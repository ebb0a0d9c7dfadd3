import type { IncomingHttpHeaders } from 'node:http';
import type { AuthRefusal } from '../telemetry/reasons.ts';

/**
 * Why a request that a browser sends is refused; undefined when it is not.
 *
 * A browser adds passwords and certificates by itself, also to what a page of somebody else has it send, and a page
 * can have its own name resolved to this machine. So what a browser sends changes something only when it says that it
 * comes from our own page, and when the listener knows who sits before it. Programs say neither header, and are not
 * asked: they act for whoever started them.
 */
export function browserRefusal(
  method: string | undefined,
  headers: IncomingHttpHeaders,
  authenticated: boolean,
): AuthRefusal | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined;
  const { origin, host, 'sec-fetch-site': site } = headers;
  if (origin === undefined && site === undefined) return undefined;
  if (!isSameSite(origin, host, site)) return 'other_site';
  return authenticated ? undefined : 'no_login';
}

/** `Sec-Fetch-Site` is sent to what a browser trusts only: TLS, and this machine. `Origin` is in every POST. */
function isSameSite(origin: string | undefined, host: string | undefined, site: unknown): boolean {
  if (site !== undefined) return site === 'same-origin';
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}
