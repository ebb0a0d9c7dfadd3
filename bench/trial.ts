/**
 * One trial: a fresh contender with a fresh data directory takes the whole workload and delivers it to a
 * fresh sink.
 *
 * `up`: the endpoint answers all the time. `outage`: the endpoint is down while the load comes in, with a
 * pause halfway, until the data directory has settled; then it returns and the backlog drains.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ContenderProcess } from './contender-process.ts';
import type { Contender } from './contenders.ts';
import { Load } from './load.ts';
import { cpuSeconds, diskBytes, peakRssBytes } from './measure.ts';
import type { SeriesSet } from './series.ts';
import type { SinkReport } from './sink.ts';
import { SinkProcess } from './sink-process.ts';
import { Workload } from './workload.ts';

export const SCENARIOS = ['up', 'outage'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface TrialOptions {
  readonly series: SeriesSet;
  readonly rounds: number;
  readonly perRequest: number;
  readonly connections: number;
  readonly scenario: Scenario;
  /** Samples per second; as fast as it goes if undefined. */
  readonly rate: number | undefined;
}

export interface TrialResult {
  readonly samples: number;
  readonly load: Load;
  readonly sink: SinkReport;
  /** User and system seconds from before the load until all is delivered, and of that after the outage. */
  readonly cpuSeconds: number;
  readonly drainCpuSeconds: number | undefined;
  readonly peakRssBytes: number;
  /** What the backlog occupies at the end of the outage. */
  readonly diskBytes: number | undefined;
  /** When the endpoint returned, ms since the epoch. */
  readonly returnedMs: number | undefined;
}

const POLL_MS = 100;
/** Longer than the longest pause between two attempts of any contender (vmagent: a minute). */
const GIVE_UP_MS = 90_000;
/** vmagent moves its backlog to disk with the first write after five seconds of outage. */
const OUTAGE_PAUSE_MS = 6000;
const DISK_SETTLED_MS = 3000;
/** What a contender puts off until after delivery (saving positions, deleting files) is part of its price. */
const AFTERMATH_MS = 2000;

export async function runTrial(
  contender: Contender,
  options: TrialOptions,
  signal: AbortSignal,
): Promise<TrialResult> {
  const workload = Workload.fresh(options);
  const bodies = workload.bodies();
  const folder = await mkdtemp(join(tmpdir(), 'spillway-bench-'));
  let sink: SinkProcess | undefined;
  let agent: ContenderProcess | undefined;
  try {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir);
    sink = await SinkProcess.start(workload.shape, signal);
    const sinkUrl = sink.writeUrl.href;
    agent = await ContenderProcess.start(contender, { folder, dataDir, sinkUrl }, signal);
    const run = options.scenario === 'up' ? runUp : runOutage;
    return await Promise.race([
      run({ options, workload, bodies, sink, agent, dataDir }),
      sink.death,
      agent.death,
    ]);
  } catch (error) {
    // A load that failed because the contender died had better say so.
    await Promise.race([agent?.death, sleep(POLL_MS)]);
    throw error;
  } finally {
    await agent?.stop();
    await sink?.stop();
    await rm(folder, { recursive: true });
  }
}

interface Stage {
  readonly options: TrialOptions;
  readonly workload: Workload;
  readonly bodies: readonly Buffer[];
  readonly sink: SinkProcess;
  readonly agent: ContenderProcess;
  readonly dataDir: string;
}

async function runUp(stage: Stage): Promise<TrialResult> {
  const { workload, sink, agent } = stage;
  const before = cpuSeconds(agent.pid);
  const load = loadFor(stage);
  await load.send();
  const report = await delivered(sink, workload.samples);
  return {
    samples: workload.samples,
    load,
    sink: report,
    cpuSeconds: cpuSeconds(agent.pid) - before,
    drainCpuSeconds: undefined,
    peakRssBytes: peakRssBytes(agent.pid),
    diskBytes: undefined,
    returnedMs: undefined,
  };
}

async function runOutage(stage: Stage): Promise<TrialResult> {
  const { options, workload, sink, agent, dataDir } = stage;
  await sink.tell('down');
  const emptyDisk = diskBytes(dataDir);
  const before = cpuSeconds(agent.pid);
  const load = loadFor(stage);
  const halfway = workload.chunks * Math.ceil(options.rounds / 2);
  await load.send(0, halfway);
  await sleep(OUTAGE_PAUSE_MS);
  await load.send(halfway);
  const fullDisk = await settledDisk(dataDir);
  const beforeDrain = cpuSeconds(agent.pid);
  const returnedMs = Date.now();
  await sink.tell('up');
  const report = await delivered(sink, workload.samples);
  const after = cpuSeconds(agent.pid);
  return {
    samples: workload.samples,
    load,
    sink: report,
    cpuSeconds: after - before,
    drainCpuSeconds: after - beforeDrain,
    peakRssBytes: peakRssBytes(agent.pid),
    diskBytes: fullDisk - emptyDisk,
    returnedMs,
  };
}

function loadFor({ options, workload, bodies, agent }: Stage): Load {
  const { rate, connections, perRequest } = options;
  return new Load({
    url: agent.writeUrl,
    requests: bodies.length,
    body: (index) => bodies[index]!,
    chunks: workload.chunks,
    connections,
    bodiesPerSecond: rate === undefined ? undefined : rate / perRequest,
  });
}

/** Waits until the sink has every sample, or until none came for so long that none will. */
async function delivered(sink: SinkProcess, samples: number): Promise<SinkReport> {
  const startMs = Date.now();
  for (;;) {
    await sleep(POLL_MS);
    const quietMs = Date.now() - Math.max(startMs, (await sink.tell('tell')).lastMs);
    if (quietMs < AFTERMATH_MS) continue;
    const report = await sink.tell('check');
    if (report.delivered === samples || quietMs > GIVE_UP_MS) return report;
  }
}

async function settledDisk(dataDir: string): Promise<number> {
  let bytes = diskBytes(dataDir);
  for (let quietSince = Date.now(); Date.now() - quietSince < DISK_SETTLED_MS; ) {
    await sleep(POLL_MS);
    const next = diskBytes(dataDir);
    if (next !== bytes) quietSince = Date.now();
    bytes = next;
  }
  return bytes;
}
