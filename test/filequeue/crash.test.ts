import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { CommitError } from '../../src/filequeue/group-commit.ts';
import { identify } from '../../src/filequeue/identify.ts';
import { SegmentScanner } from '../../src/filequeue/scanner.ts';
import { segmentPath } from '../../src/filequeue/segment-file.ts';
import { END } from '../../src/serialization/record.ts';
import { type Message, request, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { ForgetfulFs, type Survival } from './forgetful-fs.ts';
import { openQueue, put, type TestQueue } from './queue.ts';
import { readAll, rowTexts } from './read-back.ts';

/*
 * Crash consistency: a workload of transactions, several at a time, with rolls, saved positions, releases up to an
 * empty directory and restarts, on a file system that forgets (forgetful-fs.ts). It dies at operation n, for every
 * n, and whatever of the unsynced state survives, what is recovered is what was promised (History.check); then more
 * is appended, and all of it survives the next power cut.
 *
 *     node build/test/run.js filequeue/crash                 new seeds, printed
 *     SEED=7 N=123 node build/test/run.js filequeue/crash    that n alone: a failure says which
 *     ROUNDS=20 node build/test/run.js filequeue/crash       twenty times as much, for a longer look
 */

const dir = '/wal';
/** The position that is saved, as the highest name in a directory: durable as a whole once that is synced. */
const positions = '/positions';

const rounds = Number(process.env.ROUNDS ?? 1);
const only = process.env.N === undefined ? undefined : Number(process.env.N);

/** Ways in which a dead machine comes back; chance is taken several times. */
const comebacks: readonly (Survival | 'kill')[] = [
  'nothing',
  'everything',
  'chance',
  'chance',
  'chance',
  'kill',
];

test('a machine that dies at any operation loses nothing acknowledged and invents nothing', async (t) => {
  await forEach(t, async (n, random, seed) => {
    const files = new ForgetfulFs();
    files.dieAt = n;
    const history = new History();
    await work(files, history, seed);
    if (!files.dead) {
      // The workload holds what it is meant to.
      assert.ok(
        n > 150 && history.segments > 6 && history.released > 6,
        `${n} operations, ${history.segments} segments, ${history.released} transactions released`,
      );
      return false;
    }
    for (const comeback of comebacks) {
      const label = `died at ${files.log.at(-1)}; of the unsynced came back: ${comeback}`;
      await explained(label, files, async () => {
        await goesOn(comesBack(files, comeback, random), history.copy());
      });
    }
    return true;
  });
});

test('a recovery that dies at any operation is done by the next one, or the one after', async (t) => {
  let deaths = 0;
  let twice = 0;
  await forEach(t, async (n, random, seed) => {
    const files = new ForgetfulFs();
    files.dieAt = 2 * n + (seed % 2);
    const history = new History();
    await work(files, history, seed);
    if (!files.dead) return false;
    const start = comesBack(files, random.next() < 0.5 ? 'kill' : 'chance', random);
    for (let m = 0; ; m++) {
      let recovering = start.kill();
      const one = history.copy();
      if (!(await diesOpening(recovering, one, m))) break;
      deaths++;
      const label = `died at ${files.log.at(-1)}, and recovery at ${recovering.log.at(-1)}`;
      await explained(label, recovering, async () => {
        recovering = comesBack(recovering, m % 3 === 0 ? 'kill' : 'chance', random);
        const again = recovering.kill();
        if (await diesOpening(again, one, random.int(0, 6))) {
          twice++;
          recovering = comesBack(again, random.next() < 0.3 ? 'kill' : 'chance', random);
        }
        await goesOn(recovering, one);
      });
    }
    return true;
  });
  t.diagnostic(`${deaths} deaths while recovering, ${twice} of them followed by another`);
});

test('a machine that dies again and again keeps what it acknowledged in each of its lives', async (t) => {
  await forEach(t, async (n, random) => {
    let files = new ForgetfulFs();
    const history = new History();
    const deaths: string[] = [];
    for (let life = 0; life < 8; life++) {
      // Early, and it dies while it recovers what the life before left.
      files.dieAt = random.int(0, random.next() < 0.3 ? 8 : 90);
      await explained(`after ${deaths.join('; ')}`, files, () =>
        work(files, history, random.int(0, 2 ** 31), 1),
      );
      const comeback = comebacks[random.int(0, comebacks.length)]!;
      deaths.push(`${files.log.at(-1)} (${comeback})`);
      files = comesBack(files, comeback, random);
    }
    await explained(`after ${deaths.join('; ')}`, files, () => goesOn(files, history));
    return n < 60;
  });
});

for (const { length, share, step } of [
  { length: 1, share: 1, step: 2 },
  { length: 4, share: 1, step: 5 },
  { length: 15, share: 1, step: 10 },
  { length: 25, share: 0.5, step: 3 },
]) {
  test(`a disk that fails ${share * 100} % of ${length} operations costs what it refuses`, async (t) => {
    await forEach(t, async (n, random, seed) => {
      const from = 1 + (seed % step) + n * step;
      const history = new History({ sickDisk: true });
      const files = new ForgetfulFs();
      const failing = new Set<number>();
      for (let at = from; at < from + length; at++) if (random.next() < share) failing.add(at);
      files.sick = (operation) => failing.has(operation);
      await work(files, history, seed);
      const label = `operations ${[...failing]} failed`;
      await explained(label, files, async () => {
        await goesOn(files.powerCut('chance', random), history.copy());
        await goesOn(files.powerCut('everything', random), history.copy());
      });
      if (files.operations < from) return false;

      // The same, and the machine dies of it.
      const dying = new ForgetfulFs();
      dying.sick = files.sick;
      dying.dieAt = from + length + random.int(0, 12);
      const shorter = new History({ sickDisk: true });
      await work(dying, shorter, seed);
      if (!dying.dead) return true;
      await explained(`${label}, died at ${dying.log.at(-1)}`, dying, async () => {
        for (const survival of ['everything', 'chance', 'chance'] as const) {
          await goesOn(dying.powerCut(survival, random), shorter.copy());
        }
      });
      return true;
    });
  });
}

/**
 * Runs `round` for every n until it returns false, with choices that depend on the seed and n alone and with the seed
 * of the workload, which is the same for every n. What fails says how it is replayed.
 */
async function forEach(
  t: TestContext,
  round: (n: number, random: Random, seed: number) => Promise<boolean>,
): Promise<void> {
  const first = Random.of(t);
  for (let i = 0; i < rounds; i++) {
    const random = i === 0 ? first : new Random((first.seed + i) >>> 0);
    for (let n = only ?? 0; ; n++) {
      let more: boolean;
      try {
        more = await round(n, random.part(n), random.seed);
      } catch (error) {
        throw new Error(`SEED=${random.seed} N=${n} fails: ${(error as Error).message}`, { cause: error });
      }
      if (!more || only !== undefined) break;
    }
  }
}

function comesBack(files: ForgetfulFs, how: Survival | 'kill', random: Random): ForgetfulFs {
  return how === 'kill' ? files.kill(random) : files.powerCut(how, random);
}

/** Recovers until operation `m`; false when it was done before. */
async function diesOpening(files: ForgetfulFs, history: History, m: number): Promise<boolean> {
  files.dieAt = m;
  try {
    const { queue } = await open(files, history);
    await queue.close();
  } catch (error) {
    if (!files.dead) throw error;
  }
  return files.dead;
}

/** Recovers, and checks; appends, and checks; loses all that is not synced, and checks. */
async function goesOn(files: ForgetfulFs, history: History): Promise<void> {
  const { queue } = await open(files, history);
  for (const random of [new Random(1), new Random(2)]) {
    const taken = await append(queue, history, random, 2);
    assert.ok(!taken.includes(false), 'the queue does not work after recovery');
  }
  history.check(queue, files);
  await open(files.powerCut('nothing', new Random(3)), history);
}

/** The workload. It ends when the machine is dead, or when a sick disk does not let the queue be opened. */
async function work(files: ForgetfulFs, history: History, seed: number, runs = 3): Promise<void> {
  const random = new Random(seed);
  const unlessDisk = (error: unknown): void => {
    if (!files.dead && (error as NodeJS.ErrnoException).code !== 'EIO') throw error;
  };
  for (let run = 0; run < runs; run++) {
    const opened = await open(files, history).catch(unlessDisk);
    if (opened === undefined) return;
    const { queue } = opened;
    // The readers have passed everything: the directory is emptied.
    if (run > 0 || random.next() < 0.3) await history.release(queue, files).catch(unlessDisk);
    for (let step = 0; step < 6; step++) {
      await append(queue, history, random, random.int(1, 4));
      if (step % 3 === 2) await history.release(queue, files).catch(unlessDisk);
    }
    await queue.close();
    if (files.dead) return;
  }
}

/** Opens the queue, and checks what is in it. */
async function open(files: ForgetfulFs, history: History): Promise<TestQueue> {
  const saved = await savedPosition(files);
  history.restarts(saved);
  const opened = await openQueue(dir, {
    files,
    lock: () => ({ release: () => undefined }),
    minNextId: saved + 1,
    roll: { bytes: 600 },
  });
  history.check(opened.queue, files);
  // Of an ended segment a start reads the end record alone, and a reader takes its lack for damage.
  if (!history.sickDisk) {
    for (const { id, bytes } of opened.queue.segments) {
      const file = files.openRead(segmentPath(dir, id, 'committed'));
      const { mark } = identify(file, id);
      const found = new SegmentScanner(file, bytes, mark).next(file.size());
      const ended = found.kind === 'record' && found.type === END;
      assert.ok(ended, `segment ${id} has its final name and no end record`);
    }
  }
  return opened;
}

/**
 * Appends transactions, some of them while others are committed. Resolves when all are durable or refused, with
 * which they are.
 */
async function append(
  queue: FileQueue,
  history: History,
  random: Random,
  transactions: number,
): Promise<boolean[]> {
  const settled: Promise<boolean>[] = [];
  for (let i = 0; i < transactions; i++) {
    const message = history.newMessage(random);
    settled.push(history.track(message, queue, put(queue, message)));
    for (let turns = random.int(0, 3); turns > 0; turns--)
      await new Promise((resolve) => setImmediate(resolve));
  }
  return await Promise.all(settled);
}

async function savePosition(files: ForgetfulFs, segment: number): Promise<void> {
  const names = await files.list(positions);
  if (!names.includes(`${segment}`)) await files.create(`${positions}/${segment}`);
  await files.syncDir(positions);
}

/** The segment before which the readers need nothing. */
async function savedPosition(files: ForgetfulFs): Promise<number> {
  return Math.max(0, ...(await files.list(positions)).map(Number));
}

/** Runs `check`; what it throws says what had happened. */
async function explained(label: string, files: ForgetfulFs, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    throw new Error(`${label}: ${(error as Error).message}\n${files.log.join('\n')}`, { cause: error });
  }
}

interface Transaction {
  readonly rows: readonly string[];
  /**
   * - `promised`: acknowledged, or found in the queue after a crash: it may have been delivered, so it stays
   * - `free`: may be there or not: released, or refused by a sick disk that has it all the same
   * - `refused`: may be found behind all that is promised, and nowhere else
   */
  state: 'waiting' | 'promised' | 'free' | 'refused';
  /** Where it was acknowledged or found; 0 when it was not. */
  segment: number;
}

/** What was asked of a queue and what it promised. */
class History {
  /** In the order in which they were appended. */
  #transactions: Transaction[] = [];
  #rows = 0;
  /** What is refused may be there all the same, and what an end record says may be lost. */
  readonly sickDisk: boolean;
  /** No segment has this id or a lower one from now on: readers have been there. */
  #usedIds = 0;

  constructor({ sickDisk = false } = {}) {
    this.sickDisk = sickDisk;
  }

  get released(): number {
    return this.#transactions.filter(({ state }) => state === 'free').length;
  }

  /** The highest segment with a row that was acknowledged or found. */
  get segments(): number {
    return Math.max(0, ...this.#transactions.map(({ segment }) => segment));
  }

  copy(): History {
    const copy = new History({ sickDisk: this.sickDisk });
    copy.#transactions = this.#transactions.map((transaction) => ({ ...transaction }));
    copy.#rows = this.#rows;
    copy.#usedIds = this.#usedIds;
    return copy;
  }

  /** The next process starts, and finds this position. */
  restarts(savedSegment: number): void {
    this.#usedIds = Math.max(this.#usedIds, this.segments);
    this.#letGo(savedSegment);
  }

  /** A request of a few rows, each with a time of its own, so that no two are alike. Now and then a series is new. */
  newMessage(random: Random): Message {
    const timeseries = Array.from({ length: random.int(1, 4) }, () => {
      const at = this.#rows++;
      const name = random.next() < 0.2 ? `new_${at}` : `series_${random.int(0, 5)}`;
      return series({ __name__: name }, [at, random.next()]);
    });
    return request(...timeseries);
  }

  /** Resolves when a transaction that was just appended is durable or refused, with which it is. */
  async track(message: Message, queue: FileQueue, durable: Promise<void>): Promise<boolean> {
    const transaction: Transaction = { rows: rowTexts(message), state: 'waiting', segment: 0 };
    this.#transactions.push(transaction);
    try {
      await durable;
    } catch (error) {
      assert.ok(error instanceof CommitError);
      transaction.state = 'refused';
      return false;
    }
    transaction.state = 'promised';
    transaction.segment = queue.watermark.segment;
    assert.ok(transaction.segment > this.#usedIds, `segment id ${transaction.segment} was used before`);
    return true;
  }

  /** Lets go of all before the segment that is written: the position first, and only then the segments. */
  async release(queue: FileQueue, files: ForgetfulFs): Promise<void> {
    const { segment } = queue.watermark;
    await savePosition(files, segment);
    this.#letGo(segment);
    await queue.release(segment);
  }

  #letGo(savedSegment: number): void {
    for (const transaction of this.#transactions) {
      const { state, segment } = transaction;
      if (state === 'promised' && segment < savedSegment) transaction.state = 'free';
    }
  }

  /** Whether a queue holds what it may after this history. */
  check(queue: FileQueue, files: ForgetfulFs): void {
    // What a sick disk has, and loses, of refused rows is counted by the queue as if it were there.
    const places = new Map(this.#transactions.flatMap(({ rows }) => rows).map((text, i) => [text, i]));
    const there = new Map<string, number>();
    let last = -1;
    for (const info of queue.segments) {
      for (const text of readAll(dir, [info], files, !this.sickDisk)) {
        const place = places.get(text);
        assert.ok(place !== undefined, `invented: ${text}`);
        assert.ok(place > last, `out of order, or there twice: ${text}`);
        last = place;
        there.set(text, info.id);
      }
    }
    const lastPromised = this.#transactions.findLastIndex(({ state }) => state === 'promised');
    for (const [i, transaction] of this.#transactions.entries()) {
      const { rows, state } = transaction;
      const n = rows.filter((text) => there.has(text)).length;
      assert.ok(n === 0 || n === rows.length, `${n} of ${rows.length} rows of a transaction: ${rows[0]}`);
      if (state === 'promised') assert.ok(n > 0, `acknowledged and lost: ${rows[0]}`);
      if (state !== 'refused' || n === 0) continue;
      assert.ok(i > lastPromised, `refused, and found before what was acknowledged later: ${rows[0]}`);
      transaction.state = this.sickDisk ? 'free' : 'promised';
      transaction.segment = there.get(rows[0]!)!;
    }
  }
}
