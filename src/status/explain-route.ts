import type { Config } from '../config/load.ts';
import { explainSeries, labelsOfSelector, placesIn } from '../explain/explain.ts';
import type { Explanation, Labels, LiveExplanation, LiveFacts } from '../explain/explanation.ts';
import type { DeadLetterStore } from '../ledger/dead-letters.ts';
import { loopOf } from '../network/shard-table.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import { answerJson, type Handler } from './answers.ts';
import { letterPage, MOST_LETTERS } from './letter-query.ts';
import { letterLabels } from './letter-text.ts';
import type { RecentLookupResult } from './recent-lookup.ts';
import { queryRecent } from './recent-query.ts';

export type { LiveExplanation, LiveFacts } from '../explain/explanation.ts';

export interface ExplainOptions {
  readonly config: () => Config;
  /** The text that is in force, and its file. */
  readonly text: () => { readonly text: string; readonly file: string };
  readonly endpoints: () => readonly {
    readonly name: string;
    readonly pausedSinceMs: number | undefined;
    readonly stats: EndpointStats;
  }[];
  readonly deadLetters: () => DeadLetterStore | undefined;
}

/** `GET /api/v1/explain?match={...}&tenant=...`: what happens to a series, and what became of it. */
export function explainRoute(options: ExplainOptions): [string, Handler] {
  return [
    explainPath,
    (_request, response, { searchParams }) => {
      const match = searchParams.get('match');
      if (match === null) {
        answerJson(response, 400, { error: 'name a series: /api/v1/explain?match=up{job="node"}' });
        return;
      }
      try {
        const { text, file } = options.text();
        const labels = labelsOfSelector(match);
        const tenant = searchParams.get('tenant') ?? undefined;
        answerJson(
          response,
          200,
          withLive(options, explainSeries(options.config(), placesIn(text, file), labels, tenant)),
        );
      } catch (error) {
        if (!(error instanceof SpillwayError)) throw error;
        answerJson(response, 400, { error: describeError(error) });
      }
    },
  ];
}

export const explainPath = '/api/v1/explain';

function withLive(options: ExplainOptions, explanation: Explanation): LiveExplanation {
  const endpoints = explanation.endpoints.map((explained) => {
    const endpoint = options.endpoints().find(({ name }) => name === explained.name);
    if (endpoint === undefined) return explained;
    const loops = Math.max(1, endpoint.stats.get('shards'));
    const live: LiveFacts = {
      loop: loopOf(explained.shard, loops),
      loops,
      paused: endpoint.pausedSinceMs !== undefined,
      failing: endpoint.stats.get('failingLoops') > 0,
      deadLetters: lettersOf(options.deadLetters(), explained.name, explained.labels),
      ...lastDelivered(options.config(), explained.name, explained.labels),
    };
    return { ...explained, live };
  });
  return { ...explanation, endpoints };
}

function lettersOf(
  store: DeadLetterStore | undefined,
  endpoint: string,
  labels: Labels,
): LiveFacts['deadLetters'] {
  if (store === undefined || Object.keys(labels).length === 0) return { count: 0, more: false };
  const query = {
    endpoint,
    match: selectorOf(labels),
    reason: undefined,
    sinceMs: undefined,
    beforeMs: undefined,
  };
  const { letters, next } = letterPage(store, query, 'newest', undefined, MOST_LETTERS);
  // A selector also fits series with more labels.
  const own = letters.filter((letter) => isSame(letterLabels(letter.labels), labels));
  const words = own[0]?.words;
  return { count: own.length, more: next !== undefined, ...(words === undefined ? {} : { words }) };
}

function lastDelivered(config: Config, name: string, labels: Labels): Pick<LiveFacts, 'lastDelivered'> {
  const endpoint = config.remoteWrite.find((one) => one.name === name);
  // Looked up is the first of those that keep samples.
  const first = config.remoteWrite.find(({ url }) => url.kind === 'sqlite');
  if (endpoint === undefined || endpoint !== first || Object.keys(labels).length === 0) return {};
  const params = new URLSearchParams({ match: selectorOf(labels), series: '1000', samples: '1' });
  const { status, body } = queryRecent(config, params);
  if (status !== 200) return {};
  const { series } = body as RecentLookupResult;
  const sample = series.find((one) => isSame(one.labels, labels))?.samples.at(-1);
  return {
    lastDelivered: sample === undefined ? null : { timestampMs: sample.timestampMs, value: sample.value },
  };
}

/** A selector that a series with these labels fits. */
function selectorOf(labels: Labels): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${JSON.stringify(name)}=${JSON.stringify(value)}`)
    .join(',')}}`;
}

function isSame(a: Labels, b: Labels): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
  );
}
