import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Access } from '../config/entries.ts';
import { asksForCredentials, type WebConfig } from '../config/web-config.ts';
import type { AuthRefusal } from '../telemetry/reasons.ts';
import { Passwords, PasswordsBusyError } from './passwords.ts';

/** What became of a request at the door. */
export type Admission =
  /** `name` and `access` are those of the credentials, where some were asked for. */
  | { readonly admitted: true; readonly name?: string; readonly access?: Access }
  | {
      readonly admitted: false;
      readonly reason: AuthRefusal;
      /** The name that the credentials are known by, where they are. */
      readonly name?: string;
    };

const admitted: Admission = { admitted: true };

const writePaths: ReadonlySet<string> = new Set(['/api/v1/write', '/api/v1/push']);
const probePaths: ReadonlySet<string> = new Set(['/-/healthy', '/-/ready']);

/**
 * What a request needs: `write` for remote write, `read` to look at something, `all` for whatever else changes
 * the agent. By method and path, so that a route that is added is not open by accident.
 */
export function neededAccess(method: string | undefined, path: string): Access {
  if (writePaths.has(path)) return 'write';
  return method === 'GET' || method === 'HEAD' ? 'read' : 'all';
}

/** Whether a request is one that probes make. */
export function isProbe(path: string): boolean {
  return probePaths.has(path);
}

/**
 * Decides by its head alone whether a request comes in. Follows the web configuration: the credentials that are
 * in force at this moment count, also on connections that are older.
 */
export class Gate {
  readonly #config: () => WebConfig;
  #passwords: { readonly of: WebConfig; readonly cache: Passwords };

  constructor(config: () => WebConfig) {
    this.#config = config;
    const current = config();
    this.#passwords = { of: current, cache: new Passwords(current.users) };
  }

  /** Whether the request comes in. Throws `PasswordWorkerError`. */
  async admit(request: IncomingMessage, path: string): Promise<Admission> {
    const config = this.#config();
    if (!asksForCredentials(config)) return admitted;
    if (isProbe(path) && !config.protectProbes) return admitted;
    const header = request.headers.authorization;
    if (header === undefined) return { admitted: false, reason: 'no_credentials' };
    const holder = await this.#holder(header, request, config);
    if (holder === 'busy') return { admitted: false, reason: 'busy' };
    if (holder === undefined) return { admitted: false, reason: 'wrong_credentials' };
    return holder.access === 'all' || holder.access === neededAccess(request.method, path)
      ? { admitted: true, name: holder.name, access: holder.access }
      : { admitted: false, reason: 'no_access', name: holder.name };
  }

  /** The challenges of a 401 (RFC 9110, 11.6.1), one for each scheme that is of use. */
  challenges(): string[] {
    const { users, tokens } = this.#config();
    return [
      ...(users.size > 0 ? ['Basic realm="Spillway", charset="UTF-8"'] : []),
      ...(tokens.length > 0 ? ['Bearer realm="Spillway"'] : []),
    ];
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#passwords.cache.close();
  }

  async #holder(
    header: string,
    request: IncomingMessage,
    config: WebConfig,
  ): Promise<{ name: string; access: Access } | 'busy' | undefined> {
    const [, scheme = '', credentials = ''] = /^(\S+) +(\S+) *$/.exec(header) ?? [];
    if (scheme.toLowerCase() === 'bearer') return tokenHolder(credentials, config);
    const pair = scheme.toLowerCase() === 'basic' ? decodePair(credentials) : undefined;
    if (pair === undefined) return undefined;
    try {
      const user = await this.#verified(config).verify({
        ...pair,
        from: request.socket.remoteAddress ?? '',
      });
      return user && { name: pair.user, access: user.access };
    } catch (error) {
      if (error instanceof PasswordsBusyError) return 'busy';
      throw error;
    }
  }

  #verified(config: WebConfig): Passwords {
    if (this.#passwords.of !== config) {
      void this.#passwords.cache.close();
      this.#passwords = { of: config, cache: new Passwords(config.users) };
    }
    return this.#passwords.cache;
  }
}

/** Looks at all tokens whichever it is, so that the time tells nothing. */
function tokenHolder(token: string, { tokens }: WebConfig): { name: string; access: Access } | undefined {
  const sha256 = createHash('sha256').update(token, 'latin1').digest();
  let holder: { name: string; access: Access } | undefined;
  for (const known of tokens) if (timingSafeEqual(known.sha256, sha256)) holder = known;
  return holder;
}

/** RFC 7617; undefined for what is none. */
function decodePair(credentials: string): { user: string; password: string } | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(credentials)) return undefined;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(credentials, 'base64'),
    );
  } catch {
    return undefined; // not UTF-8, which every hash is made of
  }
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
