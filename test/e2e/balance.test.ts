import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { readMetric } from '../support/metrics.ts';
import { Random } from '../support/random.ts';
import { Sink } from '../support/sink.ts';

const endpoint = 'counted';

/** What one scrape says of the endpoint: all numbers are of one moment. */
async function balance(agent: Agent): Promise<Record<string, number>> {
  const text = await (await fetch(`${agent.url}/metrics`)).text();
  const read = (name: string, labels = {}): number =>
    readMetric(text, `spillway_endpoint_${name}`, { endpoint, ...labels }) ?? 0;
  return {
    received: read('received_rows_total'),
    returned: read('returned_rows_total'),
    delivered: read('delivered_rows_total'),
    dropped: read('dropped_rows_total'),
    rejected: read('dropped_rows_total', { reason: 'rejected' }),
    damaged: read('dropped_rows_total', { reason: 'damaged' }),
    waiting: read('backlog_rows'),
    unaccounted: read('unaccounted_rows'),
    letters: readMetric(text, 'spillway_dead_letters', { endpoint }) ?? 0,
  };
}

function assertBalanced(b: Record<string, number>): void {
  assert.equal(b.received! + b.returned!, b.delivered! + b.dropped! + b.waiting!, JSON.stringify(b));
  assert.equal(b.unaccounted, 0, JSON.stringify(b));
  assert.equal(b.returned, 0, JSON.stringify(b));
  assert.equal(b.damaged, 0, JSON.stringify(b));
}

test('received = delivered + lost by reason + waiting, at every moment, over kills and restarts (RLY-02)', async (t) => {
  const random = Random.of(t);
  const poison = 'i="7"';
  const sink = await Sink.start(t);
  let trouble = false;
  sink.script = ({ rows }) => {
    if (trouble && random.int(0, 4) === 0) return { status: 503 };
    return rows.some(({ series }) => series.includes(poison)) ? { status: 400, body: 'poison' } : {};
  };
  const agent = await Agent.start(t, {
    wal: { segment_age: '100ms' },
    remote_write: [
      remote(sink.url, {
        name: endpoint,
        queue_config: { min_shards: 2, max_shards: 4, max_samples_per_send: 100, capacity: 200 },
      }),
    ],
  });
  const load = new Load(t, agent.url, { connections: 2, seriesEach: 20 });
  for (let life = 0; life < 6; life++) {
    trouble = life % 2 === 1;
    const running = load.run();
    await load.acknowledgedRequests(random.int(5, 40));
    assertBalanced(await balance(agent));
    await sleep(random.int(0, 50));
    if (life % 3 === 2) {
      load.stop();
      await running;
      assert.equal(await agent.terminate(), 0);
    } else {
      await agent.kill9();
      await running;
    }
    await agent.start();
    assertBalanced(await balance(agent));
  }
  await load.send(20);
  const end = await poll(
    () => 'everything is settled',
    async () => {
      const now = await balance(agent);
      return now.waiting === 0 ? now : undefined;
    },
  );
  assertBalanced(end);
  // What was on its way at a kill may be in the queue, acknowledged or not.
  const acknowledged = load.acknowledged.length;
  const unknown = load.unknown.flat().length;
  assert.ok(end.received! >= acknowledged && end.received! <= acknowledged + unknown, JSON.stringify(end));
  const poisonous = load.acknowledged.filter(({ series }) => series.includes(poison)).length;
  assert.ok(end.rejected! >= poisonous && end.rejected! <= poisonous + unknown, JSON.stringify(end));
  assert.equal(end.dropped, end.rejected);
  assert.equal(end.letters, end.rejected, 'each of them can be seen, once, whatever the kills came between');
  const innocent = load.acknowledged.filter(({ series }) => !series.includes(poison));
  await sink.waitForRows(innocent);
  assert.deepEqual(sink.arrivals.inversions, []);
});
