import type { IncomingMessage } from 'node:http';
import { ConfigError } from '../config/problems.ts';
import type { ListedEndpoint, Seek, SeekTarget } from '../endpoint/control.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ParkedReading } from '../telemetry/metrics.ts';
import { askerOf, type VisitorOf } from './access-route.ts';
import { answerJson, type Handler, refuseMethod } from './answers.ts';
import { BodyError, readJson } from './read-json.ts';
import { seekText } from './seek-words.ts';

/** The endpoints, as these routes need them. */
export interface ControlledEndpoints {
  listed(): readonly ListedEndpoint[];
  parkedReadings(): readonly ParkedReading[];
  /** Rejects with a `SpillwayError` when there is nothing to forget. */
  forget(name: string): Promise<{ readonly rows: number; readonly bytes: number }>;
  /** These reject with a `SpillwayError` when there is no such endpoint, or it cannot be done. */
  pause(name: string, graceMs: number): Promise<number>;
  resume(name: string): Promise<void>;
  seek(name: string, target: SeekTarget, graceMs: number, dryRun: boolean): Promise<Seek>;
}

export interface ControlOptions {
  readonly reload: () => Promise<{ readonly failed: readonly unknown[] }>;
  /** Undefined while the agent starts. */
  readonly endpoints: () => ControlledEndpoints | undefined;
  /** How long an endpoint that is paused or moved may go on with what it has read. */
  readonly graceMs: () => number;
  /** How many dead letters there are of an endpoint. */
  readonly letters: (endpoint: string) => number;
  readonly visitor: VisitorOf;
  readonly logger: Logger;
}

export const endpointsPath = '/api/v1/endpoints';

/**
 * What changes the agent, for those whose access is `all`:
 *
 *     POST   /-/reload                     puts the configuration file in force; says what has changed
 *     GET    /api/v1/endpoints             the endpoints, and those that were removed and something is kept for
 *     DELETE /api/v1/endpoints?name=NAME   lets go what is kept for one that was removed
 *     POST   /api/v1/endpoints/pause       {name}: sends nothing to it until it is resumed; its rows wait on disk
 *     POST   /api/v1/endpoints/resume      {name}
 *     POST   /api/v1/endpoints/seek        {name, to, dryRun}: goes on elsewhere, or with `dryRun` says where that is
 *
 * `to` is where a seek goes: "oldest"; "now"; the id of a segment; {atMs}, the segment of what came at that time;
 * {before}, over what waits before that segment, and never back; {from}, once more from that segment on, and never over
 * anything. The last two are for what a person has agreed to: meanwhile the endpoint may have come further.
 *
 * 404: no endpoint of this name; 409: it cannot be done, and nothing has changed; 400: the body is not understood. A
 * POST with a body must say that it is JSON: no browser sends that from another site unasked.
 */
export function controlRoutes(options: ControlOptions): [string, Handler][] {
  const { reload, endpoints, letters, visitor, logger } = options;
  const asker = (request: IncomingMessage): { readonly user?: string } => askerOf(visitor, request);
  const act = (action: Action): Handler => post(endpoints, action);
  return [
    [
      '/-/reload',
      async (request, response) => {
        if (request.method !== 'POST' && request.method !== 'PUT') {
          refuseMethod(request, response, 'POST, PUT');
          return;
        }
        logger.log('info', 'a reload is asked for over HTTP', asker(request));
        try {
          const outcome = await reload();
          answerJson(response, outcome.failed.length === 0 ? 200 : 500, outcome);
        } catch (error) {
          if (!(error instanceof SpillwayError)) throw error;
          const problems = error instanceof ConfigError ? { problems: error.problems } : {};
          answerJson(response, statusOf(error), { error: describeError(error), ...problems });
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
          answerJson(response, 503, { error: 'the agent is starting' });
          return;
        }
        if (method !== 'DELETE') {
          answerJson(response, 200, { endpoints: all.listed(), removed: all.parkedReadings() });
          return;
        }
        const name = searchParams.get('name') ?? '';
        try {
          const gone = await all.forget(name);
          logger.log('info', 'what was kept for an endpoint that is not configured was let go, as asked', {
            endpoint: name,
            ...gone,
            ...asker(request),
          });
          answerJson(response, 200, { forgotten: name, ...gone, deadLetters: letters(name) });
        } catch (error) {
          if (!(error instanceof SpillwayError)) throw error;
          answerJson(response, 409, { error: describeError(error) });
        }
      },
    ],
    [
      `${endpointsPath}/pause`,
      act(async (all, name, _body, request) => {
        const pausedSinceMs = await all.pause(name, options.graceMs());
        logger.log('info', 'the endpoint is paused, as asked; its rows wait on disk', {
          endpoint: name,
          ...asker(request),
        });
        return { name, pausedSinceMs };
      }),
    ],
    [
      `${endpointsPath}/resume`,
      act(async (all, name, _body, request) => {
        await all.resume(name);
        logger.log('info', 'the endpoint is resumed, as asked', { endpoint: name, ...asker(request) });
        return { name };
      }),
    ],
    [
      `${endpointsPath}/seek`,
      act(async (all, name, body, request) => {
        const dryRun = body.dryRun === true;
        const seek = await all.seek(name, targetOf(body.to), options.graceMs(), dryRun);
        if (!dryRun) {
          logger.log('warn', 'the endpoint is moved in the queue, as asked', {
            endpoint: name,
            ...seek,
            ...asker(request),
          });
        }
        return { name, dryRun, ...seek, says: seekText(name, seek, Date.now(), !dryRun) };
      }),
    ],
  ];
}

type Action = (
  endpoints: ControlledEndpoints,
  name: string,
  body: Readonly<Record<string, unknown>>,
  request: IncomingMessage,
) => Promise<object>;

/** A route for what is asked of one endpoint by a POST of `{name, ...}`. */
function post(endpoints: () => ControlledEndpoints | undefined, action: Action): Handler {
  return async (request, response) => {
    if (request.method !== 'POST') {
      refuseMethod(request, response, 'POST');
      return;
    }
    try {
      const body = await readJson(request);
      const all = endpoints();
      if (all === undefined) answerJson(response, 503, { error: 'the agent is starting' });
      else if (typeof body.name !== 'string') throw new BodyError('name: expected the name of an endpoint');
      else answerJson(response, 200, await action(all, body.name, body, request));
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error;
      const status = error instanceof BodyError ? 400 : error.code === 'ENDPOINT_UNKNOWN' ? 404 : 409;
      answerJson(response, status, { error: describeError(error) });
    }
  };
}

function targetOf(to: unknown): SeekTarget {
  if (to === 'oldest' || to === 'now') return to;
  if (typeof to === 'number' && Number.isSafeInteger(to) && to > 0) return to;
  if (typeof to === 'object' && to !== null) {
    if ('atMs' in to && Number.isSafeInteger(to.atMs)) return { atMs: to.atMs as number };
    if ('before' in to && Number.isSafeInteger(to.before)) return { before: to.before as number };
    if ('from' in to && Number.isSafeInteger(to.from)) return { from: to.from as number };
  }
  throw new BodyError(
    'to: expected "oldest", "now", the id of a segment, {"atMs": milliseconds}, {"before": the id of a segment}, or ' +
      '{"from": the id of a segment}',
  );
}

function statusOf({ code }: SpillwayError): number {
  if (code === 'CONFIG_INVALID') return 400;
  return code === 'AGENT_NOT_RUNNING' ? 503 : 500;
}
