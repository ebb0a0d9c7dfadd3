import type { Auth } from '../config/auth.ts';
import { authorizationOf } from './authorization.ts';
import type { HttpDestinationOptions } from './client.ts';
import { OAuth2Tokens } from './oauth2.ts';
import { TokenCache } from './token-cache.ts';

/** How a destination proves who it is. */
export type Credentials = Pick<HttpDestinationOptions, 'authorization' | 'renew'>;

/** What `auth` comes to at run time. Asking somebody for a token may take `timeoutMs`. */
export function credentialsOf(auth: Auth | undefined, userAgent: string, timeoutMs: number): Credentials {
  switch (auth?.kind) {
    case undefined:
      return { authorization: () => undefined };
    case 'basic':
    case 'token':
      return { authorization: () => authorizationOf(auth) };
    case 'oauth2': {
      const tokens = new OAuth2Tokens(auth.oauth2, userAgent, timeoutMs, Date.now);
      return fromCache(new TokenCache({ fetch: (signal) => tokens.fetch(signal), now: Date.now }));
    }
  }
}

function fromCache(cache: TokenCache): Credentials {
  return {
    authorization: (signal) => cache.authorization(signal),
    renew: (authorization) => cache.refused(authorization),
  };
}
