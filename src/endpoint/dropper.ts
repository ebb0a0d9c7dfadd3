import { setImmediate } from 'node:timers/promises';
import type { PassedSegment } from '../filequeue/keeper.ts';
import type { Manager } from '../network/manager.ts';
import { SHARDS } from '../network/progress.ts';
import { type ShardTable, WAITING } from '../network/shard-table.ts';
import { comparePositions, type Position } from '../serialization/position.ts';
import { EXEMPLAR, HISTOGRAM, KINDS, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { FrontAccount } from './front-account.ts';
import { familyShard } from './metadata.ts';
import { FRAMES_A_TURN, type ReadLimit, type SegmentStore, WalReader } from './wal-reader.ts';

/** What is to be given up: all rows below `before` that are not settled, and not in a loop. */
export interface DropOrder {
  readonly before: number;
  readonly reason: EndpointReason;
  /** Row counts of the segments, so that one of which nothing was handed out need not be read. */
  readonly passed: ReadonlyMap<number, PassedSegment>;
}

export interface DropperOptions {
  readonly store: SegmentStore;
  readonly table: ShardTable;
  readonly manager: Manager;
  readonly stats: EndpointStats;
  readonly front: WalReader;
  readonly account: FrontAccount;
  readonly watermark: () => ReadLimit;
  /** Reading what is to go anyway failed. */
  readonly onError: (error: unknown) => void;
  /** An order is done: so many rows were given up that no loop had. */
  readonly onDropped: (order: DropOrder, rows: number) => void;
}

/**
 * Carries out orders to drop, of which the one that goes furthest counts. First the rows go that waiting shards have
 * passed over, then those that lie between the front and the end of the order, where the front is then. Each row is
 * counted once, by its kind, under the reason of the order. Nobody else may move the front, or serve a shard behind it,
 * while an order is carried out.
 */
export class Dropper {
  readonly #options: DropperOptions;
  readonly #table: ShardTable;
  readonly #front: WalReader;
  readonly #account: FrontAccount;
  #order: DropOrder | undefined;
  /** Rows that were given up for the order so far. */
  #rows = 0;
  #stopped = false;

  constructor(options: DropperOptions) {
    this.#options = options;
    this.#table = options.table;
    this.#front = options.front;
    this.#account = options.account;
  }

  /** There is an order that is not done. */
  get hasOrder(): boolean {
    return this.#order !== undefined;
  }

  /** Takes an order, unless one goes as far. */
  take(order: DropOrder): void {
    if (order.before > (this.#order?.before ?? 0)) this.#order = order;
  }

  /** Ends what is carried out after the frame at hand. The order is not done then. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Carries out the order. What is given up is passed by all shards at once, also when reading fails in the middle:
   * then this throws, and is to be called again.
   */
  async carryOut(): Promise<void> {
    const order = this.#order;
    if (order === undefined) return;
    const { manager, onDropped } = this.#options;
    const end: Position = { segment: order.before, row: 0 };
    await this.#dropWaiting(order.reason, this.#frontOr(end));
    try {
      await this.#dropFront(order);
    } finally {
      this.#passWaiting(this.#frontOr(end));
    }
    const reached = comparePositions(this.#front.position, end) >= 0;
    if (this.#stopped && !reached) return;
    if (this.#order === order) this.#order = undefined;
    if (reached) this.#table.raiseTo(order.before, manager.shardsBefore(order.before));
    const rows = this.#rows;
    this.#rows = 0;
    onDropped(order, rows);
  }

  /** Gives up what waiting shards have passed over before `end`, which is not behind the front. */
  async #dropWaiting(reason: EndpointReason, end: Position): Promise<void> {
    const start = firstWaiting(this.#table, end);
    if (start === undefined) return;
    // What is damaged there was counted when the front came by.
    const reader = new WalReader(this.#options.store, start, () => undefined);
    try {
      for (let frames = 1; comparePositions(reader.position, end) < 0; frames++) {
        try {
          if (!(await reader.advance(this.#options.watermark()))) break;
        } catch (error) {
          // What cannot be read counts as damaged when nobody is to come back for it any more.
          this.#options.onError(error);
          break;
        }
        const { segment } = reader.context;
        if (segment > end.segment || (segment === end.segment && reader.position.row >= end.row)) break;
        const limit = segment === end.segment ? end.row : Number.POSITIVE_INFINITY;
        const { dropped } = countUnread(reader, this.#table, limit, true, () => undefined);
        this.#account.passedOver -= this.#settle(dropped, reason);
        // Row by row with the counts: a stop or an error in the middle must not count them again.
        this.#passWaiting(reader.position);
        if (frames % FRAMES_A_TURN === 0) await setImmediate();
      }
    } finally {
      reader.close();
    }
    this.#passWaiting(end);
  }

  /** Gives up what lies between the front and the end of the order. */
  async #dropFront({ before, reason, passed }: DropOrder): Promise<void> {
    const front = this.#front;
    const account = this.#account;
    const { ahead } = account;
    for (let frames = 1; front.position.segment < before && !this.#stopped; frames++) {
      account.cameTo(front.position);
      const { segment, row } = front.position;
      const known = passed.get(segment);
      const noneSettled = ahead.rows === 0 || segment > ahead.end.segment;
      if (known !== undefined && row === 0 && noneSettled) {
        front.skipTo(segment + 1);
        // What recovery could not read of it counts by its rows alone.
        const unread = known.rows - this.#settle(known.counts, reason);
        this.#options.stats.addLost('damaged', SAMPLE, Math.max(0, unread));
        continue;
      }
      if (!front.hasRows) {
        try {
          if (!(await front.advance(this.#options.watermark()))) break;
        } catch (error) {
          if (known === undefined) throw error;
          // It cannot be read, and is to go: what is left of it counts by its rows alone.
          this.#options.onError(error);
          this.#dropUnread(Math.max(0, known.rows - row), reason);
        }
        continue;
      }
      const { dropped, settledBefore } = countUnread(
        front,
        this.#table,
        Number.POSITIVE_INFINITY,
        false,
        (kind, at, row) => account.damagedRow(kind, at, row),
      );
      ahead.recognise(settledBefore);
      this.#settle(dropped, reason);
      if (frames % FRAMES_A_TURN === 0) await setImmediate();
    }
    account.cameTo(front.position);
  }

  /** Passes over the rest of the segment at the front, which has `rows` rows that nobody could read. */
  #dropUnread(rows: number, reason: EndpointReason): void {
    const { ahead } = this.#account;
    const { segment } = this.#front.position;
    this.#front.skipTo(segment + 1);
    if (segment < ahead.end.segment) ahead.lose(rows);
    else this.#settle([rows], reason);
  }

  /** Counts rows that are given up; returns how many there are. */
  #settle(counts: readonly number[], reason: EndpointReason): number {
    let sum = 0;
    for (let kind = 0; kind < KINDS; kind++) {
      const rows = counts[kind] ?? 0;
      if (rows === 0) continue;
      this.#options.stats.addLost(reason, kind, rows);
      sum += rows;
    }
    this.#rows += sum;
    return sum;
  }

  #passWaiting(at: Position): void {
    for (let s = 0; s < SHARDS; s++) if (this.#table.lane[s] === WAITING) this.#table.passTo(s, at);
  }

  /** Where the front is, but not behind `end`. */
  #frontOr(end: Position): Position {
    const { position } = this.#front;
    return comparePositions(position, end) < 0 ? position : end;
  }
}

/** What became of the rows of a frame that a reader gives up. */
interface UnreadRows {
  /** By kind: rows that nobody has, and nobody gets now. */
  readonly dropped: readonly number[];
  /** Rows that were settled before. */
  readonly settledBefore: number;
}

/**
 * Goes through the rest of a reader's frame, up to row `limit` of its segment, and says which rows nobody has: those
 * that are not behind the next row of their shard. With `waitingOnly` only shards that wait count: what the others
 * have before the front is queued or settled. `onDamaged` is told of rows whose series is lost, so that they belong
 * to no shard.
 */
function countUnread(
  reader: WalReader,
  table: ShardTable,
  limit: number,
  waitingOnly: boolean,
  onDamaged: (kind: number, segment: number, row: number) => void,
): UnreadRows {
  const { rows, head, context } = reader;
  const { dictionary, segment } = context;
  const dropped = new Array<number>(KINDS).fill(0);
  let settledBefore = 0;
  const next = [0, 0, 0, 0];
  const from = reader.position.row;
  let row = head.row;
  for (let r = 0; r < rows.orderLength && row < limit; r += 2) {
    const kind = rows.order[r]!;
    for (let left = rows.order[r + 1]!; left > 0 && row < limit; left--, row++) {
      const i = next[kind]!++;
      if (row < from) continue;
      const series =
        kind === SAMPLE
          ? rows.sampleSeries[i]!
          : kind === HISTOGRAM
            ? rows.histogramSeries[i]!
            : kind === EXEMPLAR
              ? rows.exemplarSeries[i]!
              : -1;
      if (kind !== METADATA && !dictionary.has(series) && !dictionary.isDropped(series)) {
        onDamaged(kind, segment, row);
        continue;
      }
      const s =
        kind === METADATA
          ? familyShard(dictionary.string(rows.metadataFamily[i]!))
          : dictionary.seriesHash[2 * series]! & (SHARDS - 1);
      if (waitingOnly && table.lane[s] !== WAITING) continue;
      if (table.isBehind(s, segment, row)) settledBefore++;
      else dropped[kind]!++;
    }
  }
  reader.passed(row - 1);
  return { dropped, settledBefore };
}

/** Where the first row lies that a waiting shard has passed over, if that is before `end`. */
function firstWaiting(table: ShardTable, end: Position): Position | undefined {
  let first: Position | undefined;
  for (let s = 0; s < SHARDS; s++) {
    if (table.lane[s] !== WAITING) continue;
    const next = { segment: table.nextSegment[s]!, row: table.nextRow[s]! };
    if (comparePositions(next, first ?? end) < 0) first = next;
  }
  return first;
}
