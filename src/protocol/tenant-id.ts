import { SpillwayError } from '../runtime/errors.ts';

/** A name that cannot be that of a tenant. Nothing was stored. */
export class InvalidTenantError extends SpillwayError {
  readonly code = 'TENANT_INVALID';
}

/** The longest name of a tenant, in bytes. */
export const MAX_TENANT_BYTES = 150;

/** What the name of a tenant may be, in words. */
export const tenantRule =
  "1 to 150 letters, digits and !-_.*'(), and none of `.`, `..` and `__mimir_cluster`" as const;

const reserved: ReadonlySet<string> = new Set(['.', '..', '__mimir_cluster']);

/**
 * Whether that can be the name of a tenant: the rules of Mimir and Loki, which are narrower than those of others. So
 * what is taken here is taken everywhere, can stand in a header and in a path, and nobody can name two tenants at once
 * (`a|b`, which Mimir reads in queries).
 */
export function isTenant(text: string): boolean {
  return text.length <= MAX_TENANT_BYTES && /^[A-Za-z0-9!\-_.*'()]+$/.test(text) && !reserved.has(text);
}

/** Throws `InvalidTenantError`. */
export function checkTenant(text: string): void {
  if (isTenant(text)) return;
  throw new InvalidTenantError(`${JSON.stringify(text.slice(0, 200))} is no tenant: expected ${tenantRule}`);
}
