import type { Logger } from '../telemetry/log.ts';

/** An endpoint that is not configured any more. */
export interface AbsentEndpoint {
  readonly name: string;
  readonly waitingRows: number;
  readonly bytes: number;
}

/**
 * Says at a start which endpoints are not in the configuration any more: when they have `left` since the last start,
 * since that may be a slip; and each time that something is kept for them, since that takes room until somebody acts.
 * Of the others only what is left to do is said: their dead letters, until they are purged.
 */
export function tellAbsentEndpoints(
  absent: readonly AbsentEndpoint[],
  left: readonly string[],
  letters: ReadonlyMap<string, number>,
  configured: readonly string[],
  logger: Logger,
): void {
  const held = absent.filter(({ waitingRows }) => waitingRows > 0);
  const told = new Set([...left, ...held.map(({ name }) => name)]);
  const tell = (level: 'info' | 'warn', names: readonly string[], message: string): void => {
    if (names.length === 0) return;
    const dead = names.reduce((sum, name) => sum + (letters.get(name) ?? 0), 0);
    const [rows, bytes] = [sumOf(held, 'waitingRows'), sumOf(held, 'bytes')];
    logger.log(level, message, {
      endpoints: names.join(', '),
      ...(level === 'info' || rows === 0 ? {} : { waiting_rows: rows, kept_bytes: bytes }),
      ...(dead === 0 ? {} : { dead_letters: dead }),
    });
  };
  tell(
    'warn',
    [...told].sort(),
    'endpoints of before are not in the configuration any more: the rows that waited for them are kept, those that ' +
      'come now are not for them. Put them back under the same names, or let the rows go by `spillway endpoint forget NAME`',
  );
  tell(
    'info',
    [...letters.keys()]
      .filter((name) => letters.get(name) !== 0 && !configured.includes(name) && !told.has(name))
      .sort(),
    'endpoints that are not in the configuration any more have dead letters: `spillway dead-letters list --endpoint ' +
      'NAME` shows them, `purge` deletes them',
  );
}

function sumOf(absent: readonly AbsentEndpoint[], key: 'waitingRows' | 'bytes'): number {
  return absent.reduce((sum, endpoint) => sum + endpoint[key], 0);
}
