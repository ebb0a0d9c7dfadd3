import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CheckFlags, checkConfig } from '../../src/cli/check-config.ts';
import type { Problem } from '../../src/config/problems.ts';
import { tlsFile } from '../support/https.ts';
import { tempDir } from '../support/temp.ts';

interface Report {
  readonly code: number;
  readonly valid: boolean;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Of the configuration `text` in `dir`, as a program reads it. */
async function report(dir: string, text: string, flags: Partial<CheckFlags> = {}): Promise<Report> {
  const file = join(dir, 'spillway.yaml');
  writeFileSync(file, text);
  const { code, out, err } = await check(file, { json: true, ...flags });
  assert.equal(err, '');
  return { code, ...(JSON.parse(out) as Omit<Report, 'code'>) };
}

async function check(
  file: string,
  flags: Partial<CheckFlags>,
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await checkConfig(
    file,
    { json: false, strict: false, syntaxOnly: false, ...flags },
    (text) => {
      out += text;
    },
    (text) => {
      err += text;
    },
  );
  return { code, out, err };
}

const at = (problems: readonly Problem[]): string[] => problems.map(({ line, path }) => `${line} ${path}`);

const named = `
web_config_file: web.yaml
remote_write:
  - url: https://a.example/
    basic_auth: {username: me, password_file: password}
    tls_config:
      ca_file: ca.crt
      cert_file: client.crt
      key_file: client.key
    http_headers: {X-Key: {files: [key]}}
  - url: https://b.example/
    oauth2:
      client_id: me
      client_secret_file: secret
      token_url: https://login.example/
      tls_config: {ca_file: ca.crt}
`;

async function withFiles(t: TestContext): Promise<string> {
  const dir = await tempDir(t, 'check');
  for (const name of ['ca.crt', 'client.crt', 'client.key']) copyFileSync(tlsFile(name), join(dir, name));
  for (const name of ['password', 'key', 'secret']) writeFileSync(join(dir, name), 's3cret');
  writeFileSync(join(dir, 'web.yaml'), 'basic_auth_users: {}\n');
  return dir;
}

test('every file that is named must be there, unless only the syntax is asked for', async (t) => {
  const dir = await withFiles(t);
  assert.deepEqual(await report(dir, named), {
    code: 0,
    file: join(dir, 'spillway.yaml'),
    valid: true,
    errors: [],
    warnings: [],
  });
  const empty = await tempDir(t, 'check');
  const { code, errors } = await report(empty, named);
  assert.equal(code, 1);
  assert.deepEqual(at(errors), [
    '2 web_config_file',
    '5 remote_write[0].basic_auth.password_file',
    '7 remote_write[0].tls_config.ca_file',
    '8 remote_write[0].tls_config.cert_file',
    '9 remote_write[0].tls_config.key_file',
    '10 remote_write[0].http_headers.X-Key.files[0]',
    '14 remote_write[1].oauth2.client_secret_file',
    '16 remote_write[1].oauth2.tls_config.ca_file',
  ]);
  assert.match(errors[0]!.message, /cannot be read: ENOENT/);
  assert.equal((await report(empty, named, { syntaxOnly: true })).code, 0);
});

test('a folder is not a file', async (t) => {
  const dir = await withFiles(t);
  mkdirSync(join(dir, 'folder'));
  const { errors } = await report(dir, named.replace('files: [key]', 'files: [folder]'));
  assert.deepEqual(at(errors), ['10 remote_write[0].http_headers.X-Key.files[0]']);
});

test('keys belong to their certificates, and certificates are some', async (t) => {
  const dir = await withFiles(t);
  copyFileSync(tlsFile('stranger.key'), join(dir, 'client.key'));
  const other = await report(dir, named);
  assert.deepEqual(at(other.errors), ['6 remote_write[0].tls_config']);
  assert.match(other.errors[0]!.message, /client\.key\) is not the key of .*client\.crt/);
  writeFileSync(join(dir, 'ca.crt'), 'what?');
  const none = await report(dir, named);
  assert.deepEqual(at(none.errors), ['6 remote_write[0].tls_config', '16 remote_write[1].oauth2.tls_config']);
});

test('what is wrong in the web configuration file is said of that file', async (t) => {
  const dir = await withFiles(t);
  writeFileSync(join(dir, 'web.yaml'), 'basic_auth_users:\n  me: s3cret\n');
  const { code, errors } = await report(dir, named);
  assert.equal(code, 1);
  assert.deepEqual(
    errors.map(({ file, line, path }) => [file, line, path]),
    [[join(dir, 'web.yaml'), 2, 'basic_auth_users.me']],
  );
  assert.doesNotMatch(JSON.stringify(errors), /s3cret/);
});

const doubtful = `
listen: :9201
remote_write:
  - url: http://a.example/
    bearer_token: s3cret
    follow_redirects: true
    enable_http2: true
    tls_config: {insecure_skip_verify: true, min_version: TLS10}
  - url: https://127.0.0.1:9090/
    bearer_token_file: token
    follow_redirects: false
    enable_http2: true
`;

test('what has no effect, or one that nobody should want, is warned of, and fails with --strict only', async (t) => {
  const dir = await withFiles(t);
  writeFileSync(join(dir, 'token'), 's3cret');
  const { code, valid, errors, warnings } = await report(dir, doubtful);
  assert.deepEqual([code, valid, errors], [0, true, []]);
  assert.deepEqual(at(warnings), [
    '2 listen',
    '4 remote_write[0].url',
    '5 remote_write[0].bearer_token',
    '6 remote_write[0].follow_redirects',
    '7 remote_write[0].enable_http2',
    '8 remote_write[0].tls_config.insecure_skip_verify',
    '8 remote_write[0].tls_config.min_version',
    '10 remote_write[1].bearer_token_file',
  ]);
  const strict = await report(dir, doubtful, { strict: true });
  assert.deepEqual([strict.code, strict.valid, strict.warnings.length], [1, false, 8]);
});

test('for people: warnings and errors on standard error, each in a line with its place', async (t) => {
  const dir = await withFiles(t);
  writeFileSync(join(dir, 'token'), 's3cret');
  const file = join(dir, 'doubtful.yaml');
  writeFileSync(file, doubtful);
  const said = await check(file, {});
  assert.deepEqual([said.code, said.out], [0, `${file} is valid, with 8 warnings\n`]);
  assert.ok(said.err.startsWith(`warning: ${file}:2:1: listen: Whoever reaches every interface`), said.err);
  assert.equal(said.err.split('\n').length, 9);
  const strict = await check(file, { strict: true });
  assert.deepEqual([strict.code, strict.out], [1, '']);
  assert.match(strict.err, /has warnings, and --strict takes none\n$/);
  const broken = join(dir, 'broken.yaml');
  writeFileSync(broken, 'remote_write: [{url: "ftp://me:s3cret@x/"}]\n');
  const { code, out, err } = await check(broken, {});
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /broken\.yaml:1:17: remote_write\[0\]\.url: .*\n.* cannot be used\n$/);
  assert.doesNotMatch(err, /s3cret/);
});

test('a key that needs packages says so where they are not', async (t) => {
  const dir = await tempDir(t, 'check');
  const { code, warnings } = await report(
    dir,
    'remote_write: [{url: "https://a.example/", azuread: {sdk: {}}}]',
  );
  assert.equal(code, 0);
  assert.match(warnings[0]!.message, /npm install @azure\/identity/);
});
