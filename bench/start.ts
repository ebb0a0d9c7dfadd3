/**
 * The course `start`: how long does a contender take to start with a large backlog?
 *
 * The endpoint is down while the backlog grows to the size that was asked for, as the files say. The contender
 * is stopped as its init system would. Then it is started with the endpoint up, and stopped at its first
 * delivery, several times; the endpoint goes down before each stop, so that the backlog is there for the next.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from './load.ts';
import { cpuSeconds, diskBytes, peakRssBytes } from './measure.ts';
import type { Settings } from './scenarios.ts';
import { GIVE_UP_MS, type Stage, type TrialResult, withAgent } from './stage.ts';

/** One start. Times are since the process was started. */
export interface Start {
  readonly readyMs: number;
  /** To every endpoint; undefined if there was none for longer than anybody waits between two attempts. */
  readonly firstDeliveryMs: number | undefined;
  /** Until the first delivery; undefined without one. */
  readonly cpuSeconds: number | undefined;
  readonly peakRssBytes: number;
}

/** Nobody writes less than this for a sample: the bound of the workload. */
const LEAST_SAMPLE_BYTES = 2;
const POLL_MS = 10;

/** Scrapes that are enough for what the load makes of the backlog, whoever writes it. */
export function roundsForBacklog(settings: Settings): number {
  const { series, samplesPerSeries } = settings;
  const rounds = Math.ceil(fillBytes(settings) / LEAST_SAMPLE_BYTES / series);
  return Math.ceil(rounds / samplesPerSeries) * samplesPerSeries;
}

function fillBytes({ fillMb, backlogMb }: Settings): number {
  return (fillMb > 0 ? fillMb : backlogMb) * 1e6;
}

export async function runStart(stage: Stage): Promise<TrialResult> {
  const { contender, settings, sinks } = stage;
  const { growBacklog } = contender;
  if (settings.fillMb > 0 && growBacklog === undefined) {
    throw new Error(`--fill-mb: a backlog of ${contender.name} cannot be copied`);
  }
  await sinks.tell('down');
  const filled = await fill(stage);
  const copied =
    settings.fillMb > 0 ? growBacklog?.(stage.site.dataDir, settings.backlogMb * 1e6) : undefined;
  const backlogBytes = filled.backlogBytes + (copied?.bytes ?? 0);
  // Copies have the samples of their originals.
  const samples = filled.samples + Math.round((copied?.share ?? 0) * filled.samples);
  const starts: Start[] = [];
  while (starts.length < settings.starts) {
    await sinks.tell('up');
    starts.push(await start(stage));
    if (starts.at(-1)?.firstDeliveryMs === undefined) break; // it would not deliver next time either
  }
  const sink = await sinks.tell('check');
  return { samples, endpoints: settings.endpoints, sink, drained: false, backlogBytes, starts };
}

/** Sends scrapes until the data directory has grown by the size that was asked for. */
async function fill(stage: Stage): Promise<{ samples: number; backlogBytes: number }> {
  const { settings, workload, site } = stage;
  const { chunks, requests } = workload;
  const wantedBytes = fillBytes(settings);
  const load = new Load({
    ...{ requests, chunks, connections: settings.connections, bodiesPerSecond: undefined },
    body: (index) => workload.body(index), // not timed
  });
  return withAgent(stage, async (agent) => {
    const emptyDisk = diskBytes(site.dataDir);
    for (let sent = 0; sent < requests; ) {
      await load.send(agent.writeUrl, sent, sent + chunks);
      sent += chunks;
      const backlogBytes = diskBytes(site.dataDir) - emptyDisk;
      if (backlogBytes < wantedBytes) continue;
      return { samples: (sent / chunks) * settings.series * settings.samplesPerSeries, backlogBytes };
    }
    throw new Error(`${workload.samples} samples make no backlog of ${wantedBytes / 1e6} MB`);
  });
}

async function start(stage: Stage): Promise<Start> {
  const startedMs = Date.now();
  return withAgent(stage, async (agent) => {
    const readyMs = Date.now() - startedMs;
    let firstMs = 0;
    while (firstMs === 0 && Date.now() - startedMs < GIVE_UP_MS) {
      await sleep(POLL_MS);
      firstMs = (await stage.sinks.tell('tell')).firstMs;
    }
    const delivered = firstMs > 0;
    const result: Start = {
      readyMs,
      firstDeliveryMs: delivered ? firstMs - startedMs : undefined,
      cpuSeconds: delivered ? cpuSeconds(agent.pid) : undefined,
      peakRssBytes: peakRssBytes(agent.pid),
    };
    await stage.sinks.tell('down');
    return result;
  });
}
