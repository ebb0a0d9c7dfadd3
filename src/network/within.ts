import { untilAborted } from '../runtime/wait.ts';
import { TokenError } from './oauth2.ts';

/** As `promise`, of a library that may wait for ever: rejects after `ms`, or when `signal` is or gets aborted. */
export async function within<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  ms: number,
  what: string,
): Promise<T> {
  const timeout = AbortSignal.timeout(ms);
  try {
    return await untilAborted(promise, AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (error === timeout.reason) throw new TokenError(`${what}: no answer within ${ms} ms`);
    throw error;
  }
}
