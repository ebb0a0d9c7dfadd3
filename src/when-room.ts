import { isOutOfSpace } from './runtime/disk-space.ts';
import { describeError } from './runtime/errors.ts';
import { wait } from './runtime/wait.ts';
import { type Logger, Repetition } from './telemetry/log.ts';

export interface RoomOptions {
  readonly dataDir: string;
  /** Nobody waits for it any more. */
  readonly stopped: () => boolean;
  readonly logger: Logger;
  readonly now: () => number;
}

/** How long a start on a full disk waits before it looks again. */
const START_AGAIN_MS = 1000;

/**
 * What `open` returns, tried again as long as the disk has no room even for that. Senders are told 503 meanwhile;
 * nothing that is on disk is touched. Throws anything else, and when the agent is stopped.
 */
export async function whenRoom<T>(
  { dataDir, stopped, logger, now }: RoomOptions,
  open: () => T | Promise<T>,
): Promise<T> {
  const repetition = new Repetition(now);
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isOutOfSpace(error) || stopped()) throw error;
      if (repetition.tell('room') !== undefined) {
        logger.log(
          'error',
          'the disk is full, not even the start has room; it is tried again until there is some',
          {
            data_dir: dataDir,
            error: describeError(error),
          },
        );
      }
    }
    await wait(START_AGAIN_MS, new AbortController().signal);
  }
}
