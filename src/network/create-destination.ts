import type { EndpointConfig } from '../config/endpoints.ts';
import { HttpDestination } from './client.ts';
import { ClientTls } from './client-tls.ts';
import { credentialsOf } from './credentials.ts';
import type { Destination } from './destination.ts';
import { dialDirectly } from './dial.ts';
import { dialThrough, forwardProxy } from './proxy.ts';
import { RecentDestination } from './recent.ts';

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
  return new HttpDestination({
    href: url.href,
    headers: endpoint.headers,
    ...credentialsOf(auth, userAgent, endpoint.remoteTimeoutMs),
    ...(tls === undefined ? {} : { tls: () => tls.options() }),
    dial: proxy === undefined ? dialDirectly() : dialThrough(proxy),
    ...(proxy === undefined || url.href.startsWith('https:') ? {} : { forward: forwardProxy(proxy) }),
    remoteTimeoutMs: endpoint.remoteTimeoutMs,
    userAgent,
  });
}
