import { LineCounter } from 'yaml';
import { authOf, type FixedAuth } from './auth.ts';
import { type ClientTlsConfig, clientTlsOf } from './client-tls.ts';
import type { ConfigOrigin } from './load.ts';
import { options } from './options.ts';
import { Problems } from './problems.ts';
import { readSettings } from './read.ts';
import { parseYaml } from './syntax.ts';

/** How a command reaches an agent whose doors are closed. */
export interface HttpConfig {
  readonly auth: FixedAuth | undefined;
  readonly tls: ClientTlsConfig | undefined;
}

const { basic_auth, authorization, tls_config } = options.remote_write.options;

/** A file as `promtool --http.config.file` takes it: the keys of an endpoint that say how to get in. Throws `ConfigError`. */
export function parseHttpConfig(text: string, { file, baseDir }: ConfigOrigin): HttpConfig {
  const lines = new LineCounter();
  const problems = new Problems(file, lines);
  const keys = { options: { basic_auth, authorization, tls_config } };
  const settings = readSettings(keys, parseYaml(text, lines, problems), problems, baseDir);
  // Without `oauth2` among the keys it is one of the two.
  const auth = authOf({ ...settings, url: undefined }, '', problems) as FixedAuth | undefined;
  const tls = clientTlsOf(settings.tlsConfig, 'tls_config', problems);
  problems.throwIfAny();
  return { auth, tls };
}
