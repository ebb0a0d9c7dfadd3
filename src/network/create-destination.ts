import type { EndpointConfig } from '../config/endpoints.ts';
import type { HttpHeader } from '../config/http-headers.ts';
import { HttpDestination } from './client.ts';
import { ClientTls } from './client-tls.ts';
import { credentialsOf } from './credentials.ts';
import type { Destination } from './destination.ts';
import { dialDirectly } from './dial.ts';
import { dialThrough, forwardProxy } from './proxy.ts';
import { RecentDestination } from './recent.ts';
import { roundRobin } from './round-robin.ts';
import { peerOf, tlsWords } from './tls-words.ts';

/** The destination that the URL of an endpoint names: a receiver over HTTP, or the built-in recent samples. */
export function createDestination(endpoint: EndpointConfig, userAgent: string): Destination {
  const { url, auth, proxy } = endpoint;
  if (url.kind === 'sqlite') {
    return new RecentDestination({
      file: url.file,
      keepMs: endpoint.keepMs,
      keepSamples: endpoint.keepSamples,
      now: Date.now,
    });
  }
  const tls = endpoint.tls && new ClientTls(endpoint.tls);
  const forward = forwardProxy(proxy, url.href);
  const direct = dialDirectly({ lookup: endpoint.roundRobinDns ? roundRobin() : undefined });
  return new HttpDestination({
    href: url.href,
    headers: endpoint.headers,
    ...credentialsOf(auth, url.href, userAgent, endpoint.remoteTimeoutMs),
    explain: (code, said) => tlsWords(code, said, peerOf(url.href, endpoint.tls)),
    ...(tls === undefined ? {} : { tls: () => tls.options() }),
    ...(endpoint.httpHeaders.length === 0 ? {} : { moreHeaders: () => linesOf(endpoint.httpHeaders) }),
    tenantHeader: endpoint.tenant?.header,
    http2: endpoint.enableHttp2,
    dial: proxy === undefined ? direct : dialThrough(proxy, direct),
    ...(forward === undefined ? {} : { forward }),
    remoteTimeoutMs: endpoint.remoteTimeoutMs,
    userAgent,
  });
}

/** Names and values in turn. */
async function linesOf(headers: readonly HttpHeader[]): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const { name, value } of headers) lines.push(name, await value.reveal());
  return lines;
}
