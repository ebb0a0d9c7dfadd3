import { isIPv6 } from 'node:net';
import { Secret } from './secrets.ts';

/** Where a server listens. */
export interface ListenAddress {
  /** A name or an address, IPv6 without brackets; empty means every interface. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number;
}

/** `host:port`, `[::1]:port` or `:port`; `undefined` for anything else. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, ipv6, name = '', digits] = /^(?:\[(.+)\]|([\w.-]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (!(port <= 65535) || (ipv6 !== undefined && !isIPv6(ipv6))) return undefined;
  return { host: ipv6 ?? name, port };
}

/** What an HTTP URL, or that of a proxy, says as it stands in the file. */
export interface HttpAddress {
  readonly kind: 'http';
  /** Without userinfo. */
  readonly href: string;
  readonly userinfo: { readonly username: Secret; readonly password: Secret } | undefined;
}

/** What the URL of an endpoint says, as it stands in the file. */
export type EndpointAddress =
  | HttpAddress
  | {
      readonly kind: 'sqlite';
      /** Relative to the data directory, or absolute. */
      readonly file: string;
    };

/** An `http:` or `https:` URL, or `sqlite:FILE`; `undefined` for anything else. */
export function parseEndpointUrl(text: string): EndpointAddress | undefined {
  const file = /^sqlite:(.+)$/.exec(text)?.[1];
  return file === undefined ? parseHttpUrl(text) : { kind: 'sqlite', file };
}

/** An `http:` or `https:` URL; `undefined` for anything else. */
export function parseHttpUrl(text: string): HttpAddress | undefined {
  return parseUrl(text, ['http:', 'https:']);
}

/** The URL of a proxy: `http:`, `https:`, `socks5:` or `socks5h:`; `undefined` for anything else. */
export function parseProxyUrl(text: string): HttpAddress | undefined {
  return parseUrl(text, ['http:', 'https:', 'socks5:', 'socks5h:']);
}

function parseUrl(text: string, protocols: readonly string[]): HttpAddress | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!protocols.includes(url.protocol) || url.hostname === '') return undefined;
  const userinfo = decodeUserinfo(url);
  if (userinfo === undefined) return undefined;
  url.username = '';
  url.password = '';
  const { username, password } = userinfo;
  return {
    kind: 'http',
    href: url.href,
    userinfo:
      username === '' && password === ''
        ? undefined
        : { username: new Secret({ text: username }), password: new Secret({ text: password }) },
  };
}

function decodeUserinfo(url: URL): { username: string; password: string } | undefined {
  try {
    return { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  } catch {
    return undefined; // a `%` that is not followed by two hex digits
  }
}
