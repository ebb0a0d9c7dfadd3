import type { ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { Config } from '../config/load.ts';
import type { DeadLetterStore } from '../ledger/dead-letters.ts';
import type { Logger } from '../telemetry/log.ts';
import { accessRoute, type VisitorOf } from './access-route.ts';
import { answerJson, type Handler } from './answers.ts';
import type { StatusBoard } from './board.ts';
import { deadLetterRoutes, type LetterResends } from './dead-letter-routes.ts';
import type { StatusEvents } from './events.ts';
import { pageRoutes } from './page-routes.ts';
import { queryRecent } from './recent-query.ts';

export interface StatusOptions {
  readonly config: () => Config;
  readonly version: string;
  readonly registry: Registry;
  /** Undefined when the agent is ready, else what it is: `starting`, `not ready: ...`. */
  readonly ready: () => string | undefined;
  readonly board: Pick<StatusBoard, 'document' | 'history'>;
  readonly events: StatusEvents;
  /** Undefined while the ledger is not open. */
  readonly deadLetters: () => DeadLetterStore | undefined;
  readonly resends: LetterResends;
  readonly visitor: VisitorOf;
  readonly logger: Logger;
}

/**
 * What can be looked at over HTTP, and the page that shows it. Of these routes those of dead letters alone change
 * something (dead-letter-routes.ts); control-routes.ts has what changes the agent, explain-route.ts explains a series.
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
    ['/api/v1/status', (_request, response) => answerJson(response, 200, options.board.document())],
    ['/api/v1/history', (_request, response) => compactJson(response, options.board.history())],
    ['/api/v1/events', (request, response) => options.events.handle(request, response)],
    [
      '/api/v1/recent',
      (_request, response, url) => {
        const { status, body } = queryRecent(options.config(), url.searchParams);
        answerJson(response, status, body);
      },
    ],
    accessRoute(options.visitor),
    ...deadLetterRoutes({
      store: options.deadLetters,
      endpoints: () => options.config().remoteWrite.map(({ name }) => name),
      resends: options.resends,
      visitor: options.visitor,
      logger: options.logger,
    }),
    ...pageRoutes(
      [
        `Spillway ${options.version}`,
        '',
        'GET  /                            in a browser: the status page',
        'POST /api/v1/write                remote write 1.0 and 2.0',
        'GET  /api/v1/status               how things stand: states in words, rates, backlog, errors, losses',
        'GET  /api/v1/history              the last hour, in steps of ten seconds',
        'GET  /api/v1/events               both as server-sent events',
        'GET  /api/v1/recent?match=up      recent samples of a series, from the built-in destination',
        'GET  /api/v1/explain?match=up     what happens to a series, and where it goes',
        'GET  /api/v1/access               what you may do here from a browser',
        'GET  /api/v1/dead_letters         rows that an endpoint refused for good',
        'POST /-/reload                    put the configuration file in force',
        'GET  /api/v1/endpoints            the endpoints, and what is kept for those that were removed',
        'POST /api/v1/endpoints/pause, resume, seek',
        'GET  /metrics                     for Prometheus',
        'GET  /-/healthy, /-/ready',
      ].join('\n'),
    ),
  ];
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

function compactJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}
