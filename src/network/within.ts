import { untilAborted } from '../runtime/wait.ts';
import { TokenError } from './oauth2.ts';

/** As `promise`, of a library that may wait for ever: rejects after `ms`, or when `signal` is or gets aborted. */
export async function within<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  ms: number,
  what: string,
): Promise<T> {
  // Not `AbortSignal.any`: on Node 20 a signal that lives long keeps something of each one that was made of it.
  const timeout = new AbortController();
  const expire = (): void => timeout.abort(new TokenError(`${what}: no answer within ${ms} ms`));
  const timer = setTimeout(expire, ms);
  try {
    return await untilAborted(untilAborted(promise, timeout.signal), signal);
  } finally {
    clearTimeout(timer);
  }
}
