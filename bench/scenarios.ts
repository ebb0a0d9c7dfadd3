/**
 * The questions that the bench answers, as data: `npm run bench:NAME` runs one of them. The page
 * docs/performance.md has a section for each, in this order, that opens with its text.
 */
import type { Name } from './contenders.ts';
import type { RowKind } from './workload.ts';

/** What can be set, and by which option of the command line (`perRequest`: `--per-request`). */
export const SETTINGS = {
  series: 'distinct series, about 11 labels each',
  samples: 'samples in all, rounded up to whole scrapes of all series, at least two of them',
  perRequest: 'series in a request',
  samplesPerSeries: 'samples of each series in a request',
  lifetime: 'scrapes after which a pod and its series make way for new ones; 0: they stay',
  connections: 'requests in flight',
  rate: 'samples per second, requests evenly spaced; 0: full speed',
  endpoints: 'sinks; each gets everything',
  answerMs: 'time that a sink takes to answer, ms',
  loops: 'sending loops of each endpoint (queues of vmagent, shards of Prometheus); 0: as it comes',
  outageSeconds: 'the endpoint is down for at least so long, in scenarios with an outage',
  backlogMb: 'what is on disk at a start, MB, in scenarios with a backlog',
  fillMb: 'of it made by the load, MB; copies of its segments make the rest (Spillway only); 0: all of it',
  starts: 'starts with that backlog',
} as const;

export type Setting = keyof typeof SETTINGS;
export type Settings = Readonly<Record<Setting, number>>;
/** One setting at most may be a list: the scenario is run with each of its values. */
export type SettingLists = Readonly<Record<Setting, number | readonly number[]>>;

export const DEFAULTS: Settings = {
  series: 100_000,
  samples: 1_000_000,
  perRequest: 2000,
  samplesPerSeries: 1,
  lifetime: 0,
  connections: 4,
  rate: 0,
  endpoints: 1,
  answerMs: 0,
  loops: 0,
  outageSeconds: 0,
  backlogMb: 1000,
  fillMb: 0,
  starts: 5,
};

/** What happens in a trial; see trial.ts. */
export type Course = 'up' | 'outage' | 'start';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** What is asked, and how: one paragraph of Markdown. */
  readonly text: string;
  readonly course: Course;
  readonly rows: RowKind;
  /** Where it differs from `DEFAULTS`. */
  readonly settings: Partial<SettingLists>;
  /** 3 unless it is said. */
  readonly runs?: number;
  /** Who takes part unless it is said; `USUAL` otherwise. */
  readonly only?: readonly Name[];
  /** Who takes no part, and why. */
  readonly leftOut?: Partial<Record<Name, string>>;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'up',
    title: 'Saturated throughput',
    text:
      'What does a sample cost while the endpoint answers, and how many go through? ' +
      'Four connections send as fast as they are answered.',
    course: 'up',
    rows: 'floats',
    settings: { samples: 3_000_000 },
  },
  {
    name: 'outage',
    title: 'Outage and drain',
    text:
      'What does a sample cost that goes through the disk? The endpoint is down while the load comes in, ' +
      'then it returns and the backlog drains.',
    course: 'outage',
    rows: 'floats',
    settings: { samples: 3_000_000 },
  },
  {
    name: 'steady',
    title: 'A steady low rate',
    text:
      'What does an agent cost that has little to do, and how soon is a sample delivered? ' +
      'Ten thousand series, ten thousand samples a second, for a minute.',
    course: 'up',
    rows: 'floats',
    settings: { series: 10_000, rate: 10_000, samples: 600_000 },
  },
  {
    name: 'requests',
    title: 'Series in a request',
    text: 'What does a request cost beside its samples? The load of the first section in requests of 500 and of 2000 series.',
    course: 'up',
    rows: 'floats',
    settings: { perRequest: [500, 2000] },
  },
  {
    name: 'one-series',
    title: 'One series, a hundred samples',
    text:
      'Senders that catch up, or write by themselves, send few series with many samples: ' +
      'here each request has one series and a hundred of its samples.',
    course: 'up',
    rows: 'floats',
    settings: { series: 10_000, perRequest: 1, samplesPerSeries: 100, samples: 2_000_000 },
  },
  {
    name: 'churn',
    title: 'Churn',
    text:
      'What do new series cost? Pods live for five scrapes, ' +
      'so that in each scrape a fifth of a hundred thousand series was never there before.',
    course: 'up',
    rows: 'floats',
    settings: { lifetime: 5, samples: 2_000_000 },
  },
  {
    name: 'histograms',
    title: 'Native histograms',
    text:
      'Each sample is a native histogram with twenty buckets, about a hundred bytes. vmagent takes no part: ' +
      'it turns them into series of its own, so that what leaves is not what came.',
    course: 'up',
    rows: 'histograms',
    settings: { series: 10_000, perRequest: 500, samples: 500_000 },
    leftOut: { vmagent: 'it does not forward native histograms as such' },
  },
  {
    name: 'recovery',
    title: 'Recovery lag',
    text:
      'How soon after the return of the endpoint does delivery go on? ' +
      'Ten thousand samples a second come in while it is down, for a minute.',
    course: 'outage',
    rows: 'floats',
    settings: { series: 10_000, rate: 10_000, samples: 400_000, outageSeconds: 60 },
  },
  {
    name: 'start',
    title: 'Start with a backlog',
    text:
      'How long does a start take with a large backlog on disk (`--backlog-mb`)? The backlog is made once, then the agent ' +
      'is started five times and stopped after its first delivery. What was delivered until then is verified.',
    course: 'start',
    rows: 'floats',
    settings: {},
    runs: 1,
  },
  {
    name: 'choices',
    title: 'What the settings cost',
    text:
      'Bytes for CPU time: `wal.codec: brotli` (spillway-brotli) makes the backlog smaller, `wire_compression: small` ' +
      '(spillway-small) the requests. The endpoint is down while the load comes in, then it returns. Ratios are to the ' +
      'defaults.',
    course: 'outage',
    rows: 'floats',
    settings: {},
    only: ['spillway', 'spillway-brotli', 'spillway-small'],
  },
  {
    name: 'sweep-series',
    title: 'What grows with the series',
    text: 'Saturated throughput with ten thousand, a hundred thousand and a million series.',
    course: 'up',
    rows: 'floats',
    settings: { series: [10_000, 100_000, 1_000_000], samples: 3_000_000 },
  },
  {
    name: 'sweep-endpoints',
    title: 'What grows with the endpoints',
    text: 'Saturated throughput to one to four endpoints, each of which gets everything. A sample that comes in counts once.',
    course: 'up',
    rows: 'floats',
    settings: { endpoints: [1, 2, 3, 4] },
  },
  {
    name: 'sweep-loops',
    title: 'What grows with the loops',
    text:
      'Saturated throughput to an endpoint that takes 20 ms to answer, with the number of sending loops fixed ' +
      '(queues of vmagent, shards of Prometheus).',
    course: 'up',
    rows: 'floats',
    settings: { loops: [1, 4, 16, 50], answerMs: 20 },
  },
];

/** One or more runs of a scenario: what is set, and how it differs from its neighbours. */
export interface Step {
  /** Such as `500 per request`; undefined where there is one step only. */
  readonly varied: { readonly setting: Setting; readonly value: number } | undefined;
  readonly settings: Settings;
}

/** Throws when more than one setting is a list. */
export function stepsOf(lists: Partial<SettingLists>): Step[] {
  const all: SettingLists = { ...DEFAULTS, ...lists };
  const entries = Object.entries(all) as [Setting, number | readonly number[]][];
  const varied = entries.filter(([, value]) => typeof value !== 'number');
  if (varied.length > 1) {
    throw new Error(`one list at most: ${varied.map(([name]) => `--${flagOf(name)}`).join(', ')}`);
  }
  const [list] = varied;
  if (list === undefined) return [{ varied: undefined, settings: all as Settings }];
  const [setting, values] = list as [Setting, readonly number[]];
  return values.map((value) => ({
    varied: values.length > 1 ? { setting, value } : undefined,
    settings: { ...all, [setting]: value } as Settings,
  }));
}

/** `perRequest` is set by `--per-request`. */
export function flagOf(setting: Setting): string {
  return setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Scrapes of all series: those that the samples ask for, in whole requests. */
export function roundsOf({ series, samples, samplesPerSeries }: Settings): number {
  const rounds = Math.max(2, Math.ceil(samples / series));
  return Math.ceil(rounds / samplesPerSeries) * samplesPerSeries;
}
