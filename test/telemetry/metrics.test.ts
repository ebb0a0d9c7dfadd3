import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { KINDS } from '../../src/serialization/rows.ts';
import { EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import { type EndpointReading, Metrics, type QueueReading } from '../../src/telemetry/metrics.ts';
import { doorReasonNames, endpointReasonNames } from '../../src/telemetry/reasons.ts';
import { needs } from '../support/programs.ts';
import { type Exposed, parseExposition } from './exposition.ts';

const queue: QueueReading = {
  bytes: 1000,
  segments: 2,
  segment: 7,
  openSeries: 3,
  inFlightBytes: 5,
  connections: 3,
  newestMs: 1_700_000_000_500,
  full: true,
  oldestMs: undefined,
  capBytes: 5000,
  freeBytes: 777,
};

const samples = (endpoint: string): Record<string, string> => ({
  remote_name: endpoint,
  url: urlOf(endpoint),
});
const urlOf = (name: string): string => `http://${name}/api/v1/write?q="\\`;

function endpoint(name: string): EndpointReading {
  return {
    name,
    paused: name === 'a',
    url: urlOf(name),
    capacity: 10_000,
    minShards: 1,
    maxShards: 50,
    maxSamplesPerSend: 2000,
    stats: new EndpointStats(),
    received: 17,
    unaccounted: 0,
    backlog: { rows: 11, bytes: 222, seconds: 3.5 },
  };
}

async function page(metrics: Metrics): Promise<{ types: Map<string, string>; samples: Exposed[] }> {
  return parseExposition(await metrics.registry.metrics());
}

/** What the stock dashboard and alerts of Prometheus read of each endpoint, with its type. */
const ofEndpoint: Readonly<Record<string, string>> = {
  samples_total: 'counter',
  samples_failed_total: 'counter',
  samples_retried_total: 'counter',
  samples_pending: 'gauge',
  histograms_total: 'counter',
  histograms_failed_total: 'counter',
  histograms_retried_total: 'counter',
  histograms_pending: 'gauge',
  exemplars_total: 'counter',
  exemplars_failed_total: 'counter',
  exemplars_retried_total: 'counter',
  exemplars_pending: 'gauge',
  metadata_total: 'counter',
  metadata_failed_total: 'counter',
  metadata_retried_total: 'counter',
  metadata_bytes_total: 'counter',
  bytes_total: 'counter',
  enqueue_retries_total: 'counter',
  queue_highest_sent_timestamp_seconds: 'gauge',
  queue_highest_timestamp_seconds: 'gauge',
  dropped_samples_total: 'counter',
  sent_batch_duration_seconds: 'histogram',
  max_samples_per_send: 'gauge',
  shard_capacity: 'gauge',
  shards: 'gauge',
  shards_desired: 'gauge',
  shards_max: 'gauge',
  shards_min: 'gauge',
};

describe('Metrics', () => {
  it('has what the stock remote write dashboard reads, with its names, types and labels', async () => {
    const metrics = new Metrics(
      '1',
      () => queue,
      () => [endpoint('a'), endpoint('b')],
    );
    const { types, samples: found } = await page(metrics);
    const prefix = 'prometheus_remote_storage_';
    for (const [short, type] of Object.entries(ofEndpoint)) {
      const name = prefix + short;
      assert.equal(types.get(name), type, name);
      const series = found.filter((s) => s.name === (type === 'histogram' ? `${name}_count` : name));
      assert.deepEqual(
        series.map(({ labels }) => labels),
        [samples('a'), samples('b')],
        name,
      );
    }
    for (const [name, type] of [
      [`${prefix}samples_in_total`, 'counter'],
      [`${prefix}histograms_in_total`, 'counter'],
      [`${prefix}exemplars_in_total`, 'counter'],
      [`${prefix}highest_timestamp_in_seconds`, 'gauge'],
      ['prometheus_tsdb_wal_segment_current', 'gauge'],
    ] as const) {
      assert.equal(types.get(name), type, name);
      assert.deepEqual(
        found.filter((s) => s.name === name).map(({ labels }) => labels),
        [{}],
        name,
      );
    }
    assert.deepEqual(
      found.filter((s) => s.name === 'prometheus_wal_watcher_current_segment').map(({ labels }) => labels),
      [{ consumer: 'a' }, { consumer: 'b' }],
    );
    for (const kind of ['samples', 'histograms', 'exemplars']) {
      const name = `${prefix}${kind}_dropped_total`;
      assert.equal(types.get(name), 'counter', name);
      const ofA = found.filter((s) => s.name === name && s.labels.remote_name === 'a');
      const known = new Set(ofA.map(({ labels }) => labels.reason));
      for (const reason of ['dropped_series', 'too_old', 'nhcb_in_rw1_not_supported'])
        assert.ok(known.has(reason));
    }
    const buckets = found.filter((s) => s.name === `${prefix}sent_batch_duration_seconds_bucket`);
    assert.deepEqual(
      buckets.slice(0, 16).map(({ labels }) => labels.le),
      [
        '0.005',
        '0.01',
        '0.025',
        '0.05',
        '0.1',
        '0.25',
        '0.5',
        '1',
        '2.5',
        '5',
        '10',
        '25',
        '60',
        '120',
        '300',
        '+Inf',
      ],
    );
  });

  it('says how far an endpoint is behind by the names of Prometheus 3.7 and later', async () => {
    const behind = async (sentMs: number, seconds: number, newestMs: number): Promise<number> => {
      const a = { ...endpoint('a'), backlog: { rows: 1, bytes: 1, seconds } };
      a.stats.set('highestSentMs', sentMs);
      const metrics = new Metrics(
        '1',
        () => ({ ...queue, newestMs }),
        () => [a],
      );
      const { samples: found } = await page(metrics);
      const value = (name: string): number =>
        found.find((s) => s.name === `prometheus_remote_storage_${name}`)!.value;
      return value('queue_highest_timestamp_seconds') - value('queue_highest_sent_timestamp_seconds');
    };
    assert.equal(await behind(1_000_000, 0, 1_000_000), 0, 'all is sent');
    assert.equal(await behind(1_000_000, 300, 1_300_000), 300, 'an outage');
    assert.equal(await behind(1_000_000, 2, 9_000_000), 2, 'nothing to send for hours, by relabelling');
    assert.equal(await behind(1_000_000, 300, 1_007_000), 7, 'few seconds of data, long ago');
    assert.equal(await behind(0, 300, 1_700_000_000_000), 300, 'never reached');
    assert.equal(await behind(1_000_000, 300, 900_000), 0, 'old samples come');
    assert.equal(
      await behind(1_000_000, 300, Number.NEGATIVE_INFINITY),
      0,
      'nothing has come since the start',
    );
  });

  it('shows what was counted, in units of the name', async () => {
    const a = endpoint('a');
    const metrics = new Metrics(
      '1',
      () => queue,
      () => [a],
    );
    const { stats } = a;
    for (let kind = 0; kind < KINDS; kind++) {
      stats.addDelivered(kind, 10 + kind);
      stats.addRetried(kind, 20 + kind);
      for (const [i, reason] of endpointReasonNames.entries()) stats.addLost(reason, kind, 2 ** i);
    }
    for (const seconds of [0.004, 0.005, 0.3, 999]) stats.observeRequest(seconds);
    stats.set('highestSentMs', 1_700_000_000_250);
    stats.set('shards', 3);
    stats.set('bytesSent', 100);
    stats.set('metadataBytesSent', 30);
    stats.set('pendingRows', 9);
    metrics.intake.committed(Uint32Array.of(42, 0, 0, 0), 1000, 0.01);
    const { samples: found } = await page(metrics);
    const value = (name: string, labels: Record<string, string> = samples('a')): number => {
      const one = found.filter(
        (s) => s.name === name && Object.entries(labels).every(([key, want]) => s.labels[key] === want),
      );
      assert.equal(one.length, 1, `${name} ${JSON.stringify(labels)}`);
      return one[0]!.value;
    };
    const prefix = 'prometheus_remote_storage_';
    const refused =
      2 ** endpointReasonNames.indexOf('rejected') +
      2 ** endpointReasonNames.indexOf('duplicate') +
      2 ** endpointReasonNames.indexOf('not_written');
    for (const [name, wanted] of [
      ['samples_total', 10],
      ['samples_retried_total', 20],
      ['samples_failed_total', refused],
      ['samples_pending', 9],
      ['queue_highest_sent_timestamp_seconds', 1_700_000_000.25],
      ['shards', 3],
      ['shards_desired', 3],
      ['shards_max', 50],
      ['shards_min', 1],
      ['shard_capacity', 10_000],
      ['max_samples_per_send', 2000],
      ['bytes_total', 70],
      ['metadata_bytes_total', 30],
      ['sent_batch_duration_seconds_count', 4],
      ['sent_batch_duration_seconds_sum', 999.309],
    ] as const) {
      assert.equal(value(prefix + name), wanted, name);
    }
    const drops = found.filter(({ name }) => name === `${prefix}samples_dropped_total`);
    assert.equal(
      drops.reduce((sum, drop) => sum + drop.value, 0),
      2 ** endpointReasonNames.length -
        1 -
        refused -
        2 ** endpointReasonNames.indexOf('metadata_off') -
        2 ** endpointReasonNames.indexOf('metadata_unchanged') -
        2 ** endpointReasonNames.indexOf('metadata_with_series'),
    );
    const relabelled = { ...samples('a'), reason: 'dropped_series' };
    assert.equal(
      value(`${prefix}samples_dropped_total`, relabelled),
      2 ** endpointReasonNames.indexOf('dropped_by_relabel'),
    );
    const bucket = (le: string): number =>
      value(`${prefix}sent_batch_duration_seconds_bucket`, { ...samples('a'), le });
    assert.deepEqual(['0.005', '0.25', '0.5', '300', '+Inf'].map(bucket), [2, 2, 3, 3, 4]);
    assert.equal(value(`${prefix}samples_in_total`, {}), 42);
    assert.equal(value(`${prefix}highest_timestamp_in_seconds`, {}), 1_700_000_000.5);
    assert.equal(value('prometheus_tsdb_wal_segment_current', {}), 7);
    assert.equal(value('spillway_endpoint_backlog_rows', { endpoint: 'a' }), 11);
    assert.equal(value('spillway_endpoint_received_rows_total', { endpoint: 'a' }), 17);
    assert.equal(value('spillway_endpoint_unaccounted_rows', { endpoint: 'a' }), 0);
    assert.equal(value('spillway_endpoint_backlog_bytes', { endpoint: 'a' }), 222);
    assert.equal(value('spillway_endpoint_backlog_seconds', { endpoint: 'a' }), 3.5);
    for (const [i, reason] of endpointReasonNames.entries()) {
      const labels = { endpoint: 'a', reason, kind: 'samples' };
      assert.equal(value('spillway_endpoint_dropped_rows_total', labels), 2 ** i);
    }
  });

  it('has every reason from the start, and no queue nor endpoint before there is one', async () => {
    const { samples: found } = await page(
      new Metrics(
        '1',
        () => undefined,
        () => [],
      ),
    );
    const refused = found.filter(({ name }) => name === 'spillway_refused_rows_total');
    assert.deepEqual(
      refused.map(({ labels, value }) => [labels.reason, value]),
      doorReasonNames.map((reason) => [reason, 0]),
    );
    for (const { name, labels } of found) assert.ok(!('endpoint' in labels || 'remote_name' in labels), name);
    assert.ok(!found.some(({ name }) => name === 'spillway_wal_bytes'));
  });

  it('tells what each series of a metric says apart', async () => {
    const { samples: found } = await page(
      new Metrics(
        '1',
        () => queue,
        () => [endpoint('a'), endpoint('b')],
      ),
    );
    const seen = new Set(found.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`));
    assert.equal(seen.size, found.length);
  });

  it('passes promtool', needs('prometheus'), async () => {
    const metrics = new Metrics(
      '1',
      () => queue,
      () => [endpoint('a'), endpoint('b')],
    );
    const input = await metrics.registry.metrics();
    const { stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
      input,
      encoding: 'utf8',
    });
    assert.equal(error, undefined);
    // Names that are not ours are not ours to change.
    const faults = `${stdout}${stderr}`.split('\n').filter((line) => /^spillway_|error/.test(line));
    assert.deepEqual(faults, []);
  });
});
