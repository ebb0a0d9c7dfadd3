import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { stringify } from 'yaml';
import { Agent, remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { basic, tlsClient, tlsFile } from '../support/https.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

test('commands get in by a file that says how: TLS, certificates, credentials of each form', async (t) => {
  const folder = await tempDir(t, 'cli');
  const web = join(folder, 'web.yaml');
  await writeFile(
    web,
    stringify({
      tls_server_config: {
        cert_file: tlsFile('server.crt'),
        key_file: tlsFile('server.key'),
        client_ca_file: tlsFile('ca.crt'),
        client_auth_type: 'RequireAndVerifyClientCert',
      },
      basic_auth_users: { admin: hashSync('s3cret', 4) },
    }),
  );
  const sink = await Sink.start(t);
  const access = { client: tlsClient('client'), authorization: basic('admin', 's3cret') };
  const agent = await Agent.start(t, { web_config_file: web, remote_write: [remote(sink.url)] }, { access });
  const tls_config = {
    ca_file: tlsFile('ca.crt'),
    cert_file: tlsFile('client.crt'),
    key_file: tlsFile('client.key'),
  };
  await writeFile(join(folder, 'password'), 's3cret\n');

  const list = async (http: object | undefined): Promise<{ code: number | null; text: string }> => {
    const file = join(folder, 'http.yaml');
    await writeFile(file, stringify(http ?? {}));
    const how = http === undefined ? [] : ['--http-config-file', file];
    const args = [spillway, 'dead-letters', 'list', '--url', agent.url, ...how];
    const env = { ...process.env, SPILLWAY_TEST_PASSWORD: 's3cret' };
    const child = Child.spawn(t, 'dead-letters', process.execPath, args, { cwd: projectDir, env });
    const { code } = await child.end();
    return { code, text: child.lines.join('\n') };
  };
  for (const basic_auth of [
    { username: 'admin', password: 's3cret' },
    { username: 'admin', password_file: 'password' },
    { username: 'admin', password_env: 'SPILLWAY_TEST_PASSWORD' },
  ]) {
    const { code, text } = await list({ tls_config, basic_auth });
    assert.equal(code, 0, text);
  }
  for (const [http, says] of [
    [undefined, /certificate of https:\S+ comes from an authority that is not known.*--http-config-file/],
    [{ tls_config }, /wants credentials/],
    [{ tls_config, basic_auth: { username: 'admin', password: 'no' } }, /wants credentials/],
    [
      { tls_config, basic_auth: { username: 'admin', password_env: 'SPILLWAY_TEST_NONE' } },
      /basic_auth\.password_env: the environment has no variable SPILLWAY_TEST_NONE/,
    ],
  ] as const) {
    const { code, text } = await list(http);
    assert.notEqual(code, 0);
    assert.match(text, says);
    assert.doesNotMatch(text, /s3cret|\n\s+at /);
  }
});
