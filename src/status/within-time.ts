import { Script } from 'node:vm';
import { SpillwayError } from '../runtime/errors.ts';

/** Matching took too long: a regular expression of the selector backtracks without end. */
export class SelectorTimeoutError extends SpillwayError {
  readonly code = 'SELECTOR_TIMEOUT';
}

/** Runs `action` for at most `ms`, interrupting even a regular expression. Throws SelectorTimeoutError. */
export function withinTime<T>(ms: number, action: () => T): T {
  try {
    return new Script('action()').runInNewContext({ action }, { timeout: ms }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new SelectorTimeoutError(`matching the selector took more than ${ms} ms: simplify its patterns`);
  }
}
