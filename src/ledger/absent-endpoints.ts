import type { Logger } from '../telemetry/log.ts';
import type { Ledger } from './ledger.ts';

/**
 * Says at a start which endpoints were taken out of the configuration: as a warning at the first start without them,
 * since it may be a slip that costs data. After that only what is left to do is said: the dead letters of such
 * an endpoint, until they are purged. Its position stays in the ledger, so that it can come back; it takes no room
 * that is worth a line at every start.
 */
export function tellAbsentEndpoints(
  ledger: Ledger,
  configured: readonly string[],
  letters: ReadonlyMap<string, number>,
  nowMs: number,
  logger: Logger,
): void {
  const absent = ledger.absent(configured, nowMs);
  const tell = (level: 'info' | 'warn', names: readonly string[], message: string): void => {
    if (names.length === 0) return;
    const left = names.reduce((sum, name) => sum + (letters.get(name) ?? 0), 0);
    logger.log(level, message, {
      endpoints: names.join(', '),
      ...(left === 0 ? {} : { dead_letters: left }),
    });
  };
  tell(
    'warn',
    absent.filter(({ first }) => first).map(({ name }) => name),
    'endpoints of before are not in the configuration any more: what only they have not got is deleted. If that is a ' +
      'mistake, put them back at once under the same names: they go on where they stood',
  );
  tell(
    'info',
    absent.filter(({ first, name }) => !first && letters.has(name)).map(({ name }) => name),
    'endpoints that are not in the configuration any more have dead letters: `spillway dead-letters list --endpoint ' +
      'NAME` shows them, `purge` deletes them',
  );
}
