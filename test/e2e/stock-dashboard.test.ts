import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { request, series } from '../support/messages.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';

/*
 * What the dashboard "Prometheus / Remote Write" and the remote write alerts of the Prometheus mixin ask, word for word
 * but for their variables, which are the facts that our /metrics has to fit: documentation/prometheus-mixin/ of
 * prometheus/prometheus. Where versions differ: those up to 3.6, and since.
 */
const of = 'instance=~".+"';
const either = (name: string, more: string, old: string): string =>
  `(rate(prometheus_remote_storage_${old}{${more}}[5m]) or rate(prometheus_remote_storage_${name}{${more}}[5m]))`;

const panels: Readonly<Record<string, string>> = {
  lag: `(prometheus_remote_storage_highest_timestamp_in_seconds{${of}} - ignoring(remote_name, url) group_right(instance) (prometheus_remote_storage_queue_highest_sent_timestamp_seconds{${of}} != 0))`,
  'lag since 3.7': `prometheus_remote_storage_queue_highest_timestamp_seconds{${of}} - prometheus_remote_storage_queue_highest_sent_timestamp_seconds{${of}}`,
  'rate of the lag': `clamp_min(rate(prometheus_remote_storage_highest_timestamp_in_seconds{${of}}[5m]) - ignoring (remote_name, url) group_right(instance) rate(prometheus_remote_storage_queue_highest_sent_timestamp_seconds{${of}}[5m]), 0)`,
  'in, less succeeded and dropped': `rate(prometheus_remote_storage_samples_in_total{${of}}[5m]) - ignoring(remote_name, url) group_right(instance) ${either('samples_total', of, 'succeeded_samples_total')} - ${either('samples_dropped_total', of, 'dropped_samples_total')}`,
  shards: `prometheus_remote_storage_shards{${of}}`,
  'most shards': `prometheus_remote_storage_shards_max{${of}}`,
  'fewest shards': `prometheus_remote_storage_shards_min{${of}}`,
  'desired shards': `prometheus_remote_storage_shards_desired{${of}}`,
  capacity: `prometheus_remote_storage_shard_capacity{${of}}`,
  pending: `prometheus_remote_storage_pending_samples{${of}} or prometheus_remote_storage_samples_pending{${of}}`,
  'newest segment': `prometheus_tsdb_wal_segment_current{${of}}`,
  'segment of the endpoint': `prometheus_wal_watcher_current_segment{${of}}`,
  dropped: either('samples_dropped_total', of, 'dropped_samples_total'),
  failed: either('samples_failed_total', of, 'failed_samples_total'),
  retried: either('samples_retried_total', of, 'retried_samples_total'),
  'enqueue retries': `rate(prometheus_remote_storage_enqueue_retries_total{${of}}[5m])`,
  // The variables of the dashboard.
  instance: 'group by (instance) (prometheus_build_info)',
  url: `group by (url) (prometheus_remote_storage_shards{${of}})`,
};

const job = 'job="spillway"';
const failed = either('samples_failed_total', job, 'failed_samples_total');
const alerts = {
  PrometheusRemoteStorageFailures: `(${failed} / (${failed} + ${either('samples_total', job, 'succeeded_samples_total')})) * 100 > 1`,
  PrometheusRemoteWriteBehind: `(max_over_time(prometheus_remote_storage_highest_timestamp_in_seconds{${job}}[5m]) - ignoring(remote_name, url) group_right max_over_time(prometheus_remote_storage_queue_highest_sent_timestamp_seconds{${job}}[5m])) > 120`,
  PrometheusRemoteWriteDesiredShards: `(max_over_time(prometheus_remote_storage_shards_desired{${job}}[5m]) > max_over_time(prometheus_remote_storage_shards_max{${job}}[5m]))`,
};

/** Series whose time goes on by a minute with each request, whatever the clock says. */
class Minutes {
  readonly #sender: Sender;
  #at = Date.now() - 3_600_000;

  constructor(t: test.TestContext, agent: Agent) {
    this.#sender = new Sender(t, agent.url);
  }

  async send(minutes: number, more: Record<string, string> = {}): Promise<void> {
    for (let i = 0; i < minutes; i++) {
      this.#at += 60_000;
      const reply = await this.#sender.write(
        request(series({ __name__: 'up', ...more, instance: 'a' }, [this.#at, i])),
      );
      assert.equal(reply?.status, 204);
    }
  }
}

test(
  'the stock dashboard and alerts of Prometheus say what happens through an outage',
  needs('prometheus'),
  async (t) => {
    const sink = await Sink.start(t);
    const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'storage' })] });
    const prometheus = await Prometheus.start(t, { scrape: { spillway: `${agent.url}/metrics` } });
    const minutes = new Minutes(t, agent);
    const settled = (): Promise<number> =>
      agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'storage' }, (rows) => rows === 0);

    await minutes.send(5);
    await settled();
    for (const [name, expression] of Object.entries(panels)) {
      const found = await prometheus.eventually(expression, (values) => values.length > 0);
      assert.ok(found.every(Number.isFinite), `${name}: ${found}`);
    }
    await prometheus.eventually(panels.lag!, ([lag]) => lag === 0);
    for (const [name, expression] of Object.entries(alerts))
      assert.deepEqual(await prometheus.values(expression), [], `${name} in health`);

    // An outage of ten minutes by the clock of the samples.
    sink.script = () => ({ status: 503 });
    await minutes.send(10);
    await prometheus.eventually(panels.lag!, ([lag]) => lag === 600);
    await prometheus.eventually(panels['lag since 3.7']!, ([lag]) => lag! > 0);
    await prometheus.eventually(panels.retried!, ([rate]) => rate! > 0);
    await prometheus.eventually(alerts.PrometheusRemoteWriteBehind, ([lag]) => lag === 600);
    assert.deepEqual(
      await prometheus.values(alerts.PrometheusRemoteStorageFailures),
      [],
      'nothing is refused',
    );

    // It is over, and one series is refused for good.
    sink.script = ({ rows }) =>
      rows.some(({ series }) => series.includes('poison'))
        ? { status: 400, body: 'out of bounds' }
        : { status: 204 };
    await minutes.send(2, { poison: 'yes' });
    await minutes.send(2);
    await settled();
    await prometheus.eventually(panels.lag!, ([lag]) => lag === 0);
    await prometheus.eventually(panels['lag since 3.7']!, ([lag]) => lag === 0);
    await prometheus.eventually(alerts.PrometheusRemoteWriteBehind, (values) => values.length === 0);
    await prometheus.eventually(
      alerts.PrometheusRemoteStorageFailures,
      ([percent]) => percent! > 1 && percent! < 100,
    );
  },
);

test('the stock alert says when max_shards is too small', needs('prometheus'), async (t) => {
  // Two rows a second at the most, and more come on any machine.
  const sink = await Sink.start(t, () => ({ delayMs: 500 }));
  const one = { max_shards: 1, max_samples_per_send: 1 };
  const agent = await Agent.start(t, {
    remote_write: [remote(sink.url, { name: 'slow', queue_config: one })],
  });
  const prometheus = await Prometheus.start(t, { scrape: { spillway: `${agent.url}/metrics` } });
  const minutes = new Minutes(t, agent);
  let done = false;
  const sending = (async () => {
    while (!done) await minutes.send(1);
  })();
  await prometheus.eventually(alerts.PrometheusRemoteWriteDesiredShards, ([desired]) => desired! > 1);
  done = true;
  await sending;
});
