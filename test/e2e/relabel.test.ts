import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { labels, request, series } from '../support/messages.ts';
import { seriesKey } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';

/** Three series a round: one for everybody, one that one endpoint does not want, one that nobody wants. */
function round(at: number): ReturnType<typeof request> {
  return request(
    series({ __name__: 'kept', host: 'a' }, [at, 1]),
    series({ __name__: 'debug', host: 'a' }, [at, 2]),
    series({ __name__: 'noise', host: 'a' }, [at, 3]),
  );
}

const key = (pairs: Record<string, string>): string => seriesKey(labels(pairs));

test('series are changed and dropped at the door and on their way to one endpoint, and all is counted', async (t) => {
  const [all, some] = [await Sink.start(t), await Sink.start(t)];
  const agent = await Agent.start(t, {
    external_labels: { cluster: 'eu' },
    relabel_configs: [
      { source_labels: ['__name__'], regex: 'noise', action: 'drop' },
      { source_labels: ['host'], target_label: 'instance' },
      { regex: 'host', action: 'labeldrop' },
    ],
    remote_write: [
      remote(all.url, { name: 'all' }),
      remote(some.url, {
        name: 'some',
        write_relabel_configs: [
          { source_labels: ['__name__', 'cluster'], regex: 'debug;eu', action: 'drop' },
          { regex: 'instance', action: 'labeldrop' },
        ],
      }),
    ],
  });
  const sender = new Sender(t, agent.url);
  const start = Date.now();
  for (let i = 0; i < 20; i++) assert.equal((await sender.write(round(start + i)))?.status, 204);
  const noise = request(series({ __name__: 'noise', host: 'b' }, [start, 1]));
  assert.equal((await sender.write(noise))?.status, 204, 'a request of which nothing is stored');

  await all.waitFor('all rows', () => all.arrivals.count >= 40);
  await some.waitFor('the rows that are left', () => some.arrivals.count >= 20);
  const dropped = { endpoint: 'some', reason: 'dropped_by_relabel', kind: 'samples' };
  await agent.metricUntil('spillway_endpoint_dropped_rows_total', dropped, (rows) => rows === 20);
  await agent.metricUntil('spillway_endpoint_backlog_rows', {}, (rows) => rows === 0);
  const counts = (sink: Sink): [string, number][] =>
    [...sink.arrivals.sequences()].map(([of, rows]): [string, number] => [of, rows.length]).sort();
  assert.deepEqual(counts(all), [
    [key({ __name__: 'debug', cluster: 'eu', instance: 'a' }), 20],
    [key({ __name__: 'kept', cluster: 'eu', instance: 'a' }), 20],
  ]);
  assert.deepEqual(counts(some), [[key({ __name__: 'kept', cluster: 'eu' }), 20]]);

  const metric = (name: string, of: Record<string, string>): Promise<number | undefined> =>
    agent.metric(name, of);
  assert.equal(await metric('spillway_dropped_rows_total', { reason: 'dropped_by_relabel_configs' }), 21);
  assert.equal(await metric('spillway_refused_rows_total', {}), 0);
  assert.equal(await metric('spillway_endpoint_dropped_rows_total', { endpoint: 'all' }), 0);
  assert.equal(await metric('spillway_endpoint_unaccounted_rows', {}), 0);
  const ofPrometheus = { remote_name: 'some', reason: 'dropped_series' };
  assert.equal(await metric('prometheus_remote_storage_samples_dropped_total', ofPrometheus), 20);
});

test('rules that change between two starts apply to what is left, and no row is lost', async (t) => {
  const sink = await Sink.start(t);
  await sink.stop();
  const config = (replacement: string) => ({
    shutdown_grace: '100ms',
    remote_write: [
      remote(sink.url, {
        name: 'sink',
        write_relabel_configs: [
          { source_labels: ['__name__'], regex: 'debug', action: 'drop' },
          { target_label: 'rules', replacement },
        ],
      }),
    ],
  });
  const agent = await Agent.start(t, config('first'));
  const sender = new Sender(t, agent.url);
  const start = Date.now();
  for (let i = 0; i < 10; i++) await sender.write(round(start + i));
  assert.equal(sender.acknowledged.length, 30);
  assert.equal(await agent.terminate(), 0);
  await agent.configure(config('second'));
  await sink.restart();
  await agent.start();
  await sink.waitFor('all rows', () => sink.arrivals.count >= 20);
  await agent.metricUntil('spillway_endpoint_backlog_rows', {}, (rows) => rows === 0);
  assert.deepEqual([...sink.arrivals.sequences().keys()].sort(), [
    key({ __name__: 'kept', host: 'a', rules: 'second' }),
    key({ __name__: 'noise', host: 'a', rules: 'second' }),
  ]);
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.equal(await agent.metric('spillway_endpoint_unaccounted_rows', {}), 0);
});
