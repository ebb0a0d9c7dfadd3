import type { EndpointReason } from '../telemetry/reasons.ts';
import { type BackoffSettings, backoffMs } from './backoff.ts';
import type { Outcome } from './destination.ts';
import { retryAfterMs } from './retry-after.ts';
import type { WireVersion } from './version.ts';
import { notWritten, type Written, writtenRows } from './written.ts';

/**
 * What to do about the outcome of a request: one pure table.
 *
 *   2xx                              settle: the rows are delivered (RW1-S-06)
 *   5xx, 429, no answer, timeout     retry (RW1-S-16, RW1-S-19), without an end: only `ttl` ends it
 *   408                              retry            deviates from RW1-S-18
 *   401, 403, 404, 407, 415          hold             deviates from RW1-S-18
 *   3xx, DNS, TLS, no credentials,   hold             the specification is silent (RLY-10)
 *     a tunnel that the proxy refuses
 *   413                              reject, by size  } a request of several rows is sent again in
 *   400, 409, 422, ...               reject (RW1-S-18) } parts first: refusals.ts
 *
 * A retry says that the endpoint is in trouble; a hold says that the door is shut: the key, the address or the
 * certificate is wrong, and the rows are not at fault. Both wait and try the same rows again. They are told
 * apart because somebody has to act on a hold, and because of the deviations, each a setting that the
 * strict profile turns off (RLY-09):
 * - By the letter a 401, 403, 404, 407 or 415 throws away the rows of each request until somebody notices: a rotated
 *   credential or a route that went missing for a minute would cost data that is safe on our disk.
 * - By the letter a 408 does the same, yet it says "I did not get all of it in time, send it again" (RFC 9110,
 *   15.5.9). Proxies answer so to a slow link.
 * - A request that is refused is sent again in parts, until the rows that are at fault stand alone. Receivers roll such
 *   a request back whole (INT-12, INT-14): by the letter one bad series would cost every row that happens to be
 *   beside it.
 *
 * Over 2.0 the receiver says how many rows it wrote (RW2-S-11), in a header that a missing one is not:
 *
 *   2xx, some written                settle: what is missing is lost, and not sent again (RLY-12)
 *   2xx, nothing written             reject: nothing was stored, whatever the status says
 *   2xx that does not say            hold: it was read as 1.0, and as empty (RW2-S-12)
 *   400, ..., some written           settle, as above: a partial write
 *   400, ..., nothing written        settle when the words call the rows old; else reject, as over 1.0
 *   400, ... that does not say       reject, as over 1.0: who answers so is not a receiver of 2.0
 *
 * One more decides no delivery, only the name of a refusal: where rows may have been delivered before, the
 * words of the receiver tell a duplicate from a loss (RLY-13, against RW1-S-14).
 */

/** An outcome that calls for a decision. After an abort there is none to take: who aborted has taken it. */
export type Answer = Exclude<Outcome, { kind: 'aborted' }>;

export interface DecisionSettings extends BackoffSettings {
  /** Retry a 429, rather than reject it as Prometheus does by default (RW1-S-19). */
  readonly retryOn429: boolean;
  /** Retry a 408, rather than reject it. Off in the strict profile. */
  readonly retryOn408: boolean;
  /** Hold on a 401, 403, 404, 407 and 415, rather than reject. Off in the strict profile. */
  readonly holdOn4xx: boolean;
  /** Send a request that is refused again in parts. Off in the strict profile. */
  readonly splitRefused: boolean;
}

/** Why an endpoint is tried again: a stable label for metrics and logs. */
export type RetryCause = 'network' | 'timeout' | '5xx' | '429' | '408';

/**
 * Why an endpoint is held: a stable label for metrics and logs. `refused`: it refuses whatever it is sent. `unread`: it
 * answers 2.0 requests with a 2xx and no count, as receivers of 1.0 do that find nothing in them.
 */
export type HoldCause =
  | '401'
  | '403'
  | '404'
  | '407'
  | '415'
  | 'unread'
  | '3xx'
  | 'dns'
  | 'tls'
  | 'credentials'
  | 'proxy'
  | 'refused';

/**
 * What a refusal says of the rows. `old`: by the receiver's words they are out of order, duplicate or too old, so
 * that no later try can succeed. `size`: the request is too large. `unclear`: anything else, also that the
 * receiver is at fault and not the rows.
 */
export type Fault = 'old' | 'size' | 'unclear';

export type Decision =
  /** The rows are delivered. */
  | { readonly action: 'settle'; readonly missing?: undefined }
  /** The rows are delivered, but for `missing` of each kind: it is not known which. */
  | {
      readonly action: 'settle';
      readonly missing: Uint32Array;
      /** What those are counted as. */
      readonly reason: Extract<EndpointReason, 'not_written' | 'duplicate'>;
      readonly words: string;
    }
  /** Send the same rows in the same order after `waitMs` (RLY-08); where `maybeDelivered`, as resent ones. */
  | {
      readonly action: 'retry';
      readonly waitMs: number;
      /** The endpoint has asked for this wait. */
      readonly asked: boolean;
      readonly cause: RetryCause;
      readonly maybeDelivered: boolean;
    }
  /** The same, and tell the operator that the endpoint waits for them. */
  | {
      readonly action: 'hold';
      readonly waitMs: number;
      readonly asked: boolean;
      readonly cause: HoldCause;
      readonly maybeDelivered: boolean;
    }
  /** The request as it is will not be taken. `words` are the receiver's own, at most 1024 bytes. */
  | {
      readonly action: 'reject';
      readonly fault: Fault;
      /** What it is counted as if it is given up. */
      readonly reason: Extract<EndpointReason, 'rejected' | 'duplicate'>;
      readonly words: string;
    };

/** The longest wait that a `Retry-After` can ask for. */
export const maxRetryAfterMs: number = 5 * 60_000;

/**
 * The words with which receivers refuse a sample that they have already, or that is older than what they have.
 * - Prometheus, Cortex: `out of order sample`, `duplicate sample for timestamp`, `too old sample`, `out of
 *   bounds`, `timestamp too old`. (VictoriaMetrics refuses no sample for its time.)
 * - Mimir: `err-mimir-sample-out-of-order`, `-sample-duplicate-timestamp`, `-sample-timestamp-too-old`,
 *   `-too-far-in-past`.
 * - Thanos: Prometheus's words. At times it says just `conflict`, with a 409: that may be anything, and is `unclear`.
 *
 * Not `out of order labels` or `duplicate labels`: those never got in.
 */
const duplicateWords =
  /out[ -]of[ -]order(?! labels)|out of bounds|duplicate[ -](?:sample|histogram|exemplar|timestamp)|too[ -]old|too[ -]far[ -]in[ -](?:the[ -])?past/i;

/** OpenSSL's and Node's codes for a handshake that failed over the certificate, the name or the protocol. */
const tlsCode =
  /CERT|CRL|^ERR_(?:TLS|SSL)_|^EPROTO$|^UNABLE_TO_|^INVALID_(?:CA|PURPOSE)$|^HOSTNAME_MISMATCH$/;

const dnsCode = /^(?:ENOTFOUND$|EAI_)/;

const timeoutCode = /^(?:UND_ERR_(?:CONNECT|HEADERS|BODY)_TIMEOUT|ETIMEDOUT)$/;

const shutStatus: ReadonlyMap<number, HoldCause> = new Map([
  [401, '401'],
  [403, '403'],
  [404, '404'],
  [407, '407'],
  // Not a remote write receiver, or none that takes 1.0 (section 6 of the requirements).
  [415, '415'],
]);

const settle: Decision = { action: 'settle' };

/** What an answer answers. */
export interface Sent {
  readonly attempt: number;
  readonly resent: boolean;
  /** 1.0 if not given. */
  readonly version?: WireVersion;
  readonly kinds?: ArrayLike<number>;
}

/**
 * What to do with the rows of a request after `answer`.
 *
 * @param sent `attempt` counts from 0 for these rows; `resent` is true when an earlier request may have
 *   delivered them (RLY-13); `kinds` are the rows of a 2.0 request by kind
 * @param random a number in [0, 1), for the backoff
 * @param nowMs the time of the answer, milliseconds since the epoch
 */
export function decide(
  answer: Answer,
  sent: Sent,
  settings: DecisionSettings,
  random: number,
  nowMs: number,
): Decision {
  if (answer.kind === 'network') {
    const waitMs = backoffMs(sent.attempt, settings, random);
    return { ...waitForCode(answer.code), waitMs, asked: false, maybeDelivered: answer.maybeDelivered };
  }
  const { status, words } = answer;
  const taken = status >= 200 && status < 300;
  if (taken && sent.version !== '2.0') return settle;
  // Without a header it is a 1.0 receiver: as a 415 (RW2-S-12).
  const unread = taken && answer.written === undefined;
  const wait = unread ? waitForUnread(settings) : taken ? undefined : waitForStatus(status, settings);
  if (wait === undefined) {
    if (sent.version === '2.0' && answer.written !== undefined) {
      const decision = byCounts(taken, words, sent, answer.written);
      if (decision !== undefined) return decision;
    }
    if (taken) {
      return { action: 'reject', fault: 'unclear', reason: 'rejected', words: notTaken(status, unread) };
    }
    const old = duplicateWords.test(words);
    return {
      action: 'reject',
      fault: old ? 'old' : status === 413 ? 'size' : 'unclear',
      reason: sent.resent && old ? 'duplicate' : 'rejected',
      words,
    };
  }
  const askedMs = retryAfterMs(answer.retryAfter, nowMs, maxRetryAfterMs);
  const waitMs =
    askedMs === undefined
      ? backoffMs(sent.attempt, settings, random)
      : Math.max(askedMs, settings.minBackoffMs);
  // A receiver in trouble may have kept some of the rows; behind a shut door nobody has seen them.
  return { ...wait, waitMs, asked: askedMs !== undefined, maybeDelivered: wait.action === 'retry' };
}

/** What the counts of a 2.0 answer say of the rows; undefined when none was written, and they may be sent again. */
function byCounts(
  taken: boolean,
  words: string,
  { kinds = [], resent }: Sent,
  written: Written,
): Decision | undefined {
  const old = duplicateWords.test(words);
  if (writtenRows(written) === 0 && (taken || !old)) return undefined;
  const missing = notWritten(kinds, written);
  if (missing === undefined) return settle;
  return { action: 'settle', missing, reason: resent && old ? 'duplicate' : 'not_written', words };
}

/** In place of the words of a receiver that says 2xx. */
function notTaken(status: number, unread: boolean): string {
  return unread
    ? `answered ${status} and no count of what was written: it does not read remote write 2.0`
    : `answered ${status}, and that nothing of the request was written`;
}

type Wait =
  | { readonly action: 'retry'; readonly cause: RetryCause }
  | { readonly action: 'hold'; readonly cause: HoldCause };

/** Of network errors, only the name is at stake: none of them ever costs a row. */
function waitForCode(code: string): Wait {
  if (code === 'NO_CREDENTIALS') return { action: 'hold', cause: 'credentials' };
  if (code === 'PROXY_REFUSED') return { action: 'hold', cause: 'proxy' };
  if (dnsCode.test(code)) return { action: 'hold', cause: 'dns' };
  if (tlsCode.test(code)) return { action: 'hold', cause: 'tls' };
  return { action: 'retry', cause: timeoutCode.test(code) ? 'timeout' : 'network' };
}

/** As a 415, under a name of its own. */
function waitForUnread(settings: DecisionSettings): Wait | undefined {
  return settings.holdOn4xx ? { action: 'hold', cause: 'unread' } : undefined;
}

/** Undefined when the request must not be sent again. */
function waitForStatus(status: number, settings: DecisionSettings): Wait | undefined {
  if (status >= 500) return { action: 'retry', cause: '5xx' };
  if (status === 429) return settings.retryOn429 ? { action: 'retry', cause: '429' } : undefined;
  if (status === 408) return settings.retryOn408 ? { action: 'retry', cause: '408' } : undefined;
  if (status < 400) return { action: 'hold', cause: '3xx' };
  const cause = settings.holdOn4xx ? shutStatus.get(status) : undefined;
  return cause === undefined ? undefined : { action: 'hold', cause };
}
