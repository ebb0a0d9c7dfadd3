import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { HttpDestination, type HttpDestinationOptions } from '../../src/network/client.ts';
import { decide } from '../../src/network/decisions.ts';
import type { Outcome } from '../../src/network/destination.ts';
import { within } from '../support/deadline.ts';
import { facts, response, settings } from './support/outcomes.ts';
import { patiently, shortMs } from './support/patiently.ts';

const body = Uint8Array.of(1, 2, 3, 250, 251, 252);
const never = new AbortController().signal;
const noContent = 'HTTP/1.1 204 No Content\r\n\r\n';

async function listen(t: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Settles when `socket` is closed, also by a reset. */
function closed(socket: Socket): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  return within(() => 'the connection is not closed', gone);
}

/** A server that answers requests; gives its address. */
function answering(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createHttpServer(listener);
  // It keeps idle connections: whoever closes them in these tests is the client.
  server.keepAliveTimeout = 0;
  return listen(t, server);
}

/** A server that writes the bytes `reply` when a request has come, and keeps the connection. */
function replying(t: TestContext, reply: (socket: Socket) => void): Promise<string> {
  return listen(
    t,
    createServer((socket) => {
      let received = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        if (!received.subarray(-body.length).equals(body)) return;
        received = Buffer.alloc(0);
        reply(socket);
      });
    }),
  );
}

function destination(
  t: TestContext,
  address: string,
  options: Partial<HttpDestinationOptions> = {},
): HttpDestination {
  const created = new HttpDestination({
    href: `http://${address}/api/v1/write`,
    headers: {},
    authorization: () => undefined,
    remoteTimeoutMs: 60_000,
    userAgent: 'spillway/0.1.0',
    ...options,
  });
  t.after(() => created.close());
  return created;
}

function isTimeout(outcome: Outcome): outcome is Outcome & { kind: 'network' } {
  return outcome.kind === 'network' && /^UND_ERR_[A-Z]+_TIMEOUT$/.test(outcome.code);
}

test('the request, byte for byte (RW1-S-01, RW1-S-02, RW2-S-08)', async (t) => {
  const received: Buffer[] = [];
  const address = await listen(
    t,
    createServer((socket) => {
      socket.on('data', (chunk) => {
        received.push(chunk);
        if (Buffer.concat(received).subarray(-body.length).equals(body)) socket.write(noContent);
      });
    }),
  );
  const writer = destination(t, address, { href: `http://${address}/a%20b/push?tenant=1&x=%2F#top` });
  // A view in the middle of a larger buffer, as the loop hands it over.
  const view = new Uint8Array([9, 9, ...body, 9]).subarray(2, 2 + body.length);
  assert.deepEqual(await writer.post(view, 0, never), response(204));
  assert.equal(
    Buffer.concat(received).toString('latin1'),
    [
      'POST /a%20b/push?tenant=1&x=%2F HTTP/1.1',
      `host: ${address}`,
      'connection: keep-alive',
      'Content-Encoding: snappy',
      'Content-Type: application/x-protobuf',
      'User-Agent: spillway/0.1.0',
      'X-Prometheus-Remote-Write-Version: 0.1.0',
      `content-length: ${body.length}`,
      '',
      Buffer.from(body).toString('latin1'),
    ].join('\r\n'),
  );
});

test('RW2-S-04 to RW2-S-07, INT-03: a 2.0 request has its type byte by byte, and its version; so has what is signed', async (t) => {
  const seen: unknown[] = [];
  const address = await answering(t, ({ rawHeaders }, res) => {
    const value = (name: string) => rawHeaders[rawHeaders.indexOf(name) + 1];
    seen.push([value('Content-Type'), value('X-Prometheus-Remote-Write-Version'), value('Content-Encoding')]);
    res.writeHead(204).end();
  });
  const signed: unknown[] = [];
  const writer = destination(t, address, {
    sign: async (_, headers) => {
      signed.push(headers);
      return [];
    },
  });
  for (const version of ['2.0', '1.0', undefined] as const)
    await writer.post(body, 0, never, version && { version });
  const two = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';
  const one = 'application/x-protobuf';
  assert.deepEqual(seen, [
    [two, '2.0.0', 'snappy'],
    [one, '0.1.0', 'snappy'],
    [one, '0.1.0', 'snappy'],
  ]);
  assert.deepEqual(signed, [
    { 'Content-Encoding': 'snappy', 'Content-Type': two },
    { 'Content-Encoding': 'snappy', 'Content-Type': one },
    { 'Content-Encoding': 'snappy', 'Content-Type': one },
  ]);
});

test('RW2-S-11: counts are read from the answer to a 2.0 request, whatever its status, and never from another', async (t) => {
  let status = 204;
  const address = await answering(t, (_, res) => {
    res.writeHead(status, {
      'X-Prometheus-Remote-Write-Samples-Written': '7',
      'x-prometheus-remote-write-histograms-written': '2',
    });
    res.end();
  });
  const writer = destination(t, address);
  const written = { samples: 7, histograms: 2, exemplars: 0 };
  for (status of [204, 200, 400, 503]) {
    assert.deepEqual(await writer.post(body, 0, never, { version: '2.0' }), { ...response(status), written });
    assert.deepEqual(await writer.post(body, 0, never, { version: '1.0' }), response(status));
  }
});

test('RW2-S-12: an answer without counts has none, also on a connection that had some before', async (t) => {
  const answers = [{ 'X-Prometheus-Remote-Write-Samples-Written': '1' }, {}];
  const address = await answering(t, (_, res) => res.writeHead(204, answers.shift()).end());
  const writer = destination(t, address);
  assert.ok('written' in (await writer.post(body, 0, never, { version: '2.0' })));
  assert.deepEqual(await writer.post(body, 0, never, { version: '2.0' }), response(204));
});

test('own headers, the attempt of a retry, and credentials that are asked for each time', async (t) => {
  const seen: unknown[] = [];
  const address = await answering(t, ({ headers }, res) => {
    seen.push([
      headers.authorization,
      headers['retry-attempt'],
      headers['x-scope-orgid'],
      headers['user-agent'],
    ]);
    res.writeHead(204).end();
  });
  const credentials = ['Bearer one', Promise.resolve('Bearer two'), undefined];
  const writer = destination(t, address, {
    headers: { 'X-Scope-OrgID': 'a', 'User-Agent': 'mine' },
    authorization: () => credentials.shift(),
  });
  for (const attempt of [0, 1, 2]) await writer.post(body, attempt, never);
  assert.deepEqual(seen, [
    ['Bearer one', undefined, 'a', 'spillway/0.1.0'],
    ['Bearer two', '1', 'a', 'spillway/0.1.0'],
    [undefined, '2', 'a', 'spillway/0.1.0'],
  ]);
});

test('a header that HTTP does not allow is refused at once', (t) => {
  assert.throws(() => destination(t, 'localhost', { headers: { 'X-A': 'b\nX-C: d' } }), {
    code: 'ERR_INVALID_CHAR',
  });
  assert.throws(() => destination(t, 'localhost', { headers: { 'X A': 'b' } }), {
    code: 'ERR_INVALID_HTTP_TOKEN',
  });
});

test('credentials that fail or cannot be sent hold the endpoint, and harm no later request', async (t) => {
  const address = await answering(t, (_, res) => res.writeHead(204).end());
  const credentials = [
    () => Promise.reject(new Error('token file is gone')),
    () => {
      throw new Error('token file is empty');
    },
    () => 'Bearer a\nb',
  ];
  const writer = destination(t, address, { authorization: () => credentials.shift()?.() });
  for (const words of [
    'token file is gone',
    'token file is empty',
    'Invalid character in header content ["Authorization"]',
  ]) {
    const outcome = await writer.post(body, 0, never);
    assert.deepEqual(outcome, { kind: 'network', code: 'NO_CREDENTIALS', words, maybeDelivered: false });
    assert.equal(decide(outcome, { attempt: 0, resent: false }, settings, 0, 0).action, 'hold');
  }
  assert.deepEqual(await writer.post(body, 0, never), response(204));
});

test('one connection carries many requests; as many are open as calls are under way', async (t) => {
  const connections = new Set<Socket>();
  let waiting: (() => void)[] = [];
  let together = 1;
  const address = await answering(t, ({ socket }, res) => {
    connections.add(socket);
    waiting.push(() => res.writeHead(204).end());
    if (waiting.length < together) return;
    for (const answer of waiting) answer();
    waiting = [];
  });
  const writer = destination(t, address);
  const round = async (calls: number) => {
    together = calls;
    const outcomes = await Promise.all(Array.from({ length: calls }, () => writer.post(body, 0, never)));
    assert.deepEqual(outcomes, Array(calls).fill(response(204)));
    return connections.size;
  };
  assert.deepEqual(
    [await round(1), await round(1), await round(3), await round(3), await round(1)],
    [1, 1, 3, 3, 3],
  );
});

test('one signal serves all loops, without a warning and without a trace', async (t) => {
  const warnings: Error[] = [];
  const collect = (warning: Error) => warnings.push(warning);
  process.on('warning', collect);
  t.after(() => process.off('warning', collect));
  const address = await answering(t, (_, res) => res.writeHead(204).end());
  const writer = destination(t, address);
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) {
    await Promise.all(Array.from({ length: 50 }, () => writer.post(body, 0, signal)));
  }
  assert.deepEqual(warnings, []);
  const listeners = getEventListeners(signal, 'abort').length;
  assert.ok(listeners <= 50, `${listeners}: one for each connection, however many calls`);
  await writer.post(body, 0, new AbortController().signal);
  assert.equal(
    getEventListeners(signal, 'abort').length,
    listeners - 1,
    'a connection hears of its last call',
  );
  await writer.close();
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('the body of a success is ignored (RW1-S-06, RW2-S-09)', async (t) => {
  const connections = new Set<Socket>();
  const address = await answering(t, ({ socket }, res) => {
    connections.add(socket);
    res.writeHead(200, { 'Retry-After': '9' }).end('{"status":"success"}');
  });
  const writer = destination(t, address);
  assert.deepEqual(await writer.post(body, 0, never), response(200));
  assert.deepEqual(await writer.post(body, 0, never), response(200));
  assert.equal(connections.size, 1);
});

test('of a refusal 1024 bytes are kept, the rest is read past (RW1-S-14, RW2-S-10)', async (t) => {
  const connections = new Set<Socket>();
  const address = await answering(t, ({ socket }, res) => {
    connections.add(socket);
    res.writeHead(400);
    // In pieces, and with a character of two bytes across the limit.
    res.write('out of order sample ');
    res.write('x'.repeat(1003));
    res.end('ä'.repeat(20_000));
  });
  const writer = destination(t, address);
  for (let i = 0; i < 3; i++) {
    const outcome = await writer.post(body, 0, never);
    assert.deepEqual(outcome, response(400, `out of order sample ${'x'.repeat(1003)}`));
  }
  assert.equal(connections.size, 1);
});

test('words and Retry-After of one answer do not show up in the next', async (t) => {
  const replies: [status: number, retryAfter: string | undefined, words: string][] = [
    [503, '7', 'full'],
    [204, undefined, ''],
    [503, '8', 'full again'],
    [400, undefined, 'bad'],
    [500, undefined, ''],
  ];
  let next = 0;
  const address = await answering(t, (_, res) => {
    const [status, retryAfter, words] = replies[next++]!;
    res.writeHead(status, retryAfter === undefined ? {} : { 'retry-AFTER': retryAfter }).end(words);
  });
  const writer = destination(t, address);
  for (const [status, retryAfter, words] of replies) {
    assert.deepEqual(await writer.post(body, 0, never), response(status, words, retryAfter));
  }
});

const notFollowed = 'which is not followed, whatever `follow_redirects` says: give the right place as `url`';

test('a redirect is an answer, not followed (RLY-10)', async (t) => {
  const asked: (string | undefined)[] = [];
  const address = await answering(t, ({ url }, res) => {
    asked.push(url);
    res.writeHead(307, { Location: '/elsewhere?token=s3cret' }).end('there');
  });
  assert.deepEqual(
    await destination(t, address).post(body, 0, never),
    response(307, `redirects to http://${address}/elsewhere, ${notFollowed}: there`),
  );
  assert.deepEqual(asked, ['/api/v1/write']);
});

test('a redirect to another host gets nothing there, credentials least of all (RLY-10)', async (t) => {
  let connections = 0;
  const elsewhere = createServer(() => {
    connections++;
  });
  const other = await listen(t, elsewhere);
  for (const status of [301, 302, 303, 307, 308]) {
    const asked: (string | undefined)[] = [];
    const address = await answering(t, ({ headers }, res) => {
      asked.push(headers.authorization);
      res.writeHead(status, { Location: `http://${other}/api/v1/write` }).end('there');
    });
    const writer = destination(t, address, { authorization: () => 'Bearer s3cret' });
    const expected = response(status, `redirects to http://${other}/api/v1/write, ${notFollowed}: there`);
    for (const attempt of [0, 1]) assert.deepEqual(await writer.post(body, attempt, never), expected);
    assert.deepEqual(asked, ['Bearer s3cret', 'Bearer s3cret']);
  }
  assert.equal(connections, 0);
});

test('an interim answer is passed over', async (t) => {
  const address = await replying(t, (socket) => {
    socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${noContent}`);
  });
  assert.deepEqual(await destination(t, address).post(body, 0, never), response(204));
});

test('a connection that the peer closes after an answer is replaced', async (t) => {
  const connections: Socket[] = [];
  const address = await answering(t, ({ socket }, res) => {
    connections.push(socket);
    res.writeHead(204).end();
  });
  const writer = destination(t, address);
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  const [first] = connections;
  first!.end();
  await closed(first!);
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  assert.equal(connections.length, 2);
});

test('an answer that nobody has asked for is not the answer to the next request', async (t) => {
  const replies = [noContent, 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'];
  const connections: Socket[] = [];
  const address = await replying(t, (socket) => {
    connections.push(socket);
    socket.write(replies.shift()!);
  });
  const writer = destination(t, address);
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  const [first] = connections;
  first!.write(noContent);
  await closed(first!);
  assert.deepEqual(await writer.post(body, 0, never), response(503));
});

test('a connection is not used again for as long as its receiver keeps it, to the end', async (t) => {
  const connections = new Set<Socket>();
  const address = await answering(t, ({ socket }, res) => {
    connections.add(socket);
    res.writeHead(204, { 'Keep-Alive': 'timeout=2' }).end();
  });
  const writer = destination(t, address);
  for (let i = 0; i < 3; i++) assert.deepEqual(await writer.post(body, 0, never), response(204));
  assert.equal(connections.size, 3);
});

const broken: [name: string, reply: (socket: Socket) => void, code: string][] = [
  ['a reset before an answer', (socket) => socket.resetAndDestroy(), 'ECONNRESET'],
  ['an end before an answer', (socket) => socket.end(), 'UND_ERR_SOCKET'],
  [
    'an end in the body of a success',
    (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'),
    'UND_ERR_SOCKET',
  ],
  [
    'another protocol',
    (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    'UND_ERR_SOCKET',
  ],
  ['an answer that is not HTTP', (socket) => socket.write('SSH-2.0-x\r\n'), 'HPE_INVALID_CONSTANT'],
];

for (const [name, reply, code] of broken) {
  test(`${name} leaves the outcome unknown (RLY-08)`, async (t) => {
    const replies = [reply, (socket: Socket) => socket.write(noContent)];
    const address = await replying(t, (socket) => replies.shift()?.(socket));
    const writer = destination(t, address);
    assert.deepEqual(facts(await writer.post(body, 0, never)), { code, maybeDelivered: true });
    assert.deepEqual(await writer.post(body, 1, never), response(204));
  });
}

test('a peer that does not answer: a timeout, and the connection is closed', async (t) => {
  let hung: (gone: Promise<void>) => void = () => {};
  const gone = new Promise<void>((resolve) => {
    hung = resolve;
  });
  const address = await answering(t, ({ headers, socket }, res) => {
    if (headers['retry-attempt'] === '1') hung(closed(socket));
    else res.writeHead(204).end();
  });
  await patiently(async (remoteTimeoutMs) => {
    const writer = destination(t, address, { remoteTimeoutMs });
    const outcomes = [];
    for (const attempt of [0, 1, 2]) outcomes.push(await writer.post(body, attempt, never));
    const [before, during, after] = outcomes;
    if (isTimeout(before!) || isTimeout(after!)) return false;
    const words = `no answer within ${remoteTimeoutMs} ms`;
    const timeout = { kind: 'network', code: 'UND_ERR_HEADERS_TIMEOUT', words, maybeDelivered: true };
    assert.deepEqual([before, during, after], [response(204), timeout, response(204)]);
    return true;
  });
  await gone;
});

for (const status of [200, 500]) {
  test(`a ${status} whose body drips: a timeout for the whole, however often a byte comes`, async (t) => {
    const address = await replying(t, (socket) => {
      socket.write(`HTTP/1.1 ${status} X\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const drip = setInterval(() => socket.write('1\r\nx\r\n'), shortMs / 10);
      socket.on('close', () => clearInterval(drip));
    });
    await patiently(async (remoteTimeoutMs) => {
      const outcome = await destination(t, address, { remoteTimeoutMs }).post(body, 0, never);
      if (isTimeout(outcome) && outcome.code !== 'UND_ERR_BODY_TIMEOUT') return false;
      assert.deepEqual(facts(outcome), { code: 'UND_ERR_BODY_TIMEOUT', maybeDelivered: true });
      return true;
    });
  });

  test(`a ${status} whose body does not end: the answer, and the connection is closed`, async (t) => {
    let gone: Promise<void> | undefined;
    const address = await replying(t, (socket) => {
      gone = closed(socket);
      socket.write(`HTTP/1.1 ${status} X\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const pour = () => {
        while (socket.write(`4000\r\n${'y'.repeat(0x4000)}\r\n`));
      };
      socket.on('drain', pour);
      pour();
    });
    const outcome = await destination(t, address).post(body, 0, never);
    assert.deepEqual(outcome, response(status, status === 200 ? '' : 'y'.repeat(1024)));
    await gone;
  });
}

test('nobody listens any more: the rows were not delivered', async (t) => {
  const server = createHttpServer((_, res) => res.writeHead(204, { Connection: 'close' }).end());
  const address = await listen(t, server);
  const writer = destination(t, address);
  assert.deepEqual(await writer.post(body, 0, never), response(204));
  server.close();
  await once(server, 'close');
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(facts(await writer.post(body, 0, never)), {
      code: 'ECONNREFUSED',
      maybeDelivered: false,
    });
  }
  const { port } = new URL(`http://${address}`);
  const byName = await destination(t, `localhost:${port}`).post(body, 0, never);
  assert.deepEqual(facts(byName), { code: 'ECONNREFUSED', maybeDelivered: false });
});

test('a name that does not resolve: the rows were not delivered', async (t) => {
  const outcome = await destination(t, 'no-such-host.invalid').post(body, 0, never);
  assert.ok(outcome.kind === 'network');
  assert.match(outcome.code, /^(?:ENOTFOUND|EAI_AGAIN)$/);
  assert.equal(outcome.maybeDelivered, false);
});

test('no TLS at the other end: the rows were not delivered', async (t) => {
  const address = await listen(
    t,
    createServer((socket) => socket.end('220 mail\r\n')),
  );
  const outcome = await destination(t, address, { href: `https://${address}/` }).post(body, 0, never);
  assert.deepEqual(facts(outcome), { code: 'ERR_SSL_WRONG_VERSION_NUMBER', maybeDelivered: false });
});

/** A server that takes connections and never says a word in the handshake; `connected` gives its end of one. */
async function mute(t: TestContext): Promise<{ href: string; connected: Promise<Socket> }> {
  const server = createServer();
  const connected = once(server, 'connection').then(([socket]: Socket[]) => socket!.resume());
  return { href: `https://${await listen(t, server)}/`, connected };
}

test('a connection that does not come to stand: a timeout, and it is closed', async (t) => {
  const { href, connected } = await mute(t);
  const outcome = destination(t, '', { href, remoteTimeoutMs: shortMs }).post(body, 0, never);
  await closed(await connected);
  assert.deepEqual(facts(await outcome), { code: 'UND_ERR_CONNECT_TIMEOUT', maybeDelivered: false });
});

test('an abort while connecting ends the call and the connection', async (t) => {
  const { href, connected } = await mute(t);
  const abort = new AbortController();
  const outcome = destination(t, '', { href }).post(body, 0, abort.signal);
  const socket = await connected;
  abort.abort();
  assert.deepEqual(await outcome, { kind: 'aborted', maybeDelivered: false });
  await closed(socket);
});

test('an abort under way ends the call and the connection', async (t) => {
  const abort = new AbortController();
  let gone: Promise<void> | undefined;
  const address = await replying(t, (socket) => {
    gone = closed(socket);
    abort.abort();
  });
  const outcome = await destination(t, address).post(body, 0, abort.signal);
  assert.deepEqual(outcome, { kind: 'aborted', maybeDelivered: true });
  await gone;
});

test('after an abort nothing is sent', async (t) => {
  let requests = 0;
  const address = await answering(t, (_, res) => {
    requests += 1;
    res.end();
  });
  const writer = destination(t, address);
  assert.deepEqual(await writer.post(body, 0, AbortSignal.abort()), {
    kind: 'aborted',
    maybeDelivered: false,
  });
  assert.deepEqual(await writer.post(body, 0, never), response(200));
  assert.equal(requests, 1);
});

test('after its answer a call sends nothing of its body, which the caller fills anew', async (t) => {
  const accepted: Socket[] = [];
  const received: Buffer[] = [];
  const address = await listen(
    t,
    // It refuses a request as soon as it sees it, and reads what is left later.
    createServer((socket) => {
      accepted.push(socket);
      socket.once('data', (chunk) => {
        received.push(chunk);
        socket.pause().write('HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy');
      });
    }),
  );
  const large = new Uint8Array(32 << 20);
  const outcome = await destination(t, address).post(large, 0, never);
  large.fill(0xff);
  assert.deepEqual(outcome, response(503, 'busy'));
  const [socket] = accepted;
  const gone = closed(socket!);
  socket!.on('data', (chunk) => received.push(chunk)).resume();
  await gone;
  const all = Buffer.concat(received);
  assert.ok(all.length < large.length);
  assert.equal(all.includes(0xff), false);
});

test('close waits for the calls under way, and can be called twice', async (t) => {
  const answers: (() => void)[] = [];
  const connections = new Set<Socket>();
  let bothArrived: () => void;
  const underWay = new Promise<void>((resolve) => {
    bothArrived = resolve;
  });
  const address = await answering(t, ({ socket }, res) => {
    connections.add(socket);
    answers.push(() => res.writeHead(204).end());
    if (answers.length === 2) bothArrived();
  });
  const writer = destination(t, address);
  const order: string[] = [];
  const calls = [0, 1].map(async () => {
    assert.deepEqual(await writer.post(body, 0, never), response(204));
    order.push('answered');
    answers.pop()?.();
  });
  await underWay;
  const gone = Promise.all([...connections].map(closed));
  const closes = [0, 1].map(async () => {
    await writer.close();
    order.push('closed');
  });
  assert.deepEqual(await writer.post(body, 0, never), { kind: 'aborted', maybeDelivered: false });
  answers.pop()?.();
  await Promise.all([...calls, ...closes]);
  assert.deepEqual(order, ['answered', 'answered', 'closed', 'closed']);
  await gone;
});
