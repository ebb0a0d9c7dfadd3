import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { createDestination } from '../../src/network/create-destination.ts';
import { decide } from '../../src/network/decisions.ts';
import type { Destination, Outcome } from '../../src/network/destination.ts';
import { atEnd } from '../support/cleanup.ts';
import { tlsFile } from '../support/https.ts';
import { listenAnywhere } from '../support/ports.ts';
import { TestProxy } from '../support/proxy.ts';
import { SocksProxy } from '../support/socks.ts';

const never = new AbortController().signal;
const body = Uint8Array.of(1, 2, 3);
const ca_file = tlsFile('ca.crt');

interface Receiver {
  readonly port: number;
  readonly seen: {
    readonly host: string;
    readonly url: string;
    readonly headers: object;
    readonly body: Buffer;
  }[];
}

async function receive(t: TestContext, certificate?: string): Promise<Receiver> {
  const server: Server =
    certificate === undefined
      ? createServer()
      : createTlsServer({
          cert: readFileSync(tlsFile(`${certificate}.crt`)),
          key: readFileSync(tlsFile(`${certificate}.key`)),
        });
  const seen: Receiver['seen'] = [];
  server.on('request', async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { host = '', ...headers } = request.headers;
    seen.push({ host, url: request.url!, headers, body: Buffer.concat(parts) });
    response.writeHead(204).end();
  });
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return { port, seen };
}

function destination(t: TestContext, url: string, more: object): Destination {
  const config = parseConfig(JSON.stringify({ remote_write: [{ url, ...more }] }), {
    file: 'test',
    baseDir: '/',
  });
  const created = createDestination(config.remoteWrite[0]!, 'spillway/9.9');
  atEnd(t, () => created.close());
  return created;
}

function outcome(result: Outcome): number | string {
  return result.kind === 'response' ? result.status : result.kind === 'network' ? result.code : result.kind;
}

test('a tunnel to an https URL: the proxy sees the name, and nothing of the request', async (t) => {
  const server = await receive(t, 'elsewhere');
  const proxy = await TestProxy.start(t, {
    credentials: 'me:s3cret',
    routes: { 'elsewhere.example:443': server.port },
  });
  const writer = destination(t, 'https://elsewhere.example/push?a=b', {
    tls_config: { ca_file },
    proxy_url: proxy.url('me:s3cret'),
    proxy_connect_header: { 'X-Team': ['one', 'two'], 'X-Other': ['three'] },
    basic_auth: { username: 'writer', password: 'pass' },
  });
  for (let i = 0; i < 3; i++) assert.equal(outcome(await writer.post(body, 0, never)), 204);
  assert.deepEqual(
    server.seen.map(({ host, url, body }) => [host, url, [...body]]),
    Array(3).fill(['elsewhere.example', '/push?a=b', [1, 2, 3]]),
  );
  // The connection is used again, so one tunnel was enough.
  assert.equal(proxy.asked.length, 1);
  const { method, target, headers } = proxy.asked[0]!;
  assert.deepEqual([method, target], ['CONNECT', 'elsewhere.example:443']);
  assert.equal(headers['x-team'], 'one, two');
  assert.equal(headers['x-other'], 'three');
  assert.equal(headers.authorization, undefined);
  assert.equal((server.seen[0]!.headers as Record<string, unknown>)['x-team'], undefined);
  assert.equal((server.seen[0]!.headers as Record<string, unknown>)['proxy-authorization'], undefined);
});

test('an http URL goes to the proxy as a whole', async (t) => {
  const server = await receive(t);
  const proxy = await TestProxy.start(t, {
    credentials: 'me:s3cret',
    routes: { 'mimir.example:80': server.port },
  });
  const writer = destination(t, 'http://mimir.example/push?a=b#top', { proxy_url: proxy.url('me:s3cret') });
  for (let i = 0; i < 2; i++) assert.equal(outcome(await writer.post(body, 0, never)), 204);
  assert.deepEqual(
    proxy.asked.map(({ method, target }) => [method, target]),
    Array(2).fill(['POST', 'http://mimir.example/push?a=b']),
  );
  assert.deepEqual(
    server.seen.map(({ host, url, body }) => [host, url, [...body]]),
    Array(2).fill(['mimir.example', '/push?a=b', [1, 2, 3]]),
  );
});

test('a proxy that speaks TLS itself', async (t) => {
  const server = await receive(t, 'server');
  const plain = await receive(t);
  const proxy = await TestProxy.start(t, { tls: true });
  const tunnelled = destination(t, `https://127.0.0.1:${server.port}/push`, {
    tls_config: { ca_file },
    proxy_url: proxy.url(),
  });
  assert.equal(outcome(await tunnelled.post(body, 0, never)), 204);
  const forwarded = destination(t, `http://127.0.0.1:${plain.port}/push`, {
    tls_config: { ca_file },
    proxy_url: proxy.url(),
  });
  assert.equal(outcome(await forwarded.post(body, 0, never)), 204);
  assert.deepEqual(
    proxy.asked.map(({ method }) => method),
    ['CONNECT', 'POST'],
  );
  const unknown = destination(t, `https://127.0.0.1:${server.port}/push`, { proxy_url: proxy.url() });
  assert.equal(outcome(await unknown.post(body, 0, never)), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('the certificate of the endpoint is verified through a tunnel', async (t) => {
  const server = await receive(t, 'server');
  const proxy = await TestProxy.start(t, { routes: { 'mimir.example:443': server.port } });
  const writer = destination(t, 'https://mimir.example/push', {
    tls_config: { ca_file },
    proxy_url: proxy.url(),
  });
  assert.equal(outcome(await writer.post(body, 0, never)), 'ERR_TLS_CERT_ALTNAME_INVALID');
  assert.equal(server.seen.length, 0);
});

test('a proxy that will not let us through is a hold; one that cannot, a retry: nothing was delivered', async (t) => {
  const settings = {
    minBackoffMs: 30,
    maxBackoffMs: 5000,
    retryOn429: true,
    retryOn408: false,
    holdOn4xx: false,
    splitRefused: false,
  };
  for (const [options, code, action, cause, words] of [
    [{ credentials: 'other:one' }, 'PROXY_REFUSED', 'hold', 'proxy', /: 407 Proxy Authentication Required$/],
    [
      { instead: (socket) => socket.end('HTTP/1.0 503 No Route\r\nX: y\r\n\r\nsorry') },
      'PROXY_FAILED',
      'retry',
      'network',
      /: 503 No Route$/,
    ],
    [
      { instead: (socket) => socket.end('SSH-2.0-hello\r\n\r\n') },
      'PROXY_FAILED',
      'retry',
      'network',
      /no HTTP answer$/,
    ],
    [{ instead: (socket) => socket.end() }, 'PROXY_FAILED', 'retry', 'network', /closed the connection/],
  ] as [object & Parameters<typeof TestProxy.start>[1], string, string, string, RegExp][]) {
    const proxy = await TestProxy.start(t, options);
    const writer = destination(t, 'https://mimir.example/push', { proxy_url: proxy.url('me:s3cret') });
    const result = await writer.post(body, 0, never);
    assert.ok(result.kind === 'network' && !result.maybeDelivered);
    assert.equal(result.code, code);
    assert.match(result.words, words);
    assert.doesNotMatch(result.words, /s3cret/);
    const decision = decide(result, { attempt: 0, resent: false }, settings, 0, 0);
    assert.deepEqual([decision.action, 'cause' in decision && decision.cause], [action, cause]);
  }
});

test('an abort while the proxy says nothing ends the call, and the connection', async (t) => {
  let ended: Promise<unknown> | undefined;
  const abort = new AbortController();
  const proxy = await TestProxy.start(t, {
    instead: (socket) => {
      ended = once(socket, 'end');
      socket.resume();
      abort.abort();
    },
  });
  const writer = destination(t, 'https://mimir.example/push', { proxy_url: proxy.url() });
  const result = await writer.post(body, 0, abort.signal);
  assert.deepEqual(result, { kind: 'aborted', maybeDelivered: false });
  await ended;
});

test('a SOCKS proxy: to an http and an https URL, by the names, with its own credentials', async (t) => {
  const [secure, plain] = [await receive(t, 'elsewhere'), await receive(t)];
  const routes = { 'elsewhere.example:443': secure.port, 'mimir.example:80': plain.port };
  const proxy = await SocksProxy.start(t, { credentials: 'me:s3 cret', routes });
  for (const [url, server] of [
    ['https://elsewhere.example/push?a=b', secure],
    ['http://mimir.example/push?a=b', plain],
  ] as const) {
    const proxy_url = proxy.url('me:s3%20cret');
    const writer = destination(t, url, { tls_config: { ca_file }, proxy_url });
    for (let i = 0; i < 2; i++) assert.equal(outcome(await writer.post(body, 0, never)), 204);
    // As without a proxy: the path alone, and nothing for the proxy in the headers.
    assert.deepEqual(
      server.seen.map(({ host, url: path, body: sent }) => [host, path, [...sent]]),
      Array(2).fill([new URL(url).host, '/push?a=b', [1, 2, 3]]),
    );
    assert.equal((server.seen[0]!.headers as Record<string, unknown>)['proxy-authorization'], undefined);
  }
  assert.deepEqual(proxy.asked, ['elsewhere.example:443', 'mimir.example:80']);
  assert.deepEqual(proxy.users, ['me:s3 cret', 'me:s3 cret']);
});

test('a SOCKS proxy that will not let us through is a hold; one that cannot, a retry', async (t) => {
  for (const [options, userinfo, code, words] of [
    [{ credentials: 'other:one' }, 'me:s3cret', 'PROXY_REFUSED', /does not take the user and password/],
    [{ credentials: 'other:one' }, undefined, 'PROXY_REFUSED', /wants credentials/],
    [
      { credentials: 'other:one' },
      `me:s3cret${'x'.repeat(250)}`,
      'PROXY_REFUSED',
      /^the password of `proxy_url` has 256 bytes, and SOCKS 5 allows 255$/,
    ],
    [{}, 'me:s3cret', 'RECEIVED', /^$/],
    [{ reply: 2 }, undefined, 'PROXY_REFUSED', /mimir\.example:443: its rules do not allow it$/],
    [{ reply: 5 }, undefined, 'PROXY_FAILED', /mimir\.example:443: the connection was refused$/],
    [{ reply: 99 }, undefined, 'PROXY_FAILED', /answer 99$/],
    [
      { instead: (socket: Socket) => socket.end('HTTP/1.0 400\r\n') },
      undefined,
      'PROXY_FAILED',
      /does not speak SOCKS 5$/,
    ],
    [{ instead: (socket: Socket) => socket.end() }, undefined, 'PROXY_FAILED', /closed the connection/],
  ] as const) {
    const server = await receive(t, 'server');
    const proxy = await SocksProxy.start(t, { routes: { 'mimir.example:443': server.port }, ...options });
    const writer = destination(t, 'https://mimir.example/push', {
      proxy_url: proxy.url(userinfo),
      tls_config: { ca_file, server_name: '127.0.0.1' },
    });
    const result = await writer.post(body, 0, never);
    if (code === 'RECEIVED') {
      assert.equal(outcome(result), 204); // it wants no credentials, though we have some
      continue;
    }
    assert.ok(result.kind === 'network' && !result.maybeDelivered);
    assert.equal(result.code, code);
    assert.match(result.words, words);
    assert.doesNotMatch(result.words, /s3cret/);
  }
});

test('an abort while a SOCKS proxy says nothing ends the call, and the connection', async (t) => {
  let ended: Promise<unknown> | undefined;
  const abort = new AbortController();
  const proxy = await SocksProxy.start(t, {
    instead: (socket) => {
      ended = once(socket, 'end');
      socket.resume();
      abort.abort();
    },
  });
  const writer = destination(t, 'http://mimir.example/push', { proxy_url: proxy.url() });
  assert.deepEqual(await writer.post(body, 0, abort.signal), { kind: 'aborted', maybeDelivered: false });
  await ended;
});

test('no_proxy, and the proxy of the environment', (t) => {
  const environment = { ...process.env };
  t.after(() => {
    process.env = environment;
  });
  const proxyFor = (url: string, more: object): string | undefined =>
    parseConfig(JSON.stringify({ remote_write: [{ url, ...more }] }), { file: 'test', baseDir: '/' })
      .remoteWrite[0]!.proxy?.address.href;
  const given = { proxy_url: 'http://proxy:3128' };
  assert.equal(proxyFor('http://127.0.0.1/push', given), 'http://proxy:3128/');
  assert.equal(proxyFor('http://127.0.0.1/push', { ...given, no_proxy: 'a.example' }), undefined);
  assert.equal(proxyFor('http://b.example/push', { ...given, no_proxy: 'a.example' }), 'http://proxy:3128/');
  assert.equal(proxyFor('http://a.example/push', { ...given, no_proxy: 'a.example' }), undefined);

  const own = { proxy_from_environment: true };
  process.env = {};
  assert.equal(proxyFor('https://a.example/push', own), undefined);
  process.env = {
    http_proxy: 'small:1',
    HTTPS_PROXY: 'https://large:2',
    https_proxy: 'small:3',
    no_proxy: '.b.example',
  };
  assert.equal(proxyFor('http://a.example/push', own), 'http://small:1/');
  assert.equal(proxyFor('https://a.example/push', own), 'https://large:2/');
  assert.equal(proxyFor('https://x.b.example/push', own), undefined);
  assert.equal(proxyFor('https://localhost/push', own), undefined);
  assert.equal(proxyFor('https://a.example/push', {}), undefined);
  process.env = { HTTPS_PROXY: 'ftp://me:s3cret@proxy' };
  assert.throws(
    () => proxyFor('https://a.example/push', own),
    /variable HTTPS_PROXY of the environment is not the URL of a proxy with `http:`, `https:` or `socks5:`$/,
  );
});
