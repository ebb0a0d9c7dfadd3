import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Agent, type AgentOptions, AgentStateError } from '../src/agent.ts';
import { ConfigError } from '../src/config/problems.ts';
import { Ledger } from '../src/ledger/ledger.ts';
import { ListenError } from '../src/receiver/server.ts';
import { DirectoryLockedError } from '../src/runtime/directory-lock.ts';
import { logLines } from './receiver/log-lines.ts';
import { remote } from './support/agent.ts';
import { atEnd } from './support/cleanup.ts';
import { poll } from './support/deadline.ts';
import { refusal, sampleLetter } from './support/letters.ts';
import { request, series } from './support/messages.ts';
import { readMetric } from './support/metrics.ts';
import { listenAnywhere } from './support/ports.ts';
import { Sender } from './support/sender.ts';
import { Sink } from './support/sink.ts';
import { tempDir } from './support/temp.ts';

const up = { __name__: 'up' };
/** Nothing listens there: the port is that of TCP multiplexing, which no one serves. */
const nowhere = 'http://127.0.0.1:1/api/v1/write';

interface Started {
  readonly agent: Agent;
  readonly lines: readonly string[];
}

function make(
  t: TestContext,
  dataDir: string,
  settings: object = {},
  options: Partial<AgentOptions> = {},
): Started {
  const { logger, lines } = logLines();
  const text = JSON.stringify({
    listen: '127.0.0.1:0',
    data_dir: dataDir,
    shutdown_grace: '0s',
    remote_write: [{ name: 'a', ...remote(nowhere) }],
    ...settings,
  });
  const agent = new Agent({ config: { text, file: 'test', baseDir: dataDir }, logger, ...options });
  atEnd(t, () => agent.stop(0));
  return { agent, lines };
}

test('an agent that embeds starts, appends and stops, without a listener', async (t) => {
  const sink = await Sink.start(t);
  const dir = await tempDir(t, 'agent');
  const { agent } = make(
    t,
    dir,
    { shutdown_grace: '1m', remote_write: [remote(sink.url)] },
    { listen: false },
  );
  assert.throws(() => agent.appender(), AgentStateError);
  assert.equal(await agent.start(), undefined);
  const appender = agent.appender();
  appender.append(up, 1, 1);
  await appender.commit();
  const late = agent.appender();
  late.append(up, 2, 2);
  await agent.stop();
  assert.deepEqual(
    [...sink.arrivals.rows()].map(({ at }) => at),
    [1n],
  );
  const [endpoint] = agent.summary().endpoints;
  assert.deepEqual([endpoint?.deliveredRows, endpoint?.waitingRows, endpoint?.failing], [1, 0, false]);
  assert.throws(() => agent.appender(), AgentStateError);
  await assert.rejects(late.commit());
  assert.equal(agent.summary().receivedRows, 1);
});

test('segment ids go on where the endpoints have been, also when ledger and segments are gone', async (t) => {
  const sink = await Sink.start(t);
  const dir = await tempDir(t, 'agent');
  const settings = { shutdown_grace: '1m', remote_write: [{ name: 'a', ...remote(sink.url) }] };
  // Each start ends a segment: the endpoint comes to a place that a directory without files knows nothing of.
  for (let i = 0; i < 4; i++) {
    if (i === 3) {
      for (const name of readdirSync(dir)) {
        if (name.startsWith('state.db')) rmSync(join(dir, name));
      }
      for (const name of readdirSync(join(dir, 'wal'))) rmSync(join(dir, 'wal', name), { recursive: true });
    }
    const { agent } = make(t, dir, settings, { listen: false });
    await agent.start();
    const appender = agent.appender();
    appender.append(up, i, i);
    await appender.commit();
    await sink.waitFor(`row ${i}`, () => sink.arrivals.count === i + 1);
    await agent.stop();
  }
});

test('start and stop may be called any number of times', async (t) => {
  const dir = await tempDir(t, 'agent');
  const { agent } = make(t, dir);
  const [first, second] = await Promise.all([agent.start(), agent.start()]);
  assert.match(first!, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(second, first);
  assert.equal(await agent.start(), first);
  const appender = agent.appender();
  appender.append(up, 1, 1);
  await appender.commit();
  await Promise.all([agent.stop(), agent.stop()]);
  await agent.stop();
  await assert.rejects(agent.start(), AgentStateError);
  // All is given back: another one can have the directory, and finds what waits.
  const next = make(t, dir);
  await next.agent.start();
  assert.equal(next.agent.summary().endpoints[0]?.waitingRows, 1);
});

test('an agent that never started stops as well', async (t) => {
  const { agent } = make(t, await tempDir(t, 'agent'));
  await agent.stop();
  await assert.rejects(agent.start(), AgentStateError);
});

test('a stop during the start leaves nothing running', async (t) => {
  const dir = await tempDir(t, 'agent');
  const { agent } = make(t, dir);
  const started = agent.start();
  await agent.stop();
  const url = await started;
  await assert.rejects(fetch(`${url}/-/healthy`));
  await make(t, dir).agent.start();
});

test('an agent that cannot listen says where, and leaves nothing running', async (t) => {
  const dir = await tempDir(t, 'agent');
  const other = createServer();
  const port = await listenAnywhere(other);
  const { agent } = make(t, dir, { listen: `127.0.0.1:${port}` });
  await assert.rejects(agent.start(), (error) => {
    assert.ok(error instanceof ListenError);
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
    return true;
  });
  await agent.stop();
  other.close();
  await once(other, 'close');
  assert.equal(await make(t, dir, { listen: `127.0.0.1:${port}` }).agent.start(), `http://127.0.0.1:${port}`);
});

test('a directory has one agent; the second says which, and leaves nothing running', async (t) => {
  const dir = await tempDir(t, 'agent');
  const first = make(t, dir);
  const url = await first.agent.start();
  const listener = createServer();
  const port = await listenAnywhere(listener);
  listener.close();
  await once(listener, 'close');
  const second = make(t, dir, { listen: `127.0.0.1:${port}` });
  await assert.rejects(second.agent.start(), (error) => {
    assert.ok(error instanceof DirectoryLockedError);
    assert.ok(error.message.includes(dir), error.message);
    return true;
  });
  await assert.rejects(fetch(`http://127.0.0.1:${port}/-/healthy`));
  assert.equal((await fetch(`${url}/-/ready`)).status, 200);
  const appender = first.agent.appender();
  appender.append(up, 1, 1);
  await appender.commit();
});

test('an endpoint whose thread cannot come up keeps nobody from writing: it is ready, and says so', async (t) => {
  const sink = await Sink.start(t);
  const dir = await tempDir(t, 'agent');
  // As a volume that is not there yet.
  symlinkSync(join(dir, 'elsewhere'), join(dir, 'endpoints'));
  const { agent } = make(t, dir, { remote_write: [{ name: 'a', ...remote(sink.url) }] });
  const url = await agent.start();
  assert.equal((await fetch(`${url}/-/ready`)).status, 200);
  assert.equal((await new Sender(t, url!).write(request(series(up, [1, 1]))))?.status, 204);
  const status = async (): Promise<string> => (await fetch(`${url}/api/v1/status`)).text();
  await poll(
    () => 'the state of the endpoint',
    async () => ((await status()).includes('Its thread failed and is started again') ? true : undefined),
  );
  await poll(
    () => 'its backlog has an age',
    async () => {
      const metrics = await (await fetch(`${url}/metrics`)).text();
      return (
        (readMetric(metrics, 'spillway_endpoint_backlog_seconds', { endpoint: 'a' }) ?? 0) > 0 || undefined
      );
    },
  );
  mkdirSync(join(dir, 'elsewhere'));
  await sink.waitFor('the row', () => sink.arrivals.count === 1);
});

test('options win over the configuration, which is checked at once', async (t) => {
  const dir = await tempDir(t, 'agent');
  const dataDir = join(dir, 'elsewhere');
  const { agent } = make(
    t,
    dir,
    { listen: '192.0.2.1:1' },
    { dataDir, listen: { host: '127.0.0.1', port: 0 } },
  );
  assert.equal(agent.config.dataDir, dataDir);
  await agent.start();
  const another = make(t, dataDir);
  await assert.rejects(another.agent.start(), DirectoryLockedError);
  assert.throws(() => make(t, dir, { listn: ':1' }), ConfigError);
});

test('an endpoint that is gone from the configuration is told of, as long as something is kept for it', async (t) => {
  const dir = await tempDir(t, 'agent');
  const both = { remote_write: ['a', 'b'].map((name) => ({ name, ...remote(nowhere) })) };
  const first = make(t, dir, both);
  await first.agent.start();
  assert.ok(!first.lines.some((line) => line.includes('endpoint=b')), 'nothing to tell');
  const appender = first.agent.appender();
  appender.append(up, 1, 1);
  await appender.commit();
  await first.agent.stop();
  const told = ({ lines }: Started): string[] =>
    lines.filter((line) => line.includes('not in the configuration any more'));
  for (const start of ['the first one', 'another one']) {
    const without = make(t, dir);
    await without.agent.start();
    assert.match(
      told(without).join('\n'),
      /^[^\n]*level=warn [^\n]* endpoints=b waiting_rows=1 kept_bytes=\d+$/,
      start,
    );
    const { endpoints, removedEndpoints } = without.agent.summary();
    assert.deepEqual(
      [endpoints.map(({ name }) => name), removedEndpoints.map(({ name }) => name)],
      [['a'], ['b']],
    );
    await without.agent.stop();
  }
  const back = make(t, dir, both);
  await back.agent.start();
  assert.deepEqual(told(back), []);
  assert.equal(back.agent.summary().endpoints[1]!.waitingRows, 1);
  await back.agent.stop();
  const gone = make(t, dir);
  await gone.agent.start();
  assert.match(told(gone).join('\n'), /level=warn/, 'it went once more');
});

test('the dead letters of an endpoint that is gone are told of until they are purged', async (t) => {
  const dir = await tempDir(t, 'agent');
  const keep = (purge: boolean): void => {
    const ledger = Ledger.open(dir, Date.now(), () => assert.fail('it is whole'));
    if (purge) ledger.deadLetters.remove([1, 2], 'purged');
    else {
      ledger.saveProgress('b', new Uint8Array(1), { segment: 1, row: 0 }, 2, Date.now());
      ledger.deadLetters.keep('b', refusal([sampleLetter(0, up, 1), sampleLetter(1, up, 2)]));
    }
    ledger.close();
  };
  const told: string[][] = [];
  for (const purge of [false, undefined, true]) {
    if (purge !== undefined) keep(purge);
    const { agent, lines } = make(t, dir);
    await agent.start();
    await agent.stop();
    told.push(lines.filter((line) => line.includes('not in the configuration any more')));
  }
  assert.deepEqual(
    told.map((lines) => lines.length),
    [1, 1, 0],
    told.join('\n'),
  );
  assert.match(told[0]![0]!, /level=warn .* endpoints=b dead_letters=2$/);
  assert.match(told[1]![0]!, /level=info .*purge.* endpoints=b dead_letters=2$/);
});

test('it is ready when it runs, and healthy all along', async (t) => {
  const { agent } = make(t, await tempDir(t, 'agent'));
  const url = (await agent.start())!;
  for (const path of ['/-/ready', '/-/healthy', '/', '/metrics', '/api/v1/status']) {
    assert.equal((await fetch(url + path)).status, 200, path);
  }
  const status = (await (await fetch(`${url}/api/v1/status`)).json()) as Record<string, unknown>;
  const { state, says } = status.status as Record<string, unknown>;
  assert.deepEqual([state, says], ['ok', 'All is well: writes are taken and delivered.']);
});

test('at rest all rows are accounted for: received is delivered, dropped or waiting, for each endpoint', async (t) => {
  const dir = await tempDir(t, 'agent');
  const [good, picky, old] = [await Sink.start(t), await Sink.start(t), await Sink.start(t)];
  picky.script = ({ index }) => (index === 0 ? { status: 400, body: 'not this one', store: false } : {});
  const { agent } = make(t, dir, {
    remote_write: [
      { name: 'good', ...remote(good.url, { metadata_config: { send: true } }) },
      { name: 'picky', ...remote(picky.url, { queue_config: { max_shards: 1 } }) },
      { name: 'old', ...remote(old.url, { ttl: '1h' }) },
      { name: 'dead', ...remote(nowhere) },
    ],
  });
  const url = (await agent.start())!;
  const sender = new Sender(t, url);
  const now = Date.now();
  await sender.write({
    ...request(series(up, [now, 1]), series({ ...up, job: 'a' }, [now, 1], [now + 1, 2])),
    metadata: [{ type: 1, metricFamilyName: 'up', help: 'h', unit: '' }],
  });
  await sender.write(request(series(up, [1, 1]), series({ job: 'nameless' }, [1, 1], [2, 2])));
  const embedded = agent.appender();
  embedded.appendHistogram(up, now + 2, { countInt: 1n, zeroCountInt: 1n });
  embedded.appendExemplar(up, { labels: { trace: '1' }, timestampMs: now, value: 1 });
  await embedded.commit();

  const read = async (name: string, labels: Record<string, string> = {}): Promise<number> => {
    const value = readMetric(await (await fetch(`${url}/metrics`)).text(), name, labels);
    assert.ok(value !== undefined, name);
    return value;
  };
  const committed = await read('spillway_committed_rows_total');
  assert.equal(committed, 7);
  assert.equal(await read('spillway_received_rows_total'), 7);
  assert.equal(await read('spillway_refused_rows_total', { reason: 'no_metric_name' }), 2);
  const balance = async (endpoint: string): Promise<Balance> => ({
    delivered: await read('spillway_endpoint_delivered_rows_total', { endpoint }),
    dropped: await read('spillway_endpoint_dropped_rows_total', { endpoint }),
    backlog: await read('spillway_endpoint_backlog_rows', { endpoint }),
  });
  for (const name of ['good', 'picky', 'old', 'dead']) {
    // The backlog is counted once a second: at rest is when the three add up.
    await poll(
      () => `${name} does not come to rest: ${JSON.stringify(agent.summary())}`,
      async () => {
        const { delivered, dropped, backlog } = await balance(name);
        const settled = backlog === (name === 'dead' ? committed : 0);
        return settled && delivered + dropped + backlog === committed ? true : undefined;
      },
    );
  }
  assert.deepEqual(await balance('good'), { delivered: 7, dropped: 0, backlog: 0 });
  assert.deepEqual(await balance('dead'), { delivered: 0, dropped: 0, backlog: 7 });
});

interface Balance {
  readonly delivered: number;
  readonly dropped: number;
  readonly backlog: number;
}
