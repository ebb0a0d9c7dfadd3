import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';

/** What a proxy would be asked for. */
export interface ProxyTarget {
  /** A name in lower case, or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The target of a URL with `http:` or `https:`. */
export function targetOf({ hostname, port, protocol }: URL): ProxyTarget {
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  };
}

/**
 * Whether a target is asked for without the proxy, by a list as Go's `httpproxy` reads it: entries between commas,
 * each one an address, a range of them (CIDR), a domain with those below it, `.domain` or `*.domain` for only those
 * below it, or `*` for everything; addresses and domains perhaps with a port. This machine itself is never asked for
 * through a proxy. Entries that are none of these match nothing.
 */
export function bypassesProxy(noProxy: string, { host, port }: ProxyTarget): boolean {
  const version = isIP(host);
  if (host === 'localhost' || (version !== 0 && inRange(version === 4 ? '127.0.0.0/8' : '::1/128', host)))
    return true;
  return noProxy.split(',').some((entry) => matches(entry.trim().toLowerCase(), host, port));
}

function matches(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isIP(host) !== 0 && inRange(entry, host);
  // `host:port`, `[IPv6]:port`, or either without a port; an IPv6 address has more than one colon.
  const [, bracketed, name, onlyPort] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(entry) ?? [];
  const wanted = bracketed ?? name ?? entry;
  if (wanted === '' || (onlyPort !== undefined && Number(onlyPort) !== port)) return false;
  const version = isIP(wanted);
  if (version !== 0) return isIP(host) !== 0 && inRange(`${wanted}/${version === 4 ? 32 : 128}`, host);
  const domain = wanted.replace(/^\*(?=\.)/, '');
  const below = domainToASCII(domain.replace(/^\./, ''));
  if (below === '') return false;
  return host.endsWith(`.${below}`) || (!domain.startsWith('.') && host === below);
}

function inRange(cidr: string, address: string): boolean {
  const [net = '', digits = ''] = cidr.split('/');
  const version = isIP(net);
  if (version === 0 || !/^\d{1,3}$/.test(digits) || Number(digits) > (version === 4 ? 32 : 128)) return false;
  const range = new BlockList();
  range.addSubnet(net, Number(digits), version === 4 ? 'ipv4' : 'ipv6');
  return range.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}
