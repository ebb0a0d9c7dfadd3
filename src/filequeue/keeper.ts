import { type DiskSpace, isOutOfSpace } from '../runtime/disk-space.ts';
import { describeError } from '../runtime/errors.ts';
import type { Position } from '../serialization/position.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { type FileQueue, fullText } from './file-queue.ts';
import type { Reserve } from './reserve.ts';
import {
  type Decision,
  decideRetention,
  type EndpointLimits,
  type Full,
  type QueueLimits,
} from './retention.ts';

/** A segment that is given up without being read: its rows, and those of them that can be read, by kind. */
export interface PassedSegment {
  readonly id: number;
  readonly rows: number;
  readonly counts: readonly number[];
}

/** An endpoint as the keeper needs it. */
export interface KeptEndpoint {
  readonly name: string;
  /** It needs nothing before this, as saved. */
  readonly low: Position;
  readonly limits: EndpointLimits;
  /** Asks it to give up its rows below `segment`. It counts them, and its `low` passes them when that is saved. */
  dropBefore(segment: number, reason: EndpointReason, passed: readonly PassedSegment[]): void;
  /** Saves its position, if the last attempt failed. */
  saveAgain(): void;
}

/** What the configuration says about room. */
export interface Caps extends QueueLimits {
  /** Unset: 5 % of the file system, at most 1 GiB. */
  readonly minFreeBytes: number | undefined;
}

export interface KeeperOptions {
  readonly queue: FileQueue;
  readonly reserve: Reserve;
  /** Those that hold something back at this moment. */
  readonly endpoints: () => readonly KeptEndpoint[];
  readonly caps: Caps;
  readonly space: () => Promise<DiskSpace>;
  readonly now: () => number;
  readonly logger: Logger;
  /** The watermark has moved without a commit. */
  readonly onRest: () => void;
  /** Something may be there to be deleted. */
  readonly onRelease: () => void;
}

const TICK_MS = 1000;
const MIN_FREE_SHARE = 0.05;
const MOST_MIN_FREE_BYTES = 2 ** 30;

/**
 * Keeps the directory within its caps, on a disk that may be full: retention.ts decides, the keeper does.
 *
 * In this order: the endpoint gives rows up and counts them; its position, behind them, is saved; only then are
 * segments deleted, as always. Meanwhile, and under `reject`, writes are refused at the cap.
 *
 * When the file system refuses to store, the reserve is given up and writes are refused until there is room for more than
 * the reserve and it could be made again, which is tried every second: no sender's rows are used to find out. Nothing
 * needs a restart.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #repetition: Repetition;
  #caps: Caps;
  #decision: Decision | undefined;
  /** With so many bytes it is looked at before the second is over. */
  #lookBytes = Number.POSITIVE_INFINITY;
  #disk: DiskSpace | undefined;
  #noSpace = false;
  /** How often something could not be stored. */
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#caps = options.caps;
    this.#repetition = new Repetition(options.now);
  }

  /** Looks for the first time, and from then on every second. */
  async start(): Promise<void> {
    await this.look();
    if (this.#stopped) return;
    this.#timer = setInterval(() => void this.look(), TICK_MS);
  }

  /** Other caps, in force at once. */
  configure(caps: Caps): void {
    this.#caps = caps;
    void this.look();
  }

  /** Why writes are refused; undefined while they are taken. */
  get full(): Full | undefined {
    return this.#decision?.full;
  }

  /** For the metrics. Unknown is `Infinity` for the cap and undefined for the disk. */
  get reading(): { readonly capBytes: number; readonly freeBytes: number | undefined } {
    return {
      capBytes: this.#decision?.capBytes ?? Number.POSITIVE_INFINITY,
      freeBytes: this.#disk?.freeBytes,
    };
  }

  /** To be called after each commit: the cap holds between two looks, too, and dropping begins in time. */
  committed(): void {
    if (this.#decision !== undefined && this.#options.queue.bytes >= this.#lookBytes) void this.look();
  }

  /** To be called when something could not be stored, whatever it was. */
  async failed(error: unknown): Promise<void> {
    if (!isOutOfSpace(error)) return;
    this.#noSpace = true;
    this.#failures++;
    // At once: more writes would use up what the reserve gives back.
    this.#decide();
    try {
      await this.#options.reserve.giveUp();
    } catch (cause) {
      this.#tell('giveUp', 'the reserve of disk space cannot be given up', cause);
    }
  }

  /** Looks at caps and disk now. One look at a time; never rejects. */
  look(): Promise<void> {
    this.#running ??= this.#look().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  async #look(): Promise<void> {
    const { queue, reserve, space, endpoints, onRest, onRelease } = this.#options;
    if (this.#stopped) return;
    try {
      this.#disk = await space();
      this.#repetition.over('space');
    } catch (error) {
      this.#disk = undefined;
      this.#tell('space', 'the free space of the disk cannot be read; only wal.max_bytes holds', error);
    }
    if (!reserve.held) await this.#makeReserve();
    for (const endpoint of endpoints()) endpoint.saveAgain();
    if (queue.rest()) onRest();
    this.#decide();
    if (this.full !== undefined) onRelease();
  }

  /** What shows that the disk stores bytes again. */
  async #makeReserve(): Promise<void> {
    const { reserve } = this.#options;
    // On a full disk the reserve that was given up is all that is free: to take it for room would be to refuse and take
    // writes by turns.
    const wanted = this.#noSpace ? 2 * reserve.bytes : reserve.bytes;
    if (this.#disk !== undefined && this.#disk.freeBytes < wanted) {
      this.#noSpace = true;
      return;
    }
    const failures = this.#failures;
    try {
      await reserve.make();
      // Unless something could not be stored meanwhile: then it has been given up again.
      if (failures === this.#failures) this.#noSpace = false;
      this.#repetition.over('reserve');
    } catch (error) {
      if (isOutOfSpace(error)) this.#noSpace = true;
      else this.#tell('reserve', 'the reserve of disk space cannot be made; it is tried again', error);
    }
  }

  #decide(): void {
    const { queue, now } = this.#options;
    const endpoints = this.#options.endpoints();
    const before = this.full;
    const { segments } = queue;
    const decision = decideRetention({
      segments,
      open: queue.hasOpen,
      endpoints,
      limits: this.#caps,
      space: this.#disk && { freeBytes: this.#disk.freeBytes, minFreeBytes: this.#minFreeBytes(this.#disk) },
      noSpace: this.#noSpace,
      full: before,
      nowMs: now(),
    });
    this.#decision = decision;
    const { capBytes, dropBytes } = decision;
    this.#lookBytes =
      queue.bytes < dropBytes ? dropBytes : Math.min(capBytes, queue.bytes + (capBytes - dropBytes) / 8);
    queue.refuse(decision.full);
    this.#tellFull(before, decision.full);
    for (const { endpoint: name, before: segment, reason } of decision.drops) {
      const endpoint = endpoints.find((e) => e.name === name)!;
      const passed = segments
        .filter(({ id }) => id >= endpoint.low.segment && id < segment)
        .map(({ id, rows, counts }) => ({ id, rows, counts }));
      endpoint.dropBefore(segment, reason, passed);
    }
    if (decision.endSegment) queue.endSegment();
  }

  #minFreeBytes({ totalBytes }: DiskSpace): number {
    return this.#caps.minFreeBytes ?? Math.min(MOST_MIN_FREE_BYTES, totalBytes * MIN_FREE_SHARE);
  }

  #tellFull(before: Full | undefined, full: Full | undefined): void {
    const { logger, queue } = this.#options;
    if (before?.limit === full?.limit && before?.endpoint === full?.endpoint) return;
    // At the cap with `drop_oldest` it is full and has room again several times a second.
    const again = this.#repetition.tell(full === undefined ? 'room' : `full ${full.limit} ${full.endpoint}`);
    if (again === undefined) return;
    const repeated = again > 0 ? { repeated: again } : {};
    if (full === undefined) {
      logger.log('info', 'the queue has room again: writes are taken', {
        wal_bytes: queue.bytes,
        ...repeated,
      });
      return;
    }
    const free = this.#disk === undefined ? {} : { free_bytes: this.#disk.freeBytes };
    logger.log(
      'error',
      `${fullText(full)}. Writes are answered with 503 until there is room: senders keep their rows and come again. ` +
        'Where `when_full` is `drop_oldest` that is in a moment; else bring back the endpoints that it waits for, or ' +
        'give it more room',
      { limit: full.limit, waits_for: full.waitsFor.join(','), wal_bytes: queue.bytes, ...free, ...repeated },
    );
  }

  #tell(key: string, message: string, error: unknown): void {
    if (this.#repetition.tell(key) === undefined) return;
    this.#options.logger.log('error', message, { error: describeError(error) });
  }
}
