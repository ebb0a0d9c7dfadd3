import { setImmediate } from 'node:timers/promises';
import type { Manager } from '../network/manager.ts';
import { SHARDS } from '../network/progress.ts';
import { CATCH_UP, FRONT, type ShardTable, WAITING } from '../network/shard-table.ts';
import { comparePositions, type Position } from '../serialization/position.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import { type DropOrder, Dropper } from './dropper.ts';
import { FrontAccount } from './front-account.ts';
import type { MetadataTime } from './metadata.ts';
import { isStuck, RowRouter } from './row-router.ts';
import { SettledAhead } from './settled-ahead.ts';
import {
  type MetadataForV2,
  type MetadataSettings,
  MetadataTaker,
  type OutgoingMetadata,
} from './take-metadata.ts';
import { PayloadTaker, type Sends } from './take-payload.ts';
import { type Damage, FRAMES_A_TURN, type ReadLimit, type SegmentStore, WalReader } from './wal-reader.ts';

export interface FeederOptions {
  readonly store: SegmentStore;
  readonly table: ShardTable;
  readonly manager: Manager;
  readonly stats: EndpointStats;
  readonly start: Position;
  /** The furthest front of the processes before. */
  readonly furthest: Position;
  /** Rows behind `start` that the processes before had settled already. */
  readonly settledAhead: number;
  readonly ttlMs: number;
  /** Nothing is handed out; orders to drop are carried out. */
  readonly paused?: boolean;
  readonly metadata: MetadataSettings;
  /** For endpoints that may be sent remote write 2.0; undefined for 1.0 alone. */
  readonly v2?: MetadataForV2 | undefined;
  /** Whether these are sent; both are by default. */
  readonly sends?: Sends;
  /** Fewer samples than this are handed out one by one; 64 by default. */
  readonly shortRun?: number;
  readonly watermark: () => ReadLimit;
  readonly now: () => number;
  readonly onDamage: (damage: Damage) => void;
  /** Reading failed; it is tried again after a while. */
  readonly onError: (error: unknown) => void;
  /** Rows that were settled once and wait again. */
  readonly onReturned: (rows: number) => void;
  /** An order to drop is done: so many rows were given up that no loop had. */
  readonly onDropped: (order: DropOrder, rows: number) => void;
}

const RETRY_READ_MS = 1000;

/**
 * Reads the queue and has its rows handed to the loops (row-router.ts), by the hash of their series.
 *
 * Usually one reader, at the front, serves all shards, and waits when a loop is full. Two things make a shard
 * leave it: its loop is stuck while others starve, or it moves to another loop. Such a shard is let go: its rows
 * are passed over, and only the position of the first of them is kept. Later a second reader goes back there,
 * serves just these shards, and when it has come up to the front they are served from there again. So one stuck
 * loop stops neither the others nor costs memory, and every shard gets its rows in their order.
 *
 * One thing is done at a time: an order to drop is carried out between two turns of the readers (dropper.ts). What the
 * front has come by and no loop has stands in the account that all of them share (front-account.ts).
 */
export class Feeder {
  readonly #options: FeederOptions;
  readonly #table: ShardTable;
  readonly #manager: Manager;
  readonly #front: WalReader;
  #catchUp: WalReader | undefined;
  readonly #account: FrontAccount;
  readonly #metadata: MetadataTaker;
  readonly #router: RowRouter;
  readonly #dropper: Dropper;
  #again = false;
  #running: Promise<void> | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #stopped = false;
  #dry = false;

  constructor(options: FeederOptions) {
    this.#options = options;
    this.#table = options.table;
    this.#manager = options.manager;
    const { table, settledAhead, stats, onReturned } = options;
    const furthest = further(table.furthestNext(), options.furthest);
    const ahead = new SettledAhead(table.rerouted ? 0 : settledAhead, furthest);
    const account = new FrontAccount(ahead, stats, onReturned);
    this.#account = account;
    // At once, not when the last of them is read: the first may be delivered again long before.
    if (table.rerouted && settledAhead > 0) onReturned(settledAhead);
    this.#front = new WalReader(options.store, options.start, (damage) =>
      options.onDamage(account.damaged(damage)),
    );
    this.#dropper = new Dropper({ ...options, front: this.#front, account });
    this.#metadata = new MetadataTaker(options.metadata, options.v2);
    const sends = options.sends ?? { exemplars: true, histograms: true };
    const payload = new PayloadTaker(sends, this.#metadata, options.v2 === undefined, options.now);
    this.#router = new RowRouter({ ...options, account, payload });
  }

  get front(): Position {
    return this.#front.position;
  }

  /** The furthest front so far, of all processes. */
  get furthest(): Position {
    return further(this.#front.position, this.#options.furthest);
  }

  get catchUp(): Position {
    return this.#catchUp?.position ?? this.#front.position;
  }

  /** Rows before the front that are not settled. */
  get unsettled(): number {
    return this.#table.pendingRows + this.#account.unsettled;
  }

  /** True when all that is durable has been queued. */
  get dry(): boolean {
    return this.#dry && this.#account.passedOver === 0;
  }

  /** Takes a shard from its reader, at the place where that stands. */
  letGo(s: number): void {
    this.#table.letGo(s, this.#table.lane[s] === CATCH_UP ? this.catchUp : this.front);
  }

  /**
   * Gives up all rows before segment `order.before` that no loop has. What a loop has is the manager's. Each is
   * counted once, under the reason of the order; reading goes on behind them.
   */
  dropBefore(order: DropOrder): void {
    this.#dropper.take(order);
    this.pump();
  }

  /** Metadata that is to be sent once more, since series of it come (`MetadataTaker.again`). */
  takeRepeats(): Iterable<OutgoingMetadata> {
    const front = this.#front;
    return front.isOpen ? this.#metadata.again(front.context, this.#timeOf(front)) : [];
  }

  /** These of `takeRepeats` were taken. */
  repeatsArrived(entries: readonly OutgoingMetadata[]): void {
    this.#metadata.arrived(entries);
  }

  /** Reads on, as far as there is data and room. To be called when there is more of either. */
  pump(): void {
    this.#again = true;
    if (this.#stopped || this.#running !== undefined) return;
    this.#running = this.#run()
      .catch((error: unknown) => {
        this.#options.onError(error);
        this.#retryTimer = setTimeout(() => this.pump(), RETRY_READ_MS);
      })
      .finally(() => {
        this.#running = undefined;
        if (this.#again && this.#retryTimer === undefined) this.pump();
      });
  }

  /** Stops reading; resolves when nothing is running. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#dropper.stop();
    clearTimeout(this.#retryTimer);
    await this.#running;
    this.#front.close();
    this.#catchUp?.close();
  }

  async #run(): Promise<void> {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      if (this.#dropper.hasOrder) {
        this.#abandonCatchUp();
        await this.#dropper.carryOut();
      }
      if (this.#options.paused === true) continue;
      const front = await this.#serveFront();
      this.#account.cameTo(this.front);
      const behind = await this.#serveCatchUp();
      this.#endPassedOver();
      this.#manager.wake();
      if (front || behind) {
        this.#again = true;
        await setImmediate();
      }
    }
  }

  /** A turn of the reader at the front; true when it could go on. */
  async #serveFront(): Promise<boolean> {
    const front = this.#front;
    const watermark = this.#options.watermark();
    for (let frames = 0; frames < FRAMES_A_TURN; frames++) {
      if (!front.hasRows) {
        if (!(await front.advance(watermark))) {
          this.#dry = true;
          return false;
        }
        if (this.#metadata.repeats) front.context.told?.saw(front.rows);
      }
      this.#dry = false;
      if (!this.#router.handOut(front, FRONT, Number.POSITIVE_INFINITY)) return false;
    }
    return true;
  }

  /** A turn of the reader that goes over what was let go; true when it could go on. */
  async #serveCatchUp(): Promise<boolean> {
    this.#catchUp ??= this.#startCatchUp();
    const reader = this.#catchUp;
    if (reader === undefined) return false;
    for (let frames = 0; frames < FRAMES_A_TURN; frames++) {
      const front = this.#front.position;
      if (comparePositions(reader.position, front) >= 0) return this.#endCatchUp();
      if (!reader.hasRows && !(await reader.advance(this.#options.watermark()))) return this.#endCatchUp();
      const limit = reader.context.segment === front.segment ? front.row : Number.POSITIVE_INFINITY;
      if (!this.#router.handOut(reader, CATCH_UP, limit)) {
        if (comparePositions(reader.position, front) >= 0) return this.#endCatchUp();
        return false;
      }
    }
    return true;
  }

  #startCatchUp(): WalReader | undefined {
    const table = this.#table;
    let start: Position | undefined;
    for (let s = 0; s < SHARDS; s++) {
      if (table.lane[s] !== WAITING || table.loop[s] !== table.target[s]) continue;
      const loop = this.#manager.loops[table.loop[s]!]!;
      if (isStuck(loop)) continue;
      const next = { segment: table.nextSegment[s]!, row: table.nextRow[s]! };
      if (comparePositions(next, this.#front.position) >= 0) {
        table.serve(s, FRONT);
        this.#again = true;
        continue;
      }
      table.serve(s, CATCH_UP);
      if (start === undefined || comparePositions(next, start) < 0) start = next;
    }
    return start && new WalReader(this.#options.store, start, () => undefined);
  }

  /** The shards that the second reader serves wait again, where it stands. */
  #abandonCatchUp(): void {
    if (this.#catchUp === undefined) return;
    for (let s = 0; s < SHARDS; s++) if (this.#table.lane[s] === CATCH_UP) this.letGo(s);
    this.#endCatchUp();
  }

  #endCatchUp(): boolean {
    this.#catchUp?.close();
    this.#catchUp = undefined;
    const table = this.#table;
    for (let s = 0; s < SHARDS; s++) if (table.lane[s] === CATCH_UP) table.serve(s, FRONT);
    return true;
  }

  /** Rows that could be read when they were passed over and cannot now: nobody is to come back for them any more. */
  #endPassedOver(): void {
    if (this.#account.passedOver === 0 || this.#catchUp !== undefined) return;
    if (this.#table.lane.every((lane) => lane === FRONT)) this.#account.losePassedOver();
  }

  #timeOf(reader: WalReader): MetadataTime {
    return { committedMs: reader.head.at, nowMs: this.#options.now() };
  }
}

function further(a: Position, b: Position): Position {
  return comparePositions(a, b) > 0 ? a : b;
}
