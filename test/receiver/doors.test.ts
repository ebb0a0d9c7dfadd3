import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashSync } from 'bcryptjs';
import { stringify } from 'yaml';
import { Doors } from '../../src/receiver/doors.ts';
import { HttpServer, type RouteHandler } from '../../src/receiver/server.ts';
import type { AuthRefusal } from '../../src/telemetry/reasons.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';
import { ask, basic, type HttpAnswer, tlsClient, tlsFile } from '../support/https.ts';
import { tempDir } from '../support/temp.ts';
import { logLines } from './log-lines.ts';
import { wideConnections } from './wide.ts';
import { chunk, head, Wire } from './wire.ts';

const hash = hashSync('s3cret', 4);
const users = { writer: hash, reader: hash, both: hash };
const user_access = { writer: 'write', reader: 'read' };
const sha256 = createHash('sha256').update('s3cret-token').digest('hex');

/** Paths of a listener, with the methods that they are asked with. */
const write = { method: 'POST', path: '/api/v1/write' };
const look = { method: 'GET', path: '/metrics' };
const change = { method: 'POST', path: '/api/v1/something' };

interface House {
  readonly url: string;
  readonly folder: string;
  readonly doors: Doors;
  readonly lines: readonly string[];
  readonly refusals: readonly AuthRefusal[];
  /** Requests that came in, as method and path. */
  readonly cameIn: readonly string[];
  /** Changes the web configuration file. */
  rewrite(config: object | string): Promise<void>;
  /** Asks; rejects when there is no answer. */
  ask(what: object, authorization?: string, client?: object): Promise<HttpAnswer>;
}

const text = (config: object | string): string => (typeof config === 'string' ? config : stringify(config));

/** A listener whose doors are as `config` says. Its routes answer 204 to whoever comes in. */
async function build(t: TestContext, config: object | string): Promise<House> {
  const folder = await tempDir(t, 'doors');
  const file = join(folder, 'web.yaml');
  await writeFile(join(folder, 'token'), 's3cret-in-file\n');
  await writeFile(file, text(config));
  const { logger, lines } = logLines();
  const refusals: AuthRefusal[] = [];
  const cameIn: string[] = [];
  const doors = new Doors({
    file,
    logger,
    now: Date.now,
    onRefused: (reason) => refusals.push(reason),
    lookMs: 20,
    onReload: () => undefined,
  });
  const route: RouteHandler = ({ method, url }, response) => {
    cameIn.push(`${method} ${url}`);
    response.writeHead(204).end();
  };
  const paths = ['/api/v1/write', '/api/v1/push', '/metrics', '/-/healthy', '/-/ready', '/api/v1/something'];
  const server = new HttpServer(new Map(paths.map((path) => [path, route])), {
    connections: wideConnections(),
    logger,
    doors,
  });
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => server.close());
  return {
    url,
    folder,
    doors,
    lines,
    refusals,
    cameIn,
    // In one step: half of a file would be another file, of which more is said.
    rewrite: async (next) => {
      await writeFile(`${file}.new`, text(next));
      await rename(`${file}.new`, file);
    },
    ask: (what, authorization, client = {}) =>
      ask(url, { ...what, ...client, headers: authorization === undefined ? {} : { authorization } }),
  };
}

describe('authentication', () => {
  it('lets nobody in without the right credentials, and says which it takes', async (t) => {
    const house = await build(t, {
      basic_auth_users: users,
      bearer_tokens: [{ name: 'a', token_sha256: sha256 }],
    });
    for (const [authorization, reason] of [
      [undefined, 'no_credentials'],
      [basic('writer', 'wrong'), 'wrong_credentials'],
      [basic('writer', ''), 'wrong_credentials'],
      [basic('nobody', 's3cret'), 'wrong_credentials'],
      [basic('', ''), 'wrong_credentials'],
      [basic('writer', 's3cret').replace('Basic', 'Digest'), 'wrong_credentials'],
      ['Basic', 'wrong_credentials'],
      ['Basic ?', 'wrong_credentials'],
      [`Basic ${Buffer.from('writer').toString('base64')}`, 'wrong_credentials'],
      [`Basic ${Buffer.from([0xff, 0x3a, 0xff]).toString('base64')}`, 'wrong_credentials'],
      ['Bearer s3cret-token-and-more', 'wrong_credentials'],
      ['Bearer s3cret', 'wrong_credentials'],
      [`Bearer ${sha256}`, 'wrong_credentials'],
      ['Bearer', 'wrong_credentials'],
    ] as const) {
      for (const what of [write, look, change, { method: 'GET', path: '/nowhere' }]) {
        const before = house.refusals.length;
        const { status, headers, body } = await house.ask(what, authorization);
        assert.equal(status, 401, authorization);
        assert.deepEqual(house.refusals.slice(before), [reason], authorization);
        assert.equal(
          headers['www-authenticate'],
          'Basic realm="Spillway", charset="UTF-8", Bearer realm="Spillway"',
        );
        assert.doesNotMatch(body, /nowhere/);
      }
    }
    assert.deepEqual(house.cameIn, []);
  });

  it('asks only for what is of use', async (t) => {
    const withUsers = await build(t, { basic_auth_users: users });
    assert.equal(
      (await withUsers.ask(look)).headers['www-authenticate'],
      'Basic realm="Spillway", charset="UTF-8"',
    );
    const withTokens = await build(t, { bearer_tokens: [{ name: 'a', token_sha256: sha256 }] });
    assert.equal((await withTokens.ask(look)).headers['www-authenticate'], 'Bearer realm="Spillway"');
    const open = await build(t, '# nothing');
    assert.equal((await open.ask(look)).status, 204);
  });

  it('has credentials for writing, for looking, and for all', async (t) => {
    const house = await build(t, {
      basic_auth_users: users,
      user_access,
      bearer_tokens: [
        { name: 'file', token_file: 'token', access: 'write' },
        { name: 'hash', token_sha256: sha256, access: 'read' },
      ],
    });
    const push = { method: 'POST', path: '/api/v1/push' };
    const headOf = { method: 'HEAD', path: '/metrics' };
    for (const [authorization, allowed] of [
      [basic('writer', 's3cret'), [write, push]],
      [basic('reader', 's3cret'), [look, headOf]],
      [basic('both', 's3cret'), [write, push, look, headOf, change]],
      [basic('both', 's3cret').replace('Basic', 'bASIC'), [write]],
      ['Bearer s3cret-in-file', [write, push]],
      ['Bearer s3cret-token', [look, headOf]],
    ] as const) {
      for (const what of [write, push, look, headOf, change]) {
        if (authorization.startsWith('bASIC') && what !== write) continue;
        const { status } = await house.ask(what, authorization);
        const expected = (allowed as readonly object[]).includes(what) ? 204 : 403;
        assert.equal(status, expected, `${authorization} ${what.method} ${what.path}`);
      }
    }
  });

  it('leaves the probes open, unless told otherwise', async (t) => {
    const house = await build(t, { basic_auth_users: users });
    for (const path of ['/-/healthy', '/-/ready', '/-/healthy?x=1']) {
      assert.equal((await house.ask({ path })).status, 204, path);
    }
    for (const path of [
      '/-/healthy/',
      '/-/../metrics',
      '//-/healthy',
      '/metrics?/-/healthy',
      '/%2d/healthy',
    ]) {
      assert.equal((await house.ask({ path })).status, 401, path);
    }
    const closed = await build(t, { basic_auth_users: users, protect_probes: true });
    assert.equal((await closed.ask({ path: '/-/healthy' })).status, 401);
    assert.equal((await closed.ask({ path: '/-/healthy' }, basic('reader', 's3cret'))).status, 204);
  });

  it('lets no page of another site use the password that a browser adds by itself', async (t) => {
    const house = await build(t, { basic_auth_users: users });
    const authorization = basic('both', 's3cret');
    const { host } = new URL(house.url);
    const from = async (headers: Record<string, string>): Promise<number> =>
      (await ask(house.url, { ...change, headers: { authorization, host, ...headers } })).status;
    assert.equal(await from({ origin: 'http://evil.example' }), 403);
    assert.equal(await from({ origin: `http://${host}`, 'sec-fetch-site': 'cross-site' }), 403);
    assert.deepEqual(house.cameIn, []);
    assert.match(house.lines.join('\n'), /from the page of this agent alone.* origin=http:\/\/evil\.example/);
    assert.equal(await from({ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }), 204);
    assert.equal(await from({}), 204);
    // Doors that ask nobody who they are: programs come in, browsers change nothing.
    const open = await build(t, '# nothing');
    const there = { host: new URL(open.url).host };
    const own = { ...there, origin: open.url, 'sec-fetch-site': 'same-origin' };
    assert.equal((await ask(open.url, { ...change, headers: own })).status, 403);
    assert.equal((await ask(open.url, { ...look, headers: own })).status, 204);
    assert.equal((await ask(open.url, { ...change, headers: there })).status, 204);
  });

  it('asks for no body of somebody who does not come in', async (t) => {
    const house = await build(t, { basic_auth_users: users });
    const expect = { expect: '100-continue', 'content-type': 'application/x-protobuf' };
    const outside = await Wire.open(t, house.url);
    outside.send(head(100, expect));
    assert.equal((await outside.answer()).status, 401);
    assert.equal(outside.interim, 0);
    const inside = await Wire.open(t, house.url);
    inside.send(head(4, { ...expect, authorization: basic('both', 's3cret') }));
    assert.equal((await inside.answer()).status, 204);
    assert.equal(inside.interim, 1);
    assert.deepEqual(house.cameIn, ['POST /api/v1/write']);
  });

  it('answers at once and closes the connection when the body is large or endless', async (t) => {
    const house = await build(t, { basic_auth_users: users });
    for (const length of [1_000_000_000, 'chunked'] as const) {
      const wire = await Wire.open(t, house.url);
      wire.send(head(length));
      wire.send(length === 'chunked' ? chunk(new Uint8Array(1000)) : new Uint8Array(1000));
      const { status, headers } = await wire.answer();
      assert.equal(status, 401);
      assert.equal(headers.connection, 'close');
      await wire.closed();
    }
  });

  it('keeps the connection behind a small body', async (t) => {
    const house = await build(t, { basic_auth_users: users });
    const wire = await Wire.open(t, house.url);
    for (let i = 0; i < 3; i++) {
      wire.send(head(4));
      wire.send('body');
      assert.equal((await wire.answer()).status, 401);
    }
  });

  it('shows secrets nowhere', async (t) => {
    const house = await build(t, {
      basic_auth_users: users,
      user_access,
      bearer_tokens: [{ name: 'file', token_file: 'token', access: 'write' }],
    });
    const answers: HttpAnswer[] = [];
    for (const authorization of [
      basic('reader', 's3cret'),
      basic('reader', 's3cret-but-wrong'),
      basic('s3cret-as-a-name', 'x'),
      'Bearer s3cret-in-file',
      'Bearer s3cret-but-wrong',
    ]) {
      for (const what of [write, look]) answers.push(await house.ask(what, authorization));
    }
    await house.rewrite({ basic_auth_users: { reader: 's3cret' } });
    await poll(
      () => 'the broken file is not seen',
      async () => house.doors.failing || undefined,
    );
    const seen = JSON.stringify([answers, house.lines, house.refusals]);
    assert.match(seen, /user=reader/);
    assert.doesNotMatch(seen, /s3cret|\$2[aby]\$|Basic [a-zA-Z0-9]{9}/);
  });

  it('says in the log who was not let in, once', async (t) => {
    const house = await build(t, { basic_auth_users: users, user_access });
    for (let i = 0; i < 5; i++) {
      await house.ask(write, basic('reader', 's3cret'));
      await house.ask(look, basic('reader', 'wrong'));
      await house.ask(look);
    }
    assert.equal(house.lines.length, 3);
    assert.match(
      house.lines[0]!,
      /level=warn .*status=403 from=127.0.0.1 method=POST path=\/api\/v1\/write user=reader/,
    );
    assert.match(house.lines[1]!, /level=warn .*status=401 from=127.0.0.1 method=GET path=\/metrics$/);
  });

  it('goes on for those who are known while somebody guesses', async (t) => {
    const house = await build(t, {
      // A guess for this user is compared for several seconds.
      basic_auth_users: { ...users, slow: hash.replace('$04$', '$16$') },
    });
    assert.equal((await house.ask(write, basic('writer', 's3cret'))).status, 204);
    const guesses: number[] = [];
    const flood = Array.from({ length: 200 }, (_, i) =>
      house.ask(write, basic('slow', `guess ${i}`)).then(({ status }) => void guesses.push(status)),
    );
    for (let i = 0; i < 50; i++)
      assert.equal((await house.ask(write, basic('writer', 's3cret'))).status, 204);
    // A sender from another address is not crowded out, although its password has not been seen before; it waits
    // behind the guesses, so it is not waited for here.
    const other = house.ask(write, basic('both', 's3cret'), { localAddress: '127.0.0.2' });
    await poll(
      () => `${guesses.length} guesses are answered`,
      async () => guesses.length >= 196 || undefined,
    );
    assert.deepEqual(new Set(guesses), new Set([503]));
    assert.equal(house.refusals.filter((reason) => reason === 'busy').length, 196);
    await house.doors.close();
    await Promise.all(flood);
    assert.equal((await other).status, 503);
  });
});

describe('a change of the web configuration file', () => {
  const until = async (what: string, reached: () => Promise<boolean>): Promise<void> => {
    await poll(
      () => what,
      async () => (await reached()) || undefined,
    );
  };

  it('counts for the next request, also on a connection of before', async (t) => {
    const house = await build(t, { basic_auth_users: { a: hash } });
    assert.equal((await house.ask(look, basic('a', 's3cret'))).status, 204);
    await house.rewrite({ basic_auth_users: { a: hashSync('another', 4), b: hash } });
    await until(
      'the new user is not known',
      async () => (await house.ask(look, basic('b', 's3cret'))).status === 204,
    );
    assert.equal((await house.ask(look, basic('a', 's3cret'))).status, 401);
    assert.equal((await house.ask(look, basic('a', 'another'))).status, 204);
  });

  it('is seen in the file of a token as well', async (t) => {
    const house = await build(t, { bearer_tokens: [{ name: 'a', token_file: 'token' }] });
    assert.equal((await house.ask(look, 'Bearer s3cret-in-file')).status, 204);
    await writeFile(join(house.folder, 'token'), 'rotated');
    await until(
      'the new token is not known',
      async () => (await house.ask(look, 'Bearer rotated')).status === 204,
    );
    assert.equal((await house.ask(look, 'Bearer s3cret-in-file')).status, 401);
  });

  for (const [what, broken] of [
    ['no YAML', 'basic_auth_users: ['],
    ['half of it', 'tls_server_con'],
    ['empty', ''],
    ['without the last credentials', 'basic_auth_users: {}'],
    [
      'with TLS',
      {
        tls_server_config: { cert_file: tlsFile('server.crt'), key_file: tlsFile('server.key') },
        basic_auth_users: users,
      },
    ],
    ['with a token that is missing', { bearer_tokens: [{ name: 'a', token_file: 'missing' }] }],
  ] as const) {
    it(`is not made when the new file is ${what}; it is said once, and a better one is taken`, async (t) => {
      const house = await build(t, { basic_auth_users: { a: hash } });
      await house.rewrite(broken);
      await until('the file is not looked at', async () => house.doors.failing);
      // Time for more looks at the same file.
      await sleep(200);
      assert.equal(house.lines.length, 1, house.lines.join('\n'));
      assert.match(house.lines[0]!, /level=error .*the one before stays in force.* file=.*web\.yaml/);
      assert.equal((await house.ask(look)).status, 401);
      assert.equal((await house.ask(look, basic('a', 's3cret'))).status, 204);
      await house.rewrite({ basic_auth_users: { b: hash } });
      await until(
        'the better file',
        async () => (await house.ask(look, basic('b', 's3cret'))).status === 204,
      );
      assert.equal(house.doors.failing, false);
    });
  }

  it('that names a file which comes later is made when it has come', async (t) => {
    const house = await build(t, { basic_auth_users: { a: hash } });
    await house.rewrite({ bearer_tokens: [{ name: 'a', token_file: 'later' }] });
    await until('the file is not looked at', async () => house.doors.failing);
    await writeFile(join(house.folder, 'later'), 's3cret-later');
    await until('the token', async () => (await house.ask(look, 'Bearer s3cret-later')).status === 204);
  });
});

const listener = { cert_file: tlsFile('server.crt'), key_file: tlsFile('server.key') };
const clients = { client_ca_file: tlsFile('ca.crt') };

/** What becomes of somebody with the certificate `name`, or without one. */
async function comes(house: House, name?: string): Promise<number | 'refused'> {
  try {
    return (await house.ask(look, undefined, tlsClient(name))).status;
  } catch {
    return 'refused';
  }
}

describe('TLS', () => {
  it('speaks TLS and nothing else', async (t) => {
    const house = await build(t, { tls_server_config: listener });
    assert.match(house.url, /^https:\/\/127\.0\.0\.1:\d+$/);
    const answer = await house.ask(look, undefined, tlsClient());
    assert.deepEqual([answer.status, answer.server], [204, 'Spillway test server']);
    await assert.rejects(house.ask(look, undefined, {}), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    await assert.rejects(ask(house.url.replace('https', 'http')));
    assert.ok(
      house.lines.some((line) =>
        /TLS handshake failed.*code=ERR_SSL_HTTP_REQUEST error="the client speaks plain HTTP/.test(line),
      ),
    );
  });

  it('keeps to its versions', async (t) => {
    const house = await build(t, { tls_server_config: { ...listener, min_version: 'TLS13' } });
    await assert.rejects(house.ask(look, undefined, { ...tlsClient(), maxVersion: 'TLSv1.2' }));
    assert.equal(await comes(house), 204);
    const older = await build(t, { tls_server_config: { ...listener, max_version: 'TLS12' } });
    await assert.rejects(older.ask(look, undefined, { ...tlsClient(), minVersion: 'TLSv1.3' }));
    assert.equal(await comes(older), 204);
  });

  for (const [type, more, expected] of [
    ['NoClientCert', {}, { none: 204, client: 204, stranger: 204, expired: 204 }],
    ['RequestClientCert', clients, { none: 204, client: 204, stranger: 204, expired: 204 }],
    ['RequireAnyClientCert', clients, { none: 'refused', client: 204, stranger: 204, expired: 204 }],
    ['VerifyClientCertIfGiven', clients, { none: 204, client: 204, stranger: 'refused', expired: 'refused' }],
    [
      'RequireAndVerifyClientCert',
      clients,
      { none: 'refused', client: 204, stranger: 'refused', expired: 'refused' },
    ],
    [
      'RequireAndVerifyClientCert',
      { ...clients, client_allowed_sans: ['other.example', 'spiffe://example/sender'] },
      { none: 'refused', client: 204, server: 'refused' },
    ],
    [
      'RequireAnyClientCert',
      { client_allowed_sans: ['sender.example'] },
      { none: 'refused', client: 204, stranger: 204, elsewhere: 'refused' },
    ],
  ] as const) {
    it(`has ${type} ${JSON.stringify(Object.keys(more))}`, async (t) => {
      const house = await build(t, { tls_server_config: { ...listener, client_auth_type: type, ...more } });
      for (const [name, outcome] of Object.entries(expected)) {
        assert.equal(await comes(house, name === 'none' ? undefined : name), outcome, name);
      }
      const cameIn = Object.values(expected).filter((outcome) => outcome === 204).length;
      assert.equal(house.cameIn.length, cameIn);
    });
  }

  it('wants credentials beside a certificate where both are configured', async (t) => {
    const house = await build(t, {
      tls_server_config: { ...listener, ...clients, client_auth_type: 'RequireAndVerifyClientCert' },
      basic_auth_users: users,
    });
    assert.equal((await house.ask(look, undefined, tlsClient('client'))).status, 401);
    assert.equal((await house.ask(look, basic('reader', 's3cret'), tlsClient('client'))).status, 204);
  });

  it('takes a renewed certificate without a restart, also when its key comes later', async (t) => {
    const folder = await tempDir(t, 'certificates');
    const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
    await writeFile(cert, await readFile(tlsFile('server.crt')));
    await writeFile(key, await readFile(tlsFile('server.key')));
    const house = await build(t, { tls_server_config: { cert_file: cert, key_file: key } });
    const agent = new HttpsAgent({ keepAlive: true });
    atEnd(t, () => agent.destroy());
    const server = async (): Promise<string | undefined> =>
      (await house.ask(look, undefined, { ...tlsClient(), agent })).server;
    assert.equal(await server(), 'Spillway test server');
    await writeFile(cert, await readFile(tlsFile('renewed.crt')));
    await poll(
      () => 'the certificate without its key is not seen',
      async () => house.doors.failing || undefined,
    );
    assert.equal(await server(), 'Spillway test server');
    await writeFile(key, await readFile(tlsFile('renewed.key')));
    // Also on connections that would stay open: they end with an answer.
    await poll(
      () => 'the renewed certificate is not in use',
      async () => (await server()) === 'Spillway test renewed' || undefined,
    );
    assert.equal(house.doors.failing, false);
  });

  it('asks for certificates from the moment when the file says so', async (t) => {
    const house = await build(t, { tls_server_config: listener });
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
    atEnd(t, () => agent.destroy());
    const kept = { ...tlsClient(), agent };
    assert.equal((await house.ask(look, undefined, kept)).status, 204);
    await house.rewrite({
      tls_server_config: { ...listener, ...clients, client_auth_type: 'RequireAndVerifyClientCert' },
    });
    await poll(
      () => 'who has no certificate still comes in',
      async () => (await comes(house)) === 'refused' || undefined,
    );
    assert.equal(await comes(house, 'client'), 204);
    assert.equal(await comes(house, 'stranger'), 'refused');
    await assert.rejects(house.ask(look, undefined, kept), 'the connection of before is gone');
    await house.rewrite({
      tls_server_config: { ...listener, ...clients, client_auth_type: 'RequestClientCert' },
      // Else nobody would need credentials any more, which takes a restart.
      basic_auth_users: users,
    });
    await poll(
      () => 'certificates are still asked for',
      async () => (await comes(house)) === 401 || undefined,
    );
  });
});
