import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { compress } from 'snappyjs';
import { RecentDestination } from '../../src/network/recent.ts';
import { parseSelector } from '../../src/promql/selector.ts';
import { encodeWriteRequestV1, type Sparse, type WriteRequestV1 } from '../../src/protocol/schema.ts';
import { openSqlite } from '../../src/runtime/sqlite.ts';
import { openRecent, type RecentLookup, type RecentLookupResult } from '../../src/status/recent-lookup.ts';
import { atEnd } from '../support/cleanup.ts';
import { bitsOf, labels } from '../support/messages.ts';
import { tempDir } from '../support/temp.ts';

const now = 1_700_000_000_000;
const nothing: RecentLookupResult = { series: [], totalSeries: 0 };

interface Fixture {
  readonly file: string;
  readonly recent: RecentLookup;
  find(selector: string, limitSeries?: number, limitSamples?: number): RecentLookupResult;
  post(request: Sparse<WriteRequestV1>): Promise<void>;
}

async function open(t: TestContext): Promise<Fixture> {
  const file = join(await tempDir(t, 'recent-lookup'), 'recent.db');
  const destination = new RecentDestination({ file, keepMs: 3_600_000, keepSamples: 1e6, now: () => now });
  atEnd(t, () => destination.close());
  const recent = openRecent(file);
  atEnd(t, () => recent.close());
  return {
    file,
    recent,
    find: (selector, limitSeries = 10, limitSamples = 10) =>
      recent.lookup(parseSelector(selector), { limitSeries, limitSamples }),
    post: async (request) => {
      const body = compress(encodeWriteRequestV1(request));
      const outcome = await destination.post(body, 0, new AbortController().signal);
      assert.equal(outcome.kind === 'response' && outcome.status, 204);
    },
  };
}

function one(pairs: Record<string, string>, ...samples: readonly (readonly [at: number, bits: bigint])[]) {
  return {
    labels: labels(pairs),
    samples: samples.map(([at, valueBits]) => ({ timestamp: BigInt(now + at), valueBits })),
  };
}

describe('RecentLookup', () => {
  it('finds nothing until there is a file, nor while it has no tables', async (t) => {
    const { file, recent, find, post } = await open(t);
    const empty = { seriesCount: 0, sampleCount: 0, newestTimestampMs: undefined };
    assert.deepEqual(find('up'), nothing);
    assert.deepEqual(recent.summary(), empty);
    openSqlite(file).exec('PRAGMA journal_mode = WAL').close();
    assert.deepEqual(find('up'), nothing);
    assert.deepEqual(recent.summary(), empty);
    await post({ timeseries: [one({ __name__: 'up' }, [0, bitsOf(1)])] });
    assert.equal(find('up').totalSeries, 1);
    assert.deepEqual(recent.summary(), { seriesCount: 1, sampleCount: 1, newestTimestampMs: now });
  });

  it('sees what is written while it is open, and again after close', async (t) => {
    const { recent, find, post } = await open(t);
    await post({ timeseries: [one({ __name__: 'up' }, [0, bitsOf(1)])] });
    const valuesOf = (result: RecentLookupResult) => result.series[0]?.samples.map(({ value }) => value);
    assert.deepEqual(valuesOf(find('up')), ['1']);
    await post({ timeseries: [one({ __name__: 'up' }, [1, bitsOf(2)])] });
    assert.deepEqual(valuesOf(find('up')), ['1', '2']);
    recent.close();
    recent.close();
    await post({ timeseries: [one({ __name__: 'up' }, [2, bitsOf(3)])] });
    assert.deepEqual(valuesOf(find('up')), ['1', '2', '3']);
  });

  it('shows values as Prometheus prints them, stale markers and histograms', async (t) => {
    const { find, post } = await open(t);
    const series = one(
      { __name__: 'x' },
      [1, bitsOf(-0)],
      [2, bitsOf(1e-7)],
      [3, 0x7ff8000000000001n],
      [4, 0xfff0000000000000n],
      [5, 0x7ff0000000000002n],
    );
    const histograms = [
      { timestamp: BigInt(now + 6), countFloatBits: 0n, sumBits: bitsOf(2.5), schema: 3 },
      { timestamp: BigInt(now + 7), countInt: 4n, sumBits: 0x7ff0000000000002n },
    ];
    await post({ timeseries: [{ ...series, histograms }] });
    assert.deepEqual(find('x').series[0]?.samples, [
      { timestampMs: now + 1, value: '-0', kind: 'float' },
      { timestampMs: now + 2, value: '1e-07', kind: 'float' },
      { timestampMs: now + 3, value: 'NaN', kind: 'float' },
      { timestampMs: now + 4, value: '-Inf', kind: 'float' },
      { timestampMs: now + 5, value: 'stale', kind: 'float' },
      { timestampMs: now + 6, value: '{count:0, sum:2.5}', kind: 'histogram' },
      { timestampMs: now + 7, value: 'stale', kind: 'histogram' },
    ]);
  });

  it('matches all of the selector, by name and without', async (t) => {
    const { find, post } = await open(t);
    await post({
      timeseries: [
        one({ __name__: 'up', job: 'a' }, [0, 0n]),
        one({ __name__: 'up', job: 'b', ['__proto__']: 'p' }, [0, 0n]),
        one({ __name__: 'down', job: 'a' }, [0, 0n]),
        one({ job: 'nameless' }, [0, 0n]),
      ],
    });
    const found = (selector: string) =>
      find(selector).series.map((each) => Object.values(each.labels).join());
    assert.deepEqual(found('up'), ['up,p,b', 'up,a']);
    assert.deepEqual(found('up{job="b"}'), ['up,p,b']);
    assert.deepEqual(found('up{job!="b"}'), ['up,a']);
    assert.deepEqual(found('{job="a"}'), ['down,a', 'up,a']);
    assert.deepEqual(found('{__name__=~"u.*|d.*",job="a"}'), ['down,a', 'up,a']);
    assert.deepEqual(found('{__name__=""}'), ['nameless']);
    assert.deepEqual(found('{}'), ['nameless', 'down,a', 'up,p,b', 'up,a']);
    assert.deepEqual(found('{__proto__="p"}'), ['up,p,b']);
    assert.deepEqual(found('up{job="c"}'), []);
  });

  it('limits series and samples, the latest samples in the order of time', async (t) => {
    const { find, post } = await open(t);
    const samples = [3, 1, 4, 2].map((at) => [at, bitsOf(at)] as const);
    await post({ timeseries: ['a', 'b', 'c'].map((job) => one({ __name__: 'up', job }, ...samples)) });
    const { series, totalSeries } = find('up', 2, 3);
    assert.equal(totalSeries, 3);
    assert.deepEqual(
      series.map(({ labels }) => labels.job),
      ['a', 'b'],
    );
    assert.deepEqual(
      series[1]?.samples.map(({ value }) => value),
      ['2', '3', '4'],
    );
    assert.deepEqual(find('up', 0, 0), { series: [], totalSeries: 3 });
  });

  it('adds the latest exemplar, and the metadata of the family of that name', async (t) => {
    const { find, post } = await open(t);
    const exemplars = [
      { labels: labels({ trace: '1' }), timestamp: BigInt(now), valueBits: 0x8000000000000000n },
    ];
    await post({
      timeseries: [
        { ...one({ __name__: 'a' }, [0, 0n]), exemplars },
        one({ __name__: 'a', job: 'b' }, [0, 0n]),
        one({ __name__: 'c' }, [0, 0n]),
      ],
      metadata: [
        { metricFamilyName: 'a', type: 1, help: 'helps', unit: 's' },
        { metricFamilyName: 'c', type: 99 },
      ],
    });
    const samples = [{ timestampMs: now, value: '0', kind: 'float' }];
    const metadata = { type: 'counter', help: 'helps', unit: 's' };
    assert.deepEqual(find('{}').series, [
      { labels: { __name__: 'a', job: 'b' }, samples, metadata },
      {
        labels: { __name__: 'a' },
        samples,
        exemplar: { labels: { trace: '1' }, timestampMs: now, value: '-0' },
        metadata,
      },
      { labels: { __name__: 'c' }, samples, metadata: { type: '99', help: '', unit: '' } },
    ]);
  });

  it('gives up on a pattern that backtracks without end, and works on', async (t) => {
    const { find, post } = await open(t);
    await post({ timeseries: [one({ __name__: 'a'.repeat(60) }, [0, 0n])] });
    const started = process.cpuUsage();
    assert.throws(() => find('{__name__=~"(a+)+b"}'), {
      name: 'SelectorTimeoutError',
      code: 'SELECTOR_TIMEOUT',
    });
    const { user, system } = process.cpuUsage(started);
    assert.ok(user + system < 10_000_000, `${user + system} us of CPU time`);
    assert.equal(find('{__name__=~"a+"}').totalSeries, 1);
  });

  it('refuses a file of another format version by name', async (t) => {
    const { file, recent, find, post } = await open(t);
    await post({ timeseries: [one({ __name__: 'up' }, [0, 0n])] });
    const database = openSqlite(file);
    database.pragma('user_version = 7');
    database.close();
    assert.throws(() => find('up'), {
      code: 'RECENT_VERSION',
      message: new RegExp(`${file} has format version 7`),
    });
    assert.throws(() => recent.summary(), { code: 'RECENT_VERSION' });
  });
});
