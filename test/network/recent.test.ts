import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { compress } from 'snappyjs';
import type { Outcome } from '../../src/network/destination.ts';
import { RecentDestination, type RecentOptions } from '../../src/network/recent.ts';
import { encodeWriteRequestV1, type Sparse, type WriteRequestV1 } from '../../src/protocol/schema.ts';
import { openSqlite } from '../../src/runtime/sqlite.ts';
import { loadCaptures } from '../support/captures.ts';
import { atEnd } from '../support/cleanup.ts';
import { labels } from '../support/messages.ts';
import { tempDir } from '../support/temp.ts';

const now = 1_700_000_000_000;
const hour = 3_600_000;
const staleMarker = 0x7ff0000000000002n;
const created: Outcome = { kind: 'response', status: 204, retryAfter: undefined, words: '' };
const signal = new AbortController().signal;

interface Fixture {
  readonly file: string;
  readonly destination: RecentDestination;
  readonly clock: { ms: number };
  post(request: Sparse<WriteRequestV1>): Promise<Outcome>;
  /** Rows of a query against the file, bigints for integers, seen through a connection of its own. */
  query(sql: string): unknown[][];
}

async function open(t: TestContext, limits: Partial<RecentOptions> = {}): Promise<Fixture> {
  const file = join(await tempDir(t, 'recent'), 'data', 'recent.db');
  const clock = { ms: now };
  const destination = new RecentDestination({
    file,
    keepMs: hour,
    keepSamples: 1_000,
    now: () => clock.ms,
    ...limits,
  });
  atEnd(t, () => destination.close());
  return {
    file,
    destination,
    clock,
    post: (request) => destination.post(compress(encodeWriteRequestV1(request)), 0, signal),
    query: (sql) => {
      const database = openSqlite(file, { readonly: true });
      const rows = database.prepare<[], unknown[]>(sql).safeIntegers().raw().all();
      database.close();
      return rows;
    },
  };
}

/** A request of one sample at `at` for each of `names`. */
function samplesAt(at: number, ...names: string[]): Sparse<WriteRequestV1> {
  return {
    timeseries: names.map((name) => ({
      labels: labels({ __name__: name }),
      samples: [{ timestamp: BigInt(at), valueBits: 1n }],
    })),
  };
}

describe('RecentDestination keeps', () => {
  it('the bits of values and the whole of timestamps', async (t) => {
    const { post, query } = await open(t, { keepMs: Number.MAX_SAFE_INTEGER });
    const values = [staleMarker, 0x7ff8000000000001n, 0xfff8000000000001n, 1n << 63n, 0n, 1n];
    const times = [-5n, 0n, 2n ** 53n + 1n, 2n ** 63n - 1n, BigInt(now), BigInt(now + 1)];
    const samples = times.map((timestamp, i) => ({ timestamp, valueBits: values[i]! }));
    assert.deepEqual(await post({ timeseries: [{ labels: labels({ __name__: 'up' }), samples }] }), created);
    assert.deepEqual(
      query('SELECT timestamp_ms, value_bits FROM samples ORDER BY timestamp_ms').map(
        ([timestamp, bits]) => ({
          timestamp,
          valueBits: BigInt.asUintN(64, bits as bigint),
        }),
      ),
      samples.toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : 1)),
    );
  });

  it('one series for one label set, whatever its order', async (t) => {
    const { post, query } = await open(t);
    const one = labels({ __name__: 'up', a: '1', b: '2' });
    await post({ timeseries: [{ labels: one, samples: [{ timestamp: BigInt(now) }] }] });
    await post({ timeseries: [{ labels: one.toReversed(), samples: [{ timestamp: BigInt(now + 1) }] }] });
    await post({ timeseries: [{ labels: labels({ a: '1' }), samples: [{ timestamp: BigInt(now) }] }] });
    assert.deepEqual(query('SELECT name, labels FROM series ORDER BY id'), [
      ['up', '[["__name__","up"],["a","1"],["b","2"]]'],
      ['', '[["a","1"]]'],
    ]);
    assert.deepEqual(query('SELECT series_id, timestamp_ms - 1700000000000 FROM samples ORDER BY 1, 2'), [
      [1n, 0n],
      [1n, 1n],
      [2n, 0n],
    ]);
  });

  it('the last of what came for a series and time: a request twice is as once', async (t) => {
    const { post, query } = await open(t);
    const series = { labels: labels({ __name__: 'h' }) };
    const timestamp = BigInt(now);
    const float = { timeseries: [{ ...series, samples: [{ timestamp, valueBits: 7n }] }] };
    await post(float);
    const before = query('SELECT * FROM samples');
    assert.deepEqual(await post(float), created);
    assert.deepEqual(query('SELECT * FROM samples'), before);
    await post({ timeseries: [{ ...series, histograms: [{ timestamp, countInt: 3n }] }] });
    assert.deepEqual(query('SELECT value_bits, hex(histogram) FROM samples'), [
      [null, `080378${varintOf(timestamp)}`],
    ]);
    await post(float);
    assert.deepEqual(query('SELECT * FROM samples'), before);
  });

  it('of exemplars and metadata the latest', async (t) => {
    const { post, query } = await open(t);
    const exemplar = (ms: number, id: string) => ({
      labels: labels({ trace: id }),
      timestamp: BigInt(now + ms),
      valueBits: staleMarker,
    });
    await post({
      timeseries: [
        {
          labels: labels({ __name__: 'a' }),
          samples: [{ timestamp: BigInt(now) }],
          exemplars: [exemplar(1, 'x')],
        },
        { labels: labels({ __name__: 'a' }), exemplars: [exemplar(3, 'z'), exemplar(2, 'y')] },
        { labels: labels({ __name__: 'exemplars_only' }), exemplars: [exemplar(0, 'w')] },
      ],
      metadata: [
        { metricFamilyName: 'a', type: 1, help: 'before' },
        { metricFamilyName: 'a', type: 2, help: 'after', unit: 's' },
      ],
    });
    assert.deepEqual(query('SELECT * FROM exemplars'), [
      [1n, BigInt(now + 3), staleMarker, '[["trace","z"]]'],
    ]);
    assert.deepEqual(query('SELECT * FROM metadata'), [['a', 2n, 'after', 's', BigInt(now)]]);
    assert.deepEqual(query('SELECT name FROM series'), [['a']]);
  });

  it('what real senders send', async (t) => {
    const { destination, query } = await open(t, { keepMs: Number.MAX_SAFE_INTEGER, keepSamples: 1e9 });
    const all = await loadCaptures('prometheus-2.42-agent');
    for (const { name, body } of all)
      assert.deepEqual(await destination.post(body, 0, signal), created, name);
    const sum = (what: string) => BigInt(all.reduce((total, { holds }) => total + (holds[what] ?? 0), 0));
    assert.deepEqual(query('SELECT count(value_bits), count(histogram) FROM samples'), [
      [sum('samples'), sum('histograms')],
    ]);
    assert.deepEqual(query(`SELECT count(*) FROM samples WHERE value_bits = ${staleMarker}`), [
      [sum('stale')],
    ]);
    assert.ok(sum('stale') > 0n && sum('histograms') > 0n);
  });

  it('all of it when it is opened again', async (t) => {
    const { file, destination, post, query } = await open(t);
    await post(samplesAt(now, 'a'));
    await destination.close();
    const again = new RecentDestination({ file, keepMs: hour, keepSamples: 1_000, now: () => now });
    atEnd(t, () => again.close());
    const body = compress(encodeWriteRequestV1(samplesAt(now + 1, 'a')));
    assert.deepEqual(await again.post(body, 0, signal), created);
    assert.deepEqual(query('SELECT series_id, timestamp_ms FROM samples'), [
      [1n, BigInt(now)],
      [1n, BigInt(now + 1)],
    ]);
  });
});

describe('RecentDestination trims', () => {
  it('what is older than keepMs, and series with their last sample', async (t) => {
    const { post, query, clock } = await open(t, { keepMs: 10_000 });
    const exemplars = [{ timestamp: BigInt(now) }];
    await post({
      timeseries: [{ labels: labels({ __name__: 'old' }), samples: [{ timestamp: BigInt(now) }], exemplars }],
      metadata: [{ metricFamilyName: 'old' }],
    });
    await post(samplesAt(now, 'both'));
    clock.ms = now + 10_000;
    await post(samplesAt(clock.ms, 'both', 'new'));
    assert.deepEqual(query('SELECT count(*) FROM samples'), [[4n]]); // 10 s are not yet older than 10 s
    clock.ms += 2_000;
    await post({});
    assert.deepEqual(query('SELECT name FROM series ORDER BY name'), [['both'], ['new']]);
    assert.deepEqual(query('SELECT DISTINCT timestamp_ms FROM samples'), [[BigInt(now + 10_000)]]);
    assert.deepEqual(query('SELECT * FROM exemplars'), []);
    assert.deepEqual(query('SELECT * FROM metadata'), []);
  });

  it('the oldest beyond keepSamples, no oftener than every two seconds', async (t) => {
    const { post, query, clock } = await open(t, { keepSamples: 3 });
    await post(samplesAt(now + 4, 'a'));
    for (const [i, name] of ['b', 'c', 'b', 'c'].entries()) await post(samplesAt(now + i, name));
    assert.deepEqual(query('SELECT count(*) FROM samples'), [[5n]]);
    clock.ms += 1_999;
    await post({});
    assert.deepEqual(query('SELECT count(*) FROM samples'), [[5n]]);
    clock.ms += 1;
    await post({});
    assert.deepEqual(query('SELECT timestamp_ms - 1700000000000 FROM samples ORDER BY 1'), [
      [2n],
      [3n],
      [4n],
    ]);
    assert.deepEqual(query('SELECT name FROM series ORDER BY name'), [['a'], ['b'], ['c']]);
  });

  it('samples of any time', async (t) => {
    const { post, query, clock } = await open(t, { keepSamples: 0 });
    const samples = [-(2n ** 63n), 2n ** 63n - 1n].map((timestamp) => ({ timestamp }));
    await post({ timeseries: [{ labels: labels({ __name__: 'odd' }), samples }] });
    clock.ms += 2_000;
    await post({});
    assert.deepEqual(query('SELECT * FROM samples'), []);
  });

  it('in steps of bounded size, each of more than comes', async (t) => {
    const { post, query, clock } = await open(t, { keepSamples: 0 });
    const count = () => query('SELECT count(*) FROM samples')[0]?.[0];
    const many = (rows: number, at: number): Sparse<WriteRequestV1> => ({
      timeseries: [
        {
          labels: labels({ __name__: 'many' }),
          samples: Array.from({ length: rows }, (_, i) => ({ timestamp: BigInt(at + i) })),
        },
      ],
    });
    await post(many(25_000, now));
    assert.equal(count(), 25_000n);
    clock.ms += 2_000;
    await post(many(12_000, now + 25_000)); // takes 22 000 away before it adds 12 000
    assert.equal(count(), 15_000n);
    await post({});
    assert.equal(count(), 5_000n);
    await post({});
    assert.equal(count(), 0n);
  });

  it('the file: freed pages go back, and it does not grow with what passes through', async (t) => {
    const { file, destination, post, query, clock } = await open(t, { keepSamples: 100 });
    const round = async () => {
      for (let i = 0; i < 5; i++) {
        clock.ms += 2_000;
        const help = 'x'.repeat(1_000);
        await post({
          timeseries: Array.from({ length: 1_000 }, (_, j) => ({
            labels: labels({ __name__: 'm', long: `${clock.ms} ${j} ${help}` }),
            samples: [{ timestamp: BigInt(clock.ms) }],
          })),
        });
      }
    };
    await round();
    const [[autoVacuum]] = query('PRAGMA auto_vacuum') as [[bigint]];
    assert.equal(autoVacuum, 2n);
    const before = statSync(file).size;
    await round();
    await round();
    assert.ok(statSync(file).size <= before * 1.5, `${statSync(file).size} after ${before}`);
    assert.ok(statSync(`${file}-wal`).size < 16 * 1024 * 1024);
    for (let i = 0; i < 3; i++) {
      clock.ms += 2 * hour;
      await post({});
    }
    await destination.close();
    assert.ok(statSync(file).size < 200_000, `${statSync(file).size} when empty`);
  });
});

describe('RecentDestination answers', () => {
  it('400 to what is not a remote-write 1.0 request, and works on', async (t) => {
    const { destination, file, post } = await open(t);
    const bad: readonly (readonly [Uint8Array, RegExp])[] = [
      [Buffer.from('not snappy'), /not a remote-write 1\.0 request/],
      [new Uint8Array(0), /Snappy/],
      [compress(Buffer.from([0x0a, 0x05])), /not a prometheus\.WriteRequest: index out of range/],
      [Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0]), /too big/],
    ];
    for (const [body, words] of bad) {
      const outcome = await destination.post(body, 0, signal);
      assert.ok(outcome.kind === 'response');
      assert.equal(outcome.status, 400);
      assert.match(outcome.words, words);
    }
    assert.equal(existsSync(file), false);
    assert.deepEqual(await post(samplesAt(now, 'a')), created);
  });

  it('503 while the file cannot be opened, and works on when it can', async (t) => {
    const { destination, file, post, query } = await open(t);
    const blocker = join(file, '..');
    writeFileSync(blocker, 'a file where the directory should be');
    const outcome = await post(samplesAt(now, 'a'));
    assert.ok(outcome.kind === 'response');
    assert.equal(outcome.status, 503);
    assert.ok(outcome.words.startsWith(`cannot write ${file}: `), outcome.words);
    rmSync(blocker);
    assert.deepEqual(await post(samplesAt(now, 'a')), created);
    assert.deepEqual(query('SELECT name FROM series'), [['a']]);
    await destination.close();
  });

  it('503 when a write fails, nothing of the request is kept, and the next one works', async (t) => {
    const { file, post, query } = await open(t);
    await post(samplesAt(now, 'before'));
    const saboteur = openSqlite(file);
    saboteur.exec(
      `CREATE TRIGGER full BEFORE INSERT ON samples WHEN NEW.timestamp_ms = 13
       BEGIN SELECT RAISE(ABORT, 'disk full'); END`,
    );
    const request = samplesAt(now, 'first', 'second');
    const outcome = await post({
      timeseries: [...request.timeseries!, ...samplesAt(13, 'third').timeseries!],
    });
    assert.ok(outcome.kind === 'response');
    assert.equal(outcome.status, 503);
    assert.match(outcome.words, /disk full/);
    assert.deepEqual(query('SELECT name FROM series'), [['before']]);
    saboteur.exec('DROP TRIGGER full');
    saboteur.close();
    assert.deepEqual(await post(request), created);
    assert.equal(query('SELECT * FROM samples').length, 3);
  });

  it('503 to a file of another format version or that is no database, which stays as it is', async (t) => {
    const { file, destination, post } = await open(t);
    await post(samplesAt(now, 'a'));
    await destination.close();
    const database = openSqlite(file);
    database.pragma('user_version = 7');
    database.close();
    const noDatabase = join(file, '..', 'text');
    writeFileSync(noDatabase, 'no database, but long enough to be one'.repeat(100));

    for (const [path, words] of [
      [file, /format version 7, this Spillway knows 1: move the file away/],
      [noDatabase, /file is not a database/],
    ] as const) {
      const other = new RecentDestination({ file: path, keepMs: hour, keepSamples: 10, now: () => now });
      atEnd(t, () => other.close());
      const before = readFileSync(path);
      const outcome = await other.post(compress(encodeWriteRequestV1(samplesAt(now, 'b'))), 0, signal);
      assert.ok(outcome.kind === 'response');
      assert.equal(outcome.status, 503);
      assert.match(outcome.words, words);
      assert.ok(readFileSync(path).equals(before), path);
    }
  });

  it('aborted to a signal and after close, which is idempotent', async (t) => {
    const { destination, file, post } = await open(t);
    const body = compress(encodeWriteRequestV1(samplesAt(now, 'a')));
    const aborted: Outcome = { kind: 'aborted', maybeDelivered: false };
    assert.deepEqual(await destination.post(body, 0, AbortSignal.abort()), aborted);
    assert.equal(existsSync(file), false);
    await post(samplesAt(now, 'a'));
    await destination.close();
    await destination.close();
    assert.deepEqual(await post(samplesAt(now, 'a')), aborted);
  });
});

/** A non-negative varint in upper-case hex. */
function varintOf(value: bigint): string {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    if (rest <= 127n) return Buffer.from(bytes).toString('hex').toUpperCase();
  }
}
