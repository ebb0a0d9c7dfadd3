import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { CommitError } from '../../src/filequeue/group-commit.ts';
import { type Message, request, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { ForgetfulFs, type Survival } from './forgetful-fs.ts';
import { openQueue, put, type TestQueue } from './queue.ts';
import { readAll, rowTexts } from './read-back.ts';

/*
 * Crash consistency: a workload of transactions, several at a time, with rolls, releases and a restart in the
 * middle, on a file system that forgets (forgetful-fs.ts). It dies at operation n, for every n, and whatever of
 * the unsynced state survives, what is recovered is what was promised (History.check); then more is appended, and
 * all of it survives the next power cut.
 */

const dir = '/wal';

/** Ways in which a dead machine comes back; chance is taken several times. */
const comebacks: readonly (Survival | 'kill')[] = ['nothing', 'everything', 'chance', 'chance', 'kill'];

test('a machine that dies at any operation loses nothing acknowledged and invents nothing', async (t) => {
  const random = Random.of(t);
  const seed = random.int(0, 2 ** 31);
  for (let n = 0; ; n++) {
    const files = new ForgetfulFs();
    files.dieAt = n;
    const history = new History();
    await work(files, history, seed);
    if (!files.dead) {
      // The workload holds what it is meant to.
      assert.ok(
        n > 100 && history.rolls > 5 && history.released > 3,
        `${n} operations, ${history.rolls} rolls`,
      );
      break;
    }
    for (const comeback of comebacks) {
      const label = `died at ${files.log.at(-1)}; of the unsynced came back: ${comeback}`;
      await explained(label, files, async () => {
        const back = comeback === 'kill' ? files.kill() : files.powerCut(comeback, random);
        await goesOn(back, history.copy());
      });
    }
  }
});

test('a recovery that dies at any operation is done by the next one', async (t) => {
  const random = Random.of(t);
  const seed = random.int(0, 2 ** 31);
  let deaths = 0;
  for (let n = 0; ; n++) {
    const files = new ForgetfulFs();
    files.dieAt = n;
    const history = new History();
    await work(files, history, seed);
    if (!files.dead) break;
    const start = n % 2 === 0 ? files.kill() : files.powerCut('chance', random);
    for (let m = 0; ; m++) {
      const recovering = start.kill();
      recovering.dieAt = m;
      const one = history.copy();
      const opened = await open(recovering, one).catch(() => undefined);
      if (!recovering.dead) {
        await opened!.queue.close();
        break;
      }
      deaths++;
      const label = `died at ${files.log.at(-1)}, and recovery at ${recovering.log.at(-1)}`;
      await explained(label, recovering, async () => {
        const back = m % 3 === 0 ? recovering.kill() : recovering.powerCut('chance', random);
        await goesOn(back, one);
      });
    }
  }
  t.diagnostic(`${deaths} deaths while recovering`);
});

for (const { length, share, step } of [
  { length: 1, share: 1, step: 2 },
  { length: 4, share: 1, step: 5 },
  { length: 15, share: 1, step: 10 },
  { length: 25, share: 0.5, step: 3 },
]) {
  test(`a disk that fails ${share * 100} % of ${length} operations costs what it refuses`, async (t) => {
    const random = Random.of(t);
    const seed = random.int(0, 2 ** 31);
    for (let from = random.int(1, 1 + step); ; from += step) {
      const history = new History({ sickDisk: true });
      const files = new ForgetfulFs();
      const failing = new Set<number>();
      for (let n = from; n < from + length; n++) if (random.next() < share) failing.add(n);
      files.sick = (operation) => failing.has(operation);
      await work(files, history, seed);
      const label = `operations ${[...failing]} failed`;
      await explained(label, files, async () => {
        await goesOn(files.powerCut('chance', random), history.copy());
        await goesOn(files.powerCut('everything', random), history.copy());
      });
      if (files.operations < from) break;

      // The same, and the machine dies of it.
      const dying = new ForgetfulFs();
      dying.sick = files.sick;
      dying.dieAt = from + length + random.int(0, 12);
      const shorter = new History({ sickDisk: true });
      await work(dying, shorter, seed);
      if (!dying.dead) continue;
      await explained(`${label}, died at ${dying.log.at(-1)}`, dying, async () => {
        for (const survival of ['everything', 'chance', 'chance'] as const) {
          await goesOn(dying.powerCut(survival, random), shorter.copy());
        }
      });
    }
  });
}

/** Recovers, and checks; appends, and checks; loses all that is not synced, and checks. */
async function goesOn(files: ForgetfulFs, history: History): Promise<void> {
  const { queue, commits } = await open(files, history);
  for (const random of [new Random(1), new Random(2)]) {
    const taken = await append(queue, history, random, 2);
    assert.ok(!taken.includes(false), 'the queue does not work after recovery');
  }
  assert.ok(commits[0]!.watermark.segment > history.highestBefore, 'an id was given twice');
  history.check(queue, files);
  await open(files.powerCut('nothing', new Random(3)), history);
}

/** The workload. It ends when the machine is dead, or when a sick disk does not let the queue be opened. */
async function work(files: ForgetfulFs, history: History, seed: number): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < 2; run++) {
    let opened: TestQueue;
    try {
      opened = await open(files, history);
    } catch (error) {
      if (files.dead || isSickness(error)) return;
      throw error;
    }
    const { queue } = opened;
    for (let step = 0; step < 9; step++) {
      await append(queue, history, random, random.int(1, 4));
      if (step % 4 !== 3) continue;
      await history.release(queue).catch((error: unknown) => {
        if (!files.dead && !isSickness(error)) throw error;
      });
    }
    history.rolls = queue.watermark.segment;
    await queue.close();
    if (files.dead) return;
  }
}

function isSickness(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EIO';
}

/** Opens the queue, and checks what is in it. */
async function open(files: ForgetfulFs, history: History): Promise<TestQueue> {
  const opened = await openQueue(dir, {
    files,
    lock: () => ({ release: () => undefined }),
    minNextId: history.savedSegment + 1,
    roll: { bytes: 700 },
  });
  history.check(opened.queue, files);
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
  segment: number;
}

/** What was asked of a queue and what it promised. */
class History {
  /** In the order in which they were appended. */
  #transactions: Transaction[] = [];
  #rows = 0;
  readonly #sickDisk: boolean;
  /** Where the readers are, by a ledger that forgets nothing. */
  savedSegment = 0;
  /** The highest segment with an acknowledged row, by when this history was copied. */
  highestBefore = 0;
  /** The highest segment of the workload. */
  rolls = 0;

  constructor({ sickDisk = false } = {}) {
    this.#sickDisk = sickDisk;
  }

  get released(): number {
    return this.#transactions.filter(({ state }) => state === 'free').length;
  }

  copy(): History {
    const copy = new History({ sickDisk: this.#sickDisk });
    copy.#transactions = this.#transactions.map((transaction) => ({ ...transaction }));
    copy.#rows = this.#rows;
    copy.savedSegment = this.savedSegment;
    copy.highestBefore = Math.max(0, ...this.#transactions.map(({ segment }) => segment));
    return copy;
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
      transaction.state = 'promised';
      transaction.segment = queue.watermark.segment;
      return true;
    } catch (error) {
      assert.ok(error instanceof CommitError);
      transaction.state = 'refused';
      return false;
    }
  }

  /** Lets go of all before the segment that is written. */
  async release(queue: FileQueue): Promise<void> {
    const { segment } = queue.watermark;
    this.savedSegment = segment;
    for (const transaction of this.#transactions) {
      if (transaction.state === 'promised' && transaction.segment < segment) transaction.state = 'free';
    }
    await queue.release(segment);
  }

  /** Whether a queue holds what it may after this history. */
  check(queue: FileQueue, files: ForgetfulFs): void {
    // What a sick disk has, and loses, of refused rows is counted by the queue as if it were there.
    const found = readAll(dir, queue.segments, files, !this.#sickDisk);
    const places = new Map(this.#transactions.flatMap(({ rows }) => rows).map((text, i) => [text, i]));
    let last = -1;
    for (const text of found) {
      const place = places.get(text);
      assert.ok(place !== undefined, `invented: ${text}`);
      assert.ok(place > last, `out of order, or there twice: ${text}`);
      last = place;
    }
    const there = new Set(found);
    const lastPromised = this.#transactions.findLastIndex(({ state }) => state === 'promised');
    for (const [i, transaction] of this.#transactions.entries()) {
      const { rows, state } = transaction;
      const n = rows.filter((text) => there.has(text)).length;
      assert.ok(n === 0 || n === rows.length, `${n} of ${rows.length} rows of a transaction: ${rows[0]}`);
      if (state === 'promised') assert.ok(n > 0, `acknowledged and lost: ${rows[0]}`);
      if (state !== 'refused' || n === 0) continue;
      assert.ok(i > lastPromised, `refused, and found before what was acknowledged later: ${rows[0]}`);
      transaction.state = this.#sickDisk ? 'free' : 'promised';
    }
  }
}
