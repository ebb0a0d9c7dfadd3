/** One trial: a fresh contender with a fresh data directory takes the workload and delivers it to fresh sinks. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Contender } from './contenders.ts';
import { runOutage, runUp } from './courses.ts';
import { type Course, roundsOf, type Settings } from './scenarios.ts';
import type { SeriesSet } from './series.ts';
import { Sinks } from './sinks.ts';
import type { TrialResult } from './stage.ts';
import { roundsForBacklog, runStart } from './start.ts';
import { type RowKind, Workload, type WorkloadOptions } from './workload.ts';

export interface TrialOptions {
  readonly course: Course;
  readonly rows: RowKind;
  readonly settings: Settings;
  readonly series: SeriesSet;
}

const COURSES = { up: runUp, outage: runOutage, start: runStart } as const;

export async function runTrial(
  contender: Contender,
  options: TrialOptions,
  signal: AbortSignal,
): Promise<TrialResult> {
  const { course, rows, settings } = options;
  const { endpoints, answerMs, loops } = settings;
  const workload = Workload.fresh(workloadOf(options));
  const folder = await mkdtemp(join(tmpdir(), 'spillway-bench-'));
  let sinks: Sinks | undefined;
  try {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir);
    sinks = await Sinks.start(endpoints, { shape: workload.shape, answerMs }, signal);
    const site = {
      ...{ folder, dataDir, sinkUrls: sinks.urls },
      loops: loops === 0 ? undefined : loops,
      histograms: rows === 'histograms',
    };
    return await COURSES[course]({ contender, settings, workload, sinks, site, signal });
  } finally {
    await sinks?.stop();
    await rm(folder, { recursive: true });
  }
}

/** The workload of a trial; it has no times yet. */
export function workloadOf({ course, rows, settings, series }: TrialOptions): WorkloadOptions {
  const { perRequest, samplesPerSeries, lifetime } = settings;
  const rounds = course === 'start' ? roundsForBacklog(settings) : roundsOf(settings);
  return { rows, series, rounds, perRequest, samplesPerSeries, lifetime };
}
