import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { Config } from '../config/load.ts';
import type { DeadLetterStore } from '../ledger/dead-letters.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { deadLetterRoutes } from './dead-letter-routes.ts';
import { openRecent } from './recent-lookup.ts';
import { parseSelector } from './selector.ts';

export interface StatusOptions {
  readonly config: Config;
  readonly version: string;
  readonly registry: Registry;
  /** Undefined when the agent is ready, else what it is: `starting`, `not ready: ...`. */
  readonly ready: () => string | undefined;
  readonly summary: () => object;
  /** Undefined while the ledger is not open. */
  readonly deadLetters: () => DeadLetterStore | undefined;
}

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

const MOST_SERIES = 1000;
const MOST_SAMPLES = 10_000;

/**
 * What can be looked at over HTTP: metrics, health, readiness, a summary, recent samples, dead letters. Nothing
 * changes by it but dead letters (dead-letter-routes.ts).
 */
export function statusRoutes(options: StatusOptions): [string, Handler][] {
  return [
    [
      '/metrics',
      async (_request, response) => {
        const text = await options.registry.metrics();
        response.writeHead(200, { 'Content-Type': options.registry.contentType }).end(text);
      },
    ],
    ['/-/healthy', (_request, response) => plain(response, 200, 'Spillway is healthy.')],
    [
      '/-/ready',
      (_request, response) => {
        const state = options.ready();
        if (state === undefined) plain(response, 200, 'Spillway is ready.');
        else plain(response, 503, `Spillway is ${state}.`);
      },
    ],
    [
      '/api/v1/status',
      (_request, response) => json(response, 200, { version: options.version, ...options.summary() }),
    ],
    ['/api/v1/recent', (_request, response, url) => lookUp(options.config, response, url)],
    ...deadLetterRoutes(options.deadLetters),
    [
      '/',
      (_request, response) =>
        plain(
          response,
          200,
          [
            `Spillway ${options.version}`,
            '',
            'POST /api/v1/write                remote write 1.0',
            'GET  /api/v1/status               what came in, what is delivered, what waits',
            'GET  /api/v1/recent?match=up      recent samples of a series, from the built-in destination',
            'GET  /api/v1/dead_letters         rows that an endpoint refused for good',
            'GET  /metrics                     for Prometheus',
            'GET  /-/healthy, /-/ready',
          ].join('\n'),
        ),
    ],
  ];
}

/** A look into the file of the first endpoint that keeps recent samples; opened for this one look. */
function lookUp(config: Config, response: ServerResponse, url: URL): void {
  const kept = config.remoteWrite.map((endpoint) => endpoint.url).find(({ kind }) => kind === 'sqlite');
  if (kept?.kind !== 'sqlite') {
    json(response, 404, {
      error: 'no endpoint with a sqlite: URL is configured, so no samples are kept here',
    });
    return;
  }
  const match = url.searchParams.get('match') ?? url.searchParams.get('match[]');
  if (match === null) {
    json(response, 400, { error: 'name a series: /api/v1/recent?match=up' });
    return;
  }
  const limit = (name: string, byDefault: number, most: number): number => {
    const value = Number(url.searchParams.get(name) ?? byDefault);
    return Number.isInteger(value) && value > 0 ? Math.min(value, most) : byDefault;
  };
  const recent = openRecent(kept.file);
  try {
    json(
      response,
      200,
      recent.lookup(parseSelector(match), {
        limitSeries: limit('series', 20, MOST_SERIES),
        limitSamples: limit('samples', 10, MOST_SAMPLES),
      }),
    );
  } catch (error) {
    if (!(error instanceof SpillwayError)) throw error;
    json(response, 400, { error: error.message });
  } finally {
    recent.close();
  }
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

function json(response: ServerResponse, status: number, value: object): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json' })
    .end(`${JSON.stringify(value, undefined, 2)}\n`);
}
