import { untilAborted } from '../runtime/wait.ts';

/** What a request can be authorized with. */
export interface Token {
  /** The value of the `Authorization` header. */
  readonly authorization: string;
  /** Milliseconds since the epoch; Infinity when it is not said. */
  readonly expiresAtMs: number;
}

export interface TokenCacheOptions {
  /** Gets a new token. Aborted when nobody waits for it any more; it settles by itself. */
  readonly fetch: (signal: AbortSignal) => Promise<Token>;
  readonly now: () => number;
}

/** A new token is fetched so long before the old one expires: requests take time, and clocks differ. */
const leadMs = 10_000;
/** A token that lives shortly is used for so much of its life at least. */
const mostLead = 0.2;
/** A failure stands for so long, so that fifty shards do not storm an endpoint that is in trouble. */
const failureMs = 1000;
/** A token that an endpoint refuses is replaced; not more often than this, in case it refuses every token. */
const renewMs = 10_000;

interface Fetch {
  readonly token: Promise<string>;
  readonly abort: AbortController;
  waiting: number;
}

/**
 * Keeps a token until shortly before it expires. All who need one meanwhile wait for one fetch, and each of them can
 * stop waiting. While a fetch fails, what is left of the life of the old token is used up.
 */
export class TokenCache {
  readonly #options: TokenCacheOptions;
  #token: (Token & { readonly staleAtMs: number }) | undefined;
  #fetch: Fetch | undefined;
  #failure: { readonly error: unknown; readonly untilMs: number } | undefined;
  #renewedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TokenCacheOptions) {
    this.#options = options;
  }

  /** The value of the `Authorization` header. Rejects with what `fetch` does, or with the reason of `signal`. */
  async authorization(signal: AbortSignal): Promise<string> {
    const now = this.#options.now();
    if (this.#token !== undefined && now < this.#token.staleAtMs) return this.#token.authorization;
    if (this.#failure !== undefined && now < this.#failure.untilMs)
      return this.#leftOver(this.#failure.error);
    this.#fetch ??= this.#start();
    const fetch = this.#fetch;
    fetch.waiting++;
    try {
      return await untilAborted(fetch.token, signal);
    } finally {
      if (--fetch.waiting === 0) fetch.abort.abort();
    }
  }

  /** An endpoint has said 401 to `authorization`. True when it is worth asking for another one at once. */
  refused(authorization: string): boolean {
    if (this.#token?.authorization !== authorization) return this.#token !== undefined;
    const now = this.#options.now();
    if (now - this.#renewedAtMs < renewMs) return false;
    this.#renewedAtMs = now;
    this.#token = undefined;
    return true;
  }

  #start(): Fetch {
    const abort = new AbortController();
    const fetched = this.#options.fetch(abort.signal).then(
      (token) => {
        const now = this.#options.now();
        const lead = Math.min(leadMs, mostLead * (token.expiresAtMs - now));
        this.#token = { ...token, staleAtMs: token.expiresAtMs - lead };
        this.#failure = undefined;
        this.#fetch = undefined;
        return token.authorization;
      },
      (error: unknown) => {
        this.#fetch = undefined;
        if (!abort.signal.aborted) this.#failure = { error, untilMs: this.#options.now() + failureMs };
        return this.#leftOver(error);
      },
    );
    // Those who wait get it; when nobody does, nobody is to be told.
    fetched.catch(() => {});
    return { token: fetched, abort, waiting: 0 };
  }

  /** The old token while it lives, though a new one was wanted. Throws `error` otherwise. */
  #leftOver(error: unknown): string {
    if (this.#token !== undefined && this.#options.now() < this.#token.expiresAtMs)
      return this.#token.authorization;
    throw error;
  }
}
