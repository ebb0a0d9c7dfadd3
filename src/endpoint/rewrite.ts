import type { EndpointConfig } from '../config/endpoints.ts';
import type { SeriesRewrite } from '../serialization/segment-dictionary.ts';
import { ExternalLabels } from './external-labels.ts';
import { RelabelSeries } from './relabel-series.ts';
import { EndpointTenants } from './tenants.ts';

/** What series go through on their way to an endpoint. */
export interface Leaving {
  /** External labels, then `write_relabel_configs`; undefined when there are neither. */
  readonly rewrite: (SeriesRewrite & { readonly routing: number }) | undefined;
  readonly tenants: EndpointTenants | undefined;
}

/** As the configuration says. */
export function leavingOf(
  externalLabels: Readonly<Record<string, string>>,
  { writeRelabelConfigs, tenant }: Pick<EndpointConfig, 'writeRelabelConfigs' | 'tenant'>,
): Leaving {
  const external = Object.keys(externalLabels).length > 0 ? new ExternalLabels(externalLabels) : undefined;
  const rewrite =
    writeRelabelConfigs.length > 0 ? new RelabelSeries(writeRelabelConfigs, external) : external;
  return { rewrite, tenants: tenant && new EndpointTenants(tenant, rewrite?.routing ?? 0) };
}
