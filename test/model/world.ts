import assert from 'node:assert/strict';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { decodeProgress, lowest } from '../../src/network/progress.ts';
import { WAITING } from '../../src/network/shard-table.ts';
import { decodeWriteRequestV1, encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { comparePositions, type Position } from '../../src/serialization/position.ts';
import { Delivery } from '../endpoint/delivery.ts';
import { ForgetfulFs } from '../filequeue/forgetful-fs.ts';
import { noon, openQueue, put } from '../filequeue/queue.ts';
import { deadlineMs } from '../support/deadline.ts';
import { bitsOf, labels, type Message, type Series, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { rowKey, rowsOf, seriesKey } from '../support/rows.ts';
import { ModelReceiver } from './receiver.ts';
import { Toy, type ToyEndpoint, type ToyRow } from './toy.ts';

const ENDPOINTS = 2;
const SEGMENT_AGE_MS = 60_000;

/** Small, so that loops are full, requests are cut and shards are let go all the time. */
const settings = { capacity: 8, maxSamplesPerSend: 3 };

/** Series of the rows of some transactions: a list of lists. */
export type Transactions = readonly (readonly number[])[];

/** How the machine or the process ends, and how it comes back. */
export interface Death {
  readonly how: 'kill' | 'powerCut';
  /** Operations of the file system that it survives while `transactions` are written. */
  readonly after: number;
  readonly transactions: Transactions;
  /** Whether the receivers have stored the requests that were under way. */
  readonly stored: boolean;
  readonly seed: number;
}

/**
 * The real thing: a file queue with two endpoints (reader, feeder, manager, loops), on a file system that forgets and
 * with receivers that do what a step says; and the toy, which is told of all that happens.
 *
 * What the main thread does with the ledger is done here (`tick`): the position is saved, and then the segments that
 * all have passed are released.
 */
export class World {
  readonly toy = new Toy(ENDPOINTS);
  readonly #endpoints: ModelEndpoint[];
  #files = new ForgetfulFs();
  #queue!: FileQueue;
  #now = noon;
  /** What the ledger has: the lowest id of a new segment, and a progress block an endpoint. */
  #minNextId = 1;

  private constructor() {
    this.#endpoints = this.toy.endpoints.map((toy) => new ModelEndpoint(this.toy, toy.index));
  }

  static async open(): Promise<World> {
    const world = new World();
    await world.#start();
    return world;
  }

  async #start(): Promise<void> {
    const { queue } = await openQueue('/wal', {
      files: this.#files,
      lock: () => ({ release: () => undefined }),
      // As the agent: above what the ledger says, and what each progress file says.
      minNextId: Math.max(this.#minNextId, ...this.#endpoints.map((endpoint) => endpoint.nextSegment)),
      roll: { bytes: 600, ageMs: SEGMENT_AGE_MS },
      now: () => this.#now,
      onCommit: () => {
        for (const endpoint of this.#endpoints) endpoint.committed();
      },
    });
    this.#queue = queue;
    for (const endpoint of this.#endpoints) endpoint.start(queue, this.#files);
    await this.quiet();
  }

  /** Appends transactions at the same time; each series of one gets one more row. */
  async append(transactions: Transactions): Promise<void> {
    await Promise.all(
      transactions.map(async (transaction) => {
        const { message, rows } = this.#newRows(transaction);
        try {
          await put(this.#queue, message);
          for (const row of rows) row.state = 'acknowledged';
        } catch (error) {
          // A dead machine refuses nothing: whether they are there is open.
          if (!this.#files.dead) throw error;
          for (const row of rows) row.state = 'unknown';
        }
      }),
    );
  }

  /** The next commit ends its segment. */
  roll(): void {
    this.#now += SEGMENT_AGE_MS;
  }

  /** Shards that are let go now. */
  get letGo(): number {
    return this.#endpoints.reduce(
      (sum, { delivery }) => sum + delivery.table.lane.filter((lane) => lane === WAITING).length,
      0,
    );
  }

  receiver(endpoint: number): ModelReceiver {
    return this.#endpoints[endpoint]!.receiver;
  }

  /** The endpoint gives up what lies before its newest segments, of which it keeps `keep`. */
  cap(endpoint: number, keep: number): void {
    const ids = this.#queue.segments.map(({ id }) => id);
    const before = [...ids, this.#queue.watermark.segment].at(-1 - keep);
    if (before === undefined) return;
    this.#endpoints[endpoint]!.toy.capped();
    this.#endpoints[endpoint]!.mayReturn = true;
    this.#endpoints[endpoint]!.delivery.drop(before);
  }

  resize(endpoint: number, loops: number): void {
    this.#endpoints[endpoint]!.delivery.resize(loops);
  }

  /** What happens about once a second: positions are saved, then segments are released. */
  async tick(): Promise<void> {
    const lows = this.#endpoints.map((endpoint) => endpoint.save());
    this.#minNextId = Math.max(this.#minNextId, this.#queue.watermark.segment + 1);
    const low = lows.reduce((a, b) => (comparePositions(b, a) < 0 ? b : a));
    await this.#queue.release(low.segment);
  }

  /** A stop in order, and the next start. */
  async restart(stored: boolean): Promise<void> {
    for (const endpoint of this.#endpoints) await endpoint.stop(stored);
    for (const endpoint of this.#endpoints) endpoint.save();
    this.#minNextId = Math.max(this.#minNextId, this.#queue.watermark.segment + 1);
    await this.#queue.close();
    await this.#start();
  }

  /** The thread of an endpoint dies, and is started again. */
  async threadDies(index: number, stored: boolean): Promise<void> {
    const endpoint = this.#endpoints[index]!;
    await endpoint.dies(stored);
    endpoint.start(this.#queue, this.#files);
  }

  /** An endpoint is stopped, and started with other settings. */
  async reload(index: number, zone: boolean, loops: number): Promise<void> {
    const endpoint = this.#endpoints[index]!;
    await endpoint.stop(false);
    endpoint.setZone(zone);
    endpoint.start(this.#queue, this.#files);
    endpoint.delivery.resize(loops);
  }

  async dies({ how, after, transactions, stored, seed }: Death): Promise<void> {
    const random = new Random(seed);
    const files = this.#files;
    files.dieAt = files.operations + after;
    await this.append(transactions);
    // If it outlived them, it dies now: of whatever comes next.
    files.dieAt = 0;
    for (const endpoint of this.#endpoints) await endpoint.dies(stored);
    this.#files = how === 'kill' ? files.kill(random) : files.powerCut('chance', random);
    // The progress file, of which nothing was synced, may be as it was; else there is what the ledger has.
    if (how === 'powerCut') for (const endpoint of this.#endpoints) endpoint.powerCut(random.next() < 0.5);
    await this.#start();
  }

  /** Resolves when nothing goes on but requests that wait for an answer. */
  async quiet(): Promise<void> {
    const end = performance.now() + deadlineMs;
    for (let calm = 0; calm < 4; ) {
      await new Promise((resolve) => setImmediate(resolve));
      calm = this.#endpoints.some((endpoint) => endpoint.busy) ? 0 : calm + 1;
      assert.ok(performance.now() < end, 'it never comes to rest');
    }
  }

  /** What must hold at any moment when all is quiet. */
  check(): void {
    const violations = [...this.toy.violations];
    for (const endpoint of this.#endpoints) violations.push(...endpoint.violations());
    assert.deepEqual(violations, []);
  }

  /** Lets everything through, and looks at the end: all that was acknowledged has arrived, or was refused. */
  async drain(): Promise<void> {
    for (const { receiver } of this.#endpoints) receiver.goUp();
    await this.quiet();
    this.check();
    for (const endpoint of this.#endpoints) {
      assert.ok(endpoint.delivery.feeder.dry && endpoint.delivery.manager.idle, 'everything is settled');
      assert.deepEqual(endpoint.toy.missing(), [], `endpoint ${endpoint.toy.index} has lost rows`);
      assert.equal(
        endpoint.delivery.waitingRows,
        0,
        `rows wait for endpoint ${endpoint.toy.index} by its own count`,
      );
      assert.equal(endpoint.delivery.feeder.unsettled, 0);
    }
    // And so are the positions: a release leaves no segment but the newest.
    await this.tick();
    assert.ok(this.#queue.segments.length <= 1, 'segments that all have passed are still there');
  }

  async close(): Promise<void> {
    for (const endpoint of this.#endpoints) await endpoint.stop(false);
    await this.#queue.close();
  }

  #newRows(transaction: readonly number[]): { message: Message; rows: ToyRow[] } {
    const rows: ToyRow[] = [];
    const timeseries = transaction.map((index) => {
      const at = this.toy.rows.length;
      const one = oneRow(index, at);
      const row = rowsOf(decodeWriteRequestV1(encodeWriteRequestV1({ timeseries: [one] })))[0]!;
      rows.push(this.toy.append(index, { kind: row.kind, at, key: rowKey(row) }));
      return one;
    });
    return { message: { timeseries }, rows };
  }
}

/** One endpoint: its side of the agent, which comes and goes, and its receiver, which stays. */
class ModelEndpoint {
  readonly toy: ToyEndpoint;
  readonly receiver: ModelReceiver;
  delivery!: Delivery;
  #destination!: ReturnType<ModelReceiver['connect']>;
  #zone = false;
  /** What a process that starts now finds, and what the ledger has of it. */
  #block: Uint8Array | undefined;
  #saved: Uint8Array | undefined;
  /**
   * It may have had to go over rows again that it had settled: no shard was what it had been, or it gave rows up behind
   * a request that was on its way, and ended before that did.
   */
  mayReturn = false;
  readonly #violated: string[] = [];

  constructor(toy: Toy, index: number) {
    this.toy = toy.endpoints[index]!;
    this.receiver = new ModelReceiver(toy, this.toy, (series) =>
      seriesKey(labels(this.#zone ? { __name__: `s${series}`, zone: 'x' } : { __name__: `s${series}` })),
    );
  }

  /** True while something goes on by itself: reading, an answer that is looked at, a wait before a retry. */
  get busy(): boolean {
    const held = this.receiver.open.filter((post) => this.receiver.holds(post));
    return this.delivery.manager.loops.filter((loop) => !loop.idle).length !== held.length;
  }

  /** The lowest id that a new segment may have by what is noted of this endpoint. */
  get nextSegment(): number {
    const noted = this.#block && decodeProgress(this.#block);
    return noted === undefined ? 1 : noted.front.segment + 1;
  }

  start(queue: FileQueue, files: ForgetfulFs): void {
    this.toy.starts();
    this.#destination = this.receiver.connect();
    this.delivery = new Delivery(undefined, queue, this.#destination, {
      files,
      settings,
      loops: 3,
      block: this.#block,
      ...(this.#zone ? { externalLabels: { zone: 'x' } } : {}),
    });
  }

  committed(): void {
    this.delivery.feeder.pump();
  }

  /** Saves where it stands in the ledger. Returns the position before which it needs nothing. */
  save(): Position {
    this.delivery.tick();
    this.#saved = this.delivery.block!;
    return lowest(decodeProgress(this.#saved)!);
  }

  async stop(stored: boolean): Promise<void> {
    this.#destination.cut(stored);
    await this.delivery.stop();
    this.#block = this.delivery.block;
  }

  /** Its thread or its process ends at once: what it noted last is what counts. */
  async dies(stored: boolean): Promise<void> {
    this.#block = this.delivery.block;
    this.#destination.cut(stored);
    await this.delivery.abandon();
  }

  /** `noted`: what it had noted by plain writes is there by chance. */
  powerCut(noted: boolean): void {
    if (!noted) this.#block = this.#saved;
    this.toy.forgets();
  }

  setZone(zone: boolean): void {
    if (zone === this.#zone) return;
    this.toy.reroutes();
    this.mayReturn = true;
    this.#zone = zone;
  }

  /**
   * The balance, over all its lives, of the block that was noted last: received + returned = delivered + lost by reason
   * + waiting, where waiting is counted in the queue from the positions on. What was delivered in this life is the
   * receiver's word.
   */
  violations(): string[] {
    const { delivery } = this;
    const who = `endpoint ${this.toy.index}`;
    if (delivery.unaccountedRows !== 0) {
      this.#violated.push(`${who}: the counts and the positions differ by ${delivery.unaccountedRows}`);
    }
    const returned = delivery.stats.get('returnedRows');
    if (returned !== 0 && !this.mayReturn) this.#violated.push(`${who}: ${returned} settled rows wait again`);
    const delivered = this.receiver.deliveredRows;
    const least = delivered - this.receiver.repeatedRows;
    if (delivery.deliveredNow > delivered || delivery.deliveredNow < least) {
      this.#violated.push(
        `${who}: counts ${delivery.deliveredNow} delivered; its receiver says ${delivered}`,
      );
    }
    // A power cut may leave a frame without the header before it: no row of it was acknowledged.
    for (const { rows, message } of delivery.damage) if (rows > 0) this.#violated.push(`${who}: ${message}`);
    const damaged = delivery.stats.lost('damaged', 0);
    if (damaged > 0) this.#violated.push(`${who}: ${damaged} rows count as damaged`);
    for (const error of delivery.errors) this.#violated.push(`${who}: ${String(error)}`);
    return this.#violated;
  }
}

/** The one row at place `at`: mostly a sample, now and then a histogram or an exemplar. */
function oneRow(index: number, at: number): Series {
  const name = { __name__: `s${index}` };
  if (at % 7 === 3)
    return {
      labels: labels(name),
      histograms: [{ timestamp: BigInt(at), countInt: BigInt(at), zeroCountInt: BigInt(at) }],
    };
  if (at % 11 === 5) {
    const exemplar = { timestamp: BigInt(at), valueBits: bitsOf(at), labels: labels({ trace: `${at}` }) };
    return { labels: labels(name), exemplars: [exemplar] };
  }
  return series(name, [at, at / 3]);
}
