import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { constants, type OutgoingHttpHeaders } from 'node:http2';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { parseConfig } from '../../src/config/load.ts';
import { createDestination } from '../../src/network/create-destination.ts';
import { decide } from '../../src/network/decisions.ts';
import type { Destination, Outcome } from '../../src/network/destination.ts';
import { dialDirectly } from '../../src/network/dial.ts';
import { Http2Session } from '../../src/network/http2.ts';
import { Http2Sessions } from '../../src/network/negotiated.ts';
import { atEnd } from '../support/cleanup.ts';
import { within } from '../support/deadline.ts';
import { answer, bodyOf, closed, type Http2Request, Http2Server } from '../support/http2.ts';
import { type FramePeer, startFrameServer } from '../support/http2-frames.ts';
import { tlsFile } from '../support/https.ts';
import { listenAnywhere } from '../support/ports.ts';
import { Progress } from '../support/progress.ts';
import { TestProxy } from '../support/proxy.ts';
import { SocksProxy } from '../support/socks.ts';
import { tempDir } from '../support/temp.ts';
import { facts, response, settings } from './support/outcomes.ts';
import { patiently, shortMs } from './support/patiently.ts';

const never = new AbortController().signal;
const body = Uint8Array.of(1, 2, 3, 250, 251, 252);
const ca_file = tlsFile('ca.crt');

function destination(t: TestContext, url: string, more: object = {}): Destination {
  const remote_write = [{ url, enable_http2: true, tls_config: { ca_file }, ...more }];
  const config = parseConfig(JSON.stringify({ remote_write }), { file: 'test', baseDir: '/' });
  const created = createDestination(config.remoteWrite[0]!, 'spillway/9.9');
  atEnd(t, () => created.close());
  return created;
}

/** Holds requests until `count` of them are there; resolves with them. */
function gathered(server: Http2Server, count: number): Promise<Http2Request[]> {
  const held: Http2Request[] = [];
  const all = new Promise<Http2Request[]>((resolve) => {
    server.onRequest = (request) => {
      held.push(request);
      if (held.length === count) resolve(held);
    };
  });
  return within(() => `${held.length} of ${count} requests have come`, all);
}

/** The connections of a server, as they come. */
class Connected {
  readonly peers: FramePeer[] = [];
  readonly #progress = new Progress();

  /** Returns how many there are now. */
  add(peer: FramePeer): number {
    const count = this.peers.push(peer);
    this.#progress.made();
    return count;
  }

  /** Number `index`, as soon as it is there. */
  async nth(index: number): Promise<FramePeer> {
    await this.#progress.until(
      () => `connection ${index}: there were ${this.peers.length}`,
      () => this.peers.length > index,
    );
    return this.peers[index]!;
  }
}

function posts(writer: Destination, count: number): Promise<Outcome>[] {
  return Array.from({ length: count }, () => writer.post(body, 0, never));
}

test('a server that agrees is sent HTTP/2: all that is said by HTTP/1.1, on one connection', async (t) => {
  const server = await Http2Server.start(t, { allowHTTP1: true });
  const bodies: Buffer[] = [];
  server.onRequest = async (request) => {
    bodies.push(await bodyOf(request.stream));
    request.stream.respond({ ':status': 204 }, { endStream: true });
  };
  const writer = destination(t, server.url, {
    headers: { 'X-Scope-OrgID': 'a' },
    http_headers: { 'X-Many': { values: ['one', 'two'] } },
    basic_auth: { username: 'me', password: 's3cret' },
  });
  for (const attempt of [0, 1, 0]) assert.deepEqual(await writer.post(body, attempt, never), response(204));
  assert.deepEqual(
    server.requests.map(({ session, headers }) => [session, headers['retry-attempt']]),
    [
      [0, undefined],
      [0, '1'],
      [0, undefined],
    ],
  );
  assert.deepEqual(bodies, Array(3).fill(Buffer.from(body)));
  assert.deepEqual(Object.fromEntries(Object.entries(server.requests[0]!.headers)), {
    ':method': 'POST',
    ':scheme': 'https',
    ':authority': `127.0.0.1:${server.port}`,
    ':path': '/push?a=b',
    'content-length': '6',
    'content-encoding': 'snappy',
    'content-type': 'application/x-protobuf',
    'user-agent': 'spillway/9.9',
    'x-prometheus-remote-write-version': '0.1.0',
    'x-scope-orgid': 'a',
    'x-many': 'one, two',
    authorization: 'Basic bWU6czNjcmV0',
  });
});

test('HTTP/1.1 is spoken to a server that knows nothing else, on as many connections as there are calls', async (t) => {
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let together = 3;
  const server = createServer(
    { cert: readFileSync(tlsFile('server.crt')), key: readFileSync(tlsFile('server.key')) },
    (request, res) => {
      assert.equal(request.httpVersion, '1.1');
      sockets.add(request.socket);
      request.resume();
      held.push(() => res.writeHead(204).end());
      if (held.length < together) return;
      for (const go of held.splice(0)) go();
    },
  );
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  const writer = destination(t, `https://127.0.0.1:${port}/`);
  for (together of [3, 1, 3, 2]) {
    assert.deepEqual(await Promise.all(posts(writer, together)), Array(together).fill(response(204)));
  }
  assert.equal(sockets.size, 3);
  const gone = [...sockets].map((socket) => once(socket, 'close'));
  await writer.close();
  await Promise.all(gone);
});

test('without the setting HTTP/1.1 is spoken; a server that wants HTTP/2 alone is a hold that names the setting', async (t) => {
  const versions: string[] = [];
  const either = await Http2Server.start(t, { allowHTTP1: true }, (request, res) => {
    versions.push(request.httpVersion);
    request.resume();
    res.writeHead(204).end();
  });
  const off = { enable_http2: false };
  assert.deepEqual(await destination(t, either.url, off).post(body, 0, never), response(204));
  assert.deepEqual([versions, either.sessions.length], [['1.1'], 0]);
  const alone = await Http2Server.start(t);
  const outcome = await destination(t, alone.url, off).post(body, 0, never);
  const code = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';
  assert.deepEqual(facts(outcome), { code, maybeDelivered: false });
  assert.ok(outcome.kind === 'network' && /`enable_http2: true`/.test(outcome.words));
  assert.equal(decide(outcome, { attempt: 0, resent: false }, settings, 0, 0).action, 'hold');
});

test('calls at once share one connection, and so do those that wait for it', async (t) => {
  const server = await Http2Server.start(t);
  const writer = destination(t, server.url);
  for (const calls of [20, 5, 20]) {
    const all = gathered(server, calls);
    const outcomes = posts(writer, calls);
    for (const request of (await all).reverse()) await answer(request);
    assert.deepEqual(await Promise.all(outcomes), Array(calls).fill(response(204)));
  }
  assert.equal(server.sessions.length, 1);
});

test('more calls than the server takes on a connection have another one', async (t) => {
  const server = await Http2Server.start(t, { settings: { maxConcurrentStreams: 3 } });
  const writer = destination(t, server.url);
  for (let i = 0; i < 2; i++) {
    const all = gathered(server, 8);
    const outcomes = posts(writer, 8);
    for (const request of await all) await answer(request);
    assert.deepEqual(await Promise.all(outcomes), Array(8).fill(response(204)));
  }
  assert.deepEqual(
    [0, 1, 2].map((index) => server.requests.slice(0, 8).filter(({ session }) => session === index).length),
    [3, 3, 2],
  );
  assert.equal(server.sessions.length, 3);
});

test('a timeout ends one request: the others of its connection go on, which takes no more and then closes', async (t) => {
  const server = await Http2Server.start(t);
  const patient = destination(t, server.url);
  await patiently(async (timeoutMs) => {
    server.sessions.length = 0;
    server.requests.length = 0;
    const writer = destination(t, server.url, { remote_timeout: `${timeoutMs}ms` });
    // The longer ones have come before the one that waits in vain, and are answered after it.
    let late: Http2Request | undefined;
    server.onRequest = (request) => {
      if (request.headers['retry-attempt'] === '1') late = request;
      else void answer(request);
    };
    const before = await writer.post(body, 0, never);
    const outcome = await writer.post(body, 1, never);
    if (before.kind !== 'response' || late === undefined) return false;
    const words = `no answer within ${timeoutMs} ms`;
    assert.deepEqual(outcome, {
      kind: 'network',
      code: 'UND_ERR_HEADERS_TIMEOUT',
      words,
      maybeDelivered: true,
    });
    const { stream, session } = late;
    await closed(stream);
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
    await closed(server.sessions[session]!);
    server.onRequest = answer;
    const after = await writer.post(body, 2, never);
    if (after.kind !== 'response') return false;
    assert.notEqual(server.requests.at(-1)!.session, session);
    return true;
  });
  // The same, with an abort in place of the timeout, so that the others surely are under way.
  const all = gathered(server, 3);
  const abort = new AbortController();
  const cut = patient.post(body, 0, abort.signal);
  const others = posts(patient, 2);
  const requests = await all;
  const session = server.sessions[requests[0]!.session]!;
  abort.abort();
  assert.deepEqual(await cut, { kind: 'aborted', maybeDelivered: true });
  const ended = await Promise.race(requests.map((request) => closed(request.stream).then(() => request)));
  assert.equal(ended.stream.rstCode, constants.NGHTTP2_CANCEL);
  server.onRequest = answer;
  assert.deepEqual(await patient.post(body, 0, never), response(204));
  assert.notEqual(server.requests.at(-1)!.session, ended.session);
  assert.equal(session.destroyed, false);
  for (const request of requests) if (request !== ended) await answer(request);
  assert.deepEqual(await Promise.all(others), [response(204), response(204)]);
  await closed(session);
});

const {
  NGHTTP2_CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_HTTP_1_1_REQUIRED,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_NO_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = constants;

const broken: [
  name: string,
  reply: (peer: FramePeer, stream: number) => void,
  code: string,
  maybeDelivered: boolean,
][] = [
  [
    'a stream that is refused',
    (peer, stream) => peer.resetStream(stream, NGHTTP2_REFUSED_STREAM),
    'HTTP2_REFUSED_STREAM',
    false,
  ],
  [
    'a stream that is cancelled',
    (peer, stream) => peer.resetStream(stream, NGHTTP2_CANCEL),
    'HTTP2_CANCEL',
    true,
  ],
  [
    'a stream that breaks',
    (peer, stream) => peer.resetStream(stream, NGHTTP2_INTERNAL_ERROR),
    'HTTP2_INTERNAL_ERROR',
    true,
  ],
  [
    'a stream that ends without an answer',
    (peer, stream) => peer.resetStream(stream, NGHTTP2_NO_ERROR),
    'HTTP2_NO_ERROR',
    true,
  ],
  [
    'HTTP/1.1 that is wanted after all',
    (peer, stream) => peer.resetStream(stream, NGHTTP2_HTTP_1_1_REQUIRED),
    'HTTP2_HTTP_1_1_REQUIRED',
    true,
  ],
  ['an error that nobody knows', (peer, stream) => peer.resetStream(stream, 99), 'HTTP2_UNKNOWN_ERROR', true],
  [
    'a stream that breaks in the body of a success',
    (peer, stream) => peer.head(stream, 200).data(stream, 'cut').resetStream(stream, NGHTTP2_INTERNAL_ERROR),
    'HTTP2_INTERNAL_ERROR',
    true,
  ],
  [
    'a stream that is cancelled in the body of a success',
    (peer, stream) => peer.head(stream, 200).data(stream, 'cut').resetStream(stream, NGHTTP2_CANCEL),
    'HTTP2_CANCEL',
    true,
  ],
  [
    'a stream that is refused in the body of a success',
    (peer, stream) => peer.head(stream, 200).data(stream, 'cut').resetStream(stream, NGHTTP2_REFUSED_STREAM),
    'UND_ERR_SOCKET',
    true,
  ],
  ['a reset of the connection', (peer) => peer.reset(), 'ECONNRESET', true],
  ['an end of the connection', (peer) => peer.end(), 'UND_ERR_SOCKET', true],
  [
    'an end of the connection in the body of a success',
    (peer, stream) => peer.head(stream, 200).data(stream, 'cut').end(),
    'UND_ERR_SOCKET',
    true,
  ],
  [
    'a connection that is given up, with the request looked at',
    (peer, stream) => peer.goaway(stream, NGHTTP2_ENHANCE_YOUR_CALM),
    'HTTP2_ENHANCE_YOUR_CALM',
    true,
  ],
  [
    'a connection that is given up by an error of that name is no refused stream',
    (peer, stream) => peer.goaway(stream, NGHTTP2_REFUSED_STREAM),
    'HTTP2_REFUSED_STREAM',
    true,
  ],
];

for (const [name, reply, code, maybeDelivered] of broken) {
  const outcome = maybeDelivered ? 'unknown' : 'known: nothing was delivered';
  test(`over HTTP/2, ${name} leaves the outcome ${outcome} (RLY-08)`, async (t) => {
    const url = await startFrameServer(t, {
      onRequest: (peer, stream, request) =>
        request === 0 ? reply(peer, stream) : peer.head(stream, 204, true),
    });
    const writer = destination(t, url);
    const outcome = await writer.post(body, 0, never);
    assert.deepEqual(facts(outcome), { code, maybeDelivered });
    assert.ok(outcome.kind === 'network');
    assert.equal(decide(outcome, { attempt: 0, resent: false }, settings, 0, 0).action, 'retry');
    assert.deepEqual(await writer.post(body, 1, never), response(204));
  });
}

const unbegun: [name: string, onConnect: (peer: FramePeer) => void, code: RegExp][] = [
  ['says nothing more', () => {}, /^UND_ERR_CONNECT_TIMEOUT$/],
  ['hangs up', (peer) => peer.end(), /^UND_ERR_SOCKET$/],
  ['resets the connection', (peer) => peer.reset(), /^(?:ECONNRESET|EPIPE|UND_ERR_SOCKET)$/],
  ['speaks something else', (peer) => peer.write('220 mail\r\n'.repeat(10)), /^ERR_HTTP2_ERROR$/],
  ['takes no request', (peer) => peer.settings(0), /^UND_ERR_SOCKET$/],
  // Whether it has gone before or after the request has begun is chance.
  ['goes away at once', (peer) => peer.settings().goaway(0), /^(?:HTTP2_GOAWAY|UND_ERR_SOCKET)$/],
];

for (const [name, onConnect, code] of unbegun) {
  test(`a server that agrees on HTTP/2 and ${name}: nothing was delivered`, async (t) => {
    const url = await startFrameServer(t, { onConnect });
    const timed = code.test('UND_ERR_CONNECT_TIMEOUT') ? { remote_timeout: `${shortMs}ms` } : {};
    const writer = destination(t, url, timed);
    for (const outcome of await Promise.all(posts(writer, 3))) {
      assert.ok(outcome.kind === 'network' && !outcome.maybeDelivered);
      assert.match(outcome.code, code);
    }
  });
}

test('a call does not wait for a connection that another one has given up', async (t) => {
  const connected = new Connected();
  const url = await startFrameServer(t, {
    // The first one says nothing more.
    onConnect: (peer) => {
      if (connected.add(peer) > 1) peer.settings();
    },
    onRequest: (peer, stream) => peer.head(stream, 204, true),
  });
  const writer = destination(t, url);
  const [first, patient] = [new AbortController(), new AbortController()];
  const cut = writer.post(body, 0, first.signal);
  const waiting = writer.post(body, 0, patient.signal);
  await connected.nth(0);
  first.abort();
  assert.deepEqual(await cut, { kind: 'aborted', maybeDelivered: false });
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  patient.abort();
  assert.deepEqual(await waiting, { kind: 'aborted', maybeDelivered: false });
});

test('a call that gives up while it connects anew leaves nothing behind that sends later', async (t) => {
  const connected = new Connected();
  let requests = 0;
  const url = await startFrameServer(t, {
    // The second one says nothing until it is too late.
    onConnect: (peer) => {
      if (connected.add(peer) !== 2) peer.settings();
    },
    onRequest: (peer, stream) => {
      requests++;
      peer.head(stream, 204, true);
    },
  });
  const writer = destination(t, url);
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  const before = await connected.nth(0);
  before.reset();
  await before.closed();
  const abort = new AbortController();
  const cut = writer.post(body, 0, abort.signal);
  const second = await connected.nth(1);
  abort.abort();
  assert.deepEqual(await cut, { kind: 'aborted', maybeDelivered: false });
  await second.closed();
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  assert.deepEqual([connected.peers.length, requests], [3, 2]);
});

test('a server that turns its connection over: what it has not looked at goes by the next one, at once', async (t) => {
  const seen: [connection: number, request: number][] = [];
  const url = await startFrameServer(t, {
    onRequest: (peer, stream, request, connection) => {
      seen.push([connection, request]);
      // The first request is under way when the second one comes, which it does not look at.
      if (request === 1) peer.goaway(1).head(1, 204, true);
      if (request > 1) peer.head(stream, 204, true);
    },
  });
  const writer = destination(t, url);
  assert.deepEqual(await Promise.all(posts(writer, 2)), [response(204), response(204)]);
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  assert.deepEqual(seen, [
    [0, 0],
    [0, 1],
    [1, 2],
    [1, 3],
  ]);
});

test('a server that looks at nothing: nothing was delivered, and it is not asked without an end', async (t) => {
  let requests = 0;
  const url = await startFrameServer(t, {
    onRequest: (peer) => {
      requests += 1;
      peer.goaway(0);
    },
  });
  const outcome = await destination(t, url).post(body, 0, never);
  assert.deepEqual(facts(outcome), { code: 'HTTP2_GOAWAY', maybeDelivered: false });
  assert.equal(requests, 2);
  const given = await startFrameServer(t, {
    onRequest: (peer) => peer.goaway(0, NGHTTP2_INTERNAL_ERROR),
  });
  const also = await destination(t, given).post(body, 0, never);
  assert.deepEqual(facts(also), { code: 'HTTP2_GOAWAY', maybeDelivered: false });
});

test('a connection that dies under several requests: the outcome of each is unknown, and all go by the next one', async (t) => {
  const server = await Http2Server.start(t);
  const writer = destination(t, server.url);
  const all = gathered(server, 5);
  const outcomes = posts(writer, 5);
  await all;
  server.cut();
  for (const outcome of await Promise.all(outcomes)) {
    assert.ok(outcome.kind === 'network' && outcome.maybeDelivered);
    assert.match(outcome.code, /^(?:UND_ERR_SOCKET|ECONNRESET)$/);
  }
  server.onRequest = answer;
  assert.deepEqual(await Promise.all(posts(writer, 5)), Array(5).fill(response(204)));
  assert.deepEqual(
    server.requests.map(({ session }) => session),
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
  );
});

for (const status of [200, 500] as const) {
  test(`a ${status} whose body drips: a timeout for the whole, and the connection goes on`, async (t) => {
    await patiently(async (timeoutMs) => {
      const drips: NodeJS.Timeout[] = [];
      const connections: number[] = [];
      const url = await startFrameServer(t, {
        onRequest: (peer, stream, request, connection) => {
          connections.push(connection);
          if (request > 0) peer.head(stream, 204, true);
          else {
            peer.head(stream, status);
            drips.push(setInterval(() => peer.data(stream, 'x'), shortMs / 10).unref());
          }
        },
      });
      const writer = destination(t, url, { remote_timeout: `${timeoutMs}ms` });
      const outcome = await writer.post(body, 0, never);
      const after = await writer.post(body, 0, never);
      for (const drip of drips) clearInterval(drip);
      if (outcome.kind !== 'network' || outcome.code !== 'UND_ERR_BODY_TIMEOUT') return false;
      if (after.kind !== 'response') return false;
      assert.equal(outcome.maybeDelivered, true);
      assert.deepEqual(connections, [0, 0]);
      return true;
    });
  });

  test(`a ${status} whose body does not end: the answer, and the connection goes on`, async (t) => {
    const server = await Http2Server.start(t);
    let gone: Promise<void> | undefined;
    server.onRequest = ({ stream, index }) => {
      if (index > 0) {
        stream.respond({ ':status': 204 }, { endStream: true });
        return;
      }
      gone = closed(stream);
      stream.respond({ ':status': status });
      const pour = () => {
        while (stream.write('y'.repeat(0x4000)));
      };
      stream.on('drain', pour);
      pour();
    };
    const writer = destination(t, server.url);
    assert.deepEqual(
      await writer.post(body, 0, never),
      response(status, status === 200 ? '' : 'y'.repeat(1024)),
    );
    await gone;
    assert.deepEqual(await writer.post(body, 0, never), response(204));
    assert.equal(server.sessions.length, 1);
  });
}

test('what an answer says is heard as by HTTP/1.1: words, Retry-After, what was written, and a redirect, which is not followed (RLY-10)', async (t) => {
  const server = await Http2Server.start(t);
  const answers: [headers: OutgoingHttpHeaders, words: string][] = [
    [{ ':status': 503, 'retry-after': '7' }, 'full'],
    [{ ':status': 400 }, `${'x'.repeat(1023)}\u00e4${'y'.repeat(20_000)}`],
    [{ ':status': 204, 'x-prometheus-remote-write-samples-written': '7' }, ''],
    [{ ':status': 307, location: 'https://me:s3cret@other.example/push?token=s3cret' }, 'there'],
  ];
  server.onRequest = ({ stream, index }) => {
    const [headers, words] = answers[index]!;
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    stream.respond(headers);
    stream.end(words);
  };
  const writer = destination(t, server.url);
  const post = () => writer.post(body, 0, never, { version: '2.0' });
  assert.deepEqual(await post(), response(503, 'full', '7'));
  assert.deepEqual(await post(), response(400, 'x'.repeat(1023)));
  assert.deepEqual(await post(), { ...response(204), written: { samples: 7, histograms: 0, exemplars: 0 } });
  const moved = await post();
  assert.ok(moved.kind === 'response' && moved.status === 307);
  assert.match(moved.words, /^redirects to https:\/\/other\.example\/push, /);
  assert.doesNotMatch(moved.words, /s3cret/);
  assert.equal(server.sessions.length, 1);
});

test('after its answer a call sends nothing of its body, which the caller fills anew', async (t) => {
  const came: Buffer[] = [];
  const small = new Uint8Array(10_000).fill(0x11);
  const url = await startFrameServer(t, {
    // It refuses a request as soon as it sees it, and in the same breath has room for the rest.
    onData: (peer, stream, data) => {
      if (came.push(data) === 1) peer.head(stream, 500, true).room(stream, 1 << 24);
    },
    onRequest: (peer, stream) => peer.head(stream, 204, true),
  });
  const writer = destination(t, url);
  const large = new Uint8Array(4 << 20);
  const first = writer.post(large, 0, never).finally(() => large.fill(0xff));
  assert.deepEqual(await first, response(500));
  const second = writer.post(small, 0, never).finally(() => small.fill(0xff));
  assert.deepEqual(await second, response(204));
  const all = Buffer.concat(came);
  assert.ok(all.length < large.length);
  assert.ok(!all.includes(0xff));
  assert.ok(all.subarray(-10_000).equals(new Uint8Array(10_000).fill(0x11)));
});

test('a call that is cut while all connect leaves the connection to the others; the last one closes it', async (t) => {
  const connected = new Connected();
  const url = await startFrameServer(t, {
    onConnect: (peer) => connected.add(peer),
    onRequest: (peer, stream) => peer.head(stream, 204, true),
  });
  const writer = destination(t, url);
  const [first, second] = [new AbortController(), new AbortController()];
  const calls = [first, second].map(({ signal }) => writer.post(body, 0, signal));
  const shared = await connected.nth(0);
  first.abort();
  assert.deepEqual(await calls[0], { kind: 'aborted', maybeDelivered: false });
  shared.settings();
  assert.deepEqual(await calls[1], response(204));
  assert.equal(connected.peers.length, 1);

  const other = destination(t, url);
  const abort = new AbortController();
  const lone = [0, 1].map(() => other.post(body, 0, abort.signal));
  const gone = (await connected.nth(1)).closed();
  abort.abort();
  for (const call of lone) assert.deepEqual(await call, { kind: 'aborted', maybeDelivered: false });
  await gone;
  // What comes now does not wait for what was given up.
  const next = other.post(body, 0, never);
  (await connected.nth(2)).settings();
  assert.deepEqual(await next, response(204));
});

test('close waits for the calls under way, and closes the connection', async (t) => {
  const server = await Http2Server.start(t);
  const writer = destination(t, server.url);
  const all = gathered(server, 2);
  const outcomes = posts(writer, 2);
  const requests = await all;
  let over = false;
  const closing = writer.close().then(() => {
    over = true;
  });
  assert.deepEqual(await writer.post(body, 0, never), { kind: 'aborted', maybeDelivered: false });
  assert.equal(over, false);
  for (const request of requests) await answer(request);
  assert.deepEqual(await Promise.all(outcomes), [response(204), response(204)]);
  await closing;
  await closed(server.sessions[0]!);
});

test('a connection without requests is closed when it was idle for long enough', async (t) => {
  const server = await Http2Server.start(t);
  const dial = dialDirectly();
  const target = { hostname: '127.0.0.1', protocol: 'https:', port: String(server.port), http2: true };
  const tls = {
    connect: { secureContext: createSecureContext({ ca: readFileSync(ca_file) }) },
    servername: undefined,
  };
  const sessions = new Http2Sessions(new URL(server.url).origin, shortMs, (with_, signal) =>
    dial(target, with_, signal),
  );
  atEnd(t, () => sessions.close());
  const session = await sessions.acquire(tls, never);
  assert.ok(session instanceof Http2Session);
  session.release();
  await closed(server.sessions[0]!);
  assert.equal(session.hasRoom, false);
  assert.notEqual(await sessions.acquire(tls, never), session);
});

test('renewed files of a client certificate are used by the next request, and what is under way goes on', async (t) => {
  const server = await Http2Server.start(t, {
    ca: readFileSync(ca_file),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const dir = await tempDir(t, 'http2');
  const become = async (name: string) => {
    for (const kind of ['crt', 'key']) await copyFile(tlsFile(`${name}.${kind}`), join(dir, `mine.${kind}`));
  };
  await become('client');
  const writer = destination(t, server.url, {
    tls_config: { ca_file, cert_file: join(dir, 'mine.crt'), key_file: join(dir, 'mine.key') },
  });
  const all = gathered(server, 1);
  const before = writer.post(body, 0, never);
  const [held] = await all;
  await become('renewed');
  server.onRequest = answer;
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  await answer(held!);
  assert.deepEqual(await before, response(204));
  await closed(server.sessions[0]!);
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  assert.deepEqual(
    server.requests.map(({ session }) => session),
    [0, 1, 1],
  );
  assert.deepEqual(server.clients, ['Spillway test client', 'Spillway test renewed']);
  // None at all: the server ends the connection before a request has begun.
  const outcome = await destination(t, server.url).post(body, 0, never);
  assert.deepEqual(facts(outcome), {
    code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    maybeDelivered: false,
  });
});

test('HTTP/2 by a tunnel, also to a proxy that speaks TLS, and through a SOCKS proxy', async (t) => {
  const server = await Http2Server.start(t, { certificate: 'elsewhere' });
  const routes = { 'elsewhere.example:443': server.port };
  const proxies = [
    await TestProxy.start(t, { routes }),
    await TestProxy.start(t, { routes, tls: true }),
    await SocksProxy.start(t, { routes }),
  ];
  for (const [i, proxy] of proxies.entries()) {
    const writer = destination(t, 'https://elsewhere.example/push', { proxy_url: proxy.url() });
    for (let call = 0; call < 2; call++) {
      assert.deepEqual(await Promise.all(posts(writer, 3)), Array(3).fill(response(204)));
    }
    assert.equal(proxy.asked.length, 1);
    assert.equal(server.sessions.length, i + 1);
    assert.equal(server.requests.at(-1)!.headers[':authority'], 'elsewhere.example');
  }
});
