import type { Config } from '../config/load.ts';
import { parseSelector } from '../promql/selector.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { openRecent } from './recent-lookup.ts';

/** An answer as over HTTP: `body` is its JSON. */
export interface RecentAnswer {
  readonly status: number;
  readonly body: object;
}

const MOST_SERIES = 1000;
const MOST_SAMPLES = 10_000;

/**
 * Looks recent samples up, with the parameters of `/api/v1/recent`: in the file of the first endpoint that keeps some,
 * opened for this one look.
 */
export function queryRecent(config: Config, params: URLSearchParams): RecentAnswer {
  const kept = config.remoteWrite.map((endpoint) => endpoint.url).find(({ kind }) => kind === 'sqlite');
  if (kept?.kind !== 'sqlite') {
    const error = 'no endpoint with a sqlite: URL is configured, so no samples are kept here';
    return { status: 404, body: { error } };
  }
  const match = params.get('match') ?? params.get('match[]');
  if (match === null) return { status: 400, body: { error: 'name a series: /api/v1/recent?match=up' } };
  const limit = (name: string, byDefault: number, most: number): number => {
    const value = Number(params.get(name) ?? byDefault);
    return Number.isInteger(value) && value > 0 ? Math.min(value, most) : byDefault;
  };
  const recent = openRecent(kept.file);
  try {
    const body = recent.lookup(parseSelector(match), {
      limitSeries: limit('series', 20, MOST_SERIES),
      limitSamples: limit('samples', 10, MOST_SAMPLES),
    });
    return { status: 200, body };
  } catch (error) {
    if (!(error instanceof SpillwayError)) throw error;
    return { status: 400, body: { error: error.message } };
  } finally {
    recent.close();
  }
}
