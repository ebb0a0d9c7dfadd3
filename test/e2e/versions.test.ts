import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { labels, type Message, request, series } from '../support/messages.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { seriesKey } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

test(
  'INT-15, RW2-S-12: auto loses nothing to a Prometheus that takes 2.0 for an empty request and says 204',
  needs('prometheus'),
  async (t) => {
    const prometheus = await Prometheus.start(t);
    const agent = await Agent.start(t, {
      remote_write: [remote(prometheus.writeUrl, { name: 'p', protobuf_message: 'auto' })],
    });
    const sender = new Sender(t, agent.url);
    const start = Date.now() - 60_000;
    const names = Array.from({ length: 20 }, (_, s) => `s${s}`);
    for (let i = 0; i < 30; i++) {
      const rows = names.map((name) => series({ __name__: name }, [start + i * 1000, i]));
      assert.equal((await sender.write(request(...rows)))?.status, 204);
    }
    let found = 0;
    await poll(
      () => `${found} of ${30 * names.length} samples are in Prometheus`,
      async () => {
        const samples = await prometheus.samples('{__name__=~"s[0-9]+"}');
        found = [...samples.values()].reduce((sum, rows) => sum + rows.length, 0);
        return found === 30 * names.length ? true : undefined;
      },
    );
    const settled = (name: string) => agent.metric(`spillway_endpoint_${name}`, { endpoint: 'p' });
    await agent.metricUntil('spillway_endpoint_delivered_rows_total', { endpoint: 'p' }, (n) => n === found);
    assert.equal(await settled('dropped_rows_total'), 0);
    await agent.metricUntil('spillway_endpoint_remote_write_version', { endpoint: 'p' }, (n) => n === 1);
    await agent.line(/does not take remote write 2\.0/);
  },
);

test('section 6: the next start goes on with 1.0 where the receiver was found to know no other', async (t) => {
  const sink = await Sink.start(t);
  sink.knows = '1.0, and answers 415';
  const agent = await Agent.start(t, {
    remote_write: [remote(sink.url, { name: 's', protobuf_message: 'auto' })],
  });
  const load = new Load(t, agent.url);
  await load.send(20);
  await sink.waitForRows(load.acknowledged);
  const tried = sink.requests.filter(({ version }) => version === '2.0').length;
  assert.ok(tried > 0);
  assert.equal(await agent.terminate(), 0);

  await agent.start();
  await load.send(20);
  await sink.waitForRows(load.acknowledged);
  assert.equal(sink.requests.filter(({ version }) => version === '2.0').length, tried);
  assertNoLoss(load, sink.arrivals);
});

test('RW2-S-28: what was last said of a family is known after a restart, also to another endpoint', async (t) => {
  const sink = await Sink.start(t);
  const other = await Sink.start(t);
  const message = 'io.prometheus.write.v2.Request';
  const agent = await Agent.start(t, {
    remote_write: [remote(sink.url, { name: 's', protobuf_message: message })],
  });
  const sender = new Sender(t, agent.url);
  const metadata: Message = {
    metadata: [{ type: 3, metricFamilyName: 'latency', help: 'Latency.', unit: 'seconds' }],
  };
  assert.equal((await sender.write(metadata))?.status, 204);
  const dropped = { endpoint: 's', reason: 'metadata_with_series' };
  await agent.metricUntil('spillway_endpoint_dropped_rows_total', dropped, (rows) => rows === 1);
  assert.equal(await agent.terminate(), 0);

  await agent.configure({
    remote_write: [
      remote(sink.url, { name: 's', protobuf_message: message }),
      remote(other.url, { name: 'new', protobuf_message: message }),
    ],
  });
  await agent.start();
  const name = { __name__: 'latency_bucket', le: '1' };
  await new Sender(t, agent.url).write(request(series(name, [Date.now(), 1])));
  for (const receiver of [sink, other]) {
    await receiver.waitFor('the sample', () => receiver.arrivals.count > 0);
    const said = receiver.requests.find(({ rows }) => rows.length > 0)?.said;
    assert.equal(said?.metadata.get(seriesKey(labels(name))), 'histogram|Latency.|seconds');
  }
});
