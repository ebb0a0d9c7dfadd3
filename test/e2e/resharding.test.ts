import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { Random } from '../support/random.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

test('order per series holds while the number of loops changes (RW1-S-15, RW2-S-26)', async (t) => {
  const random = Random.of(t);
  // By one loop it takes some 100 rows a second: less than the load brings on any machine.
  const sink = await Sink.start(t, () => ({ delayMs: random.int(100, 300) }));
  const agent = await Agent.start(t, {
    remote_write: [
      remote(sink.url, {
        name: 'slow',
        queue_config: { min_shards: 1, max_shards: 8, max_samples_per_send: 20 },
      }),
    ],
  });
  const load = new Load(t, agent.url, { seriesEach: 10, everyMs: 20 });
  const loops = (wanted: (count: number) => boolean): Promise<number> =>
    poll(
      () => 'the number of loops does not change',
      async () => {
        const count = await agent.metric('prometheus_remote_storage_shards', { remote_name: 'slow' });
        return count !== undefined && wanted(count) ? count : undefined;
      },
    );

  const running = load.run();
  assert.equal(await loops((count) => count > 0), 1);
  const most = await loops((count) => count > 1);
  sink.script = () => ({ delayMs: random.int(1, 3) });
  await loops((count) => count < most);
  load.stop();
  await running;

  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
  assert.equal(sink.arrivals.duplicates, 0);
});
