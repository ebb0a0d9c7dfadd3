import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type AgentConfig, type Remote, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { request, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { encodeBody, Sender, v1Headers } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { arrivalsByTenant } from '../support/tenants.ts';
import { assertNoLoss } from '../support/verdict.ts';

const tenants = ['team-a', 'team-b', 'c'];
const many = { min_shards: 2, max_shards: 4, max_samples_per_send: 200 };

function start(t: TestContext, sink: Sink, endpoint: Partial<Remote>, more: Partial<AgentConfig> = {}) {
  return Agent.start(t, {
    receiver: { tenant_header: 'X-Scope-OrgID' },
    wal: { segment_age: '200ms' },
    ...more,
    remote_write: [remote(sink.url, { queue_config: many, ...endpoint })],
  });
}

/** A load for each tenant: of the same series, at times of its own, so that nobody's row is like another's. */
function loadsOf(t: TestContext, agent: Agent): Map<string, Load> {
  const now = Date.now();
  return new Map(
    tenants.map((tenant, i) => {
      const headers = { 'x-scope-orgid': tenant };
      return [tenant, new Load(t, agent.url, { connections: 2, headers, startMs: now + i * 1e8 })];
    }),
  );
}

for (const kernel of ['wasm', 'typescript'] as const) {
  test(`tenants of the same series stay apart through kills, ${kernel}`, async (t) => {
    const random = Random.of(t);
    const sink = await Sink.start(t);
    const agent = await start(t, sink, { tenant: {} }, { kernel });
    const loads = loadsOf(t, agent);
    const all = [...loads.values()];
    for (let life = 0; life < 2; life++) {
      const isDown = life === 1;
      if (isDown) await sink.stop();
      const running = Promise.all(all.map((load) => load.run()));
      await Promise.all(all.map((load) => load.acknowledgedRequests(random.int(3, 15))));
      await sleep(random.int(0, 20));
      await agent.kill9();
      await running;
      if (isDown) await sink.restart();
      await agent.start();
    }
    await agent.metricUntil('spillway_endpoint_backlog_rows', {}, (rows) => rows === 0);
    const byTenant = arrivalsByTenant(sink);
    assert.deepEqual([...byTenant.keys()].sort(), [...tenants].sort());
    for (const [tenant, load] of loads) assertNoLoss(load, byTenant.get(tenant)!);
    assert.equal(await agent.terminate(), 0);
  });
}

test('tenants that labels say, many in every request', async (t) => {
  const sink = await Sink.start(t);
  const agent = await start(t, sink, {
    tenant: { header: 'THANOS-TENANT', from_labels: ['team'], keep_label: true },
  });
  const load = new Load(t, agent.url, { labelsOf: (i) => ({ team: `t${i % 7}` }) });
  await load.send(100);
  await sink.waitForRows(load.acknowledged);
  for (const { headers, rows } of sink.requests) {
    const team = `team="${headers['thanos-tenant']}"`;
    for (const row of rows) assert.ok(row.series.includes(team), `${row.series} in a request of ${team}`);
  }
  assertNoLoss(load, sink.arrivals);
  assert.equal(await agent.terminate(), 0);
});

test('an endpoint that says nothing of tenants gets the series of all as one, in order', async (t) => {
  const sink = await Sink.start(t);
  const agent = await start(t, sink, {});
  const sender = async (tenant: string, at: number): Promise<void> => {
    const body = encodeBody(request(series({ __name__: 'x' }, [at, at])));
    const headers = { ...v1Headers, 'x-scope-orgid': tenant };
    assert.equal((await new Sender(t, agent.url).post(body, headers)).status, 204);
  };
  for (let at = 1; at <= 40; at++) await sender(tenants[at % 3]!, at);
  await sink.waitFor('all rows', () => sink.arrivals.count === 40);
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.equal(sink.requests.filter(({ headers }) => 'x-scope-orgid' in headers).length, 0);
});

test('what is no tenant is refused by the name of the header, and without the setting nobody looks', async (t) => {
  const sink = await Sink.start(t);
  const agent = await start(t, sink, { tenant: { default: 'anonymous' } });
  const body = encodeBody(request(series({ __name__: 'x' }, [1, 1])));
  const post = (tenant: string) =>
    new Sender(t, agent.url).post(body, { ...v1Headers, 'x-scope-orgid': tenant });
  for (const bad of ['a|b', 'a, b', '..', '__mimir_cluster', 'x'.repeat(151), 'a/b']) {
    const reply = await post(bad);
    assert.equal(reply.status, 400, bad);
    assert.match(reply.body, /the header X-Scope-OrgID says .*nothing of the request was stored/);
  }
  assert.equal((await post('')).status, 204);
  await sink.waitFor('the row', () => sink.arrivals.count === 1);
  assert.equal(sink.requests[0]!.headers['x-scope-orgid'], 'anonymous');
  assert.equal(await agent.terminate(), 0);

  await agent.configure({ remote_write: [remote(sink.url, { tenant: {}, name: 'other' })] });
  await agent.start();
  assert.equal((await post('a|b')).status, 204);
  await sink.waitFor('the row again', () => sink.requests.length >= 2);
  assert.equal(sink.requests.at(-1)!.headers['x-scope-orgid'], undefined);
});

test('metadata goes to its own tenant alone', async (t) => {
  const sink = await Sink.start(t);
  const agent = await start(t, sink, { tenant: {} });
  const body = (help: string) => encodeBody({ metadata: [{ metricFamilyName: 'x', type: 1, help }] });
  for (const tenant of tenants) {
    const headers = { ...v1Headers, 'x-scope-orgid': tenant };
    assert.equal((await new Sender(t, agent.url).post(body(`of ${tenant}`), headers)).status, 204);
    assert.equal((await new Sender(t, agent.url).post(body('the same'), headers)).status, 204);
  }
  await sink.waitFor('all metadata', () => sink.metadata.length === 6);
  for (const { headers, metadata } of sink.requests) {
    for (const text of metadata) {
      assert.ok(text.includes(`of ${headers['x-scope-orgid']}`) || text.includes('the same'), text);
    }
  }
});

test('a tenant that is not let in does not stop the others', async (t) => {
  const sink = await Sink.start(t, ({ headers }) =>
    headers['x-scope-orgid'] === 'team-a' ? { status: 401, body: 'who is team-a?' } : {},
  );
  const agent = await start(t, sink, {
    tenant: {},
    queue_config: { min_shards: 1, max_shards: 1, max_samples_per_send: 100, capacity: 20_000 },
  });
  const loads = loadsOf(t, agent);
  for (const load of loads.values()) await load.send(30);
  for (const tenant of ['team-b', 'c']) await sink.waitForRows(loads.get(tenant)!.acknowledged);
  await agent.line(/does not let us in.*team-a/);
  assert.equal(arrivalsByTenant(sink).has('team-a'), false);
  sink.script = () => ({});
  await sink.waitForRows(loads.get('team-a')!.acknowledged);
  const byTenant = arrivalsByTenant(sink);
  for (const [tenant, load] of loads) assertNoLoss(load, byTenant.get(tenant)!);
  assert.equal(await agent.terminate(), 0);
});
