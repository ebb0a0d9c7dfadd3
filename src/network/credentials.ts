import type { Auth } from '../config/auth.ts';
import { authorizationOf } from './authorization.ts';
import { azureTokens } from './azuread.ts';
import type { HttpDestinationOptions } from './client.ts';
import { GoogleTokens } from './google-iam.ts';
import { OAuth2Tokens } from './oauth2.ts';
import { SigV4 } from './sigv4.ts';
import { type Token, TokenCache } from './token-cache.ts';
import { within } from './within.ts';

/** How a destination proves who it is. */
export type Credentials = Pick<HttpDestinationOptions, 'authorization' | 'renew' | 'sign'>;

/** What `auth` comes to at run time, for requests to `href`. Asking somebody for a token may take `timeoutMs`. */
export function credentialsOf(
  auth: Auth | undefined,
  href: string,
  userAgent: string,
  timeoutMs: number,
): Credentials {
  switch (auth?.kind) {
    case undefined:
      return { authorization: () => undefined };
    case 'basic':
    case 'token':
      return { authorization: () => authorizationOf(auth) };
    case 'oauth2': {
      const tokens = new OAuth2Tokens(auth.oauth2, userAgent, timeoutMs, Date.now);
      return fromFetch((signal) => tokens.fetch(signal));
    }
    case 'azuread': {
      const tokens = azureTokens(auth.azuread, userAgent, timeoutMs, Date.now);
      return fromFetch((signal) => within(tokens(signal), signal, timeoutMs, 'a token of Azure'));
    }
    case 'google_iam': {
      const tokens = new GoogleTokens(auth.credentialsFile);
      return fromFetch((signal) => within(tokens.fetch(Date.now), signal, timeoutMs, 'a token of Google'));
    }
    case 'sigv4': {
      const signer = new SigV4(auth.sigv4, href, timeoutMs, Date.now);
      return {
        authorization: () => undefined,
        sign: (body, headers, signal) => signer.sign(body, headers, signal),
      };
    }
  }
}

function fromFetch(fetch: (signal: AbortSignal) => Promise<Token>): Credentials {
  const cache = new TokenCache({ fetch, now: Date.now });
  return {
    authorization: (signal) => cache.authorization(signal),
    renew: (authorization) => cache.refused(authorization),
  };
}
