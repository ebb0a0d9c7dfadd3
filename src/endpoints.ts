import * as fs from 'node:fs';
import type { EndpointConfig } from './config/endpoints.ts';
import type { Config, ConfigText } from './config/load.ts';
import {
  EndpointControlError,
  type ListedEndpoint,
  type Seek,
  type SeekTarget,
  UnknownEndpointError,
} from './endpoint/control.ts';
import { Endpoint, type EndpointSetup } from './endpoint/endpoint.ts';
import { gapsOf, ParkedEndpoint } from './endpoint/parked-endpoint.ts';
import { segmentOf } from './endpoint/seek-target.ts';
import type { FileQueue, SegmentRange } from './filequeue/file-queue.ts';
import type { KeptEndpoint } from './filequeue/keeper.ts';
import type { Watermark } from './filequeue/segment-log.ts';
import type { Absence, Ledger } from './ledger/ledger.ts';
import { endpointNames, progressPath } from './network/progress.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { comparePositions } from './serialization/position.ts';
import type { EndpointDetail } from './status/endpoint-detail.ts';
import type { Logger } from './telemetry/log.ts';
import type { EndpointReading, ParkedReading } from './telemetry/metrics.ts';

/** An endpoint of this name cannot be forgotten. */
export class ForgetError extends SpillwayError {
  override readonly code: string = 'ENDPOINT_NOT_FORGOTTEN';
}

export interface EndpointsOptions {
  readonly dataDir: string;
  readonly queue: FileQueue;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly userAgent: string;
  readonly now: () => number;
  /** Segments may have become free. */
  readonly onReleased: () => void;
  readonly onSaveFailed: (error: unknown) => void;
}

/** The configuration, and the text that the threads of endpoints read it from. */
export interface EndpointsSource {
  readonly config: Config;
  readonly text: ConfigText;
}

/** Names of endpoints that are not as they were. */
export interface EndpointsChange {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Owns the endpoints, and knows of those that are not configured any more.
 *
 *     configured: Endpoint, a thread that delivers
 *        |  removed: answers awaited, the segment cut, its absence noted in the ledger
 *        v
 *     not configured: ParkedEndpoint, whose rows of before are kept
 *        |  added again: the segment cut, the end of its absence noted    | forgotten
 *        v                                                                v
 *     configured, passing over what came meanwhile                      nothing is left
 *
 * A configured one can be paused: its thread runs, sends nothing, and keeps to its caps.
 *
 * Absences begin and end with segments, so that a gap is told by ids alone. At each moment either an endpoint or what
 * it left behind holds its segments.
 */
export class Endpoints {
  readonly #options: EndpointsOptions;
  #list: Endpoint[] = [];
  #parked: ParkedEndpoint[] = [];
  #ended = false;
  /** What rests and restarts threads comes one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: EndpointsOptions) {
    this.#options = options;
  }

  /** Those that are configured. */
  get list(): readonly Endpoint[] {
    return this.#list;
  }

  /** Those that are not, and that rows are kept for. */
  get parked(): readonly ParkedEndpoint[] {
    return this.#parked.filter(({ kept }) => kept !== undefined);
  }

  /** All that hold segments back. */
  get kept(): readonly KeptEndpoint[] {
    return [...this.#list, ...this.parked];
  }

  /** What may not be deleted: all from `before` on, and `ranges`. */
  get needed(): { readonly before: number; readonly ranges: readonly SegmentRange[] } {
    return {
      before: this.#list.length === 0 ? 0 : Math.min(...this.#list.map(({ low }) => low.segment)),
      ranges: this.#parked.flatMap(({ kept }) => kept ?? []),
    };
  }

  /** Makes them as configured; nothing is delivered before `start`. Returns who left since the last start. */
  open(source: EndpointsSource): readonly string[] {
    const { ledger, queue, dataDir, now } = this.#options;
    const { remoteWrite } = source.config;
    const configured = new Set(remoteWrite.map(({ name }) => name));
    const first = queue.watermark.segment;
    for (const name of configured) ledger.comeBack(name, first);
    const left: string[] = [];
    for (const name of new Set([...ledger.endpoints(), ...endpointNames(dataDir)])) {
      if (configured.has(name)) continue;
      if (awayOf(ledger.absences(name)) === undefined) {
        ledger.leave(name, first, now());
        left.push(name);
      }
      this.#park(name);
    }
    for (const config of remoteWrite) this.#add(this.#setupOf(source, config), []);
    return left;
  }

  /** Resolves when all threads read, or have failed to start for the first time. */
  async start(): Promise<void> {
    await Promise.all(this.#list.map((endpoint) => endpoint.start()));
  }

  /** Tells them how far they may read; `rows` more rows were committed. */
  publish(watermark: Watermark, rows: number): void {
    for (const endpoint of this.#list) endpoint.publish(watermark, rows);
  }

  /**
   * Brings them to what `source` says, while data flows. One that is changed or removed delivers what it has read
   * first, for at most `graceMs`. The others are not touched. Returns what could not be done, by name; then that
   * endpoint is as it was before.
   */
  reload(
    source: EndpointsSource,
    change: EndpointsChange,
    graceMs: number,
  ): Promise<ReadonlyMap<string, unknown>> {
    return this.#inTurn(() => this.#reload(source, change, graceMs));
  }

  /**
   * Has an endpoint send nothing until `resume`, also after a restart; what it has read is delivered first, for at most
   * `graceMs`. Returns since when it is paused, ms. Rejects with `UnknownEndpointError`, and with what the ledger
   * throws.
   */
  pause(name: string, graceMs: number): Promise<number> {
    return this.#inTurn(async () => {
      const { ledger, now } = this.#options;
      const endpoint = this.#named(name);
      ledger.orders.pause(name, now());
      const sinceMs = ledger.orders.pausedSince(name) ?? now();
      if (endpoint.pausedSinceMs === undefined) await endpoint.setPaused(sinceMs, graceMs);
      return sinceMs;
    });
  }

  /** Has a paused endpoint deliver again, from where it stands. Rejects as `pause` does. */
  resume(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const endpoint = this.#named(name);
      this.#options.ledger.orders.resume(name);
      if (endpoint.pausedSinceMs !== undefined) await endpoint.setPaused(undefined, 0);
    });
  }

  /**
   * Has an endpoint go on elsewhere. Backwards it delivers once more what is still in the queue. Forwards it passes
   * over what waits for it, counted as `skipped`: that is ordered in the ledger, and done segment by segment behind this
   * answer, also after a restart; what is on the wire is awaited. With `dryRun` it says what it would do: `{before}`
   * (forwards) and `{from}` (backwards) with the segment that it names do that and no more, whatever has come since. For
   * `now` a dry run ends the open segment too, so that there is such a segment. Rejects with `EndpointControlError`, and
   * with what file system and ledger throw.
   */
  seek(name: string, target: SeekTarget, graceMs: number, dryRun: boolean): Promise<Seek> {
    return this.#inTurn(async () => {
      const { queue, now } = this.#options;
      const endpoint = this.#named(name);
      const segment = target === 'now' ? await queue.cut() : segmentOf(queue, name, target, now());
      const ahead = comparePositions({ segment, row: 0 }, endpoint.low) > 0;
      const only = onlyDirection(target);
      const direction = only ?? (ahead ? 'forwards' : 'backwards');
      const there = (at: number, rows: number): Seek => {
        // Behind all that is there is no time to tell.
        const atMs = target === 'now' ? undefined : queue.segments.find(({ id }) => id === at)?.firstMs;
        return { direction, segment: at, ...(atMs !== undefined && { atMs }), rows };
      };
      if (ahead !== (direction === 'forwards')) return there(endpoint.low.segment, 0);
      if (ahead) {
        const rows = endpoint.rowsBefore(segment);
        if (!dryRun) endpoint.skipTo(segment);
        return there(segment, rows);
      }
      if (dryRun) return there(segment, endpoint.rowsBackTo(segment));
      const back = await endpoint.goBack(segment, graceMs);
      return there(back.segment, back.rows);
    });
  }

  async #reload(
    source: EndpointsSource,
    change: EndpointsChange,
    graceMs: number,
  ): Promise<ReadonlyMap<string, unknown>> {
    const failed = new Map<string, unknown>();
    const setups = new Map(
      source.config.remoteWrite.map((config) => [config.name, this.#setupOf(source, config)]),
    );
    const changed: Endpoint[] = [];
    const removed: Endpoint[] = [];
    for (const endpoint of this.#list) {
      const setup = setups.get(endpoint.name);
      if (setup === undefined || change.removed.includes(endpoint.name)) removed.push(endpoint);
      else if (change.changed.includes(endpoint.name)) changed.push(endpoint);
      else endpoint.adopt(setup);
    }
    await Promise.all([
      this.#remove(removed, graceMs, failed),
      this.#return(change.added, setups, failed),
      ...changed.map(async (endpoint) => {
        await endpoint.pause(graceMs);
        endpoint.adopt(setups.get(endpoint.name)!);
        await endpoint.resume();
      }),
    ]);
    return failed;
  }

  /**
   * Lets go what is kept for an endpoint that is not configured, and where it stood. Returns how many rows that were.
   * Rejects with `ForgetError`, and with what ledger and file system throw.
   */
  async forget(name: string): Promise<{ readonly rows: number; readonly bytes: number }> {
    const { ledger, dataDir, onReleased } = this.#options;
    if (this.#list.some((endpoint) => endpoint.name === name)) {
      throw new ForgetError('it is configured: take it out of the configuration and reload', {
        endpoint: name,
      });
    }
    const parked = this.#parked.find((endpoint) => endpoint.name === name);
    if (parked === undefined && !ledger.endpoints().includes(name)) {
      throw new ForgetError('nothing is known of an endpoint of this name', { endpoint: name });
    }
    await parked?.retire();
    if (this.#list.some((endpoint) => endpoint.name === name)) {
      throw new ForgetError('it has just come back', { endpoint: name });
    }
    const gone = { rows: parked?.waitingRows ?? 0, bytes: parked?.bytes ?? 0 };
    try {
      ledger.forget(name);
      fs.rmSync(progressPath(dataDir, name), { force: true });
    } catch (error) {
      parked?.goOn();
      throw error;
    }
    this.#parked = this.#parked.filter((endpoint) => endpoint !== parked);
    onReleased();
    return gone;
  }

  /** Delivers for at most `graceMs`, then stops all of them. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    this.#ended = true;
    await Promise.all([
      ...this.#list.map((endpoint) => endpoint.stop(graceMs)),
      ...this.#parked.map((parked) => parked.retire()),
    ]);
    await this.#turn;
  }

  /** What people ask of endpoints first: who they are, where they stand, what waits for them. */
  listed(): ListedEndpoint[] {
    const stands = new Map(this.#list.map((endpoint) => [endpoint.name, endpoint]));
    return this.readings().map(({ name, url, stats, backlog }) => {
      const { low, pausedSinceMs } = stands.get(name)!;
      return {
        name,
        url,
        ...(pausedSinceMs === undefined ? {} : { pausedSinceMs }),
        failing: stats.get('failingLoops') > 0,
        segment: low.segment,
        waitingRows: backlog.rows,
        waitingBytes: backlog.bytes,
        oldestSeconds: backlog.seconds,
      };
    });
  }

  /** For the metrics. */
  readings(): EndpointReading[] {
    return this.details();
  }

  /** For the status page. */
  details(): EndpointDetail[] {
    const { queue, now } = this.#options;
    return this.#list.map((endpoint) => {
      const { name, config, low, thread, pausedSinceMs, delivery, limits, settledNow } = endpoint;
      const stats = endpoint.stats.snapshot();
      const waitingRows = endpoint.waitingRows(stats);
      const paused = pausedSinceMs !== undefined;
      // Where nothing is read, the oldest row is at most as old as the segment that it stands in.
      const oldestMs =
        (paused || thread === 'restarting') && waitingRows > 0
          ? (queue.segments.find(({ id }) => id >= low.segment)?.firstMs ?? 0)
          : stats.get('oldestWaitingMs');
      return {
        name,
        paused,
        url: config.url.text,
        capacity: config.queueConfig.capacity,
        minShards: config.queueConfig.minShards,
        maxShards: config.queueConfig.maxShards,
        maxSamplesPerSend: config.queueConfig.maxSamplesPerSend,
        stats,
        received: endpoint.receivedRows,
        unaccounted: endpoint.unaccountedRows,
        backlog: {
          rows: waitingRows,
          bytes: waitingRows === 0 ? 0 : queue.bytesFrom(low.segment, low.row),
          seconds: oldestMs === 0 ? 0 : Math.max(0, (now() - oldestMs) / 1000),
        },
        thread,
        pausedSinceMs,
        delivery,
        limits,
        ttlMs: config.ttlMs,
        settledNow,
      };
    });
  }

  /** For the metrics and the status page. */
  parkedReadings(): ParkedReading[] {
    return this.#parked.map((parked) => {
      const { name, sinceMs, waitingRows, bytes } = parked;
      const droppedRows = parked.dropped('dropped_full') + parked.dropped('dropped_age');
      return { name, sinceMs, waitingRows, bytes, droppedRows };
    });
  }

  #setupOf({ config: { wal }, text }: EndpointsSource, config: EndpointConfig): EndpointSetup {
    const limits = {
      whenFull: config.whenFull ?? wal.whenFull,
      maxBytes: config.maxBacklogBytes ?? Number.POSITIVE_INFINITY,
      maxAgeMs: config.maxBacklogAgeMs ?? Number.POSITIVE_INFINITY,
    };
    return { config, configSource: text, limits };
  }

  #add(setup: EndpointSetup, more: readonly SegmentRange[]): Endpoint {
    const { ledger } = this.#options;
    const gaps = [...gapsOf(ledger.absences(setup.config.name)), ...more];
    const { name } = setup.config;
    const pausedMs = ledger.orders.pausedSince(name);
    const endpoint = new Endpoint({ ...this.#options, setup, gaps, pausedMs });
    this.#list.push(endpoint);
    if (pausedMs !== undefined) {
      this.#options.logger.log(
        'warn',
        'the endpoint is paused, as somebody asked; its rows wait on disk until `spillway endpoint resume NAME`',
        { endpoint: name, since: new Date(pausedMs).toISOString() },
      );
    }
    return endpoint;
  }

  /** Runs `action` when those before it are done. What waits when everything stops is not begun. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => {
      if (this.#ended) throw new EndpointControlError('the agent is stopping');
      return action();
    });
    // Whoever asked hears of it; the next one does not wait for that.
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #named(name: string): Endpoint {
    const endpoint = this.#list.find((one) => one.name === name);
    if (endpoint !== undefined) return endpoint;
    const names = this.#list.map((one) => one.name).join(', ');
    throw new UnknownEndpointError(`there is no endpoint ${name}; there are ${names}`, { endpoint: name });
  }

  #park(name: string): void {
    const absences = this.#options.ledger.absences(name);
    const parked = ParkedEndpoint.find({ ...this.#options, name, absences });
    if (parked !== undefined) this.#parked.push(parked);
  }

  async #remove(
    endpoints: readonly Endpoint[],
    graceMs: number,
    failed: Map<string, unknown>,
  ): Promise<void> {
    if (endpoints.length === 0) return;
    const { queue, ledger, now } = this.#options;
    await Promise.all(endpoints.map((endpoint) => endpoint.pause(graceMs)));
    // Stopping: the next start finds them gone.
    if (this.#ended) return;
    const end = await queue.cut();
    if (this.#ended) return;
    for (const endpoint of endpoints) {
      try {
        ledger.leave(endpoint.name, end, now());
        this.#park(endpoint.name);
        this.#list = this.#list.filter((other) => other !== endpoint);
        this.#tellKept(endpoint.name);
      } catch (error) {
        this.#fails(endpoint.name, 'the endpoint could not be removed and goes on as before', error, failed);
        this.#takeBack(endpoint.name, end);
        await endpoint.resume();
      }
    }
  }

  /** What was noted of an endpoint that is not removed after all does not count. */
  #takeBack(name: string, end: number): void {
    try {
      this.#options.ledger.comeBack(name, end);
    } catch (error) {
      this.#options.logger.log(
        'error',
        'the ledger may say that the endpoint is not configured; were this process to end now, the next one would not send it what comes meanwhile. Reload to try again',
        { endpoint: name, error: describeError(error) },
      );
    }
  }

  async #return(
    names: readonly string[],
    setups: ReadonlyMap<string, EndpointSetup>,
    failed: Map<string, unknown>,
  ): Promise<void> {
    if (names.length === 0) return;
    const { queue, ledger } = this.#options;
    // Also where nobody was away: whether one was is asked below, where an error is that endpoint's alone.
    const first = await queue.cut();
    const returning = this.#parked.filter(({ name }) => names.includes(name));
    await Promise.all(returning.map((parked) => parked.retire()));
    if (this.#ended) return;
    const started: Promise<void>[] = [];
    for (const name of names) {
      try {
        const away = awayOf(ledger.absences(name));
        const endpoint = this.#add(
          setups.get(name)!,
          away === undefined ? [] : [{ from: away.from, to: first }],
        );
        ledger.comeBack(name, first);
        this.#parked = this.#parked.filter((parked) => parked.name !== name);
        // From here on it is there: a thread that cannot be started now is tried again.
        started.push(endpoint.resume());
      } catch (error) {
        this.#list = this.#list.filter((endpoint) => endpoint.name !== name);
        for (const parked of returning) if (parked.name === name) parked.goOn();
        this.#fails(name, 'the endpoint could not be started; the others go on', error, failed);
      }
    }
    await Promise.all(started);
  }

  #tellKept(name: string): void {
    const parked = this.parked.find((one) => one.name === name);
    if (parked === undefined) return;
    this.#options.logger.log(
      'warn',
      'rows waited for an endpoint that was removed: they are kept until it is back under this name, or until ' +
        '`spillway endpoint forget NAME`',
      { endpoint: name, waiting_rows: parked.waitingRows, kept_bytes: parked.bytes },
    );
  }

  #fails(name: string, message: string, error: unknown, failed: Map<string, unknown>): void {
    failed.set(name, error);
    this.#options.logger.log('error', `${message}; reload to try again`, {
      endpoint: name,
      error: describeError(error),
    });
  }
}

function awayOf(absences: readonly Absence[]): Absence | undefined {
  return absences.find(({ to }) => to === undefined);
}

/** The one way that `target` may go; undefined for either. */
function onlyDirection(target: SeekTarget): Seek['direction'] | undefined {
  if (target === 'now') return 'forwards';
  if (typeof target !== 'object') return undefined;
  return 'before' in target ? 'forwards' : 'from' in target ? 'backwards' : undefined;
}
