import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { parseConfig } from '../../src/config/load.ts';
import { Endpoint } from '../../src/endpoint/endpoint.ts';
import { type FileQueue, walDirectory } from '../../src/filequeue/file-queue.ts';
import type { CommitFacts } from '../../src/filequeue/group-commit.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { decodeProgress, progressPath } from '../../src/network/progress.ts';
import { SAMPLE } from '../../src/serialization/rows.ts';
import { openQueue, put } from '../filequeue/queue.ts';
import { atEnd } from '../support/cleanup.ts';
import { request, series } from '../support/messages.ts';
import { Progress } from '../support/progress.ts';
import { type Answer, Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';
import { unsynced } from './delivery.ts';

/** Main's side with its real thread, on a queue and a ledger of its own. */
class Rig {
  readonly dataDir: string;
  readonly queue: FileQueue;
  readonly ledger: Ledger;
  readonly lines: string[] = [];
  readonly progress: Progress = new Progress();
  /** Threads in the order in which they were started. */
  readonly threads: Worker[] = [];
  endpoint: Endpoint;
  readonly #make: () => Endpoint;

  private constructor(
    t: TestContext,
    dataDir: string,
    queue: FileQueue,
    onCommit: Rig['onCommit'],
    text: string,
  ) {
    this.dataDir = dataDir;
    this.queue = queue;
    this.onCommit = onCommit;
    onCommit.to = (facts) => this.endpoint.publish(facts.watermark, facts.rows);
    this.ledger = Ledger.open(dataDir, 0, () => assert.fail('the ledger is whole'));
    atEnd(t, () => this.ledger.close());
    const config = parseConfig(text, { file: 'test', baseDir: dataDir });
    const seen = (thread: Worker): void => {
      this.threads.push(thread);
      this.progress.made();
    };
    process.on('worker', seen);
    atEnd(t, () => void process.off('worker', seen));
    this.#make = () =>
      new Endpoint({
        setup: {
          config: config.remoteWrite[0]!,
          configSource: { text, file: 'test', baseDir: dataDir },
          limits: {
            whenFull: 'reject',
            maxBytes: Number.POSITIVE_INFINITY,
            maxAgeMs: Number.POSITIVE_INFINITY,
          },
        },
        dataDir,
        queue,
        ledger: this.ledger,
        logger: {
          log: (level, message) => {
            this.lines.push(`${level} ${message}`);
            this.progress.made();
          },
        },
        userAgent: 'spillway/0',
        now: Date.now,
        onReleased: () => this.progress.made(),
        onSaveFailed: (error) => void this.lines.push(`save failed: ${error}`),
        gaps: [],
        pausedMs: undefined,
      });
    this.endpoint = this.#make();
    atEnd(t, () => this.endpoint.stop(0));
  }

  readonly onCommit: { to: (facts: CommitFacts) => void };

  static async open(t: TestContext, url: string, more = ''): Promise<Rig> {
    const dataDir = await tempDir(t, 'endpoint');
    const onCommit: Rig['onCommit'] = { to: () => undefined };
    const { queue } = await openQueue(walDirectory(dataDir), {
      files: unsynced,
      roll: { bytes: 2000 },
      onCommit: (facts) => onCommit.to(facts),
    });
    atEnd(t, () => queue.close());
    const text = `data_dir: ${dataDir}
remote_write:
  - name: one
    url: ${url}
    queue_config: {min_backoff: 1ms, max_backoff: 5ms, batch_send_deadline: 1ms, max_samples_per_send: 10, capacity: 100, max_shards: 2}
${more}`;
    return new Rig(t, dataDir, queue, onCommit, text);
  }

  /** Stops the endpoint and makes a new one, as the next process would. */
  async next(): Promise<void> {
    await this.endpoint.stop(0);
    this.endpoint = this.#make();
  }

  async write(from: number, to: number): Promise<void> {
    for (let i = from; i < to; i++) {
      await put(
        this.queue,
        request(...[0, 1, 2, 3, 4, 5].map((s) => series({ __name__: `series_${s}` }, [i + 1, i]))),
      );
    }
  }

  async until(what: string, reached: () => boolean): Promise<void> {
    await this.progress.until(() => `${what}:\n${this.lines.slice(-10).join('\n')}`, reached);
  }
}

test('a thread that dies at any moment is started again where it stood; nothing is lost, order holds', async (t) => {
  const sink = await Sink.start(t);
  const rig = await Rig.open(t, sink.url);
  await rig.endpoint.start();
  await rig.write(0, 20);
  let hold = (): void => {};
  const held = new Promise<void>((resolve) => {
    hold = resolve;
  });
  // It dies with a request on its way that the sink has stored.
  sink.script = ({ index }) =>
    index < 6 ? {} : held.then(() => ({ instead: 'reset' as const, store: true }));
  await rig.write(20, 60);
  await sink.waitFor('a request that is held', () => sink.requests.length >= 7);
  await rig.threads[0]!.terminate();
  await rig.write(60, 80);
  sink.script = () => ({});
  hold();
  await sink.waitFor('all rows', () => new Set(sink.arrivals.rows()).size === 6 * 80);
  assert.equal(rig.threads.length, 2);
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.ok(sink.arrivals.duplicates <= 4 * 10, `${sink.arrivals.duplicates} duplicates`);
  await rig.endpoint.stop(10_000);
  assert.deepEqual(rig.endpoint.low, { segment: rig.queue.watermark.segment, row: rig.queue.watermark.rows });
  const saved = decodeProgress(rig.ledger.progress('one')!)!;
  assert.equal(saved.unsettled, 0);
  assert.equal(rig.endpoint.waitingRows(), 0);
});

test('a thread that cannot start is tried again, and main goes on meanwhile', async (t) => {
  const sink = await Sink.start(t);
  const rig = await Rig.open(t, sink.url);
  const file = progressPath(rig.dataDir, 'one');
  fs.mkdirSync(`${rig.dataDir}/endpoints`);
  fs.symlinkSync('/nowhere/at/all', file);
  await rig.endpoint.start();
  const said = (): number => rig.lines.filter((line) => line.startsWith('error the thread')).length;
  await rig.until('it says so', () => said() > 0);
  await rig.write(0, 3);
  await rig.until('it is tried again', () => rig.threads.length >= 3);
  assert.equal(said(), 1, 'the same failure is said once');
  fs.rmSync(file);
  await sink.waitFor('all rows', () => sink.arrivals.count === 18);
});

test('an order to pass over rows outlives the thread that it was given to, and the process', async (t) => {
  for (const dies of ['thread', 'process']) {
    const sink = await Sink.start(t, () => ({ status: 503 }));
    const rig = await Rig.open(t, sink.url);
    await rig.endpoint.start();
    await rig.write(0, 30);
    await sink.waitFor('a refusal', () => sink.requests.length > 0);
    const before = await rig.queue.cut();
    if (dies === 'thread') {
      await rig.threads[0]!.terminate();
      rig.endpoint.skipTo(before);
    } else {
      await rig.endpoint.stop(0);
      rig.endpoint.skipTo(before);
      await rig.next();
      await rig.endpoint.start();
    }
    await rig.until('it is carried out', () => rig.endpoint.low.segment >= before);
    assert.equal(rig.endpoint.stats.lost('skipped', SAMPLE), 180, dies);
    assert.equal(rig.ledger.orders.skipsTo('one'), undefined);
    sink.script = () => ({});
    await rig.write(30, 35);
    await sink.waitFor('the rows behind it', () => sink.arrivals.count >= 30);
    await rig.endpoint.stop(10_000);
    assert.equal(sink.arrivals.count, 30, dies);
    assert.equal(rig.endpoint.unaccountedRows, 0);
  }
});

test('an endpoint that goes back begins with what is still there when its thread has come to rest', async (t) => {
  const sink = await Sink.start(t);
  const rig = await Rig.open(t, sink.url);
  await rig.endpoint.start();
  await rig.write(0, 60);
  await sink.waitFor('all rows', () => sink.arrivals.count === 6 * 60);
  let answer = (): void => {};
  const held = new Promise<Answer>((resolve) => {
    answer = () => resolve({});
  });
  sink.script = () => held;
  const { oldest } = rig.queue;
  const sent = sink.requests.length;
  await rig.write(60, 61);
  await sink.waitFor('a request that is held', () => sink.requests.length > sent);
  const back = rig.endpoint.goBack(oldest, 10_000);
  // Meanwhile others let go of what they have passed.
  const left = oldest + 3;
  await rig.queue.release(left);
  answer();
  const { segment, rows } = await back;
  assert.deepEqual([segment, rig.queue.oldest], [left, left]);
  assert.ok(rows > 0);
  await sink.waitFor('what is still there', () => sink.arrivals.duplicates === rows);
  assert.deepEqual(await rig.endpoint.goBack(rig.queue.watermark.segment + 1, 10_000), {
    segment: rig.endpoint.low.segment,
    rows: 0,
  });
});

test('start_at: oldest delivers what was there, now only what comes', async (t) => {
  for (const { startAt, rows } of [
    { startAt: 'oldest', rows: 6 * 15 },
    { startAt: 'now', rows: 6 * 5 },
  ]) {
    const sink = await Sink.start(t);
    const rig = await Rig.open(t, sink.url, `    start_at: ${startAt}\n`);
    await rig.write(0, 10);
    await rig.next();
    assert.deepEqual(
      rig.endpoint.low,
      startAt === 'now'
        ? { segment: rig.queue.watermark.segment, row: rig.queue.watermark.rows }
        : { segment: 1, row: 0 },
    );
    await rig.endpoint.start();
    await rig.write(10, 15);
    await sink.waitFor('its rows', () => sink.arrivals.count === rows);
    await rig.endpoint.stop(10_000);
    assert.equal(sink.arrivals.count, rows);
    assert.equal(rig.endpoint.stats.delivered(SAMPLE), rows);
  }
});

test('what a stop leaves is delivered by the next one, also when the ledger is all there is', async (t) => {
  for (const lost of ['nothing', 'the progress file']) {
    const sink = await Sink.start(t, ({ index }) => (index < 3 ? {} : { status: 503 }));
    const rig = await Rig.open(t, sink.url);
    await rig.endpoint.start();
    await rig.write(0, 30);
    await sink.waitFor('a refusal', () => sink.requests.length > 5);
    await rig.next();
    const stored = sink.arrivals.count;
    assert.ok(stored < 180);
    assert.equal(decodeProgress(rig.ledger.progress('one')!)!.low.length, 256);
    if (lost !== 'nothing') fs.rmSync(progressPath(rig.dataDir, 'one'));
    sink.script = () => ({});
    await rig.endpoint.start();
    await sink.waitFor('all rows', () => sink.arrivals.count === 180);
    await rig.endpoint.stop(10_000);
    assert.equal(sink.arrivals.duplicates, 0);
    assert.deepEqual(sink.arrivals.inversions, []);
    assert.equal(rig.endpoint.stats.delivered(SAMPLE), 180, 'counts go on where they were saved');
    assert.equal(rig.endpoint.settledNow.delivered, 180 - stored);
    assert.equal(rig.endpoint.unaccountedRows, 0);
    assert.equal(rig.endpoint.waitingRows(), 0);
    await rig.endpoint.stop(0);
  }
});

test('what was delivered is given up only once its position is saved', async (t) => {
  const sink = await Sink.start(t);
  const rig = await Rig.open(t, sink.url);
  const save = rig.ledger.saveProgress.bind(rig.ledger);
  let asked = 0;
  rig.ledger.saveProgress = (_name, _block, low) => {
    asked = low.segment;
    setImmediate(() => rig.progress.made());
    throw new Error('the disk is full');
  };
  await rig.endpoint.start();
  await rig.write(0, 30);
  await sink.waitFor('all rows', () => sink.arrivals.count === 180);
  await rig.until('a position to save', () => asked > 1);
  assert.ok(rig.lines.some((line) => line.includes('positions cannot be saved')));
  assert.deepEqual(rig.endpoint.low, { segment: 1, row: 0 });
  rig.ledger.saveProgress = save;
  rig.endpoint.saveAgain();
  assert.deepEqual(rig.endpoint.low.segment, asked, 'also when nothing has come since');
  await rig.write(30, 31);
  await rig.until('the position', () => rig.endpoint.low.segment > 1);
});
