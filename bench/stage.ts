/** What the courses of a trial share: what they work with, and what they find. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ContenderProcess } from './contender-process.ts';
import type { Contender, Site } from './contenders.ts';
import type { Load } from './load.ts';
import type { Settings } from './scenarios.ts';
import type { SinkReport } from './sink.ts';
import type { Sinks } from './sinks.ts';
import type { Start } from './start.ts';
import type { Workload } from './workload.ts';

/** What a course works with. */
export interface Stage {
  readonly contender: Contender;
  readonly settings: Settings;
  readonly workload: Workload;
  readonly sinks: Sinks;
  readonly site: Omit<Site, 'port'>;
  readonly signal: AbortSignal;
}

/** What a trial shows; undefined is what its course does not have. */
export interface TrialResult {
  /** Acknowledged; each goes to `endpoints` sinks. */
  readonly samples: number;
  readonly endpoints: number;
  /** Of all sinks together. */
  readonly sink: SinkReport;
  /** False if the trial was over before all could be delivered: what is missing then is not lost. */
  readonly drained: boolean;
  readonly load?: Load;
  /** User and system seconds from before the load until all is delivered, and of that after the outage. */
  readonly cpuSeconds?: number;
  readonly drainCpuSeconds?: number;
  readonly peakRssBytes?: number;
  /** Written to disk while `cpuSeconds` were used. */
  readonly writtenBytes?: number;
  /** What the backlog occupies. */
  readonly backlogBytes?: number;
  /** When the endpoint returned, ms since the epoch. */
  readonly returnedMs?: number;
  readonly starts?: readonly Start[];
}

/** Longer than the longest pause between two attempts of any contender (vmagent: a minute). */
export const GIVE_UP_MS = 90_000;
/** Within which a death is noticed. */
const DEATH_MS = 100;

/** Starts the contender, lets `use` have it, and stops it. */
export async function withAgent<T>(
  { contender, site, sinks, signal }: Stage,
  use: (agent: ContenderProcess) => Promise<T>,
): Promise<T> {
  const agent = await ContenderProcess.start(contender, site, signal);
  try {
    return await Promise.race([use(agent), agent.death, sinks.death]);
  } catch (error) {
    // A load that failed because the contender died had better say so.
    await Promise.race([agent.death, sleep(DEATH_MS)]);
    throw error;
  } finally {
    await agent.stop();
  }
}
