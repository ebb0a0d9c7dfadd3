/** What is known of an endpoint when the number of its loops is looked at. Rates are averages over recent time. */
export interface ShardLoad {
  /** Loops at present, and the range in which their number may move (`min_shards`, `max_shards`). */
  readonly current: number;
  readonly min: number;
  readonly max: number;
  /** Samples per second that arrive for this endpoint (after relabelling). */
  readonly arrivedPerSecond: number;
  /** Samples per second that it takes. */
  readonly deliveredPerSecond: number;
  /** Time that a loop is busy with requests, in seconds, for each sample that it delivers. */
  readonly secondsPerSample: number;
  /** Samples that have arrived and are not delivered. */
  readonly backlogSamples: number;
  /** True while requests fail in a way that more of them cannot mend. */
  readonly failing: boolean;
}

/**
 * The part of the backlog to work off in a second, beside what arrives. The number of loops is looked at about
 * every 10 s, so half of the backlog is gone when it is looked at next, and the number falls with what is left;
 * at 0.1 the loops started for the whole of it would have nothing to do before that.
 */
const catchUpPerSecond = 0.05;

/** A need this near to the present number of loops (as a share of it) is noise: moving shards costs a pause. */
const tolerance = 0.3;

/** Less than this far behind, the present loops keep up, however slow they are. */
const keepingUpSeconds = 1;

/** More than this far behind, loops are not taken away: they would be wanted again in a moment. */
const behindSeconds = 10;

/**
 * The number of loops that an endpoint could do with: the busy time that a second brings. It may be outside of
 * [`min`, `max`], which is how one learns that `max_shards` is too small.
 *
 * It is Prometheus's arithmetic with two additions. Nothing is changed while the endpoint fails or delivers
 * nothing: a dead endpoint must not be met with more connections, and there is nothing to measure. And the
 * number goes up only while rows wait: an endpoint that gets slower with every connection would otherwise be
 * given `max` of them, since each makes a sample take longer.
 */
export function neededShards(load: ShardLoad): number {
  const { current, arrivedPerSecond, backlogSamples } = load;
  const needed = Math.ceil(load.secondsPerSample * (arrivedPerSecond + catchUpPerSecond * backlogSamples));
  const stay =
    load.failing ||
    load.deliveredPerSecond <= 0 ||
    Math.abs(needed - current) <= tolerance * current ||
    (needed > current && backlogSamples < keepingUpSeconds * arrivedPerSecond) ||
    (needed < current && backlogSamples > behindSeconds * arrivedPerSecond);
  return stay ? current : needed;
}

/** `needed`, brought within the range in which the number of loops may move. */
export function clampShards(needed: number, { min, max }: Pick<ShardLoad, 'min' | 'max'>): number {
  return Math.min(max, Math.max(min, needed));
}
