/**
 * `npm run demo`: a sender, Spillway and a storage on this machine; the storage goes away in the middle, Spillway is
 * killed meanwhile, and in the end every sample is looked for, bit by bit.
 *
 *     npm run demo -- --fast    in a few seconds
 *
 * Sender and storage are those of the bench, Spillway is the program as it is. Exit code 0 when all samples are
 * accounted for.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Load } from '../bench/load.ts';
import { SinkProcess } from '../bench/sink-process.ts';
import { Workload } from '../bench/workload.ts';
import { type Books, DemoAgent } from './agent.ts';
import { count, verdictOf } from './verdict.ts';

/** What comes in: a scrape of all series every `STEP_MS`, in `CHUNKS` requests. */
const STEP_MS = 100;
const CHUNKS = 4;
/** Scrapes of each part, a tenth of a second each. */
const PARTS = { healthy: 120, outage: 150, killed: 100, returned: 250 };
const FAST_PARTS = { healthy: 10, outage: 10, killed: 10, returned: 20 };
/** Longer than the longest pause between two attempts. */
const PATIENCE_MS = 120_000;

const { values } = parseArgs({ options: { fast: { type: 'boolean', default: false } } });
const parts = values.fast ? FAST_PARTS : PARTS;
const series = values.fast ? 400 : 2000;
const tellEveryMs = values.fast ? 1000 : 3000;
const rounds = parts.healthy + parts.outage + parts.killed + parts.returned;

const startedMs = performance.now();
const say = (text: string): void => {
  const seconds = Math.floor((performance.now() - startedMs) / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  process.stdout.write(`${clock}  ${text}\n`);
};

const standing = ({ received, delivered, waiting, walBytes }: Books): string =>
  `       received ${count(received)}, delivered ${count(delivered)}, waiting ${count(waiting)}, on disk ${(walBytes / 1e6).toFixed(1)} MB`;

async function demo(folder: string, signal: AbortSignal): Promise<boolean> {
  const perRequest = series / CHUNKS;
  const workload = new Workload({
    ...{ rows: 'floats' as const, series, rounds, perRequest, samplesPerSeries: 1, lifetime: 0 },
    ...{ startMs: Date.now(), stepMs: STEP_MS },
  });
  const load = new Load({
    requests: workload.requests,
    body: (index) => workload.body(index),
    chunks: CHUNKS,
    connections: 2,
    bodiesPerSecond: (1000 / STEP_MS) * CHUNKS,
  });
  const sink = await SinkProcess.start({ shape: workload.shape }, signal);
  let agent: DemoAgent | undefined;
  try {
    const log = (line: string): void => say(`       Spillway: ${line}`);
    agent = await DemoAgent.start(folder, '127.0.0.1:0', sink.writeUrl, log);
    say(`Spillway runs; look at it while this goes on: ${agent.url}/`);
    say(`A sender writes ${count((series * 1000) / STEP_MS)} samples a second; the storage takes them.`);
    let sent = 0;
    const send = async (scrapes: number): Promise<void> => {
      const running = agent!;
      const from = sent * CHUNKS;
      sent += scrapes;
      const done = load.send(new URL('/api/v1/write', running.url), from, sent * CHUNKS);
      await Promise.race([tellUntil(running, done), running.death, sink.death]);
    };
    await send(parts.healthy);

    await sink.tell('down');
    say('OUTAGE: the storage is gone. The sender does not notice: what it writes is on disk.');
    await send(parts.outage);
    say(standing(await booksUntil(agent, ({ waiting }) => waiting > 0)));

    const { host } = new URL(agent.url);
    await agent.kill9();
    say('KILL -9: Spillway, too, in the middle of the outage. It is started again.');
    agent = await DemoAgent.start(folder, host, sink.writeUrl, log);
    await send(parts.killed);

    await sink.tell('up');
    say('RETURN: the storage is back, while the sender goes on.');
    await send(parts.returned);
    say('The sender is done. What waits is delivered.');
    const books = await Promise.race([
      booksUntil(agent, isDrained(workload.samples)),
      agent.death,
      sink.death,
    ]);
    say(standing(books));

    const { delivered: exact, duplicates, inversions: outOfOrder, wrong } = await sink.tell('check');
    const verdict = verdictOf({
      acknowledged: workload.samples,
      agent: books,
      sink: { exact, duplicates, outOfOrder, wrong },
    });
    process.stdout.write(`\n${verdict.text}`);
    return verdict.good;
  } finally {
    await agent?.stop();
    await sink.stop();
  }
}

/** Says how the agent does until `done`. */
async function tellUntil(agent: DemoAgent, done: Promise<void>): Promise<void> {
  const over = new AbortController();
  const telling = (async () => {
    while (!over.signal.aborted) {
      await sleep(tellEveryMs, undefined, { signal: over.signal }).catch(() => undefined);
      if (!over.signal.aborted) say(standing(await agent.books()));
    }
  })();
  try {
    await Promise.race([done, telling.then(() => done)]);
  } finally {
    over.abort();
    // An agent that died while it was asked has said so by its death.
    await telling.catch(() => undefined);
  }
}

/** The books once they are as `reached` wants them, or as they are when that takes too long: the verdict says so. */
async function booksUntil(agent: DemoAgent, reached: (books: Books) => boolean): Promise<Books> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const books = await agent.books();
    if (reached(books) || performance.now() > endMs) return books;
    await sleep(100);
  }
}

/** Its threads count about once a second: that nothing waits may be older than what was received last. */
const isDrained =
  (acknowledged: number) =>
  ({ received, returned, delivered, dropped, waiting }: Books): boolean =>
    received >= acknowledged && waiting === 0 && delivered + dropped === received + returned;

const ended = new AbortController();
process.once('SIGINT', () => ended.abort());
process.once('SIGTERM', () => ended.abort());
const folder = await mkdtemp(join(tmpdir(), 'spillway-demo-'));
try {
  process.exitCode = (await demo(folder, ended.signal)) ? 0 : 1;
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(ended.signal.aborted ? 'stopped\n' : `the demo failed: ${(error as Error).stack}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
