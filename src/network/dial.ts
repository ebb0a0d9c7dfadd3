import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ClientTlsOptions } from './client-tls.ts';

/** The far end of a connection, as the parts of a URL; a `hostname` of IPv6 is without brackets. */
export interface DialTarget {
  readonly hostname: string;
  readonly protocol: string;
  /** Empty for the one of the protocol. */
  readonly port: string;
  /** Whether TLS is to offer HTTP/2 too (ALPN); the socket says what was agreed on. */
  readonly http2?: boolean;
}

/** Opens a connection to `target`, with TLS where its protocol says so. Aborting destroys it, also when it is open. */
export type Dial = (
  target: DialTarget,
  tls: ClientTlsOptions | undefined,
  signal: AbortSignal,
) => Promise<Socket>;

/** What `dialDirectly` can be told beside the target. */
export interface DialOptions {
  /** What to speak TLS on. */
  readonly socket?: Socket;
  /** How names are looked up. */
  readonly lookup?: LookupFunction | undefined;
}

/** After a connection has been silent for so long the system asks whether its other end is still there. */
const PROBE_AFTER_MS = 60_000;

/** Straight to the target, or on a socket that leads there already. */
export function dialDirectly({ socket, lookup }: DialOptions = {}): Dial {
  return (target, tls, signal) =>
    new Promise((resolve, reject) => {
      // Deadlines are of whoever waits: they abort.
      const resolving = lookup === undefined ? {} : { lookup };
      const secure = target.protocol === 'https:';
      const port = Number(target.port) || (secure ? 443 : 80);
      const place = { host: target.hostname, port, signal, ...resolving };
      const opened = secure
        ? connectTls({
            ...place,
            ...tls?.connect,
            // An address cannot be asked for (RFC 6066, 3).
            servername: tls?.servername ?? (isIP(target.hostname) === 0 ? target.hostname : ''),
            ALPNProtocols: target.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
            ...(socket === undefined ? {} : { socket }),
          })
        : connectTcp(place);
      opened.setKeepAlive(true, PROBE_AFTER_MS).setNoDelay(true);
      opened.once(secure ? 'secureConnect' : 'connect', () => resolve(opened));
      // For good: between two requests nobody else listens, and it must not end the process.
      opened.on('error', reject);
    });
}
