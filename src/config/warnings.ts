import type { EndpointConfig } from './endpoints.ts';
import type { ParsedConfig } from './load.ts';

/** Warns of what a configuration says and does not get, or gets and should not want. Looks at no file. */
export function warnOfConfig({ config, settings, problems }: ParsedConfig): void {
  const written = (path: string, message: string): void => {
    if (problems.isWritten(path)) problems.warn(path, message);
  };
  for (const [i, { followRedirects, enableHttp2, url }] of settings.remoteWrite.entries()) {
    const key = (name: string): string => `remote_write[${i}].${name}`;
    if (followRedirects) {
      written(key('follow_redirects'), 'without effect: a redirect is never followed, it holds the endpoint');
    }
    if (enableHttp2 && !(url?.kind === 'http' && url.href.startsWith('https:'))) {
      written(key('enable_http2'), 'without effect: HTTP/2 is spoken to `https:` URLs only');
    }
    for (const [old, now] of oldNames) {
      written(key(old), `the old name of \`${now}\` in \`authorization\`, which Prometheus is to give up`);
    }
    const endpoint = config.remoteWrite[i]!;
    if (sendsInClear(endpoint)) {
      problems.warn(key('url'), 'credentials travel in clear: the URL is not `https:`');
    }
    const { tls } = endpoint;
    if (tls?.insecureSkipVerify) {
      written(
        key('tls_config.insecure_skip_verify'),
        'any certificate is taken: whoever is in between reads everything, credentials too',
      );
    }
    if (tls !== undefined && tls.minVersion < 'TLS12') {
      written(key('tls_config.min_version'), `${tls.minVersion} is broken: expected \`TLS12\` or \`TLS13\``);
    }
  }
}

const oldNames = [
  ['bearer_token', 'credentials'],
  ['bearer_token_file', 'credentials_file'],
] as const;

/** Signatures of AWS do not give the key away; everything else does. */
function sendsInClear({ url, auth, proxy }: EndpointConfig): boolean {
  if (url.kind !== 'http' || auth === undefined || auth.kind === 'sigv4' || proxy !== undefined) return false;
  const { protocol, hostname } = new URL(url.href);
  return protocol === 'http:' && !/^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
}
