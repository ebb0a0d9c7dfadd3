import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TransactionEndedError } from '../../src/appender/appender.ts';
import { InvalidSeriesError, type Labels } from '../../src/appender/encode.ts';
import { CommitError } from '../../src/filequeue/group-commit.ts';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { rowTexts } from '../filequeue/read-back.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { bitsOf, labels, type Message, request, series } from '../support/messages.ts';
import { encodeBody } from '../support/sender.ts';
import { appending } from './appending.ts';

const stale = 0x7ff0000000000002n;
const up = { __name__: 'up', job: 'a' };

describe('Appender', () => {
  it('brings samples to disk bit for bit', async (t) => {
    const { begin, rows, reports } = await appending(t);
    const values: readonly (number | bigint)[] = [
      0,
      -0,
      0.1,
      5e-324,
      Number.MAX_VALUE,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
      stale,
      0x7ff8000000000001n,
      0xfff0000000000002n,
      0n,
      0x8000000000000000n,
      -1n,
    ];
    const appender = begin();
    for (const [at, value] of values.entries()) appender.append(up, at, value);
    await appender.commit();
    const sent = values.map((value, at): [number, bigint] => [
      at,
      typeof value === 'bigint' ? BigInt.asUintN(64, value) : bitsOf(value),
    ]);
    assert.deepEqual(rows(), rowTexts(request(series(up, ...sent))));
    assert.equal(appender.report?.samples, values.length);
    assert.deepEqual(reports, [appender.report]);
  });

  it('brings every 64-bit time to disk (WIRE-10, INT-13)', async (t) => {
    const { begin, rows } = await appending(t);
    const times = [
      0n,
      -0,
      -1,
      1_700_000_000_000,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
      2n ** 63n - 1n,
      -(2n ** 63n),
    ];
    const appender = begin();
    for (const at of times) appender.append(up, at, 1);
    await appender.commit();
    const message = {
      labels: labels(up),
      samples: times.map((at) => ({ timestamp: BigInt(at), valueBits: bitsOf(1) })),
    };
    assert.deepEqual(rows(), rowTexts(request(message)));
  });

  it('brings histograms of every flavour, exemplars and metadata to disk', async (t) => {
    const { begin, rows } = await appending(t);
    const spans = [{ offset: -3, length: 2 }];
    const histograms = [
      {},
      {
        countInt: 2n ** 64n - 1n,
        sumBits: stale,
        schema: 8,
        zeroThresholdBits: bitsOf(1e-128),
        zeroCountInt: 1n,
        negativeSpans: spans,
        negativeDeltas: [-(2n ** 63n), 1n],
        positiveSpans: spans,
        positiveDeltas: [2n ** 63n - 1n, 0n],
        resetHint: 2,
      },
      {
        countFloatBits: bitsOf(-0),
        sumBits: bitsOf(18.4),
        schema: -53,
        zeroCountFloatBits: bitsOf(0.5),
        positiveSpans: spans,
        positiveCountsBits: [bitsOf(1.5), stale],
        customValuesBits: [bitsOf(1), bitsOf(Number.POSITIVE_INFINITY)],
        resetHint: 3,
      },
    ];
    const exemplars = [
      { labels: { trace_id: '4bf9', span: '' }, timestampMs: -(2n ** 63n), value: stale },
      { labels: {}, timestampMs: 7, value: -0 },
    ];
    const metadata = [
      { type: 1, help: 'Help.\nMore.', unit: 'seconds' },
      { type: 0, help: '', unit: '' },
      { type: 77, help: 'A type that is not known yet.', unit: '🚰' },
    ];
    const appender = begin();
    for (const [at, histogram] of histograms.entries()) appender.appendHistogram(up, at, histogram);
    for (const exemplar of exemplars) appender.appendExemplar(up, exemplar);
    for (const entry of metadata) appender.updateMetadata('up', entry);
    await appender.commit();
    assert.deepEqual(
      rows(),
      rowTexts({
        timeseries: [
          { labels: labels(up), histograms: histograms.map((h, at) => ({ ...h, timestamp: BigInt(at) })) },
          {
            labels: labels(up),
            exemplars: exemplars.map((e) => ({
              labels: labels(e.labels),
              timestamp: BigInt(e.timestampMs),
              valueBits: typeof e.value === 'bigint' ? e.value : bitsOf(e.value),
            })),
          },
        ],
        metadata: metadata.map((entry) => ({ ...entry, metricFamilyName: 'up' })),
      }),
    );
    const { report } = appender;
    assert.deepEqual(
      [report?.samples, report?.histograms, report?.exemplars, report?.metadata, report?.newestMs],
      [0, 3, 2, 3, 2],
    );
  });

  it('keeps the order in which rows of all kinds were appended', async (t) => {
    const { begin, rows } = await appending(t);
    const other = { __name__: 'other' };
    const appender = begin();
    appender.append(up, 1, 1);
    appender.appendHistogram(up, 2, { countInt: 1n });
    appender.append(other, 1, 1);
    appender.append(up, 3, 1);
    await appender.commit();
    assert.deepEqual(
      rows(),
      rowTexts(
        request(
          series(up, [1, 1]),
          { labels: labels(up), histograms: [{ timestamp: 2n, countInt: 1n }] },
          series(other, [1, 1]),
          series(up, [3, 1]),
        ),
      ),
    );
  });

  it('takes one series however its labels are spelt', async (t) => {
    const { begin, rows, target } = await appending(t);
    const appender = begin();
    appender.append({ __name__: 'up', a: '1', b: '' }, 1, 1);
    appender.append({ a: '1', __name__: 'up' }, 2, 1);
    appender.append({ 'a b\n': '"\\', '～': '𐀀', __name__: 'ünï\0code' }, 3, 1);
    await appender.commit();
    assert.equal(target.queue.openSeries, 2);
    assert.deepEqual(
      rows(),
      rowTexts(
        request(
          series({ __name__: 'up', a: '1' }, [1, 1], [2, 1]),
          series({ __name__: 'ünï\0code', 'a b\n': '"\\', '～': '𐀀' }, [3, 1]),
        ),
      ),
    );
  });

  it('commits only when the rows are synced', async (t) => {
    const { begin, rows, files } = await appending(t);
    const hold = files.hold(/^sync 1/);
    const appender = begin();
    appender.append(up, 1, 1);
    let durable = false;
    const committed = appender.commit().then(() => {
      durable = true;
    });
    await hold.reached();
    assert.equal(durable, false);
    hold.letGo();
    await committed;
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1]))));
  });

  it('rejects a commit that could not be synced, keeps nothing of it, and the next one works', async (t) => {
    const { begin, rows, files } = await appending(t);
    files.fail(/^sync/);
    const failing = begin();
    failing.append(up, 1, 1);
    await assert.rejects(failing.commit(), (error) => error instanceof CommitError && error.retryable);
    assert.throws(() => failing.append(up, 1, 1), TransactionEndedError);
    const next = begin();
    next.append(up, 2, 2);
    await next.commit();
    assert.deepEqual(rows(), rowTexts(request(series(up, [2, 2]))));
  });

  it('keeps nothing of what was rolled back, or never committed', async (t) => {
    const { begin, rows, reports, target } = await appending(t);
    const [forgotten, left, kept] = [begin(), begin(), begin()];
    for (const [at, appender] of [forgotten, left, kept].entries()) appender.append(up, at, 1);
    forgotten.appendRequest(encodeBody(request(series({ __name__: 'request' }, [1, 1]))));
    forgotten.rollback();
    await kept.commit();
    assert.deepEqual(rows(), rowTexts(request(series(up, [2, 1]))));
    assert.equal(reports.length, 1);
    assert.equal(target.queue.openSeries, 1);
    assert.equal(forgotten.report, undefined);
  });

  it('writes nothing for a transaction without rows', async (t) => {
    const { begin, files, reports } = await appending(t);
    await begin().commit();
    const empty = begin();
    empty.appendRequest(encodeBody(request()));
    await empty.commit();
    assert.deepEqual(files.log, []);
    assert.deepEqual(
      reports.map(({ samples }) => samples),
      [0, 0],
    );
  });

  it('keeps each of two interleaved transactions whole', async (t) => {
    const { begin, rows, files } = await appending(t);
    const other = { __name__: 'other' };
    const [a, b, c] = [begin(), begin(), begin()];
    for (let at = 0; at < 3; at++) {
      a.append(up, at, 1);
      b.append(other, at, 2);
      c.append(up, at + 10, 3);
    }
    b.rollback();
    const hold = files.hold(/^sync 1/);
    const first = c.commit();
    await hold.reached();
    files.fail(/^sync 1/);
    const second = assert.rejects(a.commit(), CommitError);
    hold.letGo();
    // `fail` was said while the sync of the first was held: it is the one that fails.
    await assert.rejects(first, CommitError);
    await second;
    const again = begin();
    for (let at = 0; at < 3; at++) again.append(up, at, 1);
    await again.commit();
    assert.deepEqual(rows(), rowTexts(request(series(up, [0, 1], [1, 1], [2, 1]))));
  });

  it('commits transactions that wait together in the order of their commits', async (t) => {
    const { begin, rows, commits } = await appending(t);
    const [a, b] = [begin(), begin()];
    a.append(up, 2, 1);
    b.append(up, 1, 1);
    a.append(up, 3, 1);
    await Promise.all([b.commit(), a.commit()]);
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1], [2, 1], [3, 1]))));
    assert.equal(commits.length, 1);
  });

  it('takes a request as it came, for itself and together with appended rows', async (t) => {
    const { begin, rows, reports } = await appending(t);
    const expected: string[] = [];
    for (const folder of v1Captures) {
      for (const { body, raw } of await loadCaptures(folder)) {
        const appender = begin();
        appender.appendRequest(body);
        await appender.commit();
        for (const text of rowTexts(decodeWriteRequestV1(raw))) expected.push(text);
      }
    }
    const message: Message = {
      ...request(series({ __name__: 'requested' }, [5, 5]), series(up, [6, 6])),
      metadata: [{ type: 1, metricFamilyName: 'requested', help: '', unit: '' }],
    };
    const appender = begin();
    appender.appendRequest(encodeBody(message));
    appender.append(up, 9, 9);
    await appender.commit();
    expected.push(...rowTexts(request(series(up, [9, 9]))), ...rowTexts(message));
    assert.deepEqual(rows(), expected);
    const report = reports.at(-1)!;
    assert.deepEqual([report.samples, report.metadata, report.newestMs], [3, 1, 9]);
  });

  it('keeps nothing of a transaction whose request cannot be read', async (t) => {
    const { begin, rows, reports } = await appending(t, { decodedBytes: 1000 });
    const large = encodeBody(request(series({ __name__: 'a'.repeat(1000) }, [1, 1])));
    for (const [body, code] of [
      [Buffer.from('no snappy block'), 'SNAPPY_INVALID'],
      [large, 'OVER_LIMIT'],
      [encodeBody(request(series(up, [1, 1]))).subarray(0, -1), 'SNAPPY_INVALID'],
      [Uint8Array.of(2, 4, 0x0a, 0x05), 'PROTOBUF_MALFORMED'],
    ] as const) {
      for (const rowsToo of [false, true]) {
        const appender = begin();
        if (rowsToo) appender.append({ __name__: 'lost' }, 1, 1);
        appender.appendRequest(body);
        await assert.rejects(appender.commit(), { code, retryable: false });
        assert.throws(() => appender.append(up, 1, 1), TransactionEndedError);
      }
    }
    assert.deepEqual(reports, []);
    const appender = begin();
    appender.append(up, 1, 1);
    await appender.commit();
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1]))));
  });

  it('leaves out the invalid series of a request and says so, with those of its rows', async (t) => {
    const { begin, rows } = await appending(t);
    const appender = begin();
    appender.append(up, 1, 1);
    appender.appendRequest(
      encodeBody(request(series({ job: 'nameless' }, [1, 1], [2, 2]), series(up, [3, 3]))),
    );
    await appender.commit();
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1], [3, 3]))));
    const { report } = appender;
    assert.equal(report?.samples, 2);
    assert.deepEqual([...report.refused], [['no_metric_name', 2]]);
    assert.equal(report.firstRefused?.reason, 'no_metric_name');
    assert.match(report.firstRefused.what, /nameless/);
  });

  it('takes one request, and says when there is a second', async (t) => {
    const { begin, rows } = await appending(t);
    const appender = begin();
    appender.appendRequest(encodeBody(request(series(up, [1, 1]))));
    assert.throws(() => appender.appendRequest(encodeBody(request())), /one request/);
    await appender.commit();
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1]))));
  });

  it('refuses everything after its end', async (t) => {
    const { begin, rows } = await appending(t);
    const [committed, rolledBack] = [begin(), begin()];
    const done = committed.commit();
    rolledBack.rollback();
    for (const appender of [committed, rolledBack]) {
      for (const use of [
        () => appender.append(up, 1, 1),
        () => appender.appendHistogram(up, 1, {}),
        () => appender.appendExemplar(up, { labels: {}, timestampMs: 1, value: 1 }),
        () => appender.updateMetadata('up', { type: 1, help: '', unit: '' }),
        () => appender.appendRequest(new Uint8Array()),
        () => appender.rollback(),
      ]) {
        assert.throws(use, (error) => error instanceof TransactionEndedError && !error.retryable);
      }
      await assert.rejects(async () => await appender.commit(), TransactionEndedError);
    }
    await done;
    assert.deepEqual(rows(), []);
  });

  const half = '\ud800';
  const invalid: readonly (readonly [string, Labels])[] = [
    ['no name', { job: 'a' }],
    ['an empty name', { __name__: '' }],
    ['no labels', {}],
    ['a label without a name', { ...up, '': 'x' }],
    ['a lone surrogate in a name', { ...up, [half]: 'x' }],
    ['a lone surrogate in a value', { ...up, x: `a${half}b` }],
    ['a lone low surrogate', { ...up, x: '\udc00' }],
    ['a lone surrogate in the metric name', { __name__: `up${half}` }],
  ];
  const sample = { labels: { trace: '1' }, timestampMs: 1, value: 1 };
  it('refuses what is invalid, and the transaction goes on without it', async (t) => {
    const { begin, rows } = await appending(t);
    const appender = begin();
    const refuses = (what: string, use: () => void): void =>
      assert.throws(use, InvalidSeriesError, `it took ${what}`);
    appender.append(up, 1, 1);
    for (const [what, bad] of invalid) {
      refuses(what, () => appender.append(bad, 1, 1));
      refuses(what, () => appender.appendHistogram(bad, 1, {}));
      refuses(what, () => appender.appendExemplar(bad, sample));
    }
    for (const at of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2n ** 63n, -(2n ** 63n) - 1n]) {
      refuses(`the time ${at}`, () => appender.append(up, at, 1));
      refuses(`the time ${at}`, () => appender.appendHistogram(up, at, {}));
      refuses(`the time ${at}`, () => appender.appendExemplar(up, { ...sample, timestampMs: at }));
    }
    for (const bad of [{ '': 'x' }, { [half]: 'x' }, { x: half }]) {
      refuses('an exemplar label', () => appender.appendExemplar(up, { ...sample, labels: bad }));
    }
    const entry = { type: 1, help: '', unit: '' };
    refuses('no family', () => appender.updateMetadata('', entry));
    refuses('a surrogate', () => appender.updateMetadata(half, entry));
    refuses('a surrogate', () => appender.updateMetadata('up', { ...entry, help: half }));
    refuses('a surrogate', () => appender.updateMetadata('up', { ...entry, unit: half }));
    for (const type of [-1, 0.5, Number.NaN, 2 ** 31]) {
      refuses(`type ${type}`, () => appender.updateMetadata('up', { ...entry, type }));
    }
    appender.append(up, 2, 2);
    await appender.commit();
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1], [2, 2]))));
    assert.equal(appender.report?.refused.size, 0);
  });

  it('names the series that it refuses', async (t) => {
    const appender = (await appending(t)).begin();
    assert.throws(
      () => appender.append({ job: 'nameless' }, 1, 1),
      (error: InvalidSeriesError) => {
        assert.equal(error.code, 'SERIES_INVALID');
        assert.match(String(error.facts.labels), /nameless/);
        return true;
      },
    );
  });
});
