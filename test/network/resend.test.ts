import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uncompress } from 'snappyjs';
import { HttpDestination } from '../../src/network/client.ts';
import type { DeadLetter } from '../../src/network/dead-letter.ts';
import type { Destination, Outcome } from '../../src/network/destination.ts';
import { lettersMessage } from '../../src/network/letters-message.ts';
import { Resender } from '../../src/network/resend.ts';
import {
  decodeWriteRequestV1,
  decodeWriteRequestV2,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import { EXEMPLAR, HISTOGRAM, METADATA } from '../../src/serialization/rows.ts';
import { atEnd } from '../support/cleanup.ts';
import { letterOf, metadataLetter, sampleLetter } from '../support/letters.ts';
import { labels } from '../support/messages.ts';
import { describeRow, rowsOf } from '../support/rows.ts';
import { Sink } from '../support/sink.ts';
import { network, response, settings } from './support/outcomes.ts';

interface Sent {
  /** Times of the samples of each request, or the families of its metadata. */
  readonly requests: string[];
  readonly taken: number[];
  readonly refused: [row: number, cause: string, words: string][];
  readonly stopped: Resender<DeadLetter>['stopped'];
}

async function send(
  letters: readonly DeadLetter[],
  script: (message: WriteRequestV1, index: number) => Outcome,
  { maxSamplesPerSend = 4, mostRefusals = 100 } = {},
): Promise<Sent> {
  const requests: string[] = [];
  const taken: number[] = [];
  const refused: [number, string, string][] = [];
  const destination: Destination = {
    post: async (body, _attempt, _signal, { tenant = '' } = {}) => {
      const message = decodeWriteRequestV1(uncompress(body));
      const times = message.timeseries.map(({ samples }) => String(samples[0]?.timestamp));
      const families = message.metadata.map(({ metricFamilyName }) => metricFamilyName);
      requests.push(`${tenant}${tenant === '' ? '' : ': '}${[...times, ...families].join(' ')}`);
      return script(message, requests.length - 1);
    },
    close: async () => undefined,
  };
  const resender = new Resender<DeadLetter>({
    destination,
    settings,
    maxSamplesPerSend,
    maxMetadataPerSend: 2,
    mostRefusals,
    now: () => 0,
    taken: async (some) => {
      taken.push(...some.map(({ row }) => row));
    },
    refused: async ({ row }, { cause, words }) => {
      refused.push([row, cause, words]);
    },
  });
  for (const letter of letters) await resender.add(letter);
  await resender.finish();
  return { requests, taken, refused, stopped: resender.stopped };
}

const samples = (count: number): DeadLetter[] =>
  Array.from({ length: count }, (_, i) => sampleLetter(i, { __name__: 'up', i: `${i % 3}` }, i));

test('a request has letters of one tenant', async () => {
  const letters = [
    ...samples(7).map((letter, i) => ({ ...letter, tenant: ['a', 'b', ''][i % 3]! })),
    { ...metadataLetter(7, 'x', ''), tenant: 'b' },
  ];
  const { requests } = await send(letters, () => response(204), { maxSamplesPerSend: 3 });
  assert.deepEqual(requests, ['a: 0 3 6', 'b: x', 'b: 1 4', '2 5']);
});

test('letters go in full requests and in their order, metadata apart', async () => {
  const letters = [
    metadataLetter(100, 'a', 'help'),
    ...samples(9),
    ...['b', 'c'].map((family, i) => metadataLetter(101 + i, family, '')),
  ];
  const { requests, taken, refused, stopped } = await send(letters, () => response(204));
  assert.deepEqual(requests, ['0 1 2 3', '4 5 6 7', 'a b', 'c', '8']);
  assert.deepEqual(taken, [0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 8]);
  assert.deepEqual([refused, stopped], [[], undefined]);
  assert.equal(letters.filter(({ kind }) => kind === METADATA).length, 3);
});

test('of a refused request the letters at fault are found, and nothing else is refused', async () => {
  const bad = new Set([2n, 3n, 9n]);
  const { taken, refused, requests } = await send(samples(16), ({ timeseries }) => {
    const found = timeseries.find(({ samples: [one] }) => bad.has(one!.timestamp));
    return found === undefined ? response(200) : response(400, `not ${found.samples[0]!.timestamp}`);
  });
  assert.deepEqual(
    taken,
    samples(16)
      .map(({ row }) => row)
      .filter((row) => !bad.has(BigInt(row))),
  );
  assert.deepEqual(refused, [
    [2, '400', 'not 2'],
    [3, '400', 'not 3'],
    [9, '400', 'not 9'],
  ]);
  assert.ok(requests.length <= 2 * 16);
});

test('a request that is too large is sent in parts', async () => {
  const { taken, refused } = await send(
    samples(9),
    ({ timeseries }) => response(timeseries.length > 2 ? 413 : 204),
    {
      maxSamplesPerSend: 100,
    },
  );
  assert.deepEqual([taken.length, refused], [9, []]);
});

for (const { what, outcome, action, cause } of [
  { what: '503', outcome: response(503, 'busy'), action: 'retry', cause: '5xx' },
  { what: '429', outcome: response(429, 'busy'), action: 'retry', cause: '429' },
  { what: '401', outcome: response(401, 'busy'), action: 'hold', cause: '401' },
  {
    what: 'refused connection',
    outcome: { ...network('ECONNREFUSED', false), words: 'busy' },
    action: 'retry',
    cause: 'network',
  },
] as const) {
  test(`a ${what} ends it, also within a request that is being split`, async () => {
    const first = await send(samples(9), (_, index) => (index === 1 ? outcome : response(204)));
    assert.deepEqual(first.stopped, { action, cause, words: 'busy' });
    assert.deepEqual([first.taken, first.refused, first.requests.length], [[0, 1, 2, 3], [], 2]);

    const second = await send(samples(9), (_, index) => (index === 1 ? outcome : response(400)));
    assert.deepEqual([second.taken, second.refused, second.requests.length], [[], [], 2]);
  });
}

test('it gives up when nothing but refusals comes, and counts anew when something is taken', async () => {
  const never = await send(samples(40), () => response(400, 'no'), { mostRefusals: 5 });
  assert.equal(never.refused.length, 5);
  assert.deepEqual(never.stopped, { action: 'refused', cause: '400', words: 'no' });

  const some = await send(
    samples(40),
    ({ timeseries }) =>
      response(timeseries.length === 1 && timeseries[0]!.samples[0]!.timestamp % 4n === 0n ? 204 : 400),
    { mostRefusals: 5 },
  );
  assert.deepEqual([some.taken.length, some.refused.length, some.stopped], [10, 30, undefined]);
});

for (const [knows, versions] of [
  ['both', ['2.0', '2.0', '1.0']],
  ['1.0, and answers 204', ['2.0', '1.0', '1.0', '1.0']],
] as const) {
  test(`RW2-S-12, RW2-S-22: with auto, letters go in the version that a receiver takes that knows ${knows}`, async (t) => {
    const sink = await Sink.start(t);
    sink.knows = knows;
    const destination = new HttpDestination({
      href: sink.url,
      headers: {},
      authorization: () => undefined,
      remoteTimeoutMs: 60_000,
      userAgent: 'Spillway/test',
    });
    atEnd(t, () => destination.close());
    const exemplar = { timestamp: 3n, valueBits: 1n, labels: labels({ trace_id: 'x' }) };
    const histogram = {
      timestamp: 4n,
      countInt: 0n,
      zeroCountInt: 0n,
      sumBits: 0x7ff0000000000002n,
      schema: 3,
    };
    const letters = [
      ...samples(5),
      letterOf(6, EXEMPLAR, 3, { __name__: 'up' }, { exemplars: [exemplar] }),
      letterOf(7, HISTOGRAM, 4, { __name__: 'h' }, { histograms: [histogram] }),
    ];
    const taken: number[] = [];
    const resender = new Resender<DeadLetter>({
      destination,
      settings,
      version: 'auto',
      maxSamplesPerSend: 4,
      maxMetadataPerSend: 2,
      mostRefusals: 100,
      now: () => 0,
      taken: async (some) => {
        taken.push(...some.map(({ row }) => row));
      },
      refused: async () => assert.fail('nothing is refused'),
    });
    for (const letter of letters) await resender.add(letter);
    await resender.finish();
    assert.deepEqual(
      sink.requests.map(({ version }) => version),
      versions,
    );
    assert.deepEqual(taken, [0, 1, 2, 3, 4, 7, 6]);
    const expected = rowsOf(decodeWriteRequestV1(lettersMessage(letters)));
    for (const row of expected) assert.equal(sink.arrivals.times(row), 1, describeRow(row));
  });
}

test('RLY-12: of letters that a receiver wrote in part, those are found that it does not want', async () => {
  const refused: number[] = [];
  const resender = new Resender<DeadLetter>({
    destination: {
      post: async (body) => {
        const times = decodeWriteRequestV2(uncompress(body)).timeseries.map(
          ({ samples: [s] }) => s!.timestamp,
        );
        const good = times.filter((at) => at !== 2n).length;
        const written = { samples: good, histograms: 0, exemplars: 0 };
        const status = good < times.length ? 400 : 204;
        return { ...response(status, 'out of order'), written };
      },
      close: async () => undefined,
    },
    settings,
    version: '2.0',
    maxSamplesPerSend: 4,
    maxMetadataPerSend: 2,
    mostRefusals: 100,
    now: () => 0,
    taken: async () => undefined,
    refused: async ({ row }) => {
      refused.push(row);
    },
  });
  for (const letter of samples(4)) await resender.add(letter);
  await resender.finish();
  assert.deepEqual(refused, [2]);
});
