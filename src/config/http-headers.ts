import { isHeaderValue } from './entries.ts';
import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import { Secret } from './secrets.ts';

/** One header line; the same name may come again. */
export interface HttpHeader {
  readonly name: string;
  readonly value: Secret;
}

/** The lines of `http_headers` at `path`: of each header its values, its secrets and what its files hold. */
export function httpHeadersOf(
  settings: EndpointSettings['httpHeaders'],
  path: string,
  problems: Problems,
): readonly HttpHeader[] {
  return Object.entries(settings).flatMap(([name, { values, secrets, files }]) => {
    for (const [i, value] of values.entries()) {
      if (isHeaderValue(value)) continue;
      problems.add(
        `${path}.${name}.values[${i}]`,
        'not a header value: expected Latin-1 text without line breaks',
      );
    }
    const lines = [
      ...values.map((text) => new Secret({ text })),
      ...secrets,
      ...files.map((file) => new Secret({ file })),
    ];
    return lines.map((value) => ({ name, value }));
  });
}
