import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConfigError } from '../config/problems.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ParkedReading } from '../telemetry/metrics.ts';

/** The endpoints, as these routes need them. */
export interface ControlledEndpoints {
  readonly list: readonly { readonly name: string }[];
  parkedReadings(): readonly ParkedReading[];
  /** Rejects with a `SpillwayError` when there is nothing to forget. */
  forget(name: string): Promise<{ readonly rows: number; readonly bytes: number }>;
}

export interface ControlOptions {
  readonly reload: () => Promise<{ readonly failed: readonly unknown[] }>;
  /** Undefined while the agent starts. */
  readonly endpoints: () => ControlledEndpoints | undefined;
  /** How many dead letters there are of an endpoint. */
  readonly letters: (endpoint: string) => number;
  readonly logger: Logger;
}

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

export const endpointsPath = '/api/v1/endpoints';

/**
 * What changes the agent, for those whose access is `all`:
 *
 *     POST   /-/reload                     puts the configuration file in force; says what has changed
 *     GET    /api/v1/endpoints             the endpoints, and those that something is kept for though they are not configured
 *     DELETE /api/v1/endpoints?name=NAME   lets go what is kept for one of the latter
 */
export function controlRoutes(options: ControlOptions): [string, Handler][] {
  const { reload, endpoints, letters, logger } = options;
  return [
    [
      '/-/reload',
      async (request, response) => {
        if (request.method !== 'POST' && request.method !== 'PUT') {
          refuseMethod(request, response, 'POST, PUT');
          return;
        }
        try {
          const outcome = await reload();
          json(response, outcome.failed.length === 0 ? 200 : 500, outcome);
        } catch (error) {
          if (!(error instanceof SpillwayError)) throw error;
          const problems = error instanceof ConfigError ? { problems: error.problems } : {};
          json(response, statusOf(error), { error: describeError(error), ...problems });
        }
      },
    ],
    [
      endpointsPath,
      async (request, response, { searchParams }) => {
        const { method } = request;
        if (method !== 'GET' && method !== 'HEAD' && method !== 'DELETE') {
          refuseMethod(request, response, 'GET, HEAD, DELETE');
          return;
        }
        const all = endpoints();
        if (all === undefined) {
          json(response, 503, { error: 'the agent is starting' });
          return;
        }
        if (method !== 'DELETE') {
          json(response, 200, { endpoints: all.list.map(({ name }) => name), removed: all.parkedReadings() });
          return;
        }
        const name = searchParams.get('name') ?? '';
        try {
          const gone = await all.forget(name);
          logger.log('info', 'what was kept for an endpoint that is not configured was let go, as asked', {
            endpoint: name,
            ...gone,
          });
          json(response, 200, { forgotten: name, ...gone, deadLetters: letters(name) });
        } catch (error) {
          if (!(error instanceof SpillwayError)) throw error;
          json(response, 409, { error: describeError(error) });
        }
      },
    ],
  ];
}

function statusOf({ code }: SpillwayError): number {
  if (code === 'CONFIG_INVALID') return 400;
  return code === 'AGENT_NOT_RUNNING' ? 503 : 500;
}

function refuseMethod(request: IncomingMessage, response: ServerResponse, allow: string): void {
  response.setHeader('Allow', allow);
  json(response, 405, { error: `${request.method ?? ''} is not known here` });
}

function json(response: ServerResponse, status: number, value: object): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json' })
    .end(`${JSON.stringify(value, undefined, 2)}\n`);
}
