/** The two ends of a backoff, in milliseconds: `min_backoff` and `max_backoff` of `queue_config`. */
export interface BackoffSettings {
  /** The first step; anything below 1 counts as 1. */
  readonly minBackoffMs: number;
  /** The cap of the steps. A wait exceeds it by up to 10 %. */
  readonly maxBackoffMs: number;
}

/**
 * How long to wait after attempt number `attempt` (from 0) has failed, in milliseconds, not rounded (RW1-S-17,
 * RW2-S-19).
 *
 * The step doubles from `minBackoffMs` up to `maxBackoffMs`. Below the cap a wait is half of its step and a
 * random share of the other half: [step/2, step). At the cap it is the cap +-10 %, so that the loops that
 * failed together do not come back together. Full jitter would spread them better, but the official sender
 * tests want every wait to be at least 0.8 of the one before. Here it is at least 1.0 while the steps double,
 * 0.9 when they reach the cap and 0.9 / 1.1 = 0.82 at it. It is never below 1 ms.
 *
 * @param random a number in [0, 1)
 */
export function backoffMs(attempt: number, settings: BackoffSettings, random: number): number {
  const step = Math.max(1, settings.minBackoffMs) * 2 ** attempt;
  const wait =
    step < settings.maxBackoffMs ? step * (0.5 + 0.5 * random) : settings.maxBackoffMs * (0.9 + 0.2 * random);
  return Math.max(1, wait);
}
