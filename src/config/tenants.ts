import { entryProblem } from './entries.ts';
import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';

/** Where the tenant of what leaves comes from, and the header that it leaves in. */
export type TenantConfig = NonNullable<EndpointSettings['tenant']>;

/** Most labels that a tenant is looked for in. */
const MOST_LABELS = 32;

/** `tenant` of the endpoint at `path`, checked. */
export function tenantOf(
  settings: EndpointSettings,
  path: string,
  problems: Problems,
): TenantConfig | undefined {
  const { tenant, url, headers, httpHeaders } = settings;
  if (tenant === undefined) return undefined;
  if (url?.kind === 'sqlite') problems.add(`${path}.tenant`, 'only for HTTP: `sqlite:` has no tenants');
  const { header, fromLabels } = tenant;
  const key = `${path}.tenant.header`;
  const at = problems.isWritten(key) ? key : `${path}.tenant`;
  const problem = entryProblem('header', header, '', []);
  if (problem !== undefined) problems.add(at, problem);
  for (const [other, names] of [
    ['headers', headers],
    ['http_headers', httpHeaders],
  ] as const) {
    const twin = Object.keys(names).find((name) => name.toLowerCase() === header.toLowerCase());
    if (twin === undefined) continue;
    problems.add(
      at,
      `\`${other}\` sets \`${twin}\` for every request: for one tenant leave \`tenant\` out, for many leave it out there`,
    );
  }
  for (const [i, name] of fromLabels.entries()) {
    if (name !== '__name__' && i < MOST_LABELS) continue;
    problems.add(
      `${path}.tenant.from_labels[${i}]`,
      name === '__name__' ? 'a metric name is no tenant' : `more than ${MOST_LABELS} labels`,
    );
  }
  return tenant;
}
