import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MetadataCache } from '../../src/endpoint/metadata-cache.ts';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { HttpDestination } from '../../src/network/client.ts';
import { partialWriteOf } from '../../src/network/partial-letter.ts';
import { Negotiation, STAY_MS, type VersionSetting } from '../../src/network/version.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { fillWith, noon, put, putEach, putV2, row, usingQueue } from '../filequeue/queue.ts';
import { atEnd } from '../support/cleanup.ts';
import { labels, type Message, request, series } from '../support/messages.ts';
import type { SeriesV2 } from '../support/messages-v2.ts';
import { rowKey, seriesKey } from '../support/rows.ts';
import { type Answer, Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';
import { Delivery, type DeliveryOptions, unsynced } from './delivery.ts';

const first = noon - 1_000_000;

interface Rig {
  readonly queue: FileQueue;
  readonly sink: Sink;
  readonly cache: MetadataCache;
  negotiation: Negotiation;
  start(options?: DeliveryOptions): Delivery;
}

async function rig(t: TestContext, setting: VersionSetting, fellBackMs?: number): Promise<Rig> {
  const { queue } = await usingQueue(t, await tempDir(t, 'version'), { files: unsynced });
  const sink = await Sink.start(t);
  const destination = new HttpDestination({
    href: sink.url,
    headers: {},
    authorization: () => undefined,
    remoteTimeoutMs: 60_000,
    userAgent: 'Spillway/test',
  });
  atEnd(t, () => destination.close());
  const cache = new MetadataCache();
  const negotiation = new Negotiation(setting, fellBackMs);
  return {
    queue,
    sink,
    cache,
    negotiation,
    start: (options) => new Delivery(t, queue, destination, { v2: { negotiation, cache }, ...options }),
  };
}

/** `count` frames, each with a row of ten series. */
async function fill(queue: FileQueue, count = 5): Promise<void> {
  for (let i = 0; i < count; i++) {
    const all = Array.from({ length: 10 }, (_, s) => series({ __name__: `s${s}` }, [first + i, i]));
    await put(queue, request(...all));
  }
}

function versions({ sink }: Rig): string[] {
  return [...new Set(sink.requests.map(({ version }) => version))];
}

function assertDelivered({ sink }: Rig, delivery: Delivery, rows: number): void {
  assert.equal(sink.arrivals.count, rows);
  assert.equal(sink.arrivals.duplicates, 0);
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.equal(delivery.deliveredNow, rows);
  assert.equal(delivery.feeder.unsettled, 0);
  assert.equal(delivery.waitingRows, 0);
}

test('RW2-S-01, RW2-S-02: everything goes as 2.0 to who takes it', async (t) => {
  const all = await rig(t, '2.0');
  await fill(all.queue);
  const delivery = all.start();
  await delivery.done();
  assertDelivered(all, delivery, 50);
  assert.deepEqual(versions(all), ['2.0']);
});

for (const knows of ['1.0, and answers 204', '1.0, and answers 400', '1.0, and answers 415'] as const) {
  test(`RW2-S-12, RW2-S-15, RW2-S-17, INT-15: a receiver that knows ${knows} to 2.0 gets every row as 1.0, once`, async (t) => {
    const all = await rig(t, 'auto');
    all.sink.knows = knows;
    await fill(all.queue);
    const delivery = all.start();
    await delivery.done();
    assertDelivered(all, delivery, 50);
    assert.equal(all.negotiation.version, '1.0');
    const tried = all.sink.requests.filter(({ version }) => version === '2.0');
    assert.ok(tried.length > 0 && tried.length <= 4, `${tried.length} tries: at most one for each loop`);
    assert.deepEqual(delivery.letters, []);
  });
}

test('section 6: a receiver of 2.0 alone is sent nothing else', async (t) => {
  const all = await rig(t, 'auto');
  all.sink.knows = '2.0';
  await fill(all.queue);
  const delivery = all.start();
  await delivery.done();
  assertDelivered(all, delivery, 50);
  assert.deepEqual(versions(all), ['2.0']);
});

test('RW2-S-12: with 2.0 alone, an answer without counts holds the rows; none is given up or counted as delivered', async (t) => {
  const all = await rig(t, '2.0');
  all.sink.knows = '1.0, and answers 204';
  await fill(all.queue, 1);
  const delivery = all.start({ loops: 1 });
  await delivery.until('it is tried again', () => delivery.failures.length >= 2);
  const causes = new Set(delivery.failures.map(({ action, cause }) => `${action} ${cause}`));
  assert.deepEqual([...causes], ['hold unread']);
  assert.equal(delivery.deliveredNow, 0);
  assert.equal(delivery.waitingRows, 10);
  all.sink.knows = 'both';
  await delivery.done();
  assertDelivered(all, delivery, 10);
});

test('RW2-S-19: a 5xx and a broken connection change no version; the same rows come again in it', async (t) => {
  const all = await rig(t, 'auto');
  const answers: Answer[] = [
    { status: 503 },
    { instead: 'reset' },
    { status: 429 },
    { status: 500, written: false },
  ];
  all.sink.script = () => answers.shift() ?? {};
  await fill(all.queue, 1);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assertDelivered(all, delivery, 10);
  assert.deepEqual(versions(all), ['2.0']);
  assert.equal(all.sink.requests.length, 5);
  const [one, ...others] = all.sink.requests.map(({ rows }) => rows);
  for (const rows of others) assert.deepEqual(rows, one, 'RLY-08');
});

test('section 6: after an hour one request probes; when that is taken all go as 2.0, in order', async (t) => {
  const all = await rig(t, 'auto', noon - STAY_MS + 1);
  await fill(all.queue);
  const delivery = all.start();
  await delivery.done();
  assert.deepEqual(versions(all), ['1.0']);
  delivery.now = noon + 1;
  await put(
    all.queue,
    request(
      ...Array.from({ length: 40 }, (_, s) => series({ __name__: `s${s % 10}` }, [first + 100 + s, s])),
    ),
  );
  delivery.feeder.pump();
  await delivery.done();
  assertDelivered(all, delivery, 90);
  assert.equal(all.negotiation.version, '2.0');
});

test('RLY-12: rows that a receiver did not write of a request are counted by kind, and not sent again', async (t) => {
  const all = await rig(t, 'auto');
  all.sink.script = ({ rows }) => {
    const store = (r: (typeof rows)[number]) => r.series !== seriesKey(labels({ __name__: 's3' }));
    return rows.every(store) ? {} : { status: 400, body: 'bad label set', store };
  };
  await fill(all.queue);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assert.equal(delivery.stats.delivered(SAMPLE), 45);
  assert.equal(delivery.stats.lost('not_written', SAMPLE), 5);
  assert.equal(all.sink.arrivals.count, 45);
  assert.equal(all.sink.requests.length, 5, 'nothing is sent again');
  assert.equal(delivery.letters.length, 5);
  for (const { reason, cause, words, letters: kept } of delivery.letters) {
    assert.deepEqual([reason, cause, words, kept.length], ['not_written', '400', 'bad label set', 1]);
    assert.deepEqual(partialWriteOf(kept[0]!), { sent: { samples: 10 }, notWritten: { samples: 1 } });
  }
  assert.ok(
    delivery.failures.every(
      (f) => f.action === 'reject' && f.reason === 'not_written' && f.words === 'bad label set',
    ),
  );
  assert.equal(delivery.waitingRows, 0);
});

test('section 6: a 2xx that says nothing was written delivers nothing; rows wait until something is', async (t) => {
  const all = await rig(t, 'auto');
  let broken = true;
  all.sink.script = () => (broken ? { status: 204, store: false, written: {} } : {});
  await fill(all.queue, 1);
  const delivery = all.start({ loops: 1 });
  await delivery.until('it is held', () => delivery.failures.some(({ cause }) => cause === 'refused'));
  assert.equal(delivery.deliveredNow, 0);
  assert.equal(delivery.waitingRows, 10);
  broken = false;
  await delivery.done();
  assertDelivered(all, delivery, 10);
  assert.deepEqual(versions(all), ['2.0']);
});

test('RW2-S-16: a 400 without counts from who takes 2.0 is split as over 1.0, and the row at fault stands alone', async (t) => {
  const all = await rig(t, 'auto');
  await fill(all.queue, 1);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  const bad = seriesKey(labels({ __name__: 's3' }));
  all.sink.script = ({ rows }) =>
    rows.some((r) => r.series === bad) ? { status: 400, body: 'proxy says no', written: false } : {};
  await put(
    all.queue,
    request(...Array.from({ length: 10 }, (_, s) => series({ __name__: `s${s}` }, [first + 50, 1]))),
  );
  delivery.feeder.pump();
  await delivery.done();
  assert.deepEqual(versions(all), ['2.0']);
  assert.equal(delivery.stats.lost('rejected', SAMPLE), 1);
  assert.equal(delivery.deliveredNow, 19);
  assert.equal(delivery.letters.length, 1);
  assert.equal(delivery.letters[0]!.letters.length, 1);
});

test('RW2-S-15: a first request with a bad row, refused as both versions, does not end 2.0', async (t) => {
  const all = await rig(t, 'auto');
  const bad = seriesKey(labels({ __name__: 's3' }));
  all.sink.script = ({ rows }) =>
    rows.some((r) => r.series === bad) ? { status: 400, body: 'no', written: false } : {};
  await fill(all.queue, 2);
  const delivery = all.start({ loops: 1, settings: { maxSamplesPerSend: 10 } });
  await delivery.done();
  assert.equal(delivery.stats.lost('rejected', SAMPLE), 2);
  assert.equal(delivery.deliveredNow, 18);
  assert.equal(all.negotiation.version, '2.0');
});

const histogram = (at: number, schema: number): Message => ({
  timeseries: [
    {
      labels: labels({ __name__: 'h' }),
      histograms: [{ timestamp: BigInt(first + at), countInt: 0n, zeroCountInt: 0n, sumBits: 1n, schema }],
    },
  ],
});

test('HIST-10: custom buckets go over 2.0; after a fallback they are counted, and the others go', async (t) => {
  const all = await rig(t, 'auto');
  await putEach(all.queue, [histogram(1, 3), histogram(2, -53)]);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assert.equal(delivery.stats.delivered(HISTOGRAM), 2);
  all.sink.knows = '1.0, and answers 415';
  await putEach(all.queue, [histogram(3, -53), histogram(4, 3)]);
  delivery.feeder.pump();
  await delivery.done();
  assert.equal(delivery.stats.delivered(HISTOGRAM), 3);
  assert.equal(delivery.stats.lost('custom_buckets', HISTOGRAM), 1);
  assert.deepEqual(
    [...all.sink.arrivals.rows()].map(({ at }) => Number(at) - first),
    [1, 2, 4],
  );
});

const withExemplar = (name: string, samples: number): Message => ({
  timeseries: [
    {
      labels: labels({ __name__: name }),
      samples: Array.from({ length: samples }, (_, i) => ({ timestamp: BigInt(first + i), valueBits: 1n })),
      exemplars: [{ timestamp: BigInt(first), valueBits: 7n, labels: labels({ trace_id: 'x' }) }],
    },
  ],
});

test('RW2-S-23, RW2-S-29: exemplars go with a row of their series; alone, they are counted', async (t) => {
  const all = await rig(t, '2.0');
  await putEach(all.queue, [withExemplar('a', 1), withExemplar('b', 0)]);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assert.equal(delivery.stats.delivered(EXEMPLAR), 1);
  assert.equal(delivery.stats.lost('exemplar_alone', EXEMPLAR), 1);
  assert.deepEqual(
    [...all.sink.arrivals.rows()].map(({ kind }) => kind),
    ['sample', 'exemplar'],
  );
});

test('RLY-04: an exemplar that 2.0 could not carry goes after all when 1.0 is fallen back to', async (t) => {
  const all = await rig(t, 'auto');
  all.sink.knows = '1.0, and answers 204';
  await put(all.queue, {
    timeseries: [...(withExemplar('b', 0).timeseries ?? []), series({ __name__: 'a' }, [first, 1])],
  });
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assertDelivered(all, delivery, 2);
  assert.equal(delivery.stats.delivered(EXEMPLAR), 1);
});

test('section 6: a probe that a stopped loop had out does not keep others from probing', async (t) => {
  const all = await rig(t, 'auto', noon - STAY_MS);
  all.sink.script = () => ({ instead: 'hang' });
  await put(all.queue, row('a', first));
  const delivery = all.start({ loops: 1 });
  await all.sink.waitFor('the probe', () => all.sink.requests.length > 0);
  assert.equal(all.sink.requests[0]!.version, '2.0');
  await delivery.stop();
  assert.equal(all.negotiation.begin(noon).why, 'up');
});

test('exemplars and native histograms are counted, each under its reason, where they are switched off', async (t) => {
  for (const setting of ['1.0', '2.0'] as const) {
    const all = await rig(t, setting);
    await putEach(all.queue, [withExemplar('a', 1), histogram(1, 3)]);
    const delivery = all.start({ sends: { exemplars: false, histograms: false } });
    await delivery.done();
    assert.equal(delivery.stats.lost('exemplars_off', EXEMPLAR), 1);
    assert.equal(delivery.stats.lost('histograms_off', HISTOGRAM), 1);
    assert.equal(delivery.deliveredNow, 1);
  }
});

const family = (name: string, type: number, help: string, unit = ''): Message => ({
  timeseries: [],
  metadata: [{ type, metricFamilyName: name, help, unit }],
});

/** What the last request of the sink said of a series. */
function said({ sink }: Rig, name: string): string | undefined {
  return sink.requests
    .findLast(({ rows }) => rows.length > 0)
    ?.said?.metadata.get(seriesKey(labels({ __name__: name })));
}

test('RLY-07, INT-10, RW2-S-28: metadata by family goes with each series of it, and by itself no more', async (t) => {
  const all = await rig(t, '2.0');
  const names = ['requests_total', 'latency_bucket', 'latency_sum', 'size_count', 'up'];
  await putEach(all.queue, [
    family('requests', 1, 'Requests.'),
    family('latency', 3, 'Latency.', 'seconds'),
    family('size', 2, 'A gauge.'),
    request(...names.map((name) => series({ __name__: name }, [first, 1]))),
  ]);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assert.deepEqual(
    names.map((name) => said(all, name)),
    ['counter|Requests.|', 'histogram|Latency.|seconds', 'histogram|Latency.|seconds', undefined, undefined],
  );
  assert.equal(delivery.stats.lost('metadata_with_series', METADATA), 3);
  assert.equal(delivery.deliveredNow, 5);
  assert.equal(delivery.feeder.unsettled, 0);

  await putEach(all.queue, [family('requests', 1, 'Other words.'), row('requests_total', first + 1)]);
  delivery.feeder.pump();
  await delivery.done();
  assert.equal(said(all, 'requests_total'), 'counter|Other words.|');
});

test('RLY-06, INT-10: once 1.0 is sent, metadata goes by family in requests of its own', async (t) => {
  const all = await rig(t, 'auto');
  all.sink.knows = '1.0, and answers 415';
  await putEach(all.queue, [row('a', first), family('a', 1, 'A.')]);
  const delivery = all.start({ loops: 1, settings: { maxSamplesPerSend: 1 } });
  await delivery.done();
  await putEach(all.queue, [family('b', 1, 'B.'), row('a', first + 1)]);
  delivery.feeder.pump();
  await delivery.done();
  assert.ok(all.sink.metadata.some((text) => text.includes('"b"')));
  assert.equal(delivery.feeder.unsettled, 0);
});

/** Appends the rows of `message`, with a start time for each sample, and the metadata of series 0 of the segment. */
function putAsV2(
  queue: FileQueue,
  message: Message,
  starts: readonly number[],
  help: string,
  type: number,
): Promise<void> {
  return queue.append((dictionary, batch) => {
    fillWith(message)(dictionary, batch);
    for (const start of starts) {
      const at = BigInt(start);
      batch.sampleStart.put(Number(BigInt.asIntN(32, at)), Number(BigInt.asIntN(32, at >> 32n)));
    }
    const intern = (text: string) => dictionary.internString(Buffer.from(text), 0, text.length);
    batch.appendMetadata(1, type, intern(''), intern(help), intern(''));
  }).durable;
}

test('RLY-04, RW2-S-27, RW2-S-28: start times and metadata that came with a series leave with it', async (t) => {
  const all = await rig(t, '2.0');
  const name = 'requests_total';
  const rows = [
    series({ __name__: name }, [first, 1], [first + 1, 2]),
    series({ __name__: 'up' }, [first, 1]),
  ];
  await putAsV2(all.queue, request(...rows), [first - 5, 0, -7], 'Requests.', 1);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assert.equal(said(all, name), 'counter|Requests.|');
  const starts = all.sink.requests[0]!.said!.starts;
  assert.deepEqual([...starts.values()], [BigInt(first - 5), -7n]);
  assert.equal(delivery.stats.get('startsDropped'), 0);
});

test('RLY-06: start times are dropped over 1.0, and counted; metadata of a series goes by family', async (t) => {
  const all = await rig(t, 'auto', noon);
  const rows = [series({ __name__: 'latency_bucket' }, [first, 1], [first + 1, 2], [first + 2, 3])];
  await putAsV2(all.queue, request(...rows), [first - 5, 0, first - 5], 'Latency.', 3);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assert.equal(delivery.stats.get('startsDropped'), 2);
  assert.deepEqual(
    all.sink.metadata.map((text) => JSON.parse(text).metricFamilyName),
    ['latency'],
  );
  assert.deepEqual([delivery.stats.delivered(SAMPLE), delivery.stats.delivered(METADATA)], [3, 1]);
  assert.equal(delivery.feeder.unsettled, 0);
});

test('RLY-04, RW2-S-28: what came with a series is its own, also after a restart in the middle of a segment', async (t) => {
  const all = await rig(t, '2.0');
  const of = (place: string, help?: string): SeriesV2 => ({
    labels: { __name__: 'a', place },
    samples: [{ timestamp: BigInt(first) }],
    ...(help === undefined ? {} : { metadata: { type: 2, help } }),
  });
  const own = () =>
    ['1', '2', '3'].map((place) =>
      all.sink.requests
        .findLast(({ rows }) => rows.length > 0)
        ?.said?.metadata.get(seriesKey(labels({ __name__: 'a', place }))),
    );
  await putV2(all.queue, of('1', 'One.'), of('2', 'Two.'), of('3'));
  const before = all.start({ loops: 1 });
  await before.done();
  const words = ['gauge|One.|', 'gauge|Two.|', 'gauge|Two.|'];
  assert.deepEqual(own(), words);
  await before.stop();

  const delivery = all.start({ loops: 1, block: before.block });
  await putV2(all.queue, of('1', 'One.'), of('2', 'Two.'), of('3'));
  delivery.feeder.pump();
  await delivery.done();
  assert.deepEqual(own(), words);

  await putV2(all.queue, of('1', 'One.'), of('2'), of('3'));
  delivery.feeder.pump();
  await delivery.done();
  assert.deepEqual(own(), ['gauge|One.|', undefined, 'gauge|Two.|'], 'taken back of itself alone');
});

test('RLY-08: rows of unknown outcome come again in their version with the same content', async (t) => {
  const all = await rig(t, '2.0');
  const answers: Answer[] = [{ instead: 'reset', store: true }];
  all.sink.script = () => answers.shift() ?? {};
  await fill(all.queue, 1);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  const [one, two] = all.sink.requests;
  assert.deepEqual(two!.rows.map(rowKey), one!.rows.map(rowKey));
  assert.equal(two!.version, '2.0');
  assert.equal(delivery.stats.get('resentRows'), 10);
});

test('RW2-S-09, RW2-S-10: the body of a success is not looked at, whatever it says', async (t) => {
  const all = await rig(t, '2.0');
  all.sink.script = () => ({ status: 200, body: 'error: out of order sample' });
  await fill(all.queue, 1);
  const delivery = all.start();
  await delivery.done();
  assertDelivered(all, delivery, 10);
});

test('INT-11: exemplars that a receiver did not keep are counted; no letter is written for them', async (t) => {
  const all = await rig(t, '2.0');
  all.sink.script = () => ({ status: 204, written: { samples: 1 } });
  await put(all.queue, withExemplar('a', 1));
  const delivery = all.start();
  await delivery.done();
  assert.equal(delivery.stats.lost('not_written', EXEMPLAR), 1);
  assert.equal(delivery.stats.delivered(SAMPLE), 1);
  assert.deepEqual(delivery.letters, []);
  assert.equal(all.sink.requests.length, 1);
});

test('RW2-S-16, RLY-09: by the letter, nothing that was refused is sent again, in parts or whole', async (t) => {
  const strict = { retryOn408: false, holdOn4xx: false, splitRefused: false };
  for (const answer of [
    { status: 400, written: false },
    { status: 422, written: {} },
    { status: 404, written: false },
    { status: 204, written: {}, store: false },
    { status: 204, written: false, store: false },
  ] as const) {
    const all = await rig(t, '2.0');
    all.sink.script = () => answer;
    await fill(all.queue, 1);
    const delivery = all.start({ loops: 1, settings: strict });
    await delivery.done();
    assert.equal(all.sink.requests.length, 1);
    assert.equal(delivery.stats.lost('rejected', SAMPLE), 10);
    assert.equal(delivery.deliveredNow, 0);
  }
});

test('RW2-S-17: by the letter, auto falls back all the same', async (t) => {
  const strict = { retryOn408: false, holdOn4xx: false, splitRefused: false };
  const all = await rig(t, 'auto');
  all.sink.knows = '1.0, and answers 415';
  await fill(all.queue, 2);
  const delivery = all.start({ loops: 1, settings: strict });
  await delivery.done();
  assertDelivered(all, delivery, 20);
});

test('INT-14, RLY-13: rows of unknown outcome that are refused for their age are duplicates, no loss', async (t) => {
  const all = await rig(t, '2.0');
  const answers: Answer[] = [
    { instead: 'reset', store: true },
    { status: 400, body: 'out of order sample', store: false, written: { samples: 1 } },
  ];
  all.sink.script = () => answers.shift() ?? {};
  await fill(all.queue, 1);
  const delivery = all.start({ loops: 1 });
  await delivery.done();
  assert.equal(delivery.stats.lost('duplicate', SAMPLE), 9);
  assert.equal(delivery.stats.delivered(SAMPLE), 1);
  assert.deepEqual(delivery.letters, []);
});

test('metadata that comes with every other row, as from 2.0 senders, does not cut requests into pieces', async (t) => {
  for (const [setting, reason] of [
    ['2.0', 'metadata_with_series'],
    ['1.0', 'metadata_unchanged'],
  ] as const) {
    const all = await rig(t, setting);
    const count = 200;
    await put(all.queue, family('m', 3, 'Help.'));
    await all.queue.append((dictionary, batch) => {
      const intern = (text: string) => dictionary.internString(Buffer.from(text), 0, text.length);
      for (let i = 0; i < count; i++) {
        fillWith(request(series({ __name__: 'm_bucket', le: `${i}` }, [first, i])))(dictionary, batch);
        batch.appendMetadata(i + 1, 3, intern('m'), intern('Help.'), intern(''));
      }
    }).durable;
    const delivery = all.start({ loops: 1, settings: { maxSamplesPerSend: 1000, capacity: 1000 } });
    await delivery.done();
    assert.equal(delivery.stats.delivered(SAMPLE), count);
    assert.ok(delivery.stats.lost(reason, METADATA) >= count);
    const requests = all.sink.requests.filter(({ rows }) => rows.length > 0).length;
    assert.ok(requests <= 2, `${requests} requests`);
    assert.equal(delivery.feeder.unsettled, 0);
  }
});
