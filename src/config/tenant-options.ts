import { tenantRule } from '../protocol/tenant-id.ts';

/** `isTenant` as a pattern. */
export const TENANT: string = "^(?!\\.{1,2}$|__mimir_cluster$)[A-Za-z0-9!\\-_.*'()]{1,150}$";

/** `tenant` of an endpoint. */
export const tenantOptions = {
  type: 'section',
  optional: true,
  about:
    'Says in a header whose the series of a request are, for receivers that keep tenants apart; a request is of one tenant. Without this section nothing is said, and series of all tenants travel together. Not in Prometheus. See [tenants.md](tenants.md).',
  options: {
    header: {
      type: 'string',
      default: 'X-Scope-OrgID',
      why: 'That of Mimir, Cortex and Loki.',
      about:
        'The header that the tenant leaves in: `THANOS-TENANT` for Thanos, `AccountID` for VictoriaMetrics.',
    },
    from_labels: {
      type: 'texts',
      of: 'a label name',
      about:
        'The labels that say the tenant of a series, as it leaves after relabelling; the first that names one counts. Without one the tenant is that which the series came in under (`receiver.tenant_header`).',
    },
    keep_label: {
      type: 'boolean',
      default: false,
      why: 'The receiver knows the tenant by then: in the label it would be stored with each series.',
      about: 'Whether the label that said the tenant stays in the series.',
    },
    default: {
      type: 'string',
      default: null,
      example: 'anonymous',
      pattern: TENANT as string,
      allowed: tenantRule as string,
      why: 'Unset: what has no tenant leaves without the header, and the receiver decides.',
      about: 'The tenant of series and metadata that have none.',
    },
  },
} as const;
