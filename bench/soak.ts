/**
 * Is memory flat while a backlog grows, and while it drains? `node build/bench/soak.js --minutes 60`.
 *
 * One Spillway with its defaults in a process of its own takes a steady load while its endpoint is down, for as long as
 * is asked; then the endpoint returns and the backlog drains. Its memory is read four times a second. Each phase is
 * judged by itself (flatness.ts), every sample is checked at the far end. With `--churn`, each scrape brings series
 * that were never there before. Exit status: 0, 1 when memory grew or a sample is missing, altered, repeated or out of
 * order.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ContenderProcess } from './contender-process.ts';
import { findContender } from './contenders.ts';
import { type Flatness, flatness } from './flatness.ts';
import { Load } from './load.ts';
import { diskBytes, residentBytes } from './measure.ts';
import { SeriesSet } from './series.ts';
import type { SinkReport } from './sink.ts';
import { SinkProcess } from './sink-process.ts';
import { Workload } from './workload.ts';

const READ_MS = 250;
const PRINT_EVERY = 40;
/** Without a delivery for so long, none will come. */
const GIVE_UP_MS = 90_000;

interface Options {
  readonly minutes: number;
  readonly series: number;
  readonly rate: number;
  readonly perRequest: number;
  readonly churn: boolean;
}

/** One reading. The heap and what it holds outside are of the main thread. */
interface Reading {
  readonly rss: number;
  readonly anonymous: number;
  readonly heap: number;
  readonly external: number;
}

interface Phase {
  readonly name: string;
  readonly readings: readonly Reading[];
}

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort());
try {
  process.exitCode = (await soak(parse(process.argv.slice(2)), interrupt.signal)) ? 0 : 1;
} catch (error) {
  console.error(interrupt.signal.aborted ? 'interrupted' : error);
  process.exitCode = 2;
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '60' },
      series: { type: 'string', default: '100000' },
      rate: { type: 'string', default: '15000' },
      'per-request': { type: 'string', default: '2000' },
      churn: { type: 'boolean', default: false },
    },
  });
  const positive = (name: string, text: string): number => {
    const value = Number(text);
    if (!(value > 0)) throw new Error(`--${name} ${text}: a number above 0`);
    return value;
  };
  return {
    minutes: positive('minutes', values.minutes),
    series: positive('series', values.series),
    rate: positive('rate', values.rate),
    perRequest: positive('per-request', values['per-request']),
    churn: values.churn,
  };
}

async function soak(options: Options, signal: AbortSignal): Promise<boolean> {
  const { minutes, rate, churn, perRequest } = options;
  const rounds = Math.ceil((minutes * 60 * rate) / options.series);
  const workload = Workload.fresh({
    series: new SeriesSet(options.series),
    rounds,
    perRequest,
    lifetime: churn ? 1 : 0,
  });
  const kind = churn ? 'new in each scrape' : 'the same in each scrape';
  console.log(
    `${workload.samples} samples: ${rounds} scrapes of ${options.series} series, ${kind}; ${rate}/s`,
  );

  const folder = await mkdtemp(join(tmpdir(), 'spillway-soak-'));
  let sink: SinkProcess | undefined;
  let agent: ContenderProcess | undefined;
  try {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir);
    sink = await SinkProcess.start({ shape: workload.shape }, signal);
    const sinkUrls = [sink.writeUrl.href];
    agent = await ContenderProcess.start(
      findContender('spillway', undefined),
      { folder, dataDir, sinkUrls },
      signal,
    );
    return await Promise.race([
      run({ workload, rate, sink, agent, dataDir }, signal),
      sink.death,
      agent.death,
    ]);
  } finally {
    await agent?.stop();
    await sink?.stop();
    await rm(folder, { recursive: true });
  }
}

interface Stage {
  readonly workload: Workload;
  readonly rate: number;
  readonly sink: SinkProcess;
  readonly agent: ContenderProcess;
  readonly dataDir: string;
}

async function run(stage: Stage, signal: AbortSignal): Promise<boolean> {
  const { workload, rate, sink, agent, dataDir } = stage;
  await sink.tell('down');
  const load = new Load({
    requests: workload.requests,
    body: (index) => workload.body(index),
    chunks: workload.chunks,
    connections: 4,
    bodiesPerSecond: rate / workload.shape.perRequest,
  });
  let loading = true;
  const sent = load.send(agent.writeUrl).finally(() => {
    loading = false;
  });
  const outage = await watch('outage', stage, signal, async () => loading);
  await sent;
  const backlog = diskBytes(dataDir);
  console.log(
    `${workload.samples} samples are on disk in ${(backlog / workload.samples).toFixed(1)} bytes each`,
  );

  const returnedMs = Date.now();
  await sink.tell('up');
  let report: SinkReport | undefined;
  const drain = await watch('drain', stage, signal, async () => {
    report = await sink.tell('check');
    const quietMs = Date.now() - Math.max(returnedMs, report.lastMs);
    return report.delivered < workload.samples && quietMs < GIVE_UP_MS;
  });
  const delivery = deliveryFault(workload, report!);
  const verdicts = [outage, drain].map(({ name, readings }) => ({
    name,
    readings,
    flat: flatness(readings.map(({ rss }) => rss)),
  }));
  printTable(verdicts);
  console.log(`delivery: ${delivery ?? 'every sample, once, in order, bit by bit'}`);
  return delivery === undefined && verdicts.every(({ flat }) => flat.fault === undefined);
}

/** Reads memory for as long as `goesOn`. */
async function watch(
  name: string,
  { agent }: Stage,
  signal: AbortSignal,
  goesOn: () => Promise<boolean>,
): Promise<Phase> {
  const readings: Reading[] = [];
  const metricsUrl = new URL('/metrics', agent.writeUrl);
  while (await goesOn()) {
    const { rss, anonymous } = residentBytes(agent.pid);
    const page = await (await fetch(metricsUrl, { signal })).text();
    const metric = (key: string): number => Number(new RegExp(`^${key} (\\S+)$`, 'm').exec(page)?.[1] ?? 0);
    const heap = metric('nodejs_heap_size_total_bytes');
    const external = metric('nodejs_external_memory_bytes');
    readings.push({ rss, anonymous, heap, external });
    if (readings.length % PRINT_EVERY === 1) {
      const mb = [rss, anonymous, heap, external].map((bytes) => (bytes / 1e6).toFixed(0));
      console.log(
        `${name} ${((readings.length - 1) * READ_MS) / 1000} s: RSS ${mb[0]} MB, anonymous ${mb[1]}, heap ${mb[2]}, external ${mb[3]}`,
      );
    }
    await sleep(READ_MS, undefined, { signal });
  }
  return { name, readings };
}

function deliveryFault(workload: Workload, report: SinkReport): string | undefined {
  const faults = [
    [workload.samples - report.delivered, 'lost'],
    [report.wrong, 'altered'],
    [report.duplicates, 'twice'],
    [report.inversions, 'out of order'],
  ] as const;
  const found = faults.filter(([count]) => count !== 0).map(([count, what]) => `${count} ${what}`);
  return found.length > 0 ? found.join(', ') : undefined;
}

function printTable(phases: readonly (Phase & { readonly flat: Flatness })[]): void {
  console.log('\nRSS, MB, medians of the windows after the warm-up');
  for (const { name, readings, flat } of phases) {
    const windows = flat.windows.map((bytes) => (bytes / 1e6).toFixed(0).padStart(5)).join('');
    const peak = Math.max(...readings.map(({ rss }) => rss)) / 1e6;
    const growth = `${(flat.growth * 100).toFixed(1)} %`;
    console.log(
      `${name.padEnd(7)} ${windows}  peak ${peak.toFixed(0)}, growth ${growth}: ${flat.fault ?? 'flat'}`,
    );
  }
}
