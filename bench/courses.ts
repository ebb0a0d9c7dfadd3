/**
 * The courses with a load that is timed.
 *
 * `up`: the endpoint answers all the time. `outage`: the endpoint is down while the load comes in, with a
 * pause halfway, until the data directory has settled; then it returns and the backlog drains.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContenderProcess } from './contender-process.ts';
import { Load } from './load.ts';
import { cpuSeconds, diskBytes, peakRssBytes, writtenBytes } from './measure.ts';
import type { SinkReport } from './sink.ts';
import type { Sinks } from './sinks.ts';
import { GIVE_UP_MS, type Stage, type TrialResult, withAgent } from './stage.ts';

const POLL_MS = 100;
/** vmagent moves its backlog to disk with the first write after five seconds of outage. */
const OUTAGE_PAUSE_MS = 6000;
const DISK_SETTLED_MS = 3000;
/** What a contender puts off until after delivery (saving positions, deleting files) is part of its price. */
const AFTERMATH_MS = 2000;

export async function runUp(stage: Stage): Promise<TrialResult> {
  const { settings, workload, sinks } = stage;
  const load = loadFor(stage, workload.bodies());
  return withAgent(stage, async (agent) => {
    const before = usage(agent);
    await load.send(agent.writeUrl);
    const sink = await delivered(sinks, workload.samples * settings.endpoints);
    const after = usage(agent);
    return {
      ...{ samples: workload.samples, endpoints: settings.endpoints, sink, drained: true, load },
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      peakRssBytes: peakRssBytes(agent.pid),
      writtenBytes: after.writtenBytes - before.writtenBytes,
    };
  });
}

export async function runOutage(stage: Stage): Promise<TrialResult> {
  const { settings, workload, sinks } = stage;
  const { dataDir } = stage.site;
  const load = loadFor(stage, workload.bodies());
  return withAgent(stage, async (agent) => {
    await sinks.tell('down');
    const downMs = Date.now();
    const emptyDisk = diskBytes(dataDir);
    const before = usage(agent);
    const halfway = Math.ceil(workload.requests / workload.chunks / 2) * workload.chunks;
    await load.send(agent.writeUrl, 0, halfway);
    await sleep(OUTAGE_PAUSE_MS);
    await load.send(agent.writeUrl, halfway);
    const fullDisk = await settledDisk(dataDir);
    await sleep(Math.max(0, downMs + settings.outageSeconds * 1000 - Date.now()));
    const beforeDrain = usage(agent);
    const returnedMs = Date.now();
    await sinks.tell('up');
    const sink = await delivered(sinks, workload.samples * settings.endpoints);
    const after = usage(agent);
    return {
      ...{ samples: workload.samples, endpoints: settings.endpoints, sink, drained: true, load },
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      drainCpuSeconds: after.cpuSeconds - beforeDrain.cpuSeconds,
      peakRssBytes: peakRssBytes(agent.pid),
      writtenBytes: after.writtenBytes - before.writtenBytes,
      backlogBytes: fullDisk - emptyDisk,
      returnedMs,
    };
  });
}

function usage({ pid }: ContenderProcess): { cpuSeconds: number; writtenBytes: number } {
  return { cpuSeconds: cpuSeconds(pid), writtenBytes: writtenBytes(pid) };
}

function loadFor({ settings, workload }: Stage, bodies: readonly Buffer[]): Load {
  const { rate, connections, perRequest, samplesPerSeries } = settings;
  return new Load({
    requests: bodies.length,
    body: (index) => bodies[index]!,
    chunks: workload.chunks,
    connections,
    bodiesPerSecond: rate === 0 ? undefined : rate / (perRequest * samplesPerSeries),
  });
}

/** Waits until the sinks have every sample, or until none came for so long that none will. */
async function delivered(sinks: Sinks, samples: number): Promise<SinkReport> {
  const startMs = Date.now();
  for (;;) {
    await sleep(POLL_MS);
    const quietMs = Date.now() - Math.max(startMs, (await sinks.tell('tell')).lastMs);
    if (quietMs < AFTERMATH_MS) continue;
    const report = await sinks.tell('check');
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
