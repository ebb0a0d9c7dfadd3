import type { LookupFunction, Socket } from 'node:net';
import { buildConnector } from 'undici';
import type { ClientTlsOptions } from './client-tls.ts';

/** The far end of a connection, as undici names it. */
export type DialTarget = Pick<buildConnector.Options, 'hostname' | 'host' | 'protocol' | 'port'>;

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

/** Straight to the target, or on a socket that leads there already. */
export function dialDirectly({ socket, lookup }: DialOptions = {}): Dial {
  return (target, tls, signal) =>
    new Promise((resolve, reject) => {
      // Deadlines are of whoever waits: they abort.
      const resolving = lookup === undefined ? {} : { lookup };
      const connect = buildConnector({ ...tls?.connect, ...resolving, timeout: 0, signal });
      const named = tls?.servername === undefined ? target : { ...target, servername: tls.servername };
      connect(socket === undefined ? named : { ...named, httpSocket: socket }, (...[error, opened]) =>
        error === null ? resolve(opened) : reject(error),
      );
    });
}
