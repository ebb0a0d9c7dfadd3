import { TokenError } from './oauth2.ts';
import { optionalPackage } from './optional-package.ts';
import type { Token } from './token-cache.ts';

const scopes = ['https://www.googleapis.com/auth/monitoring.write'];

/** What the library keeps is fresh for at least this long; it looks at its token each time it is asked. */
const trustMs = 60_000;

/** What is used of `google-auth-library`. */
interface GooglePackage {
  readonly GoogleAuth: new (options: {
    readonly scopes: readonly string[];
    readonly keyFile?: string;
  }) => {
    getClient(): Promise<{
      getAccessToken(): Promise<{ readonly token?: string | null }>;
      readonly credentials: { readonly expiry_date?: number | null };
    }>;
  };
}

/** Tokens of Google Cloud, from the credentials in a file, or from those of the environment. */
export class GoogleTokens {
  readonly #file: string | undefined;

  constructor(file: string | undefined) {
    this.#file = file;
  }

  /** A token. The file is read anew, so that it can be replaced. */
  async fetch(now: () => number): Promise<Token> {
    const { GoogleAuth } = await optionalPackage<GooglePackage>('google_iam', 'google-auth-library');
    const auth = new GoogleAuth({ scopes, ...(this.#file === undefined ? {} : { keyFile: this.#file }) });
    const client = await auth.getClient();
    const { token } = await client.getAccessToken();
    if (typeof token !== 'string' || token === '') throw new TokenError('Google has given no token');
    const { expiry_date: expiresAtMs } = client.credentials;
    return { authorization: `Bearer ${token}`, expiresAtMs: expiresAtMs ?? now() + trustMs };
  }
}
