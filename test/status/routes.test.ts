import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { parseConfig } from '../../src/config/load.ts';
import { RecentDestination } from '../../src/network/recent.ts';
import { HttpServer } from '../../src/receiver/server.ts';
import { Resends } from '../../src/resends.ts';
import { controlRoutes } from '../../src/status/control-routes.ts';
import { StatusEvents } from '../../src/status/events.ts';
import { explainRoute } from '../../src/status/explain-route.ts';
import type { RecentLookupResult } from '../../src/status/recent-lookup.ts';
import { statusRoutes } from '../../src/status/routes.ts';
import { logLines } from '../receiver/log-lines.ts';
import { wideConnections } from '../receiver/wide.ts';
import { atEnd } from '../support/cleanup.ts';
import { type Message, request, series } from '../support/messages.ts';
import { encodeBody } from '../support/sender.ts';
import { tempDir } from '../support/temp.ts';
import { quietBoard } from './quiet-board.ts';

const now = 1_700_000_000_000;

interface Page {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

interface Served {
  get(path: string): Promise<Page>;
  json(path: string, status: number): Promise<Record<string, unknown>>;
  write(message: Message): Promise<void>;
  state: string | undefined;
  readonly lines: readonly string[];
}

async function serve(t: TestContext, url = 'sqlite:recent.db'): Promise<Served> {
  const dir = await tempDir(t, 'status');
  const config = parseConfig(JSON.stringify({ data_dir: dir, remote_write: [{ url }] }), {
    file: 'test',
    baseDir: dir,
  });
  const { logger, lines } = logLines();
  const board = quietBoard({ version: '1.2.3', receivedRows: () => 7 });
  const routes = statusRoutes({
    config: () => config,
    version: '1.2.3',
    registry: new Registry(),
    ready: () => served.state,
    board,
    events: new StatusEvents(board, Date.now),
    deadLetters: () => undefined,
    resends: new Resends({
      store: () => undefined,
      endpoint: () => undefined,
      userAgent: 'Spillway/1.2.3',
      logger,
      now: Date.now,
    }),
    visitor: () => undefined,
    logger,
  });
  const control = controlRoutes({
    reload: () => Promise.resolve({ failed: [] }),
    endpoints: () => undefined,
    graceMs: () => 0,
    letters: () => 0,
    visitor: () => undefined,
    logger,
  });
  const explain = explainRoute({
    config: () => config,
    text: () => ({ text: '', file: 'test' }),
    endpoints: () => [],
    deadLetters: () => undefined,
  });
  const server = new HttpServer(new Map([...routes, ...control, explain]), {
    connections: wideConnections(),
    logger,
  });
  const base = await server.listen({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => server.close());
  const get = async (path: string): Promise<Page> => {
    const response = await fetch(base + path);
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      text: await response.text(),
    };
  };
  const served: Served = {
    state: undefined,
    lines,
    get,
    json: async (path, status) => {
      const page = await get(path);
      assert.deepEqual([page.status, page.type], [status, 'application/json'], page.text);
      return JSON.parse(page.text) as Record<string, unknown>;
    },
    write: async (message) => {
      const file = join(dir, 'recent.db');
      const destination = new RecentDestination({
        file,
        keepMs: 3_600_000,
        keepSamples: 1e6,
        now: () => now,
      });
      const outcome = await destination.post(encodeBody(message), 0, new AbortController().signal);
      assert.equal(outcome.kind === 'response' && outcome.status, 204);
      destination.close();
    },
  };
  return served;
}

describe('statusRoutes', () => {
  it('is ready only when it runs, and healthy all along', async (t) => {
    const served = await serve(t);
    for (const [state, status, text] of [
      ['starting', 503, 'Spillway is starting.\n'],
      [undefined, 200, 'Spillway is ready.\n'],
      ['stopping', 503, 'Spillway is stopping.\n'],
    ] as const) {
      served.state = state;
      const ready = await served.get('/-/ready');
      assert.deepEqual([ready.status, ready.text], [status, text]);
      assert.equal((await served.get('/-/healthy')).status, 200);
    }
  });

  it('has a start page, metrics and a summary', async (t) => {
    const served = await serve(t);
    const start = await served.get('/');
    assert.equal(start.status, 200);
    assert.match(start.text, /^Spillway 1\.2\.3\n/);
    for (const [, path] of start.text.matchAll(/^(?:GET|POST) +(\/\S+)/gm)) {
      if (path !== '/api/v1/write' && path !== '/api/v1/events')
        assert.notEqual((await served.get(path!.replace(',', ''))).status, 404, path);
    }
    const metrics = await served.get('/metrics');
    assert.deepEqual([metrics.status, metrics.type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
    const { version, receivedRows, endpoints } = await served.json('/api/v1/status', 200);
    assert.deepEqual([version, receivedRows, endpoints], ['1.2.3', 7, []]);
    assert.deepEqual((await served.json('/api/v1/history', 200)).atMs, []);
  });

  it('looks recent samples up, before there are any and after', async (t) => {
    const served = await serve(t);
    const look = async (query: string): Promise<RecentLookupResult> =>
      (await served.json(`/api/v1/recent?${query}`, 200)) as unknown as RecentLookupResult;
    assert.deepEqual(await look('match=up'), { series: [], totalSeries: 0 });
    const up = (job: string) => ({ __name__: 'up', job });
    await served.write(
      request(
        ...Array.from({ length: 30 }, (_, i) =>
          series(up(`${i}`), ...Array.from({ length: 12 }, (_, n): [number, number] => [now - 12 + n, n])),
        ),
      ),
    );
    const one = await look(`match=${encodeURIComponent('up{job="3"}')}`);
    assert.deepEqual([one.totalSeries, one.series[0]?.labels], [1, up('3')]);
    assert.deepEqual(
      one.series[0]?.samples.map(({ value }) => value),
      ['2', '3', '4', '5', '6', '7', '8', '9', '10', '11'],
    );
    for (const [query, count, samples] of [
      ['match=up', 20, 10],
      ['match[]=up', 20, 10],
      ['match=up&series=2&samples=1', 2, 1],
      ['match=up&series=1000000&samples=1000000', 30, 12],
      ['match=up&series=0&samples=-1', 20, 10],
      ['match=up&series=many&samples=1.5', 20, 10],
    ] as const) {
      const found = await look(query);
      assert.equal(found.totalSeries, 30, query);
      assert.deepEqual([found.series.length, found.series[0]?.samples.length], [count, samples], query);
    }
  });

  it('answers 400 in JSON to a lookup that names nothing', async (t) => {
    const served = await serve(t);
    for (const query of ['', '?match=', '?match=up{', '?match=up{job=~%22(%22}']) {
      const { error } = await served.json(`/api/v1/recent${query}`, 400);
      assert.ok(typeof error === 'string' && error.length > 0, query);
    }
    assert.deepEqual(served.lines, []);
  });

  it('answers 404 to a lookup where no samples are kept', async (t) => {
    const served = await serve(t, 'http://localhost:1/');
    assert.match(String((await served.json('/api/v1/recent?match=up', 404)).error), /sqlite:/);
  });
});
