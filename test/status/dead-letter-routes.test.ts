import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import type { DeadLetterStore } from '../../src/ledger/dead-letters.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { PARTIAL } from '../../src/network/dead-letter.ts';
import { HttpServer } from '../../src/receiver/server.ts';
import { Resends } from '../../src/resends.ts';
import { EXEMPLAR, HISTOGRAM } from '../../src/serialization/rows.ts';
import { deadLetterRoutes, deadLettersPath } from '../../src/status/dead-letter-routes.ts';
import { logLines } from '../receiver/log-lines.ts';
import { wideConnections } from '../receiver/wide.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';
import { letterOf, metadataLetter, refusal, sampleLetter } from '../support/letters.ts';
import { bitsOf, labels } from '../support/messages.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

const noon = 1_700_000_000_000;
const up = (job: string) => ({ __name__: 'up', job });

interface Served {
  readonly letters: DeadLetterStore;
  ask(method: string, path: string, body?: unknown, type?: string): Promise<[number, Json]>;
  closed: boolean;
  readonly resends: Resends;
  /** What the routes and the resends have logged. */
  readonly told: readonly string[];
}

type Json = Record<string, unknown> & { letters?: { row: number }[] };

async function serve(
  t: TestContext,
  remotes: readonly object[] = [{ url: 'sqlite:recent.db' }],
): Promise<Served> {
  const ledger = Ledger.open(await tempDir(t, 'letters'), noon, () => assert.fail('it is whole'));
  atEnd(t, () => ledger.close());
  const { logger, lines } = logLines();
  const { logger: telling, lines: told } = logLines();
  const { remoteWrite } = parseConfig(JSON.stringify({ remote_write: remotes }), {
    file: 'test',
    baseDir: '/',
  });
  const store = () => (served.closed ? undefined : ledger.deadLetters);
  const resends = new Resends({
    store,
    endpoint: (name) => remoteWrite.find((endpoint) => endpoint.name === name),
    userAgent: 'Spillway/1.2.3',
    logger: telling,
    now: Date.now,
  });
  const served: Served = {
    letters: ledger.deadLetters,
    closed: false,
    resends,
    told,
    ask: async (method, path, body, type = 'application/json') => {
      const response = await fetch(base + deadLettersPath + path, {
        method,
        ...(body !== undefined && { body: JSON.stringify(body), headers: { 'Content-Type': type } }),
      });
      assert.equal(response.headers.get('content-type'), 'application/json');
      return [response.status, (await response.json()) as Json];
    },
  };
  const routes = deadLetterRoutes({
    store,
    endpoints: () => ['mimir', 'other'],
    resends,
    visitor: () => ({ user: 'anna', access: 'all' }),
    logger: telling,
  });
  const server = new HttpServer(new Map(routes), {
    connections: wideConnections(),
    logger,
  });
  const base = await server.listen({ host: '127.0.0.1', port: 0 });
  atEnd(t, async () => {
    await resends.close();
    await server.close();
    assert.deepEqual(lines, []);
  });
  return served;
}

test('every kind of letter is shown in full', async (t) => {
  const { letters, ask } = await serve(t);
  const value = 0x7ff8000000000001n;
  letters.keep(
    'mimir',
    refusal(
      [
        sampleLetter(1, up('a'), noon, value),
        letterOf(2, HISTOGRAM, noon, up('a'), {
          histograms: [{ timestamp: BigInt(noon), countInt: 3n, sumBits: bitsOf(0.5), positiveDeltas: [3n] }],
        }),
        letterOf(3, EXEMPLAR, noon, up('a'), {
          exemplars: [{ timestamp: BigInt(noon), valueBits: bitsOf(1e-7), labels: labels({ trace: 'x' }) }],
        }),
        metadataLetter(4, 'up', 'Is it?'),
        sampleLetter(5, { __name__: 'up', __proto: 'y' }, noon, 0),
      ],
      { atMs: noon, words: 'no' },
    ),
  );
  const facts = (id: number) => ({
    id,
    endpoint: 'mimir',
    at: '2023-11-14T22:13:20.000Z',
    reason: 'rejected',
    cause: '400',
    words: 'no',
    segment: 1,
    row: id,
  });
  const at = { timestampMs: noon };
  const [status, page] = await ask('GET', '');
  assert.equal(status, 200);
  assert.deepEqual(page, {
    letters: [
      { ...facts(1), kind: 'sample', labels: up('a'), ...at, value: 'NaN', valueBits: '7ff8000000000001' },
      {
        ...facts(2),
        kind: 'histogram',
        labels: up('a'),
        ...at,
        histogram: {
          ...at,
          flavour: 'integer',
          count: '3',
          sum: '0.5',
          schema: 0,
          zeroThreshold: '0',
          zeroCount: '0',
          positiveDeltas: [3],
          resetHint: 'unknown',
          sumBits: '3fe0000000000000',
        },
      },
      {
        ...facts(3),
        kind: 'exemplar',
        labels: up('a'),
        ...at,
        value: '1e-07',
        valueBits: '3e7ad7f29abcaf48',
        exemplarLabels: { trace: 'x' },
      },
      { ...facts(4), kind: 'metadata', family: 'up', type: 'counter', help: 'Is it?', unit: '' },
      {
        ...facts(5),
        kind: 'sample',
        labels: { __name__: 'up', __proto: 'y' },
        ...at,
        value: '0',
        valueBits: '0000000000000000',
      },
    ],
    next: null,
  });
});

test('pages are bounded, and say where the next one starts', async (t) => {
  const { letters, ask } = await serve(t);
  const batch = Array.from({ length: 1500 }, (_, row) => sampleLetter(row, up(`${row % 3}`), noon + row));
  letters.keep('a', refusal(batch, { atMs: noon }));
  const [, first] = await ask('GET', '?limit=1000000');
  assert.equal(first.letters?.length, 1000);
  const [, rest] = await ask('GET', `?after=${first.next}&order=time&endpoint=a`);
  assert.deepEqual([rest.letters?.length, rest.letters?.[0]?.row, rest.next], [500, 1000, null]);
  const [, some] = await ask('GET', `?limit=10&match=${encodeURIComponent('up{job=~"1|2"}')}`);
  assert.deepEqual(
    some.letters?.map(({ row }) => row),
    [1, 2, 4, 5, 7, 8],
  );
  assert.ok(some.next);
  const [, counts] = await ask('GET', '/counts');
  assert.deepEqual(counts, {
    endpoints: ['mimir', 'other'],
    counts: [
      { endpoint: 'a', reason: 'rejected', cause: '400', letters: 1500, oldestAtMs: noon, newestAtMs: noon },
    ],
  });
});

test('a purge deletes what the query lets through, and everything only when told so', async (t) => {
  const { letters, ask, told } = await serve(t);
  const batch = Array.from({ length: 6 }, (_, row) => sampleLetter(row, up(`${row % 2}`), noon));
  letters.keep('a', refusal(batch, { atMs: noon }));
  const rows = () => letters.page({}, 'arrival', undefined, 100).map(({ row }) => row);
  assert.equal((await ask('DELETE', ''))[0], 400);
  assert.equal((await ask('DELETE', '?all=1'))[0], 400);
  assert.equal(rows().length, 6);
  assert.deepEqual(await ask('DELETE', `?match=${encodeURIComponent('up{job="1"}')}`), [
    200,
    { removed: 3, next: null },
  ]);
  assert.deepEqual(rows(), [0, 2, 4]);
  assert.deepEqual(await ask('DELETE', '?all=true'), [200, { removed: 3, next: null }]);
  assert.match(told.at(-1)!, /dead letters were deleted, as asked" letters=3 .*user=anna/);
  assert.deepEqual([rows(), letters.totals()[0]?.purged], [[], 6]);
});

test('what was sent again is noted: taken goes, refused stays with the new words', async (t) => {
  const { letters, ask } = await serve(t);
  letters.keep('a', refusal([sampleLetter(1, up('a'), noon), sampleLetter(2, up('a'), noon)]));
  assert.deepEqual(await ask('POST', '/resent', { ids: [1, 7] }), [200, { removed: 1 }]);
  const again = { ids: [2], reason: 'rejected', cause: '422', words: 'still no', atMs: noon };
  assert.deepEqual(await ask('POST', '/refused', again), [200, { kept: 1 }]);
  assert.deepEqual(
    letters.page({}, 'arrival', undefined, 9).map(({ id, words, atMs }) => [id, words, atMs]),
    [[2, 'still no', noon]],
  );
  assert.equal(letters.totals()[0]?.resent, 1);
});

/** The report of `a` when nothing is under way any more. */
function ended({ resends }: Served): Promise<NonNullable<ReturnType<Resends['report']>>> {
  return poll(
    () => `${JSON.stringify(resends.report('a'))}`,
    async () => (resends.report('a')?.running === false ? resends.report('a') : undefined),
  );
}

test('the agent sends letters again itself, those of one answer when that is asked for', async (t) => {
  const sink = await Sink.start(t, ({ rows }) =>
    rows.some(({ series }) => series.includes('sour')) ? { status: 400, body: 'still sour' } : {},
  );
  const served = await serve(t, [{ name: 'a', url: sink.url }]);
  const { letters, ask, told } = served;
  const of = (from: number, job: string) => [0, 1, 2].map((i) => sampleLetter(from + i, up(job), noon + i));
  letters.keep('a', refusal([...of(0, 'sweet'), sampleLetter(3, up('sour'), noon)]));
  letters.keep('a', refusal(of(10, 'other'), { cause: '422' }));
  letters.keep('other', refusal(of(20, 'far')));
  const [status, begun] = await ask('POST', '/resend', { endpoint: 'a', reason: 'rejected', cause: '400' });
  assert.deepEqual([status, begun.running, begun.total], [200, true, 4]);
  const { resent, refused, says } = await ended(served);
  assert.deepEqual([resent, refused], [3, 1]);
  assert.equal(says, 'Sent again: 3 of 4 dead letters taken, 1 refused again.');
  assert.equal(sink.arrivals.count, 3);
  assert.deepEqual(
    letters.page({ endpoint: 'a' }, 'arrival', undefined, 9).map(({ row, words }) => [row, words]),
    [[3, 'still sour'], ...[10, 11, 12].map((row) => [row, 'out of bounds'])],
  );
  assert.equal(letters.totals()[0]?.resent, 3);
  assert.match(told.join('\n'), /as asked" endpoint=a letters=4 user=anna/);
  assert.equal((await ask('GET', '?cause=422'))[1].letters?.length, 3);
  assert.deepEqual(await ask('DELETE', '?endpoint=a&cause=422'), [200, { removed: 3, next: null }]);
});

test('sending again stops where the receiver does not let us in, when it is asked to, and with the agent', async (t) => {
  const sink = await Sink.start(t, () => ({ status: 401, body: 'who are you' }));
  const served = await serve(t, [
    { name: 'a', url: sink.url, queue_config: { max_samples_per_send: 1, capacity: 10 } },
  ]);
  const { letters, ask, resends, told } = served;
  letters.keep('a', refusal([0, 1, 2].map((row) => sampleLetter(row, up('a'), noon + row))));
  await ask('POST', '/resend', { endpoint: 'a' });
  assert.match((await ended(served)).says, /^Sent again: 0 of 3 .*does not let us in \(401: who are you\)/);
  assert.equal(sink.requests.length, 1);

  sink.script = () => ({ instead: 'hang' });
  for (const end of [() => ask('DELETE', '/resend?endpoint=a'), () => resends.close()]) {
    const before = sink.requests.length;
    assert.equal((await ask('POST', '/resend', { endpoint: 'a' }))[0], 200);
    await sink.waitFor('a request', () => sink.requests.length > before);
    const [status, { error }] = await ask('POST', '/resend', { endpoint: 'a' });
    assert.deepEqual([status, /already/.test(String(error))], [409, true]);
    await end();
    assert.match((await ended(served)).says, /0 of 3 dead letters taken; stopped, as asked/);
  }
  assert.deepEqual(await ask('DELETE', '/resend?endpoint=a'), [200, { stopped: false }]);
  assert.equal(told.filter((line) => /not sent again any more.*endpoint=a user=anna/.test(line)).length, 1);
  assert.equal((await ask('POST', '/resend', { endpoint: 'nobody' }))[0], 409);
  assert.equal(letters.totals()[0]?.letters, 3);
});

test('while letters are read to be sent again, the thread receives, and nothing is read that is not sent', async (t) => {
  const sink = await Sink.start(t, () => ({ status: 401, body: 'who are you' }));
  const served = await serve(t, [{ name: 'a', url: sink.url, queue_config: { max_samples_per_send: 100 } }]);
  const { letters, ask } = served;
  let turns = 0;
  let turning = true;
  const turn = (): void => {
    turns++;
    if (turning) setImmediate(turn);
  };
  turn();
  atEnd(t, () => {
    turning = false;
  });
  const pages: number[] = [];
  const { page } = letters;
  t.mock.method(letters, 'page', (...args: Parameters<typeof page>) => {
    pages.push(turns);
    return page.apply(letters, args);
  });
  const content = Buffer.from('{"sent":{"samples":9},"notWritten":{"samples":3}}');
  const unknown = Array.from({ length: 2500 }, (_, row) => ({
    ...sampleLetter(row, up('a'), noon),
    kind: PARTIAL,
    content,
  }));
  letters.keep('a', refusal(unknown));
  await ask('POST', '/resend', { endpoint: 'a' });
  assert.match((await ended(served)).says, /0 of 2,500 .*2,500 stand for rows of which only the number/);
  assert.equal(pages.length, 3);
  assert.ok(
    pages.every((at, i) => i === 0 || at > pages[i - 1]!),
    String(pages),
  );

  pages.length = 0;
  letters.keep('a', refusal(unknown.map(({ row }) => sampleLetter(row, up('a'), noon))));
  await ask('POST', '/resend', { endpoint: 'a' });
  assert.match((await ended(served)).says, /0 of 2,500 .*does not let us in/);
  assert.equal(pages.length, 1);
});

test('what makes no sense is refused, and changes nothing', async (t) => {
  const served = await serve(t);
  const { letters, ask } = served;
  letters.keep('a', refusal([sampleLetter(1, up('a'), noon)]));
  const again = { ids: [1], reason: 'rejected', cause: '400', words: '', atMs: noon };
  for (const [method, path, body, type] of [
    ['GET', '?match=up{'],
    ['GET', '?limit=many'],
    ['GET', '?limit=0'],
    ['GET', '?reason=refused'],
    ['GET', '?since=-1'],
    ['GET', '?after=7'],
    ['GET', '?order=size'],
    ['DELETE', '?match=up{&all=true'],
    ['POST', '/resent', { ids: [1] }, 'text/plain'],
    ['POST', '/resent', { ids: ['1'] }],
    ['POST', '/resent', { ids: [1.5] }],
    ['POST', '/resent', { ids: Array.from({ length: 1001 }, () => 1) }],
    ['POST', '/resent', { ids: [1], pad: 'x'.repeat(100_000) }],
    ['POST', '/resent', 'ids'],
    ['POST', '/refused', { ...again, reason: 'toString' }],
    ['POST', '/refused', { ...again, atMs: '1' }],
    ['POST', '/resend', {}],
    ['POST', '/resend', { endpoint: 'a', reason: 'toString' }],
    ['POST', '/resend', { endpoint: 'a', cause: 400 }],
    ['POST', '/resend', { endpoint: 'a' }, 'text/plain'],
  ] as const) {
    const [status, answer] = await ask(method, path, body, type);
    assert.deepEqual([status, typeof answer.error], [400, 'string'], `${method} ${path}`);
  }
  assert.equal((await ask('POST', '', {}))[0], 405);
  assert.equal((await ask('DELETE', '/resent'))[0], 405);
  assert.equal(letters.page({}, 'arrival', undefined, 9)[0]?.words, 'out of bounds');
  served.closed = true;
  assert.equal((await ask('GET', ''))[0], 503);
});

test('a pattern that backtracks without end is cut short', async (t) => {
  const { letters, ask } = await serve(t);
  letters.keep('a', refusal([sampleLetter(1, up('a'.repeat(40)), noon)]));
  const [status, { error }] = await ask('GET', `?match=${encodeURIComponent('up{job=~"(a+)+b"}')}`);
  assert.equal(status, 400);
  assert.match(String(error), /took more than/);
});
