import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DeadLetters } from '../../src/network/dead-letter.ts';
import { Evidence } from '../../src/network/evidence.ts';
import { Loop } from '../../src/network/loop.ts';
import type { LoopFailure, LoopHost, LoopSettings } from '../../src/network/loop-host.ts';
import { RateLimit } from '../../src/network/rate-limit.ts';
import type { SpeaksV2 } from '../../src/network/request-version.ts';
import { SETTLED } from '../../src/network/row-queue.ts';
import { Negotiation } from '../../src/network/version.ts';
import { EmitterV1 } from '../../src/protocol/emit-v1.ts';
import { PlainEmitterV2 } from '../../src/protocol/emit-v2.ts';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { Scratch } from '../../src/protocol/snappy.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';
import { rowsOf } from '../support/rows.ts';
import { settings as atOnce, network, ok, response } from './support/outcomes.ts';
import { type Post, ScriptedDestination } from './support/scripted.ts';
import { metadataPayload, push, type TestRow, TestSegment } from './support/segment.ts';

const never = 3_600_000;

/** A loop with surroundings that write down what they are told, in its order. */
class Host implements LoopHost {
  readonly settings: LoopSettings;
  readonly destination: ScriptedDestination = new ScriptedDestination();
  readonly stats: EndpointStats = new EndpointStats();
  readonly events: string[] = [];
  readonly failures: LoopFailure[] = [];
  readonly letters: DeadLetters[] = [];
  readonly loop: Loop;
  readonly scratch = new Scratch();
  clock = 1_000_000;
  /** How far the clock goes on with each look at it. */
  tick = 0;
  readonly evidence: Evidence = new Evidence();
  limit: RateLimit | undefined;
  readonly v2: SpeaksV2 | undefined;
  probing = false;

  constructor(t: TestContext, settings: Partial<LoopSettings> = {}, v2?: SpeaksV2) {
    this.v2 = v2;
    this.settings = {
      capacity: 100,
      maxSamplesPerSend: 4,
      maxMetadataPerSend: 2,
      batchSendDeadlineMs: never,
      ttlMs: 0,
      probeMs: 0,
      ...atOnce,
      ...settings,
    };
    this.loop = new Loop(0, this, new EmitterV1());
    this.destination.script = () => {
      this.events.push('post');
      return undefined;
    };
    atEnd(t, () => this.loop.stop());
  }

  push(context: TestSegment, ...rows: TestRow[]): void {
    for (const row of rows) push(this.loop.queue, context, row);
  }

  now(): number {
    this.clock += this.tick;
    return this.clock;
  }

  random(): number {
    return 0.5;
  }

  leaving(loop: Loop, from: number, rows: number): void {
    this.events.push(`leaving ${ordinals(loop, from, rows)}`);
  }

  settled(loop: Loop, from: number, rows: number): void {
    this.events.push(`settled ${ordinals(loop, from, rows)}`);
  }

  async kept(letters: DeadLetters): Promise<void> {
    this.events.push(`kept ${letters.letters.map(({ row }) => row).join(' ')}`);
    this.letters.push(letters);
  }

  moved(): void {
    this.events.push('moved');
    // Also what ends without a request is seen by those who wait.
    setImmediate(() => this.destination.progress.made());
  }

  committedMs(): number {
    return this.clock - 2000;
  }

  failed(_: Loop, failure: LoopFailure): void {
    this.failures.push(failure);
    setImmediate(() => this.destination.progress.made());
    this.events.push(failure.action);
  }

  recovered(): void {
    this.events.push('recovered');
  }

  probes(): boolean {
    return this.probing;
  }
}

/** Rows that were settled before their turn are not said again. */
function ordinals({ queue }: Loop, from: number, rows: number): string {
  return Array.from({ length: rows }, (_, i) => (queue.head + from + i) & queue.mask)
    .filter((at) => queue.skip[at] !== SETTLED)
    .map((at) => queue.row[at])
    .join(' ');
}

function rows(from: number, to: number, more: Partial<TestRow> = {}): TestRow[] {
  return Array.from({ length: to - from }, (_, i) => ({ row: from + i, ...more }));
}

/** Times of the rows of a request: by default their ordinals. */
function times(post: Post): number[] {
  return post.rows.map(({ at }) => Number(at));
}

/** Resolves when what can run without a new event has run. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('one request at a time; each is noted before it leaves, and forgotten when it is settled', async (t) => {
  const host = new Host(t);
  const segment = new TestSegment(1);
  host.push(segment, ...rows(0, 10));
  host.loop.wake();
  host.loop.wake();
  const first = await host.destination.nth(0);
  await quiet();
  assert.equal(host.destination.posts.length, 1);
  assert.deepEqual(times(first), [0, 1, 2, 3]);
  assert.equal(host.loop.queue.length, 10, 'what is in flight is still there');
  assert.equal(host.loop.idle, false);
  first.answer(ok);
  const second = await host.destination.nth(1);
  assert.deepEqual(times(second), [4, 5, 6, 7]);
  assert.equal(segment.held, 6);
  second.answer(ok);
  await quiet();
  assert.deepEqual(host.events, [
    'leaving 0 1 2 3',
    'post',
    'settled 0 1 2 3',
    'moved',
    'leaving 4 5 6 7',
    'post',
    'settled 4 5 6 7',
    'moved',
  ]);
  assert.equal(host.destination.posts.length, 2, 'the rest waits for a full request or the deadline');
  host.loop.flush();
  (await host.destination.nth(2)).answer(ok);
  await quiet();
  assert.equal(host.loop.idle, true);
  assert.equal(segment.held, 0);
  assert.equal(host.destination.mostInFlight, 1);
  assert.equal(host.stats.delivered(SAMPLE), 10);
  assert.equal(host.stats.get('requests'), 3);
  assert.equal(host.stats.get('highestSentMs'), 9);
  assert.deepEqual(host.stats.delaySeconds.sum, 20);
});

test('what is not full waits for the deadline, from the first row on', async (t) => {
  const host = new Host(t, { batchSendDeadlineMs: 5000 });
  const segment = new TestSegment(1);
  host.push(segment, ...rows(0, 2));
  host.loop.wake();
  host.clock += 4999;
  host.push(segment, ...rows(2, 3));
  host.loop.wake();
  await quiet();
  assert.equal(host.destination.posts.length, 0);
  host.clock += 1;
  host.loop.wake();
  const post = await host.destination.nth(0);
  assert.deepEqual(times(post), [0, 1, 2]);
  // Rows that come during a request have a deadline of their own.
  host.push(segment, ...rows(3, 4));
  host.loop.wake();
  host.clock += 60_000;
  post.answer(ok);
  await quiet();
  assert.equal(host.destination.posts.length, 1);
  host.clock -= 30_000;
  host.loop.wake();
  host.clock += 5000;
  host.loop.wake();
  assert.deepEqual(times(await host.destination.nth(1)), [3], 'also when the clock was set back');
});

test('counted from the last request, a deadline lets go at once what comes after a pause', async (t) => {
  const host = new Host(t, { batchSendDeadlineMs: 5000, deadlineFrom: 'request' });
  const segment = new TestSegment(1);
  let next = 0;
  const arrive = (count = 1): void => {
    host.push(segment, ...rows(next, next + count));
    next += count;
    host.loop.wake();
  };
  let requests = 0;
  const leaves = async (...expected: number[]): Promise<void> => {
    await quiet();
    assert.equal(host.destination.posts.length, requests + 1, 'it leaves at once');
    const post = await host.destination.nth(requests++);
    assert.deepEqual(times(post), expected);
    post.answer(ok);
    await quiet();
  };
  arrive();
  await leaves(0);
  // As often as the deadline, and now and then late: no row waits.
  host.clock += 5000;
  arrive();
  await leaves(1);
  host.clock += 9000;
  arrive();
  await leaves(2);
  host.clock += 1000;
  arrive();
  await leaves(3);
  host.clock += 5000;
  arrive();
  await leaves(4);
  // More often: then they wait for one another.
  host.clock += 500;
  arrive();
  host.clock += 3000;
  arrive();
  await quiet();
  assert.equal(host.destination.posts.length, requests);
  host.clock += 500;
  host.loop.wake();
  await leaves(5, 6);
  // Full ones do not wait, and those behind them only for the deadline.
  for (let full = 0; full < 3; full++) {
    arrive(4);
    await leaves(...Array.from({ length: 4 }, (_, i) => next - 4 + i));
  }
  arrive();
  await quiet();
  assert.equal(host.destination.posts.length, requests);
  host.clock += 5000;
  host.loop.wake();
  await leaves(next - 1);
});

test('the deadline comes by itself, without a further wake', async (t) => {
  const host = new Host(t, { batchSendDeadlineMs: 2 });
  host.push(new TestSegment(1), { row: 0 });
  host.loop.wake();
  await host.destination.nth(0);
});

for (const { what, queue, requests } of [
  {
    what: 'metadata from the rest (INT-10)',
    queue: [...rows(0, 2), ...rows(2, 4, { kind: METADATA, payload: metadataPayload('m') }), ...rows(4, 5)],
    requests: [2, 0, 1],
  },
  {
    what: 'metadata by its own limit',
    queue: rows(0, 5, { kind: METADATA, payload: metadataPayload('m') }),
    requests: [0, 0, 0],
  },
  {
    what: 'rows that may have been delivered from fresh ones (RLY-13)',
    queue: [...rows(0, 3, { resent: true }), ...rows(3, 5)],
    requests: [3, 2],
  },
  { what: 'by the number of rows', queue: rows(0, 9), requests: [4, 4, 1] },
]) {
  test(`requests are cut: ${what}`, async (t) => {
    const host = new Host(t);
    host.push(new TestSegment(1), ...queue);
    host.destination.script = () => ok;
    host.loop.flush();
    await host.destination.until('all', () => host.loop.idle);
    assert.deepEqual(
      host.destination.posts.map((post) => post.rows.length),
      requests,
    );
    assert.equal(host.stats.deliveredRows, queue.length);
  });
}

test('requests are cut: rows of another segment, without waiting for more', async (t) => {
  const host = new Host(t);
  const [one, two] = [new TestSegment(1), new TestSegment(2)];
  host.push(one, ...rows(0, 2));
  host.push(two, ...rows(0, 1));
  host.loop.wake();
  assert.deepEqual(times(await host.destination.nth(0)), [0, 1]);
  host.destination.posts[0]!.answer(ok);
  await quiet();
  assert.deepEqual([one.held, two.held], [0, 1]);
  assert.equal(host.destination.posts.length, 1);
});

test('a queue that is full of payloads is sent before its request is full', async (t) => {
  const host = new Host(t, { maxSamplesPerSend: 50 });
  host.push(
    new TestSegment(1),
    ...rows(0, 2, { kind: EXEMPLAR, payload: { bytes: new Uint8Array(2 ** 22) } }),
  );
  let sent = false;
  host.destination.post = async () => {
    sent = true;
    return ok;
  };
  host.loop.wake();
  await quiet();
  assert.equal(sent, true);
});

for (const { what, outcome, counter, action, cause } of [
  { what: '500', outcome: response(500, 'down'), counter: 'retries', action: 'retry', cause: '5xx' },
  { what: '429', outcome: response(429), counter: 'retries', action: 'retry', cause: '429' },
  { what: 'reset', outcome: network(), counter: 'retries', action: 'retry', cause: 'network' },
  { what: '401', outcome: response(401, 'who?'), counter: 'holds', action: 'hold', cause: '401' },
  {
    what: 'no such name',
    outcome: network('ENOTFOUND', false),
    counter: 'holds',
    action: 'hold',
    cause: 'dns',
  },
] as const) {
  test(`${what}: the same bytes again, until they are taken (RLY-08)`, async (t) => {
    const host = new Host(t);
    const segment = new TestSegment(1);
    host.push(segment, ...rows(0, 4));
    host.destination.script = ({ attempt }) => (attempt < 3 ? outcome : undefined);
    host.loop.wake();
    // Rows that come meanwhile do not join the request, and other contents do not disturb its bytes.
    await host.destination.nth(0);
    host.push(segment, ...rows(4, 6));
    const last = await host.destination.nth(3);
    assert.deepEqual(
      host.destination.posts.map(({ attempt }) => attempt),
      [0, 1, 2, 3],
    );
    for (const { body } of host.destination.posts) assert.deepEqual(body, last.body);
    assert.equal(host.loop.failing, true);
    assert.equal(host.loop.holding, action === 'hold');
    assert.equal(host.stats.get(counter), 3);
    assert.equal(host.stats.retried(SAMPLE), 12);
    assert.equal(host.stats.deliveredRows, 0);
    for (const failure of host.failures) {
      assert.equal(failure.action, action);
      assert.equal(failure.cause, cause);
      assert.equal(failure.words, outcome.words);
    }
    last.answer(ok);
    await quiet();
    assert.equal(host.loop.failing, false);
    assert.equal(host.loop.holding, false);
    assert.equal(host.stats.delivered(SAMPLE), 4);
    assert.deepEqual(host.events.slice(-3), ['settled 0 1 2 3', 'recovered', 'moved']);
    // An answer that leaves it open makes the next attempt a resent one.
    assert.equal(host.stats.get('resentRows'), action === 'retry' ? 12 : 0);
  });
}

test('the loop that probes waits no longer than that takes, unless it is asked to or the door is shut', async (t) => {
  for (const [outcome, probing, waitMs] of [
    [response(500), true, 950],
    [network(), true, 950],
    [response(500), false, never],
    [response(429), true, never],
    [response(401), true, never],
    [response(500, '', '30'), true, never],
  ] as const) {
    const host = new Host(t, { minBackoffMs: never, maxBackoffMs: never, probeMs: 1000 });
    host.probing = probing;
    host.push(new TestSegment(1, 1), ...rows(0, 4));
    host.loop.wake();
    (await host.destination.nth(0)).answer(outcome);
    await host.destination.until('the failure', () => host.failures.length === 1);
    const [failed] = host.failures;
    assert.ok(failed?.action !== 'reject');
    assert.equal(Math.round(failed!.waitMs), waitMs);
    await host.loop.stop();
  }
});

test('rows that pass their ttl before an attempt are cut from it, and counted', async (t) => {
  const host = new Host(t, { ttlMs: 1000 });
  const segment = new TestSegment(1);
  const at = host.clock;
  host.push(
    segment,
    { row: 0, at },
    { row: 1, at: at + 500 },
    { row: 2, at: at - 1000 },
    { row: 3, at: at - 1001 },
  );
  host.loop.wake();
  const first = await host.destination.nth(0);
  assert.deepEqual(times(first), [at, at + 500, at - 1000]);
  host.clock += 1001;
  first.answer(response(503));
  const second = await host.destination.nth(1);
  assert.deepEqual(times(second), [at + 500]);
  second.answer(ok);
  await quiet();
  assert.equal(host.stats.lost('expired', SAMPLE), 3);
  assert.equal(host.stats.delivered(SAMPLE), 1);
  assert.deepEqual(
    host.events.filter((event) => event.startsWith('settled')),
    ['settled 0 1 2 3'],
  );
});

test('when all rows are too old nothing is sent, and nothing has recovered', async (t) => {
  const host = new Host(t, { ttlMs: 1000 });
  const segment = new TestSegment(1);
  host.push(segment, ...rows(0, 4, { at: host.clock }));
  host.loop.wake();
  const first = await host.destination.nth(0);
  host.clock += 5000;
  first.answer(response(503));
  await host.destination.until('it is settled', () => host.loop.idle);
  assert.equal(host.destination.posts.length, 1);
  assert.equal(host.stats.lost('expired', SAMPLE), 4);
  assert.deepEqual(host.events.slice(-3), ['retry', 'settled 0 1 2 3', 'moved']);
  assert.equal(host.loop.failing, false);
});

test('a long row of expired requests is passed, and stop waits for the one behind them', async (t) => {
  const host = new Host(t, { ttlMs: 1000, capacity: 20_000, maxSamplesPerSend: 1 });
  const segment = new TestSegment(1);
  host.push(segment, ...rows(0, 16_000, { at: 0 }), { row: 16_000, at: host.clock });
  host.destination.deaf = true;
  host.loop.wake();
  const post = await host.destination.nth(0);
  assert.equal(host.stats.lost('expired', SAMPLE), 16_000);
  let stopped = false;
  const stop = host.loop.stop().then(() => {
    stopped = true;
  });
  await quiet();
  assert.equal(stopped, false);
  post.answer(ok);
  await stop;
  assert.equal(host.stats.delivered(SAMPLE), 1, 'an answer that came in spite of the stop counts');
});

test('metadata has no time and does not expire', async (t) => {
  const host = new Host(t, { ttlMs: 1 });
  host.push(new TestSegment(1), ...rows(0, 2, { kind: METADATA, payload: metadataPayload('m') }));
  host.loop.wake();
  assert.equal((await host.destination.nth(0)).metadata.length, 2);
});

test('strict: a request that is refused is given up whole, and the next one goes out (RW1-S-18)', async (t) => {
  const host = new Host(t, { splitRefused: false });
  host.push(new TestSegment(1), ...rows(0, 3), {
    row: 3,
    kind: HISTOGRAM,
    payload: { bytes: Uint8Array.of(8, 1) },
  });
  host.push(new TestSegment(1), ...rows(4, 8));
  host.loop.wake();
  (await host.destination.nth(0)).answer(response(400, 'label value too long'));
  (await host.destination.nth(1)).answer(ok);
  await quiet();
  assert.equal(host.stats.lost('rejected', SAMPLE), 3);
  assert.equal(host.stats.lost('rejected', HISTOGRAM), 1);
  assert.equal(host.stats.delivered(SAMPLE), 4);
  assert.deepEqual(host.failures, [
    { action: 'reject', cause: '400', words: 'label value too long', rows: 4, reason: 'rejected' },
  ]);
  assert.ok(!host.events.includes('recovered'));
});

/** Rows of 16 series in 16 shards, in turns. */
function mixed(from: number, to: number, more: Partial<TestRow> = {}): TestRow[] {
  return rows(from, to).map((row) => ({ ...row, series: row.row % 16, shard: row.row % 16, ...more }));
}

function poisonous(host: Host, bad: (row: number) => boolean, words = 'no such tenant'): void {
  host.destination.script = ({ rows }) =>
    rows.some(({ at }) => bad(Number(at))) ? response(400, words) : ok;
}

function deliveredRows(host: Host): number[] {
  return host.destination.delivered.map(({ at }) => Number(at)).sort((a, b) => a - b);
}

function lettersOf(host: Host): number[] {
  return host.letters.flatMap(({ letters }) => letters.map(({ row }) => row));
}

test('whatever the words, rows at fault stand alone, are kept, and cost no other row', async (t) => {
  const host = new Host(t, { capacity: 600, maxSamplesPerSend: 64 });
  const bad = new Set([0, 5, 6, 7, 40, 63, 64, 200, 399]);
  poisonous(host, (row) => bad.has(row));
  host.push(new TestSegment(1, 16), ...mixed(0, 500));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.deepEqual(
    deliveredRows(host),
    Array.from({ length: 500 }, (_, i) => i).filter((row) => !bad.has(row)),
  );
  assert.deepEqual(new Set(lettersOf(host)), bad);
  assert.equal(host.stats.lost('rejected', SAMPLE), bad.size);
  for (const row of bad) {
    const kept = host.events.indexOf(`kept ${row}`);
    const settled = host.events.indexOf(`settled ${row}`);
    assert.ok(kept >= 0 && kept < settled, `row ${row} is kept before it is forgotten`);
  }
  // To come down to each and up again, twice the row itself and one other; and the requests that there are anyway.
  assert.ok(
    host.destination.posts.length <= bad.size * (2 * 6 + 3) + 500 / 64 + 1,
    `${host.destination.posts.length} requests`,
  );
});

test('a letter is the row as it left', async (t) => {
  const host = new Host(t, { splitRefused: false, maxSamplesPerSend: 3 });
  host.push(
    new TestSegment(1),
    { row: 0, series: 1, at: 123 },
    { row: 1, series: 2, kind: HISTOGRAM, at: 456, payload: { bytes: Uint8Array.of(8, 1) } },
    { row: 2, kind: EXEMPLAR, series: 3, at: 789, payload: { bytes: new Uint8Array(0) } },
  );
  host.push(new TestSegment(1), { row: 3, kind: METADATA, payload: metadataPayload('m') });
  host.destination.script = () => response(422, 'no');
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  const letters = host.letters.flatMap((batch) => batch.letters);
  assert.deepEqual(
    letters.map(({ segment, row, kind, timeMs }) => [segment, row, kind, timeMs]),
    [
      [1, 0, SAMPLE, 123],
      [1, 1, HISTOGRAM, 456],
      [1, 2, EXEMPLAR, 789],
      [1, 3, METADATA, 0],
    ],
  );
  const sent = host.destination.posts.flatMap(({ rows }) => rows);
  for (const [i, { labels, content }] of letters.slice(0, 3).entries()) {
    const message = decodeWriteRequestV1(oneField(0x0a, Buffer.concat([labels, content])));
    assert.deepEqual(rowsOf(message), [sent[i]]);
    const bare = decodeWriteRequestV1(oneField(0x0a, labels)).timeseries[0]!;
    assert.equal(bare.labels.length, 1);
    assert.equal(bare.samples.length, 0);
  }
  assert.deepEqual(letters[3]!.labels, new Uint8Array(0));
  assert.deepEqual(letters[3]!.content, metadataPayload('m').bytes);
  assert.deepEqual(
    host.letters.map(({ cause, words, reason, atMs }) => [cause, words, reason, atMs]),
    Array.from({ length: 2 }, () => ['422', 'no', 'rejected', host.clock]),
  );
});

function oneField(tag: number, bytes: Uint8Array): Uint8Array {
  assert.ok(bytes.length < 128);
  return Uint8Array.of(tag, bytes.length, ...bytes);
}

test('an endpoint that refuses everything is held: nothing is given up, and nothing is shredded', async (t) => {
  const host = new Host(t, { capacity: 600, maxSamplesPerSend: 64 });
  poisonous(host, () => true);
  host.push(new TestSegment(1, 16), ...mixed(0, 300));
  host.loop.flush();
  await host.destination.until('it is held', () => host.failures.length >= 20);
  assert.ok(host.failures.every(({ action, cause }) => action === 'hold' && cause === 'refused'));
  assert.equal(host.loop.holding, true);
  assert.equal(host.stats.lostRows, 0);
  assert.deepEqual(host.letters, []);
  // Down to one row once; then, each time, that row and no more than eight others.
  assert.ok(host.destination.posts.length <= 7 + 9 * (host.failures.length + 1));
  poisonous(host, (row) => row === 3);
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.deepEqual(
    deliveredRows(host),
    Array.from({ length: 300 }, (_, i) => i).filter((row) => row !== 3),
  );
  assert.deepEqual(lettersOf(host), [3]);
});

test('one word of an endpoint is not enough: a row is refused again after something else was taken', async (t) => {
  const host = new Host(t, { capacity: 100, maxSamplesPerSend: 1 });
  let refusing = true;
  host.destination.script = ({ rows }) => {
    // A fault of the endpoint that ends while the first row waits for its verdict.
    if (rows[0]!.at !== 0n) refusing = false;
    return refusing ? response(400, 'down for maintenance') : ok;
  };
  host.push(new TestSegment(1, 16), ...mixed(0, 4));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.deepEqual(deliveredRows(host), [0, 1, 2, 3]);
  assert.equal(host.stats.lostRows, 0);
});

test('evidence of another loop counts as well', async (t) => {
  const host = new Host(t, { maxSamplesPerSend: 1 });
  poisonous(host, () => true);
  host.push(new TestSegment(1), ...rows(0, 1));
  host.loop.flush();
  await host.destination.until('it is held', () => host.failures.length > 2);
  assert.equal(host.stats.lostRows, 0);
  host.evidence.take('');
  await host.destination.until('it is settled', () => host.loop.idle);
  assert.deepEqual(lettersOf(host), [0]);
});

test('the last rows that there are: the endpoint is asked with what it took last', async (t) => {
  const host = new Host(t, { maxSamplesPerSend: 10, capacity: 100 });
  poisonous(host, (row) => row >= 5);
  host.push(new TestSegment(1, 16), ...mixed(0, 16));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.deepEqual(
    lettersOf(host).sort((a, b) => a - b),
    [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  );
  assert.deepEqual([...new Set(deliveredRows(host))], [0, 1, 2, 3, 4]);
  assert.ok(deliveredRows(host).length <= 5 + 6, 'few come twice');

  // When that is refused too, nothing is given up, however long it takes.
  poisonous(host, () => true);
  host.push(new TestSegment(1, 16), ...mixed(16, 20));
  host.loop.wake();
  await host.destination.until('it is held', () => host.failures.length > 60);
  assert.equal(host.letters.length, 11);
  assert.equal(host.loop.holding, true);
});

test('a receiver that keeps the good rows of what it refuses is not held', async (t) => {
  const host = new Host(t, { maxSamplesPerSend: 50, capacity: 1000 });
  const newest = new Map<string, bigint>();
  let stored = 0;
  host.destination.script = ({ rows }) => {
    let words = '';
    for (const { series, at } of rows) {
      const head = newest.get(series) ?? -1n;
      if (at === 0n) words ||= 'label value too long';
      else if (at < head) words ||= 'the sample has been rejected (err-mimir-sample-out-of-order)';
      else if (at > head) {
        newest.set(series, at);
        stored++;
      }
    }
    return words === '' ? ok : response(400, words);
  };
  host.push(new TestSegment(1, 16), ...mixed(0, 400));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.equal(stored, 399);
  assert.ok(lettersOf(host).includes(0));
});

test('other shards are tried before their turn only with their oldest row, and it is not sent again', async (t) => {
  const host = new Host(t, { capacity: 100, maxSamplesPerSend: 64 });
  poisonous(host, (row) => row === 0);
  host.push(
    new TestSegment(1, 2),
    ...rows(0, 30).map((row) => ({ ...row, series: +(row.row > 9), shard: +(row.row > 9) })),
  );
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  const times = host.destination.delivered.map(({ at }) => Number(at));
  assert.equal(times[0], 10);
  assert.deepEqual(
    [...times].sort((a, b) => a - b),
    Array.from({ length: 29 }, (_, i) => i + 1),
  );
  assert.equal(host.stats.deliveredRows, 29);
  assert.equal(host.events.filter((event) => /^settled (.* )?10( |$)/.test(event)).length, 1);
});

test('a series that keeps being refused is sent alone, and costs its neighbours no halving', async (t) => {
  const host = new Host(t, { capacity: 5000, maxSamplesPerSend: 64 });
  poisonous(host, (row) => row % 64 === 21);
  const segment = new TestSegment(1, 64);
  host.push(
    segment,
    ...rows(0, 64 * 30).map((row) => ({ ...row, series: row.row % 64, shard: row.row % 64 })),
  );
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.equal(host.stats.lost('rejected', SAMPLE), 30);
  assert.equal(host.stats.deliveredRows, 63 * 30);
  // From the third time on: the rows before it, itself, the rows behind it.
  assert.ok(
    host.destination.posts.length <= 2 * (2 * 6 + 3) + 3 * 30,
    `${host.destination.posts.length} requests`,
  );
  // It is tried each time, and is like any other again as soon as one is taken.
  poisonous(host, () => false);
  host.push(
    segment,
    ...rows(2000, 2064).map((row) => ({ ...row, series: row.row % 64, shard: row.row % 64 })),
  );
  host.loop.wake();
  await host.destination.until('all is settled', () => host.loop.idle);
  const before = host.destination.posts.length;
  host.push(
    segment,
    ...rows(2064, 2128).map((row) => ({ ...row, series: row.row % 64, shard: row.row % 64 })),
  );
  host.loop.wake();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.equal(host.destination.posts.length, before + 1);
});

test('poison rows side by side do not stop what is behind them', async (t) => {
  for (const bad of [1, 9, 12, 40]) {
    const host = new Host(t, { capacity: 1000, maxSamplesPerSend: 1000 });
    poisonous(host, (row) => row < bad, 'label value too long');
    host.push(
      new TestSegment(1, 100),
      ...rows(0, 100).map((row) => ({ ...row, series: row.row, shard: row.row })),
    );
    host.loop.flush();
    await host.destination.until(`all is settled with ${bad}`, () => host.loop.idle);
    assert.equal(host.stats.deliveredRows, 100 - bad);
    assert.deepEqual(new Set(lettersOf(host)), new Set(Array.from({ length: bad }, (_, i) => i)));
  }
});

test('evidence may come from a later segment', async (t) => {
  const host = new Host(t, { capacity: 100, maxSamplesPerSend: 50 });
  poisonous(host, (row) => row === 0);
  const [one, two] = [new TestSegment(1, 100), new TestSegment(2, 100)];
  host.push(one, { row: 0, series: 0, shard: 0 });
  host.push(two, ...rows(1, 61).map((row) => ({ ...row, series: row.row, shard: row.row })));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.deepEqual(lettersOf(host), [0]);
  assert.equal(host.letters[0]!.letters[0]!.segment, 1);
  assert.deepEqual(
    deliveredRows(host),
    Array.from({ length: 60 }, (_, i) => i + 1),
  );
  assert.deepEqual([one.held, two.held], [0, 0]);
});

test('one shard alone: its bad row is given up when the endpoint takes again what it took last', async (t) => {
  const host = new Host(t, { capacity: 100, maxSamplesPerSend: 50 });
  poisonous(host, (row) => row === 10);
  host.push(new TestSegment(1), ...rows(0, 40));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.deepEqual(lettersOf(host), [10]);
  assert.equal(host.stats.deliveredRows, 39);
  poisonous(host, () => true);
  host.push(new TestSegment(1), ...rows(40, 80));
  host.loop.flush();
  await host.destination.until('it is held', () => host.failures.length > 60);
  assert.equal(host.letters.length, 1);
});

test('a row is not overtaken by one of its own shard that is asked for evidence', async (t) => {
  const host = new Host(t, { ttlMs: 1000, maxSamplesPerSend: 2 });
  const at = host.clock;
  host.push(
    new TestSegment(1),
    { row: 0, at: at - 5000 },
    { row: 1, series: 1, shard: 1, at: at - 10 },
    { row: 2, series: 1, shard: 1, at: at - 5 },
    { row: 3, series: 2, shard: 2, at: at - 5 },
  );
  let refusals = 0;
  host.destination.script = ({ rows }) =>
    rows.some((row) => row.at === BigInt(at - 10)) && ++refusals < 2 ? response(400, 'no') : ok;
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  const own = host.destination.delivered.filter(({ series }) => series.includes('s1'));
  assert.deepEqual(
    own.map((row) => Number(row.at)),
    [at - 10, at - 5],
  );
});

test('a refused row whose next attempt had no clear answer counts as a duplicate', async (t) => {
  const host = new Host(t, { maxSamplesPerSend: 1000 });
  host.push(new TestSegment(1), ...rows(0, 2), ...rows(2, 4, { series: 1, shard: 1 }));
  const answers = [
    response(400, 'no'),
    response(503, 'took it all the same'),
    response(400, 'out of order sample'),
    response(400, 'out of order sample'),
    response(400, 'out of order sample'),
  ];
  host.destination.script = () => answers.shift() ?? ok;
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.deepEqual(host.letters, []);
  assert.equal(host.stats.lost('duplicate', SAMPLE), 2);
});

test('an order to drop that concerns no row of a loop leaves its wait alone', async (t) => {
  const host = new Host(t);
  host.push(new TestSegment(5), ...rows(0, 4));
  host.destination.script = () => response(429, '', '300');
  host.loop.wake();
  await host.destination.until('it waits', () => host.failures.length === 1);
  for (let i = 0; i < 20; i++) {
    host.loop.dropBefore(3, 'dropped_full');
    await quiet();
  }
  assert.equal(host.destination.posts.length, 1);
});

test('rows of an old segment behind newer ones are dropped at once, though the head fails', async (t) => {
  const host = new Host(t);
  const [old, recent] = [new TestSegment(3), new TestSegment(20)];
  host.push(recent, ...rows(0, 4));
  host.push(old, ...rows(0, 3, { series: 1, shard: 1 }));
  host.destination.script = () => response(503, '', '300');
  host.loop.wake();
  await host.destination.until('it waits', () => host.failures.length === 1);
  host.loop.dropBefore(5, 'dropped_full');
  assert.equal(host.stats.lost('dropped_full', SAMPLE), 3);
  assert.deepEqual(
    host.events.filter((event) => event.startsWith('settled')),
    ['settled 0', 'settled 1', 'settled 2'],
  );
  assert.equal(host.stats.deliveredRows, 0);
});

test('413: requests get smaller, and stay so for a while', async (t) => {
  const host = new Host(t, { capacity: 2000, maxSamplesPerSend: 64 });
  host.destination.script = ({ rows }) => (rows.length > 20 ? response(413, 'too large') : ok);
  host.push(new TestSegment(1, 16), ...mixed(0, 1000));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.equal(host.stats.deliveredRows, 1000);
  assert.ok(host.destination.posts.length <= 1000 / 16 + 6, `${host.destination.posts.length} requests`);
});

test('refused rows never share a request with fresh ones (RLY-13)', async (t) => {
  const host = new Host(t, { capacity: 400, maxSamplesPerSend: 64 });
  poisonous(host, (row) => row === 9, 'out of order sample');
  host.push(new TestSegment(1, 16), ...mixed(0, 40));
  host.loop.flush();
  await host.destination.nth(0);
  host.push(new TestSegment(1, 16), ...mixed(40, 200));
  await host.destination.until('all is settled', () => host.loop.idle);
  for (const { rows } of host.destination.posts) {
    const times = rows.map(({ at }) => Number(at));
    assert.ok(times.every((at) => at < 40) || times.every((at) => at >= 40), times.join(' '));
  }
  assert.equal(host.stats.deliveredRows, 199);
});

test('after an attempt of unknown outcome the rows stay apart from fresh ones, also when they are split', async (t) => {
  const host = new Host(t, { capacity: 400, maxSamplesPerSend: 8 });
  let first = true;
  host.destination.script = ({ rows }) => {
    if (first) {
      first = false;
      return network();
    }
    return rows.some(({ at }) => at === 3n) ? response(400, 'bad') : ok;
  };
  host.push(new TestSegment(1, 16), ...mixed(0, 8));
  host.loop.flush();
  await host.destination.nth(0);
  host.push(new TestSegment(1, 16), ...mixed(8, 24));
  await host.destination.until('all is settled', () => host.loop.idle);
  for (const { rows } of host.destination.posts) {
    const times = rows.map(({ at }) => Number(at));
    assert.ok(times.every((at) => at < 8) || times.every((at) => at >= 8), times.join(' '));
  }
  assert.deepEqual(lettersOf(host), [3]);
});

test('rows of an unknown outcome that are all known there are duplicates, and no letters', async (t) => {
  const host = new Host(t, { capacity: 400, maxSamplesPerSend: 256 });
  poisonous(host, () => true, 'out of order sample');
  host.push(new TestSegment(1, 16), ...mixed(0, 256, { resent: true }));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.equal(host.stats.lost('duplicate', SAMPLE), 256);
  assert.deepEqual(host.letters, [], 'they are delivered, not lost');
  assert.ok(host.destination.posts.length <= 256 + 8 + 2, `${host.destination.posts.length} requests`);
});

test('rows of an unknown outcome of which all but one are known there: the one gets in', async (t) => {
  const host = new Host(t, { capacity: 400, maxSamplesPerSend: 256 });
  poisonous(host, (row) => row !== 201, 'out of order sample');
  host.push(new TestSegment(1, 16), ...mixed(0, 256, { resent: true }));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.equal(host.stats.lost('duplicate', SAMPLE), 255);
  assert.deepEqual(deliveredRows(host), [201]);
});

for (const { what, answer } of [
  { what: 'behind a wait for the next attempt', answer: response(503, '', '300') },
  { what: 'behind a request that is on its way', answer: undefined },
]) {
  test(`rows of old segments are dropped ${what}, and counted`, async (t) => {
    const host = new Host(t, { capacity: 100, maxSamplesPerSend: 4 });
    const [one, two] = [new TestSegment(1), new TestSegment(2)];
    host.push(one, ...rows(0, 10));
    host.push(two, ...rows(0, 4));
    host.loop.wake();
    const post = await host.destination.nth(0);
    if (answer !== undefined) {
      post.answer(answer);
      await host.destination.until('it waits', () => host.failures.length === 1);
    }
    host.loop.dropBefore(2, 'expired');
    await quiet();
    if (answer === undefined) {
      assert.equal(host.destination.posts.length, 1, 'it is waited for');
      post.answer(ok);
    }
    const next = await host.destination.nth(1);
    assert.deepEqual(times(next), [0, 1, 2, 3]);
    next.answer(ok);
    await quiet();
    assert.equal(host.stats.lost('expired', SAMPLE), answer === undefined ? 6 : 10);
    assert.equal(host.stats.deliveredRows, answer === undefined ? 8 : 4);
    assert.equal(host.loop.idle, true);
    assert.equal(one.held, 0);
  });
}

test('rows that are refused for being old stand alone in the end, and cost no other row (INT-12)', async (t) => {
  const host = new Host(t, { capacity: 400, maxSamplesPerSend: 64 });
  const old = new Set([5, ...Array.from({ length: 21 }, (_, i) => 70 + i), 199]);
  host.destination.script = ({ rows }) =>
    rows.some(({ at }) => old.has(Number(at))) ? response(400, 'out of order sample') : ok;
  host.push(new TestSegment(1), ...rows(0, 300));
  host.loop.flush();
  await host.destination.until('all is settled', () => host.loop.idle);

  const expected = Array.from({ length: 300 }, (_, i) => i).filter((row) => !old.has(row));
  assert.deepEqual(
    host.destination.delivered.map(({ at }) => Number(at)),
    expected,
  );
  assert.equal(host.stats.lost('rejected', SAMPLE), old.size);
  assert.ok(host.failures.every((failure) => failure.action === 'reject' && failure.rows === 1));
  // One request for each bad row, 4 log2 64 to come down to each of the three runs and up again, 5 for the rest.
  assert.ok(
    host.destination.posts.length < old.size + 3 * 4 * 6 + 5,
    `${host.destination.posts.length} requests`,
  );
});

test('after an unknown outcome a refusal for order is a duplicate', async (t) => {
  const host = new Host(t);
  host.push(new TestSegment(1), ...rows(0, 4));
  host.loop.wake();
  const first = await host.destination.nth(0);
  poisonous(host, () => true, 'duplicate sample for timestamp');
  first.answer(network());
  await host.destination.until('all is settled', () => host.loop.idle);
  assert.equal(host.stats.lost('duplicate', SAMPLE), 4);
});

for (const { what, answer } of [
  { what: 'a request', answer: undefined },
  { what: 'a wait for the next attempt', answer: response(503, '', '300') },
]) {
  test(`a stop in the middle of ${what} leaves the rows unsettled`, async (t) => {
    const host = new Host(t);
    const segment = new TestSegment(1);
    host.push(segment, ...rows(0, 6));
    host.loop.wake();
    const post = await host.destination.nth(0);
    if (answer !== undefined) {
      post.answer(answer);
      await host.destination.until('it waits', () => host.failures.length === 1);
      assert.equal((host.failures[0] as { waitMs?: number }).waitMs, 300_000);
    }
    await Promise.all([host.loop.stop(), host.loop.stop()]);
    assert.ok(!host.events.some((event) => event.startsWith('settled')));
    assert.equal(host.stats.deliveredRows + host.stats.lostRows, 0);
    assert.equal(host.loop.queue.length, 0);
    assert.equal(segment.held, 0);
    host.push(segment, ...rows(6, 10));
    host.loop.wake();
    await quiet();
    assert.equal(host.destination.posts.length, 1, 'nothing leaves after the stop');
    host.loop.queue.clear();
  });
}

test('a stop before the deadline ends the wait for it', async (t) => {
  const host = new Host(t, { batchSendDeadlineMs: 1 });
  host.push(new TestSegment(1), ...rows(0, 1));
  host.loop.wake();
  await host.loop.stop();
  assert.equal(host.destination.posts.length, 0);
});

/** Resolves when the loop has waited so many times. */
async function throttled({ stats }: Host, times: number): Promise<void> {
  await poll(
    () => `it has waited ${stats.get('throttles')} of ${times} times`,
    async () => (stats.get('throttles') >= times ? true : undefined),
  );
}

test('a request waits for the share of the endpoint, and takes what it sends from it', async (t) => {
  const host = new Host(t);
  let clock = 0;
  const limit = new RateLimit({ samples: 4000, bytes: undefined }, () => clock);
  host.limit = limit;
  limit.take(4010, 0);
  const segment = new TestSegment(1);
  host.push(segment, ...rows(0, 8));
  host.loop.wake();
  await throttled(host, 2);
  assert.equal(host.destination.posts.length, 0);
  assert.deepEqual(host.events, [], 'what has not left is not noted as such');
  clock = 3; // two tokens: the request may leave, and owes two
  (await host.destination.nth(0)).answer(ok);
  await throttled(host, 4);
  assert.equal(host.destination.posts.length, 1);
  clock = 1000;
  (await host.destination.nth(1)).answer(ok);
  await quiet();
  assert.equal(host.stats.delivered(SAMPLE), 8);
});

test('a wait for a share ends when the loop is stopped', async (t) => {
  const host = new Host(t);
  host.limit = new RateLimit({ samples: 1, bytes: undefined }, () => 0);
  host.limit.take(1e6, 0);
  host.push(new TestSegment(1), ...rows(0, 4));
  host.loop.wake();
  await throttled(host, 1);
  await host.loop.stop();
  assert.equal(host.destination.posts.length, 0);
});

test('a tenant that has to wait for long does not make the time for company of others as long', async (t) => {
  const host = new Host(t, {
    tenants: true,
    batchSendDeadlineMs: 5,
    minBackoffMs: never,
    maxBackoffMs: never,
  });
  const segment = new TestSegment(1, 2, ['refused', 'let in']);
  host.destination.script = ({ rows }) => (rows[0]!.series.includes('s0') ? response(401) : ok);
  host.push(segment, { row: 0, series: 0 });
  host.loop.wake();
  await host.destination.until('the refusal', () => host.failures.length === 1);
  await quiet();
  // Nobody wakes the loop once more: nothing else comes.
  host.push(segment, { row: 1, series: 1, at: 7 });
  host.loop.wake();
  await host.destination.until('the row of the other', () => host.destination.delivered.length === 1);
  assert.deepEqual(times(host.destination.posts[1]!), [7]);
});

test('a probe for 2.0 of a tenant that is refused is taken back: 1.0 goes on', async (t) => {
  const negotiation = new Negotiation('auto', 2_000_000);
  const host = new Host(t, { tenants: true }, { negotiation, emitter: new PlainEmitterV2() });
  host.tick = 1;
  host.destination.script = (post) => (post.version === '2.0' ? response(403) : ok);
  host.push(new TestSegment(1, 1, ['a']), ...rows(0, 8));
  host.loop.wake();
  await host.destination.until('all rows', () => host.destination.delivered.length === 8);
  assert.equal(host.destination.posts.filter(({ version }) => version === '2.0').length, 3);
});

test('a tenant of which everything is refused stops no other, and that others are taken is no evidence against it', async (t) => {
  const host = new Host(t, { tenants: true, batchSendDeadlineMs: 0 });
  const segment = new TestSegment(1, 2, ['refused', 'let in']);
  const isRefused = ({ rows }: Pick<Post, 'rows'>): boolean => rows[0]!.series.includes('s0');
  let isOver = false;
  host.destination.script = (post) => (isRefused(post) && !isOver ? response(400, 'no') : ok);
  let row = 0;
  for (let round = 1; round <= 5; round++) {
    host.push(segment, { row: row++, series: 0, shard: 1 }, { row: row++, series: 1, shard: 2 });
    host.loop.wake();
    await host.destination.until('the row of the other', () => host.destination.delivered.length === round);
    // Another loop gets the other tenant through as well.
    host.evidence.take('let in');
    const tries = host.destination.posts.length;
    host.clock += 10;
    host.loop.wake();
    await host.destination.until('the next try', () =>
      host.destination.posts.slice(tries).some((post) => isRefused(post)),
    );
  }
  assert.deepEqual(host.letters, []);
  isOver = true;
  await host.destination.until('the last refusal', () => host.destination.inFlight === 0);
  await quiet();
  host.clock += 10;
  host.loop.wake();
  await host.destination.until('all rows', () => host.destination.delivered.length === row);
  assert.equal(host.stats.lostRows, 0);
});
