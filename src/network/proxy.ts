import { validateHeaderValue } from 'node:http';
import type { Socket } from 'node:net';
import type { ProxyConfig } from '../config/proxy.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { basicAuthorization } from './authorization.ts';
import { type Dial, type DialTarget, dialDirectly } from './dial.ts';

/** The proxy has answered, and opens no tunnel: it does not know us, or will not let us there. */
export class ProxyRefusedError extends SpillwayError {
  readonly code = 'PROXY_REFUSED';
}

/** The proxy could not open a tunnel now, or does not speak HTTP. */
export class ProxyFailedError extends SpillwayError {
  readonly code = 'PROXY_FAILED';
  override readonly retryable = true;
}

/** A proxy that is sent whole requests, to hand them on. */
export interface ForwardProxy {
  /** The value of `Proxy-Authorization`; undefined for none. */
  readonly authorization: () => Promise<string | undefined>;
}

/** Longer answers to a request for a tunnel are no answers. */
const mostHeadBytes = 16_384;

/** Connections that lead to a target through `proxy`: to the proxy itself for `http:`, by a tunnel for `https:`. */
export function dialThrough(proxy: ProxyConfig, dialProxy: Dial = dialDirectly()): Dial {
  const { hostname, host, protocol, port } = new URL(proxy.address.href);
  const near: DialTarget = { hostname: hostname.replace(/^\[|\]$/g, ''), protocol, port };
  return async (target, tls, signal) => {
    const socket = await dialProxy(near, tls, signal);
    if (target.protocol !== 'https:') return socket;
    try {
      await openTunnel(socket, target, host, await tunnelHeaders(proxy));
      return await dialDirectly({ socket })(target, tls, signal);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  };
}

/** What requests need that go to a proxy as a whole. */
export function forwardProxy(proxy: ProxyConfig): ForwardProxy {
  return { authorization: () => authorizationFor(proxy) };
}

async function authorizationFor({ address: { userinfo } }: ProxyConfig): Promise<string | undefined> {
  return userinfo && basicAuthorization(await userinfo.username.reveal(), await userinfo.password.reveal());
}

async function tunnelHeaders(proxy: ProxyConfig): Promise<readonly string[]> {
  const authorization = await authorizationFor(proxy);
  const lines = authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`];
  for (const [name, values] of Object.entries(proxy.connectHeaders)) {
    if (authorization !== undefined && name.toLowerCase() === 'proxy-authorization') continue;
    for (const value of values) {
      const text = await value.reveal();
      validateHeaderValue(name, text);
      lines.push(`${name}: ${text}`);
    }
  }
  return lines;
}

/** Asks the proxy on the other end of `socket` for a tunnel to `target` (RFC 9110, 9.3.6). Then `socket` is the tunnel. */
function openTunnel(
  socket: Socket,
  target: DialTarget,
  proxy: string,
  headers: readonly string[],
): Promise<void> {
  const { hostname } = target;
  const authority = `${hostname.includes(':') ? `[${hostname}]` : hostname}:${target.port || 443}`;
  const facts = { proxy, target: authority };
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const settle = (error?: Error): void => {
      socket.off('data', onData).off('error', settle).off('end', onEnd).off('close', onEnd);
      socket.pause();
      if (error === undefined) resolve();
      else reject(error);
    };
    const onEnd = (): void =>
      settle(new ProxyFailedError(`the proxy ${proxy} closed the connection instead of answering`, facts));
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 && head.length < mostHeadBytes) return;
      const [, status, reason = ''] =
        /^HTTP\/1\.[01] (\d{3})(?: ([^\r\n]*))?/.exec(head.toString('latin1')) ?? [];
      if (end < 0 || status === undefined) {
        settle(new ProxyFailedError(`the proxy ${proxy} gave no HTTP answer`, facts));
      } else if (status.startsWith('2')) {
        settle();
        // The far end speaks second in TLS; should it have spoken, nothing is lost.
        if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
      } else {
        const Kind = status.startsWith('5') ? ProxyFailedError : ProxyRefusedError;
        const words = `the proxy ${proxy} opens no tunnel to ${authority}: ${status} ${reason}`
          .slice(0, 300)
          .trimEnd();
        settle(new Kind(words, { ...facts, status: Number(status) }));
      }
    };
    socket.on('data', onData).on('error', settle).on('end', onEnd).on('close', onEnd);
    socket.write(
      [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`, ...headers, '', ''].join('\r\n'),
      'latin1',
    );
  });
}
