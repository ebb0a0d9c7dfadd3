import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent, type AgentConfig, type Remote, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Exporter } from '../support/exporter.ts';
import { Load } from '../support/load.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

/** Segments that fill in a moment. */
const small = { segment_bytes: '64KiB', codec: 'none' } as const;

async function downSink(t: TestContext): Promise<Sink> {
  const sink = await Sink.start(t);
  await sink.stop();
  return sink;
}

async function sendUntilFull(load: Load): Promise<void> {
  await load.run();
  assert.ok(load.refused.length > 0, 'the load ended by a refusal');
}

/** What an endpoint must account for, in rows; asked for until the numbers of one second agree. */
async function assertBalance(agent: Agent, endpoint: string, received: number): Promise<number> {
  const read = async (name: string): Promise<number> =>
    (await agent.metric(`spillway_endpoint_${name}`, { endpoint })) ?? 0;
  let last = '';
  return await poll(
    () => `${endpoint}: ${last} of ${received} rows`,
    async () => {
      const [delivered, dropped, waiting] = [
        await read('delivered_rows_total'),
        await read('dropped_rows_total'),
        await read('backlog_rows'),
      ];
      last = `${delivered} delivered + ${dropped} dropped + ${waiting} waiting`;
      return delivered + dropped + waiting === received ? dropped : undefined;
    },
  );
}

async function start(t: TestContext, wal: AgentConfig['wal'], ...remotes: Remote[]): Promise<Agent> {
  return await Agent.start(t, { wal: { ...small, ...wal }, shutdown_grace: '100ms', remote_write: remotes });
}

test('reject: at max_bytes senders get 503, readiness says why, and all goes on when there is room', async (t) => {
  const sink = await downSink(t);
  const agent = await start(t, { max_bytes: '256KiB' }, remote(sink.url, { name: 'down' }));
  const load = new Load(t, agent.url, { seriesEach: 200 });
  await sendUntilFull(load);
  await agent.line(/the queue is full: it has \d+ of the 262144 bytes.*limit=max_bytes waits_for=down/);
  await agent.line(/level=warn msg="a write request was not taken.* status=503 /);
  const { status, text } = await agent.readiness();
  assert.equal(status, 503);
  assert.match(text, /not ready: the queue is full: .* wal.max_bytes allows; writes are refused/);
  assert.equal(await agent.metric('spillway_queue_full'), 1);
  assert.ok((await agent.metric('spillway_wal_bytes'))! < 2 ** 19);
  assert.equal(await agent.metric('spillway_queue_limit_bytes'), 2 ** 18);
  assert.ok((await agent.metric('spillway_queue_oldest_seconds'))! > 0);

  await sink.restart();
  await agent.metricUntil('spillway_queue_full', {}, (value) => value === 0);
  assert.equal((await agent.readiness()).status, 200);
  await agent.line(/the queue has room again/);
  // What comes now does not fill it again before what waits has gone.
  await agent.metricUntil('spillway_wal_bytes', {}, (bytes) => bytes < 2 ** 17);
  await load.send(20);
  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
});

test('drop_oldest: writes go on, the oldest rows are given up, counted to the row', async (t) => {
  const sink = await downSink(t);
  const agent = await start(
    t,
    { max_bytes: '256KiB', when_full: 'drop_oldest' },
    remote(sink.url, { name: 'down' }),
  );
  const load = new Load(t, agent.url, { connections: 2, seriesEach: 100, everyMs: 20 });
  const sending = load.run();
  await agent.metricUntil(
    'spillway_endpoint_dropped_rows_total',
    { reason: 'dropped_full' },
    (rows) => rows > 0,
  );
  await agent.line(/the oldest rows were given up to make room.*rows=\d+/);
  load.stop();
  await sending;
  assert.deepEqual(load.refused, []);
  assert.ok((await agent.metric('spillway_wal_bytes'))! <= 2 ** 18);
  const dropped = await assertBalance(agent, 'down', load.acknowledged.length);

  await sink.restart();
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'down' }, (rows) => rows === 0);
  const lost = await assertBalance(agent, 'down', load.acknowledged.length);
  assert.ok(lost >= dropped);
  assert.equal(load.acknowledged.filter((row) => !sink.arrivals.has(row)).length, lost);
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.equal(sink.arrivals.duplicates, 0);
});

test('an endpoint that may fall behind drops within its own share; its neighbour loses nothing', async (t) => {
  const up = await Sink.start(t);
  const down = await downSink(t);
  const agent = await start(
    t,
    { max_bytes: '4MiB' },
    remote(up.url, { name: 'up' }),
    remote(down.url, { name: 'down', when_full: 'drop_oldest', max_backlog_bytes: '256KiB' }),
  );
  const load = new Load(t, agent.url, { connections: 2, seriesEach: 100, everyMs: 20 });
  const sending = load.run();
  await agent.metricUntil(
    'spillway_endpoint_dropped_rows_total',
    { endpoint: 'down' },
    (rows) => rows > 5000,
  );
  load.stop();
  await sending;
  assert.deepEqual(load.refused, []);
  await up.waitForRows(load.acknowledged);
  assert.equal(await assertBalance(agent, 'up', load.acknowledged.length), 0);
  await assertBalance(agent, 'down', load.acknowledged.length);
  await agent.metricUntil('spillway_wal_bytes', {}, (bytes) => bytes <= 1.3 * 2 ** 18);
  assertNoLoss(load, up.arrivals);
  assert.equal(up.arrivals.duplicates, 0);

  await down.restart();
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'down' }, (rows) => rows === 0);
  const lost = await assertBalance(agent, 'down', load.acknowledged.length);
  assert.equal(load.acknowledged.filter((row) => !down.arrivals.has(row)).length, lost);
  assert.deepEqual(down.arrivals.inversions, []);
});

test('at max_bytes an endpoint that may fall behind makes room for the rest', async (t) => {
  const up = await Sink.start(t);
  const down = await downSink(t);
  const agent = await start(
    t,
    { max_bytes: '512KiB' },
    remote(up.url, { name: 'up' }),
    remote(down.url, { name: 'down', when_full: 'drop_oldest' }),
  );
  const load = new Load(t, agent.url, { connections: 2, seriesEach: 100, everyMs: 20 });
  const sending = load.run();
  await agent.metricUntil('spillway_endpoint_dropped_rows_total', { endpoint: 'down' }, (rows) => rows > 0);
  load.stop();
  await sending;
  assert.deepEqual(load.refused, []);
  await up.waitForRows(load.acknowledged);
  assertNoLoss(load, up.arrivals);
});

test('the share of an endpoint that must get all refuses writes when it is used up', async (t) => {
  const down = await downSink(t);
  const agent = await start(t, {}, remote(down.url, { name: 'must', max_backlog_bytes: '128KiB' }));
  const load = new Load(t, agent.url, { connections: 2, seriesEach: 100, everyMs: 20 });
  await sendUntilFull(load);
  assert.match((await agent.readiness()).text, /wait for endpoint must, whose max_backlog_bytes is 131072/);
  await down.restart();
  await agent.metricUntil('spillway_queue_full', {}, (value) => value === 0);
  await down.waitForRows(load.acknowledged);
  assertNoLoss(load, down.arrivals);
});

test('what is too old goes, on a queue to which nothing comes any more', async (t) => {
  const down = await downSink(t);
  const agent = await start(t, { segment_age: '1s', max_age: '2s' }, remote(down.url, { name: 'down' }));
  const load = new Load(t, agent.url, { connections: 1, seriesEach: 10 });
  await load.send(5);
  const rows = load.acknowledged.length;
  await agent.metricUntil(
    'spillway_endpoint_dropped_rows_total',
    { reason: 'dropped_age' },
    (lost) => lost === rows,
  );
  await agent.line(/rows that are older than the configured age were given up/);
  await agent.metricUntil('spillway_wal_segments', {}, (segments) => segments === 0);
  assert.equal(await assertBalance(agent, 'down', rows), rows);
  await down.restart();
  await load.send(5);
  await down.waitForRows(load.acknowledged.slice(rows));
});

test('a real Prometheus whose writes are refused loses nothing', needs('prometheus'), async (t) => {
  const sink = await downSink(t);
  const agent = await start(t, { max_bytes: '128KiB' }, remote(sink.url, { name: 'down' }));
  const filler = new Load(t, agent.url, { connections: 1, seriesEach: 200 });
  const exporter = await Exporter.start(t);
  const sender = await Prometheus.start(t, {
    scrape: { demo: exporter.url },
    remoteWrite: `${agent.url}/api/v1/write`,
  });
  await exporter.scraped(5);
  await sendUntilFull(filler);
  await agent.metricUntil('spillway_queue_full', {}, (value) => value === 1);
  await exporter.scraped(15);
  await agent.metricUntil('spillway_received_requests_total', { code: '503' }, (refused) => refused >= 2);
  await sink.restart();
  await exporter.scraped(5);
  const sent = await sender.samples('{job="demo"}');
  assert.ok(sent.size > 0);
  const missing = (): string[] => {
    const arrived = new Map<string, Set<bigint>>();
    for (const { series, at } of sink.arrivals.rows()) {
      arrived.set(series, (arrived.get(series) ?? new Set()).add(at));
    }
    return [...sent].flatMap(([key, samples]) => {
      const times = arrived.get(key) ?? new Set();
      return samples.filter(({ at }) => !times.has(at)).map(({ at }) => `${key} @${at}`);
    });
  };
  await poll(
    () => `${missing().length} samples are missing, among them ${missing().slice(0, 3).join(' ')}`,
    async () => (missing().length === 0 ? true : undefined),
  );
  assert.deepEqual(sink.arrivals.inversions, []);
});

test('drop_oldest with an endpoint that is down: it goes on giving up, segment after segment, also after a restart', async (t) => {
  const sink = await downSink(t);
  // The queues of the loops are as large as some segments, and retries are far apart: the defaults.
  const config = (when_full: 'reject' | 'drop_oldest'): AgentConfig => ({
    wal: { ...small, max_bytes: '512KiB', when_full },
    shutdown_grace: '100ms',
    remote_write: [{ name: 'down', url: sink.url }],
  });
  const agent = await Agent.start(t, config('reject'));
  const load = new Load(t, agent.url, { seriesEach: 200 });
  await sendUntilFull(load);
  assert.equal(await agent.terminate(), 0);
  await agent.configure(config('drop_oldest'));
  await agent.start();
  const dropped = (): Promise<number | undefined> =>
    agent.metric('spillway_endpoint_dropped_rows_total', { reason: 'dropped_full' });
  for (let life = 0; life < 2; life++) {
    const enough = ((await dropped()) ?? 0) + 100_000;
    await poll(
      () => `${enough} rows are given up`,
      async () => {
        // It may be refused, now and then, or never.
        await load.send(50).catch(() => undefined);
        return ((await dropped()) ?? 0) >= enough ? true : undefined;
      },
    );
    await agent.kill9();
    await agent.start();
  }
  await sink.restart();
  await agent.metricUntil('spillway_endpoint_backlog_rows', {}, (rows) => rows === 0);
  assert.equal(await agent.metric('spillway_endpoint_unaccounted_rows'), 0);
  assert.deepEqual(sink.arrivals.inversions, []);
});
