import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compress } from 'snappyjs';
import { Agent, remote } from '../support/agent.ts';
import { loadCaptures, v2Captures } from '../support/captures.ts';
import { request, series } from '../support/messages.ts';
import { seriesKey } from '../support/rows.ts';
import { encodeBody, type Reply, Sender, v1Headers } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';

/** One valid row. */
const valid = encodeBody(request(series({ __name__: 'up', job: 'a' }, [1, 1])));
const mislabelled = await loadCaptures(v2Captures[0]);

interface Case {
  readonly what: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
  readonly status: number;
  /** What the answer must say. */
  readonly says?: RegExp;
}

const type = (value: string) => ({ ...v1Headers, 'content-type': value });
const encoding = (value: string) => ({ ...v1Headers, 'content-encoding': value });
const without = (name: string) =>
  Object.fromEntries(Object.entries(v1Headers).filter(([key]) => key !== name));

const accepted: readonly Omit<Case, 'status'>[] = [
  { what: 'a request without a content type (INT-01)', headers: without('content-type') },
  { what: 'a request without a content encoding (INT-01)', headers: without('content-encoding') },
  { what: 'a request without a version', headers: without('x-prometheus-remote-write-version') },
  {
    what: 'names in capitals (INT-02)',
    headers: { ...type('Application/X-Protobuf'), 'content-encoding': 'Snappy' },
  },
  {
    what: 'the long form of the type',
    headers: type('application/x-protobuf;proto=prometheus.WriteRequest'),
  },
  {
    what: 'blanks and quotes in the type (INT-03)',
    headers: type('application/x-protobuf ; proto="prometheus.WriteRequest"'),
  },
  { what: 'an empty request', body: encodeBody(request()) },
  {
    what: 'a request of metadata alone',
    body: encodeBody({ metadata: [{ type: 1, metricFamilyName: 'up', help: 'Help.', unit: '' }] }),
  },
];

const v2Type = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

const refused: readonly Case[] = [
  {
    what: 'remote write 2.0',
    headers: type(v2Type),
    status: 415,
    says: /io\.prometheus\.write\.v2\.Request/,
  },
  { what: 'remote write 2.0, spelt freely (INT-03)', headers: type(v2Type.replace(';', ' ; ')), status: 415 },
  {
    what: 'another message',
    headers: type('application/x-protobuf;proto=other'),
    status: 415,
    says: /other/,
  },
  { what: 'JSON', headers: type('application/json'), status: 415, says: /application\/json/ },
  { what: 'gzip', headers: encoding('gzip'), status: 415, says: /gzip/ },
  { what: 'zstd (INT-17)', headers: encoding('zstd'), status: 415, says: /zstd/ },
  {
    what: 'a wrong type before a broken body',
    headers: type('text/plain'),
    body: Buffer.from('?'),
    status: 415,
  },
  { what: 'an empty body', body: new Uint8Array(0), status: 400, says: /snappy/ },
  { what: 'a body that is not snappy', body: Buffer.from('hello there'), status: 400, says: /snappy/ },
  { what: 'a body cut short', body: valid.subarray(0, -3), status: 400, says: /snappy/ },
  {
    what: 'framed snappy (WIRE-01)',
    body: Buffer.from('ff060000734e61507059', 'hex'),
    status: 400,
    says: /snappy/,
  },
  { what: 'a body that declares 4 GiB (WIRE-02)', body: Buffer.from('ffffffff0f00', 'hex'), status: 400 },
  { what: 'a message cut short (WIRE-07)', body: compress(Buffer.from('0a2c0a0e', 'hex')), status: 400 },
  { what: 'field number 0 (WIRE-07)', body: compress(Buffer.from('0200', 'hex')), status: 400 },
  { what: 'a 2.0 body said to be 1.0 (INT-04)', body: mislabelled[0]!.body, status: 400, says: /2\.0/ },
  {
    what: 'a series without a name (RW2-R-20)',
    body: encodeBody(request(series({ job: 'nameless' }, [1, 1]))),
    status: 400,
    says: /nameless/,
  },
  {
    what: 'a series with an empty name (RW2-R-20)',
    body: encodeBody(request(series({ __name__: '', job: 'nameless' }, [1, 1]))),
    status: 400,
    says: /nameless/,
  },
  {
    what: 'a label without a name (RW2-R-19)',
    body: encodeBody(request(series({ __name__: 'up', '': 'unnamed' }, [1, 1]))),
    status: 400,
    says: /unnamed/,
  },
  {
    what: 'a label twice (RW2-R-21)',
    body: encodeBody(
      request({
        labels: ['up', 'a', 'b'].map((value, i) => ({ name: i === 0 ? '__name__' : 'twice', value })),
        samples: [{ timestamp: 1n, valueBits: 0n }],
      }),
    ),
    status: 400,
    says: /twice/,
  },
];

test('the write path answers by the table of remote-write.md, and refused requests leave nothing behind (RW1-R-04, RW2-R-10)', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, { remote_write: [remote(sink.url)] });
  const sender = new Sender(t, agent.url);

  for (const { what, headers, body = valid } of accepted) {
    await t.test(`accepts ${what}`, async () => {
      const reply = await sender.post(body, headers);
      assert.equal(reply.status, 204, reply.body);
      assertSilent(reply);
    });
  }
  await sink.waitFor('what was accepted', () => sink.arrivals.count === 6 && sink.metadata.length === 1);

  for (const { what, headers, body = valid, status, says = /./ } of refused) {
    await t.test(`answers ${status} to ${what}`, async () => {
      const reply = await sender.post(body, headers);
      assert.equal(reply.status, status, reply.body);
      assert.match(reply.body, says);
      assertNoCounts(reply);
    });
  }

  await t.test('answers 405 to what is not a POST, and says what is', async () => {
    const response = await fetch(`${agent.url}/api/v1/write`);
    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'POST');
  });

  await t.test('answers 404 to another path', async () => {
    assert.equal((await new Sender(t, agent.url, '/api/v1/wrote').post(valid)).status, 404);
  });

  assert.equal(await agent.terminate(), 0);
  assert.equal(sink.arrivals.count, 6);
});

test('/api/v1/push is the same door (RW1-R-01)', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, { remote_write: [remote(sink.url)] });
  const sender = new Sender(t, agent.url, '/api/v1/push');
  assert.equal((await sender.write(request(series({ __name__: 'up' }, [1, 1]))))?.status, 204);
  await sink.waitForRows(sender.acknowledged);
});

test('the valid part of a request is delivered, and the answer names the rest (RW1-R-05, RW1-R-06)', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, { remote_write: [remote(sink.url)] });
  const sender = new Sender(t, agent.url);
  const reply = await sender.write(
    request(
      series({ __name__: 'before' }, [1, 1]),
      series({ job: 'nameless' }, [1, 1], [2, 2]),
      series({ __name__: 'behind' }, [1, 1], [2, 2]),
    ),
  );
  assert.equal(reply?.status, 400);
  assert.match(reply.body, /nameless/);
  assertNoCounts(reply);
  await sink.waitFor('the valid rows', () => sink.arrivals.count === 3);
  assert.equal(await agent.terminate(), 0);
  assert.deepEqual(
    [...sink.arrivals.rows()].map(({ series, at }) => `${series} ${at}`),
    ['{__name__="before"} 1', '{__name__="behind"} 1', '{__name__="behind"} 2'],
  );
});

test('labels leave sorted, with the external ones, and without empty values (RW1-S-10, -11)', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, {
    external_labels: { cluster: 'c', job: 'not mine', zone: 'z' },
    remote_write: [remote(sink.url)],
  });
  const sender = new Sender(t, agent.url);
  // The sink finds fault with labels that are not sorted by bytes, and with empty ones.
  const unsorted = series({ zzz: '1', job: 'mine', '～': '2', gone: '', 𐀀: '3', __name__: 'up' }, [1, 1]);
  assert.equal((await sender.write(request(unsorted)))?.status, 204);
  await sink.waitFor('the row', () => sink.arrivals.count === 1);
  const [row] = sink.arrivals.rows();
  const expected = { __name__: 'up', cluster: 'c', job: 'mine', zone: 'z', zzz: '1', '～': '2', 𐀀: '3' };
  assert.equal(row!.series, seriesKey(Object.entries(expected).map(([name, value]) => ({ name, value }))));
});

/** RW1-R-03: an empty body; INT-06: no counts. */
function assertSilent(reply: Reply): void {
  assert.equal(reply.body, '');
  assertNoCounts(reply);
}

function assertNoCounts({ headers }: Reply): void {
  assert.deepEqual(
    Object.keys(headers).filter((name) => name.endsWith('-written')),
    [],
  );
}
