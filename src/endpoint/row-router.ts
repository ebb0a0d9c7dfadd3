import type { Loop } from '../network/loop.ts';
import type { Manager } from '../network/manager.ts';
import { SHARDS } from '../network/progress.ts';
import { FRESH, LIVE, lostFor, reasonOf, UNKNOWN } from '../network/row-queue.ts';
import { CATCH_UP, FRONT, type ShardTable } from '../network/shard-table.ts';
import type { Position } from '../serialization/position.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { FrontAccount } from './front-account.ts';
import { familyShard } from './metadata.ts';
import { SampleRouter } from './sample-router.ts';
import type { SegmentContext } from './segment-context.ts';
import type { PayloadTaker } from './take-payload.ts';
import type { WalReader } from './wal-reader.ts';

export interface RowRouterOptions {
  readonly table: ShardTable;
  readonly manager: Manager;
  readonly stats: EndpointStats;
  readonly account: FrontAccount;
  readonly payload: PayloadTaker;
  readonly ttlMs: number;
  /** Fewer samples than this are handed out one by one; 64 by default. */
  readonly shortRun?: number;
  readonly now: () => number;
}

/** After this many attempts a loop counts as stuck, and others need not wait for it. */
const STUCK_ATTEMPTS = 3;
/** For as many samples the short way (sample-router.ts) pays, whose preparations cost as much as some rows. */
const SHORT_RUN = 64;

/**
 * Hands the rows of a frame to the loops, by the hash of their series, or says that a loop has to be waited for.
 *
 * Runs of samples go the short way (sample-router.ts); what that leaves, and all other rows, are looked at one by one
 * here, where all cases are known: rows that were queued before, or whose shard another reader serves; rows that are
 * lost, and keep their place in the queue of their loop, so that they are settled in their order; loops that are full,
 * and among them those that are stuck, whose shards are let go when others starve.
 */
export class RowRouter {
  readonly #table: ShardTable;
  readonly #manager: Manager;
  readonly #stats: EndpointStats;
  readonly #account: FrontAccount;
  readonly #payload: PayloadTaker;
  readonly #samples: SampleRouter;
  readonly #ttlMs: number;
  readonly #shortRun: number;
  readonly #now: () => number;

  constructor(options: RowRouterOptions) {
    this.#table = options.table;
    this.#manager = options.manager;
    this.#stats = options.stats;
    this.#account = options.account;
    this.#payload = options.payload;
    this.#samples = new SampleRouter(options.table, options.manager);
    this.#ttlMs = options.ttlMs;
    this.#shortRun = options.shortRun ?? SHORT_RUN;
    this.#now = options.now;
  }

  /**
   * Hands out the rest of a reader's frame, up to row `limit` of its segment. Returns false when it had to stop
   * before the end of the frame; the reader's position says where.
   */
  handOut(reader: WalReader, lane: typeof FRONT | typeof CATCH_UP, limit: number): boolean {
    const { rows, head, context } = reader;
    const next = [0, 0, 0, 0];
    let row = head.row;
    /** Rows for which it is not worth while to look for a run. */
    let oneByOne = 0;
    const from = reader.position.row;
    for (let r = 0; r < rows.orderLength; r += 2) {
      const kind = rows.order[r]!;
      let left = rows.order[r + 1]!;
      const skip = Math.min(left, Math.max(0, from - row));
      row += skip;
      next[kind]! += skip;
      left -= skip;
      while (left > 0) {
        let taken = 0;
        if (kind === SAMPLE && oneByOne === 0 && left >= this.#shortRun) {
          taken = this.#route(reader, lane, next[SAMPLE]!, row, left, limit);
          if (taken < this.#shortRun) oneByOne = this.#shortRun;
        }
        if (taken === 0 && row < limit && this.#offer(reader, lane, context, kind, next[kind]!, row)) {
          taken = 1;
          if (oneByOne > 0) oneByOne--;
        }
        if (taken === 0) {
          reader.passed(row - 1);
          return false;
        }
        next[kind]! += taken;
        row += taken;
        left -= taken;
      }
    }
    reader.passed(row - 1);
    return true;
  }

  /** Hands samples out by the short way, from sample `i` on, as far as it goes; returns how many rows that are. */
  #route(
    reader: WalReader,
    lane: typeof FRONT | typeof CATCH_UP,
    i: number,
    row: number,
    left: number,
    limit: number,
  ): number {
    const samples = this.#samples;
    const ttlMs = this.#ttlMs;
    const oldestMs = ttlMs > 0 ? this.#now() - ttlMs : Number.NEGATIVE_INFINITY;
    const most = row + left > limit ? limit - row : left;
    samples.route(reader, lane, i, row, most, oldestMs);
    if (lane === FRONT) this.#account.passedOver += samples.passedOver;
    else this.#account.passedOver -= samples.rows - samples.passedOver;
    return samples.rows;
  }

  /** Offers row `i` of its kind to its loop. False when the loop is full and has to be waited for. */
  #offer(
    reader: WalReader,
    lane: typeof FRONT | typeof CATCH_UP,
    context: SegmentContext,
    kind: number,
    i: number,
    row: number,
  ): boolean {
    const { rows } = reader;
    const { dictionary, segment } = context;
    const table = this.#table;
    const series =
      kind === SAMPLE
        ? rows.sampleSeries[i]!
        : kind === HISTOGRAM
          ? rows.histogramSeries[i]!
          : kind === EXEMPLAR
            ? rows.exemplarSeries[i]!
            : -1;
    let dropped = false;
    if (series >= 0 && !dictionary.has(series)) {
      dropped = dictionary.isDropped(series);
      if (!dropped) {
        if (lane === FRONT) this.#account.damagedRow(kind, segment, row);
        return true;
      }
    }
    const s =
      series >= 0
        ? dictionary.seriesHash[2 * series]! & (SHARDS - 1)
        : familyShard(dictionary.string(rows.metadataFamily[i]!));
    if (table.isBehind(s, segment, row)) {
      if (lane === FRONT) this.#account.ahead.recognise(1);
      return true;
    }
    if (table.lane[s] !== lane) {
      if (lane === FRONT) this.#account.passedOver++;
      return true;
    }
    const loop = this.#manager.loops[table.loop[s]!]!;
    if (loop.queue.full) {
      if (!isStuck(loop) || !this.#othersStarve(loop)) return false;
      this.#letGoAll(loop, lane, { segment, row });
      if (lane === FRONT) this.#account.passedOver++;
      return true;
    }
    const times =
      kind === SAMPLE ? rows.sampleTime : kind === HISTOGRAM ? rows.histogramTime : rows.exemplarTime;
    const timeLo = kind === METADATA ? 0 : times[2 * i]!;
    const timeHi = kind === METADATA ? 0 : times[2 * i + 1]!;
    let skip = LIVE;
    let valueLo = 0;
    let valueHi = 0;
    const payload = this.#payload;
    const ttlMs = this.#ttlMs;
    const expired =
      ttlMs > 0 && kind !== METADATA && timeHi * 4294967296 + (timeLo >>> 0) < this.#now() - ttlMs;
    if (dropped) skip = lostFor('dropped_by_relabel');
    else if (expired) skip = lostFor('expired');
    else if (kind === SAMPLE) {
      valueLo = rows.sampleValue.getInt32(8 * i, true);
      valueHi = rows.sampleValue.getInt32(8 * i + 4, true);
    } else {
      if (kind === EXEMPLAR) {
        valueLo = rows.exemplarValue.getInt32(8 * i, true);
        valueHi = rows.exemplarValue.getInt32(8 * i + 4, true);
      }
      const reason = payload.take(reader, kind, i);
      if (reason !== undefined) skip = lostFor(reason);
    }
    if (lane === CATCH_UP) this.#account.passedOver--;
    if (skip !== LIVE && table.pending[s] === 0) {
      table.passed(s, segment, row);
      this.#stats.addLost(reasonOf(skip), kind, 1);
      return true;
    }
    table.queued(s, segment, row);
    loop.queue.push(
      context,
      row,
      s,
      table.isResent(s, segment, row) ? UNKNOWN : FRESH,
      skip,
      kind,
      Math.max(0, series),
      timeLo,
      timeHi,
      valueLo,
      valueHi,
    );
    if (skip === LIVE && kind !== SAMPLE)
      loop.queue.payloadLast(payload.bytes, payload.from, payload.to, payload.note);
    const starts = kind === SAMPLE ? rows.sampleStart : kind === HISTOGRAM ? rows.histogramStart : undefined;
    if (starts !== undefined) loop.queue.startLast(starts[2 * i]!, starts[2 * i + 1]!);
    return true;
  }

  #othersStarve(stuck: Loop): boolean {
    return this.#manager.loops.some(
      (loop) => loop !== stuck && !loop.failing && 4 * loop.queue.length < loop.queue.capacity,
    );
  }

  /** Lets go all shards of a stuck loop that this reader serves. */
  #letGoAll(loop: Loop, lane: number, at: Position): void {
    const table = this.#table;
    for (let s = 0; s < SHARDS; s++) {
      if (table.loop[s] === loop.index && table.lane[s] === lane) table.letGo(s, at);
    }
  }
}

/** It has failed for a while: others need not wait for it. */
export function isStuck(loop: Loop): boolean {
  return loop.attempts >= STUCK_ATTEMPTS;
}
