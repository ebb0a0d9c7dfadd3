import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compress } from 'snappyjs';
import { parseConfig } from '../../src/config/load.ts';
import { createDestination } from '../../src/network/create-destination.ts';
import { decide } from '../../src/network/decisions.ts';
import type { Destination } from '../../src/network/destination.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { atEnd } from '../support/cleanup.ts';
import { tlsFile } from '../support/https.ts';
import { request, series } from '../support/messages.ts';
import { TestProxy } from '../support/proxy.ts';
import { Sink } from '../support/sink.ts';
import { SocksProxy } from '../support/socks.ts';
import { tempDir } from '../support/temp.ts';
import { TokenServer } from '../support/token-server.ts';

const never = new AbortController().signal;
const body = compress(encodeWriteRequestV1(request(series({ __name__: 'up' }, [1, 1]))));
const strict = {
  minBackoffMs: 30,
  maxBackoffMs: 5000,
  retryOn429: true,
  retryOn408: false,
  holdOn4xx: false,
  splitRefused: false,
};

function destination(t: TestContext, url: string, oauth2: object, more: object = {}): Destination {
  const text = JSON.stringify({ remote_write: [{ url, oauth2, ...more }] });
  const created = createDestination(
    parseConfig(text, { file: 'test', baseDir: '/' }).remoteWrite[0]!,
    'spillway/9.9',
  );
  atEnd(t, () => created.close());
  return created;
}

const client = { client_id: 'me:and you', client_secret: 's3cret&1' };

async function status(writer: Destination): Promise<number | string> {
  const result = await writer.post(body, 0, never);
  return result.kind === 'response' ? result.status : result.kind;
}

function sent(sink: Sink): (string | undefined)[] {
  return sink.requests.map(({ headers }) => headers.authorization);
}

test('one token serves many requests', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  const writer = destination(t, sink.url, {
    ...client,
    token_url: tokens.url,
    scopes: ['metrics:write', 'other'],
    endpoint_params: { audience: 'https://mimir', resource: 'a b' },
  });
  await Promise.all([1, 2, 3].map(() => status(writer)));
  assert.equal(await status(writer), 204);
  assert.deepEqual(sent(sink), Array(4).fill('Bearer token-1'));
  assert.deepEqual(tokens.requests, [
    {
      basic: 'me:and you:s3cret&1',
      params: {
        grant_type: 'client_credentials',
        scope: 'metrics:write other',
        audience: 'https://mimir',
        resource: 'a b',
      },
    },
  ]);
});

test('a server that wants the credentials in the body gets them there, from then on at once', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  tokens.script = ({ params }) => (params.client_secret === undefined ? { status: 401, body: '' } : {});
  sink.script = ({ index }) => (index === 1 ? { status: 401 } : {});
  const writer = destination(t, sink.url, { ...client, token_url: tokens.url });
  for (let i = 0; i < 2; i++) assert.equal(await status(writer), 204);
  assert.deepEqual(
    tokens.requests.map(({ basic, params }) => [basic, params.client_id, params.client_secret]),
    [
      ['me:and you:s3cret&1', undefined, undefined],
      [undefined, 'me:and you', 's3cret&1'],
      [undefined, 'me:and you', 's3cret&1'],
    ],
  );
});

test('a 401 replaces the token once; then it is the answer', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  sink.script = ({ headers }) => (headers.authorization === 'Bearer token-1' ? { status: 401 } : {});
  const writer = destination(t, sink.url, { ...client, token_url: tokens.url });
  assert.equal(await status(writer), 204);
  assert.deepEqual(sent(sink), ['Bearer token-1', 'Bearer token-2']);
  sink.script = () => ({ status: 401, body: 'go away' });
  assert.equal(await status(writer), 401);
  assert.equal(await status(writer), 401);
  assert.deepEqual(sent(sink).slice(2), ['Bearer token-2', 'Bearer token-2']);
  assert.equal(tokens.requests.length, 2);
});

test('while there is no token nothing is sent, and the rows are held, also in the strict profile', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  for (const [answer, words] of [
    [
      { status: 400, body: '{"error":"invalid_client","error_description":"no\\nclient with s3cret&1"}' },
      /: the token endpoint 127\.0\.0\.1:\d+\/oauth2\/token answered 400: invalid_client: no client with <secret>$/,
    ],
    [{ status: 503, type: 'text/html', body: '<p>s3cret&1' }, /answered 503$/],
    [{ body: '{"token":"s3cret"}' }, /answered 200: without an access_token$/],
    [{ body: 'what?' }, /answered 200: without an access_token$/],
  ] as const) {
    tokens.script = () => answer;
    const writer = destination(t, sink.url, { ...client, token_url: tokens.url });
    const result = await writer.post(body, 0, never);
    assert.ok(result.kind === 'network' && result.code === 'NO_CREDENTIALS' && !result.maybeDelivered);
    assert.match(`: ${result.words}`, words);
    assert.doesNotMatch(result.words, /s3cret/);
    const decision = decide(result, { attempt: 0, resent: false }, strict, 0, 0);
    assert.deepEqual([decision.action, 'cause' in decision && decision.cause], ['hold', 'credentials']);
  }
  assert.equal(sink.requests.length, 0);
});

test('a token endpoint that hangs: the call ends in its time, or when it is cut', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  const cut = new AbortController();
  let aborting = false;
  tokens.script = () => {
    if (aborting) cut.abort();
    return { hang: true };
  };
  const options = { ...client, token_url: tokens.url };
  const timed = await destination(t, sink.url, options, { remote_timeout: '60ms' }).post(body, 0, never);
  assert.ok(timed.kind === 'network' && timed.code === 'NO_CREDENTIALS');
  assert.match(timed.words, /gave no answer within 60 ms/);
  aborting = true;
  assert.deepEqual(await destination(t, sink.url, options).post(body, 0, cut.signal), {
    kind: 'aborted',
    maybeDelivered: false,
  });
  assert.equal(sink.requests.length, 0);
});

test('a token endpoint behind TLS and a proxy of its own; the secret in a file is looked at each time', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t, { tls: true })];
  const proxy = await TestProxy.start(t, { credentials: 'me:pass' });
  const client_secret_file = join(await tempDir(t, 'oauth2'), 'secret');
  await writeFile(client_secret_file, 'first\n');
  sink.script = ({ headers }) => (headers.authorization === 'Bearer token-1' ? { status: 401 } : {});
  tokens.script = async () => {
    await writeFile(client_secret_file, 'second\n');
    return {};
  };
  const writer = destination(t, sink.url, {
    client_id: 'me',
    client_secret_file,
    token_url: tokens.url,
    tls_config: { ca_file: tlsFile('ca.crt') },
    proxy_url: proxy.url('me:pass'),
  });
  assert.equal(await status(writer), 204);
  assert.deepEqual(
    tokens.requests.map(({ basic }) => basic),
    ['me:first', 'me:second'],
  );
  assert.deepEqual(
    proxy.asked.map(({ method }) => method),
    ['CONNECT', 'CONNECT'],
  );
});

test('a token endpoint of http: goes through its proxy as a whole; an answer may be a form', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  const proxy = await TestProxy.start(t);
  tokens.script = () => ({
    type: 'application/x-www-form-urlencoded; charset=utf-8',
    body: 'access_token=abc&token_type=MAC&expires_in=10',
  });
  const writer = destination(t, sink.url, { ...client, token_url: tokens.url, proxy_url: proxy.url() });
  assert.equal(await status(writer), 204);
  assert.deepEqual(sent(sink), ['MAC abc']);
  assert.deepEqual(
    proxy.asked.map(({ target }) => target),
    [tokens.url],
  );
});

const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

test('the JWT bearer grant: a token for a JWT that is signed with the key, as Prometheus makes it', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const file = join(await tempDir(t, 'oauth2'), 'key.pem');
  await writeFile(file, pem);
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  const common = { client_id: 'me', token_url: tokens.url, grant_type: jwtBearer };
  const more = {
    client_certificate_key_file: file,
    client_certificate_key_id: 'key-1',
    signature_algorithm: 'RS512',
    iss: 'issuer',
    audience: 'https://login.example',
    claims: { sub: 'other', team: 'a' },
    scopes: ['a', 'b'],
    endpoint_params: { resource: 'r' },
  };
  for (const config of [
    { ...common, client_certificate_key: pem },
    { ...common, ...more },
  ]) {
    assert.equal(await status(destination(t, sink.url, config)), 204);
  }
  const [plain, full] = tokens.requests.map(({ basic, params: { assertion = '', ...params } }) => {
    const [head = '', payload = '', signature = ''] = assertion.split('.');
    const read = (part: string) =>
      JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    const hash = read(head).alg === 'RS512' ? 'sha512' : 'sha256';
    const signed = Buffer.from(`${head}.${payload}`);
    assert.ok(verify(hash, signed, publicKey, Buffer.from(signature, 'base64url')), 'the signature is wrong');
    const { jti, iat, exp, ...claims } = read(payload);
    assert.match(String(jti), /^[0-9a-f-]{36}$/);
    assert.equal(Number(exp) - Number(iat), 600);
    assert.ok(Math.abs(Number(iat) - Date.now() / 1000) < 300);
    return { basic, params, head: read(head), claims };
  });
  assert.deepEqual(plain, {
    basic: undefined,
    params: { grant_type: jwtBearer },
    head: { alg: 'RS256', typ: 'JWT' },
    claims: { iss: 'me', sub: 'me', aud: tokens.url },
  });
  assert.deepEqual(full, {
    basic: undefined,
    params: { grant_type: jwtBearer, resource: 'r' },
    head: { alg: 'RS512', typ: 'JWT', kid: 'key-1' },
    claims: { iss: 'issuer', sub: 'other', aud: 'https://login.example', scope: 'a b', team: 'a' },
  });
  assert.deepEqual(sent(sink), ['Bearer token-1', 'Bearer token-2']);
});

test('a key that cannot sign holds the rows, and is not shown', async (t) => {
  const [sink, tokens] = [await Sink.start(t), await TokenServer.start(t)];
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  for (const [key, words] of [
    ['s3cret', /`client_certificate_key` is not a private key/],
    [curve, /is not a key of RSA, but ec$/],
  ] as const) {
    const config = {
      client_id: 'me',
      token_url: tokens.url,
      grant_type: jwtBearer,
      client_certificate_key: key,
    };
    const result = await destination(t, sink.url, config).post(body, 0, never);
    assert.ok(result.kind === 'network' && result.code === 'NO_CREDENTIALS');
    assert.match(result.words, words);
    assert.doesNotMatch(result.words, /s3cret/);
  }
  assert.equal(tokens.requests.length, 0);
});

test('a token endpoint behind a SOCKS proxy', async (t) => {
  const [sink, tokens, proxy] = [await Sink.start(t), await TokenServer.start(t), await SocksProxy.start(t)];
  const writer = destination(t, sink.url, { ...client, token_url: tokens.url, proxy_url: proxy.url() });
  assert.equal(await status(writer), 204);
  assert.deepEqual(proxy.asked, [new URL(tokens.url).host]);
});
