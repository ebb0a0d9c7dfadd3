import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { type Ran, runSpillway } from '../support/spillway.ts';
import { assertNoLoss } from '../support/verdict.ts';

interface Scene {
  readonly agent: Agent;
  readonly a: Sink;
  readonly b: Sink;
  readonly load: Load;
  endpoint(...args: string[]): Promise<Ran>;
}

/** Two endpoints that take all; `b` is paused, and rows have come since. */
async function paused(t: TestContext): Promise<Scene> {
  const a = await Sink.start(t);
  const b = await Sink.start(t);
  const agent = await Agent.start(t, {
    wal: { segment_series: 200 },
    remote_write: [remote(a.url, { name: 'a' }), remote(b.url, { name: 'b' })],
  });
  const endpoint = (...args: string[]): Promise<Ran> =>
    runSpillway(t, 'endpoint', ...args, '--url', agent.url);
  const { code, text } = await endpoint('pause', 'b');
  assert.equal(code, 0, text);
  assert.match(text, /^b is paused since .*\n.*spillway endpoint resume b$/);
  const load = new Load(t, agent.url);
  await load.send(20);
  await a.waitForRows(load.acknowledged);
  await delivered(agent, 'a');
  return { agent, a, b, load, endpoint };
}

/** The agent knows that the endpoint has taken all. */
async function delivered(agent: Agent, endpoint: string): Promise<void> {
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint }, (left) => left === 0);
}

test('a paused endpoint gets nothing, over a kill and a reload, until it is resumed', async (t) => {
  const { agent, b, load, endpoint } = await paused(t);
  const rows = load.acknowledged.length;
  await agent.kill9();
  await agent.start();
  await agent.line(/the endpoint is paused.*endpoint=b/);
  // The kill may have cost it the last answers.
  await delivered(agent, 'a');
  assert.equal((await agent.reload()).status, 200);
  assert.equal(await agent.metric('spillway_endpoint_paused', { endpoint: 'b' }), 1);
  assert.equal(await agent.metric('spillway_endpoint_paused', { endpoint: 'a' }), 0);
  assert.equal(await agent.metric('spillway_endpoint_backlog_rows', { endpoint: 'b' }), rows);
  const listed = JSON.parse((await endpoint('ls', '--json')).text) as {
    endpoints: Record<string, unknown>[];
  };
  const [one, other] = listed.endpoints;
  assert.deepEqual([one!.name, one!.waitingRows, one!.pausedSinceMs], ['a', 0, undefined]);
  assert.deepEqual([other!.name, other!.waitingRows, typeof other!.pausedSinceMs], ['b', rows, 'number']);
  assert.match((await endpoint('ls')).text, /^NAME .*\na +up to date .*\nb +paused /);
  assert.equal(b.requests.length, 0);

  assert.deepEqual(await endpoint('resume', 'b'), { code: 0, text: 'b delivers again, from where it stood' });
  await b.waitForRows(load.acknowledged);
  assertNoLoss(load, b.arrivals);
  assert.equal(b.arrivals.duplicates, 0);
});

test('an endpoint that goes back gets again what is still there, as rows that may have been delivered', async (t) => {
  const { agent, a, load, endpoint } = await paused(t);
  const rows = load.acknowledged.length;
  const plan = await endpoint('seek', 'a', '--oldest', '--dry-run');
  assert.match(plan.text, new RegExp(`^a would go back to segment \\d+: ${rows} rows wait for it again`));
  assert.equal(a.arrivals.duplicates, 0);
  for (const time of ['2h', new Date(Date.now() - 7_200_000).toISOString()]) {
    assert.equal((await endpoint('seek', 'a', '--time', time, '--dry-run')).text, plan.text);
  }
  const done = await endpoint('seek', 'a', '--oldest');
  assert.deepEqual([done.code, done.text.split(':')[0]], [0, 'a']);
  await a.waitFor('every row twice', () => a.arrivals.count === 2 * rows);
  await delivered(agent, 'a');
  assert.equal(await agent.metric('spillway_endpoint_returned_rows_total', { endpoint: 'a' }), rows);
  assert.equal(await agent.metric('spillway_endpoint_resent_rows_total', { endpoint: 'a' }), rows);
  await load.send(2);
  await a.waitForRows(load.acknowledged);
  assertNoLoss(load, a.arrivals);
  assert.ok(load.acknowledged.every((row, _, { length }) => a.arrivals.times(row) <= 2 && length > rows));
  await delivered(agent, 'a');
  await agent.metricUntil('spillway_endpoint_unaccounted_rows', { endpoint: 'a' }, (rows) => rows === 0);
});

test('an endpoint that goes forwards never gets what it passes over, and that is asked and counted', async (t) => {
  const { agent, b, load, endpoint } = await paused(t);
  const before = load.acknowledged;
  const refused = await endpoint('seek', 'b', '--now');
  assert.equal(refused.code, 2);
  assert.match(refused.text, new RegExp(`passes over ${before.length} rows .* needs --yes`));
  assert.equal(await agent.metric('spillway_endpoint_backlog_rows', { endpoint: 'b' }), before.length);
  const done = await endpoint('seek', 'b', '--now', '--yes', '--json');
  const { direction, rows } = JSON.parse(done.text) as { direction: string; rows: number };
  assert.deepEqual([direction, rows], ['forwards', before.length]);
  const skipped = { endpoint: 'b', reason: 'skipped' };
  await agent.metricUntil('spillway_endpoint_dropped_rows_total', skipped, (n) => n === before.length);
  await delivered(agent, 'b');
  await endpoint('resume', 'b');
  await load.send(4);
  const after = load.acknowledged.filter((row) => !before.includes(row));
  await b.waitForRows(after);
  assert.equal(b.arrivals.count, after.length);
  await agent.metricUntil('spillway_endpoint_unaccounted_rows', { endpoint: 'b' }, (n) => n === 0);
});

test('what was agreed to is done and no more, whatever others did meanwhile', async (t) => {
  const { agent, a, load } = await paused(t);
  const rows = load.acknowledged.length;
  const seek = async (name: string, to: unknown): Promise<Record<string, unknown>> => {
    const body = JSON.stringify({ name, to });
    const headers = { 'Content-Type': 'application/json' };
    const reply = await fetch(`${agent.url}/api/v1/endpoints/seek`, { method: 'POST', headers, body });
    assert.equal(reply.status, 200);
    return (await reply.json()) as Record<string, unknown>;
  };
  // Both stand elsewhere than who agreed to this had seen: `b` at the start, `a` at the end.
  const ended = (await seek('a', 'now')).segment as number;
  const stayed = await seek('b', { from: ended });
  assert.deepEqual(
    [stayed.direction, stayed.rows, (stayed.segment as number) < ended],
    ['backwards', 0, true],
  );
  assert.equal(await agent.metric('spillway_endpoint_backlog_rows', { endpoint: 'b' }), rows);
  const passed = await seek('a', { before: ended - 1 });
  assert.deepEqual([passed.direction, passed.rows], ['forwards', 0]);
  assert.ok((passed.segment as number) >= ended - 1);
  assert.equal(a.arrivals.duplicates, 0);
});

test('what cannot be done is refused, and changes nothing', async (t) => {
  const { agent, endpoint } = await paused(t);
  const wrong = await endpoint('pause', 'nobody');
  assert.deepEqual(
    [wrong.code, /\(404\): there is no endpoint nobody; there are a, b/.test(wrong.text)],
    [1, true],
  );
  const gone = await endpoint('seek', 'a', '--segment', '9999');
  assert.match(gone.text, /\(409\): segment 9999 is not in the queue, which has segments \d+ to \d+/);
  for (const args of [
    ['seek', 'a'],
    ['seek', 'a', '--now', '--oldest'],
    ['seek', 'a', '--segment', 'x'],
    ['seek', 'a', '--time', '2026-11-21'],
    ['seek', 'a', '--time', '2h', '--now'],
    ['pause'],
    ['ls', '--yes'],
  ])
    assert.equal((await endpoint(...args)).code, 2, args.join(' '));
  const plain = await fetch(`${agent.url}/api/v1/endpoints/resume`, { method: 'POST', body: '{"name":"b"}' });
  assert.equal(plain.status, 400);
  assert.equal((await fetch(`${agent.url}/api/v1/endpoints/resume`)).status, 405);
  assert.equal(await agent.metric('spillway_endpoint_paused', { endpoint: 'b' }), 1);
});
