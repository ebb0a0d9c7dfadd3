import { validateHeaderValue } from 'node:http';
import type { Socket } from 'node:net';
import type { ProxyConfig } from '../config/proxy.ts';
import { basicAuthorization } from './authorization.ts';
import { type Dial, type DialTarget, dialDirectly } from './dial.ts';
import { ProxyFailedError, ProxyRefusedError } from './proxy-errors.ts';
import { openSocks5 } from './socks5.ts';

/** A proxy that is sent whole requests, to hand them on. */
export interface ForwardProxy {
  /** The value of `Proxy-Authorization`; undefined for none. */
  readonly authorization: () => Promise<string | undefined>;
}

/** Longer answers to a request for a tunnel are no answers. */
const mostHeadBytes = 16_384;

/**
 * Connections that lead to a target through `proxy`: to an HTTP proxy itself for `http:`, by a tunnel for `https:`, and
 * through a SOCKS 5 proxy for both.
 */
export function dialThrough(proxy: ProxyConfig, dialProxy: Dial = dialDirectly()): Dial {
  if (isSocks(proxy)) return dialSocks(proxy, dialProxy);
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

function dialSocks({ address }: ProxyConfig, dialProxy: Dial): Dial {
  const { hostname, port } = new URL(address.href);
  const host = `${hostname}:${port || 1080}`;
  const near: DialTarget = {
    hostname: hostname.replace(/^\[|\]$/g, ''),
    protocol: 'http:', // without TLS
    port: port || '1080',
  };
  return async (target, tls, signal) => {
    const socket = await dialProxy(near, undefined, signal);
    try {
      const secure = target.protocol === 'https:';
      const far = { hostname: target.hostname, port: Number(target.port || (secure ? 443 : 80)) };
      await openSocks5(socket, far, address.userinfo, host);
      return secure ? await dialDirectly({ socket })(target, tls, signal) : socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  };
}

function isSocks({ address }: ProxyConfig): boolean {
  return address.href.startsWith('socks5');
}

/** What requests to `href` need when they go to `proxy` as a whole; undefined when they go through it. */
export function forwardProxy(proxy: ProxyConfig | undefined, href: string): ForwardProxy | undefined {
  if (proxy === undefined || isSocks(proxy) || href.startsWith('https:')) return undefined;
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
