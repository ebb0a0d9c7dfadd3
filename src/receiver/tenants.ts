import type { IncomingMessage } from 'node:http';
import { InvalidTenantError, isTenant, tenantRule } from '../protocol/tenant-id.ts';

/** How requests say whose they are. */
export interface TenantSource {
  /** The header that says it; without it none is looked at (RLY-11). */
  readonly header: string | undefined;
  /** Of requests that say nothing. */
  readonly default: string | undefined;
}

/**
 * The tenant of a request; undefined for none. An empty header is as none. Throws `InvalidTenantError` for one that
 * cannot be a tenant, as are two at once: what comes in under a wrong name would be lost among the rows of somebody
 * else.
 */
export function tenantOf(request: IncomingMessage, source: TenantSource): string | undefined {
  const { header } = source;
  const given = header === undefined ? undefined : request.headers[header.toLowerCase()];
  const text = (Array.isArray(given) ? given.join(', ') : given)?.trim() ?? '';
  if (text === '') return source.default;
  if (isTenant(text)) return text;
  const shown = JSON.stringify(text.slice(0, 200));
  throw new InvalidTenantError(
    `the header ${header} says ${shown}, which is no tenant: expected ${tenantRule}`,
  );
}
