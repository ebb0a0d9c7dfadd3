import type { WireVersion } from './version.ts';
import type { Written } from './written.ts';

/** What is sent beside the body of a request; 1.0 and no tenant unless it is said. */
export interface RequestTraits {
  readonly version?: WireVersion;
  /** Whose all rows of it are. */
  readonly tenant?: string;
}

/**
 * A destination takes one remote-write request body and says what became of it.
 *
 * It is the last stage: what it reports decides what is settled. It answers every call exactly once, keeps
 * nothing of `body` after it has answered (the caller reuses the buffer), and never throws for what a peer
 * or a network does: that is an `Outcome`.
 */
export interface Destination {
  /**
   * Sends `body`, a snappy block of a `prometheus.WriteRequest`, or with version 2.0 of an
   * `io.prometheus.write.v2.Request`. `attempt` counts from 0 for these rows.
   */
  post(body: Uint8Array, attempt: number, signal: AbortSignal, traits?: RequestTraits): Promise<Outcome>;
  /** Releases sockets and files; idempotent. Calls under way finish first. */
  close(): Promise<void>;
}

/** What became of one request. Facts only; `decide` (decisions.ts) says what to do about it. */
export type Outcome =
  | {
      readonly kind: 'response';
      readonly status: number;
      /** The raw `Retry-After` header, if there was one. */
      readonly retryAfter: string | undefined;
      /** The first 1024 bytes of the body as text: the receiver's own words (RW1-S-14). Empty on 2xx. */
      readonly words: string;
      /** What was written of a 2.0 request, when the answer says so (RW2-S-11); never of a 1.0 one. */
      readonly written?: Written | undefined;
    }
  | {
      readonly kind: 'network';
      /** Stable code: `ECONNREFUSED`, `ENOTFOUND`, `UND_ERR_HEADERS_TIMEOUT`, `CERT_HAS_EXPIRED`, ... */
      readonly code: string;
      readonly words: string;
      /** False only when it is certain that the request never reached the peer (refused, not resolved). */
      readonly maybeDelivered: boolean;
    }
  | {
      /** `signal` was aborted before there was an answer. */
      readonly kind: 'aborted';
      readonly maybeDelivered: boolean;
    };

/** The status, or the code of the network's error. */
export function answerOf(outcome: Exclude<Outcome, { kind: 'aborted' }>): string {
  return outcome.kind === 'response' ? String(outcome.status) : outcome.code;
}
