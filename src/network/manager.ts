import type { Emitter } from '../protocol/emit-v1.ts';
import { Scratch } from '../protocol/snappy.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { clampShards, neededShards } from './autoshard.ts';
import type { DeadLetters } from './dead-letter.ts';
import type { Destination } from './destination.ts';
import { Evidence } from './evidence.ts';
import { Loop } from './loop.ts';
import type { LoopFailure, LoopHost, LoopSettings } from './loop-host.ts';
import { SHARDS } from './progress.ts';
import type { RateLimit } from './rate-limit.ts';
import type { SpeaksV2 } from './request-version.ts';
import type { RowTally } from './row-tally.ts';
import { loopOf, type ShardTable } from './shard-table.ts';
import { OldestRows } from './tenant-turns.ts';

export interface ManagerOptions {
  readonly settings: LoopSettings;
  readonly minShards: number;
  readonly maxShards: number;
  readonly table: ShardTable;
  readonly destination: Destination;
  /** Shared by all loops. */
  readonly emitter: Emitter;
  readonly stats: EndpointStats;
  /** What all loops may send together in a second. */
  readonly limit?: RateLimit;
  /** For endpoints that may be sent remote write 2.0. */
  readonly v2?: SpeaksV2 | undefined;
  readonly now: () => number;
  readonly random: () => number;
  /** The table has changed in a way that must be written down now: rows leave, or were settled. */
  readonly onProgress: () => void;
  /** Some loop has room, or shards are free to be served again. */
  readonly onRoom: () => void;
  /** Keeps rows that are about to be given up; resolves when it has, or cannot. */
  readonly onLetters: (letters: DeadLetters) => Promise<void>;
  readonly onFailure: (loop: Loop, failure: LoopFailure) => void;
  readonly onRecovery: (loop: Loop) => void;
}

/**
 * Spreads the virtual shards of an endpoint over its loops, and keeps the table of what is settled.
 *
 * A change of the number of loops moves whole shards. A shard that moves is first let go by its reader, so that
 * nothing more of it is queued in its old loop; when what it has there is settled, it belongs to the new one,
 * and the reader goes back for what it passed over meanwhile. So a series is never in two loops, and all other
 * shards keep flowing.
 *
 * What is settled must come soon, then: rows of a tenant that is not let in stay in their loop for as long as that
 * lasts, and a shard that moves has rows of other tenants too, which nobody hands out meanwhile. So no move begins
 * while a tenant is parked, and one that is under way can be taken back.
 */
export class Manager implements LoopHost {
  readonly settings: LoopSettings;
  readonly destination: Destination;
  readonly stats: EndpointStats;
  readonly limit: RateLimit | undefined;
  readonly v2: SpeaksV2 | undefined;
  readonly scratch: Scratch = new Scratch();
  readonly loops: Loop[] = [];
  readonly evidence: Evidence = new Evidence();
  readonly #options: ManagerOptions;
  readonly #table: ShardTable;
  #wanted: number;
  #moving = 0;
  /** Shards are not where they would be by the number of loops: a change of it was taken back. */
  #uneven = false;
  #flushing = false;
  #retired: Promise<void>[] = [];
  readonly #oldest: OldestRows = new OldestRows();

  constructor(options: ManagerOptions) {
    this.settings = options.settings;
    this.destination = options.destination;
    this.stats = options.stats;
    this.limit = options.limit;
    this.v2 = options.v2;
    this.#options = options;
    this.#table = options.table;
    // As many loops as the table names: after a restart they form the requests again that were on their way.
    this.#wanted = Math.max(...options.table.loop) + 1;
    this.#grow(this.#wanted);
  }

  now(): number {
    return this.#options.now();
  }

  random(): number {
    return this.#options.random();
  }

  /** The number of loops that was last asked for. */
  get wanted(): number {
    return this.#wanted;
  }

  /** True while shards wait for their old loop. */
  get moving(): boolean {
    return this.#moving > 0;
  }

  /** Some loop has rows of a tenant that have to wait. */
  get parks(): boolean {
    return this.loops.some((loop) => loop.parks);
  }

  /** True when nothing is queued or in flight. */
  get idle(): boolean {
    return this.loops.every((loop) => loop.idle);
  }

  /** Rows that are queued or in flight. */
  get pendingRows(): number {
    let rows = 0;
    for (const loop of this.loops) rows += loop.queue.length;
    return rows;
  }

  /** To be called after rows were queued. */
  wake(): void {
    for (const loop of this.loops) loop.wake();
  }

  /** Sends what is queued without waiting for fuller requests, from now on. */
  flush(): void {
    this.#flushing = true;
    for (const loop of this.loops) loop.flush();
  }

  /** There are more loops than there may be, or fewer: a configuration of before had other limits. */
  get outOfRange(): boolean {
    const { minShards, maxShards } = this.#options;
    return clampShards(this.#wanted, { min: minShards, max: maxShards }) !== this.#wanted;
  }

  /** Whether `resize` would do something. */
  canResize(loops: number): boolean {
    return (loops !== this.#wanted || this.#uneven) && !this.moving && !this.parks;
  }

  /**
   * Changes the number of loops; `letGo` takes a shard from its reader. Nothing happens while shards are still
   * moving from the time before, or a tenant is parked.
   */
  resize(loops: number, letGo: (shard: number) => void): void {
    if (!this.canResize(loops)) return;
    this.#wanted = loops;
    this.#uneven = false;
    this.#grow(loops);
    const table = this.#table;
    for (let s = 0; s < SHARDS; s++) {
      const target = loopOf(s, loops);
      table.target[s] = target;
      if (table.loop[s] === target) continue;
      letGo(s);
      this.#moving++;
    }
    this.#settleMoves();
  }

  /** Takes a change of the number of loops back as far as it has not come: shards stay where they have rows. */
  stay(): void {
    if (!this.moving) return;
    const table = this.#table;
    table.target.set(table.loop);
    this.#wanted = Math.max(...table.loop) + 1;
    this.#uneven = true;
    this.#settleMoves();
    this.#options.onRoom();
  }

  /** The loops that the present load asks for, and how many of them there may be: `min_shards` to `max_shards`. */
  desired(load: {
    arrivedPerSecond: number;
    deliveredPerSecond: number;
    secondsPerSample: number;
    backlogSamples: number;
  }): { readonly needed: number; readonly allowed: number } {
    const range = { min: this.#options.minShards, max: this.#options.maxShards };
    const failing = this.loops.filter((loop) => loop.failing).length;
    const needed = neededShards({
      ...load,
      ...range,
      current: this.#wanted,
      failing: 2 * failing >= this.loops.length,
    });
    return { needed, allowed: clampShards(needed, range) };
  }

  /** Sends nothing more; resolves when all requests that are under way have had their answer. */
  async rest(): Promise<void> {
    await Promise.all([...this.loops.map((loop) => loop.rest()), ...this.#retired]);
  }

  /** Cuts every request and forgets what is queued; it stays on disk. */
  async stop(): Promise<void> {
    await Promise.all([...this.loops.map((loop) => loop.stop()), ...this.#retired]);
  }

  /**
   * Gives up the rows of segments before `segment` that are queued, for `reason`: each is counted and settled in its
   * turn, also behind a request that keeps failing. A request that is on its way is waited for.
   */
  dropBefore(segment: number, reason: EndpointReason): void {
    for (const loop of this.loops) loop.dropBefore(segment, reason);
  }

  /** The shards that have rows of segments before `segment` queued. */
  shardsBefore(segment: number): Set<number> {
    const shards = new Set<number>();
    for (const loop of this.loops) loop.addShardsBefore(segment, shards);
    return shards;
  }

  leaving(loop: Loop, from: number, _rows: number, tally: RowTally): void {
    this.#table.sent(loop.queue.contextAt(from).segment, tally);
    this.#options.onProgress();
  }

  settled(loop: Loop, from: number, rows: number, tally: RowTally): void {
    const oldest = this.settings.tenants === true ? this.#oldest.find(loop.queue, from, rows) : undefined;
    this.#table.settled(loop.queue.contextAt(from).segment, tally, oldest);
    if (this.moving) this.#settleMoves();
    this.#options.onProgress();
  }

  kept(letters: DeadLetters): Promise<void> {
    return this.#options.onLetters(letters);
  }

  moved(_loop: Loop): void {
    this.#options.onRoom();
  }

  committedMs(loop: Loop): number {
    const { queue } = loop;
    return queue.context.committedMs(queue.row[queue.head]!) ?? this.now();
  }

  failed(loop: Loop, failure: LoopFailure): void {
    this.#options.onFailure(loop, failure);
    // It may be stuck now: then the readers need not wait for it any more.
    this.#options.onRoom();
  }

  recovered(loop: Loop): void {
    for (const other of this.loops) if (other !== loop) other.retry();
    this.#options.onRecovery(loop);
  }

  /** The first of those that have something to send and do not get through. */
  probes(loop: Loop): boolean {
    return this.loops.find((other) => other === loop || other.failing) === loop;
  }

  #grow(loops: number): void {
    while (this.loops.length < loops) {
      const loop = new Loop(this.loops.length, this, this.#options.emitter);
      if (this.#flushing) loop.flush();
      this.loops.push(loop);
    }
  }

  /** Hands over the shards that have nothing pending in their old loop, and ends loops that have no shards. */
  #settleMoves(): void {
    const table = this.#table;
    let moving = 0;
    for (let s = 0; s < SHARDS; s++) {
      if (table.loop[s] === table.target[s]) continue;
      if (table.pending[s] === 0) table.loop[s] = table.target[s]!;
      else moving++;
    }
    this.#moving = moving;
    if (moving > 0) return;
    for (const loop of this.loops.splice(this.#wanted)) this.#retired.push(loop.stop());
  }
}
