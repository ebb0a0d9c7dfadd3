import { Script } from 'node:vm';
import { SpillwayError } from '../runtime/errors.ts';

/** Matching took too long: a regular expression of the selector backtracks without end. */
export class SelectorTimeoutError extends SpillwayError {
  readonly code = 'SELECTOR_TIMEOUT';
}

/** How often an action is begun again that was interrupted before it had its time. */
const MOST_TURNS = 6;

/**
 * Runs `action` for at most `ms`, interrupting even a regular expression. Throws SelectorTimeoutError.
 *
 * An interruption goes by the clock, and on a machine that is busy with others the clock runs while this process does
 * not: to refuse a plain selector then, and blame its patterns, would be wrong. So what was interrupted before the
 * process has had `ms` of CPU time begins anew, a few times at most; `action` must bear that.
 */
export function withinTime<T>(ms: number, action: () => T): T {
  const script = new Script('action()');
  const started = process.cpuUsage();
  for (let turn = 1; ; turn++) {
    try {
      return script.runInNewContext({ action }, { timeout: ms }) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      const { user, system } = process.cpuUsage(started);
      if ((user + system) / 1000 < ms && turn < MOST_TURNS) continue;
      throw new SelectorTimeoutError(`matching the selector took more than ${ms} ms: simplify its patterns`);
    }
  }
}
