import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { ConfigError } from '../../src/config/problems.ts';
import { authenticates, parseWebConfig, type WebConfig } from '../../src/config/web-config.ts';

/** One broken file per rule, as in `fixtures.test.ts`. */
const folder = join('test', 'fixtures', 'web-config');
const tls = resolve('test', 'fixtures', 'tls');

const hash = '$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze';

function parse(text: string, files: Readonly<Record<string, string>> = {}): WebConfig {
  const read = (file: string): Buffer =>
    files[file] === undefined ? readFileSync(file) : Buffer.from(files[file]);
  return parseWebConfig(text, { file: 'web.yaml', baseDir: tls, read });
}

describe('parseWebConfig', () => {
  it('takes the sample of Prometheus, and its users have all access', () => {
    const config = parse(`
tls_server_config:
  cert_file: server.crt
  key_file: server.key
basic_auth_users:
  alice: ${hash}
`);
    assert.deepEqual([...config.users], [['alice', { hash, access: 'all' }]]);
    assert.equal(config.tls?.clientAuthType, 'NoClientCert');
    assert.equal(config.tls?.context.minVersion, 'TLSv1.2');
    assert.equal(config.tls?.notAfterSeconds, Date.UTC(2120, 0, 1) / 1000);
    assert.equal(config.protectProbes, false);
  });

  it('takes all that is ours', () => {
    const sha256 = createHash('sha256').update('hashed').digest();
    const config = parse(
      `
tls_server_config:
  cert_file: ${tls}/server.crt
  key_file: server.key
  client_ca_file: ca.crt
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [sender.example, "spiffe://example/sender"]
  min_version: TLS13
basic_auth_users: {writer: ${hash}, "looks at it": ${hash}, both: ${hash}}
user_access: {writer: write, "looks at it": read}
bearer_tokens:
  - {name: file, token_file: token, access: write}
  - {name: hash, token_sha256: ${sha256.toString('hex').toUpperCase()}}
protect_probes: true
`,
      { [join(tls, 'token')]: ' in-file\n' },
    );
    assert.deepEqual(
      [...config.users].map(([name, { access }]) => [name, access]),
      [
        ['writer', 'write'],
        ['looks at it', 'read'],
        ['both', 'all'],
      ],
    );
    assert.deepEqual(config.tokens, [
      { name: 'file', sha256: createHash('sha256').update('in-file').digest(), access: 'write' },
      { name: 'hash', sha256, access: 'all' },
    ]);
    assert.deepEqual(config.tls?.clientAllowedSans, ['sender.example', 'spiffe://example/sender']);
    assert.equal(config.tls?.context.minVersion, 'TLSv1.3');
    assert.equal(config.protectProbes, true);
  });

  it('knows whether somebody without credentials comes in', () => {
    const listener = 'tls_server_config: {cert_file: server.crt, key_file: server.key';
    for (const [text, expected] of [
      ['', false],
      ['# nothing', false],
      [`${listener}}`, false],
      [`${listener}, client_ca_file: ca.crt, client_auth_type: VerifyClientCertIfGiven}`, false],
      [`${listener}, client_auth_type: RequireAnyClientCert}`, false],
      [`${listener}, client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert}`, true],
      [`basic_auth_users: {a: ${hash}}`, true],
      [`bearer_tokens: [{name: a, token_sha256: ${'0'.repeat(64)}}]`, true],
    ] as const) {
      assert.equal(authenticates(parse(text)), expected, text);
    }
  });

  for (const file of readdirSync(folder)) {
    it(`refuses ${file}`, () => {
      const text = readFileSync(join(folder, file), 'utf8');
      const expected = text.match(/^#! .*$/gm)?.map((line) => `${file}:${line.slice(3)}`) ?? [];
      assert.throws(
        () => parseWebConfig(text, { file, baseDir: resolve(folder), read: readFileSync }),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.deepEqual(error.message.split('\n'), expected);
          assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /s3cret|BEGIN/);
          return true;
        },
      );
    });
  }
});
