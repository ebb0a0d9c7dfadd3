import { Arrivals } from './arrivals.ts';
import type { Sink } from './sink.ts';

/** What the sink stored of each tenant, by the header that requests said it in; none is ''. */
export function arrivalsByTenant(sink: Sink, header = 'x-scope-orgid'): Map<string, Arrivals> {
  const byTenant = new Map<string, Arrivals>();
  for (const { request, rows } of sink.deliveries) {
    const tenant = `${request.headers[header] ?? ''}`;
    const arrivals = byTenant.get(tenant) ?? new Arrivals();
    byTenant.set(tenant, arrivals);
    arrivals.add(rows);
  }
  return byTenant;
}
