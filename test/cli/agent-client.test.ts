import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { stringify } from 'yaml';
import { AgentClient } from '../../src/cli/agent-client.ts';
import { CommandError } from '../../src/cli/errors.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { parseConfig } from '../../src/config/load.ts';
import { Agent, remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { atEnd } from '../support/cleanup.ts';
import { basic, tlsClient, tlsFile } from '../support/https.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { listenAnywhere } from '../support/ports.ts';
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

/** Takes requests and answers with a part of what it announces, or with nothing. */
async function hanging(t: TestContext, part: string): Promise<{ url: string; asked: Promise<void> }> {
  let heard: () => void;
  const asked = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const server = createServer((_request, response) => {
    heard();
    if (part !== '') response.writeHead(200, { 'Content-Length': 100 }).write(part);
  });
  const port = await listenAnywhere(server);
  atEnd(t, async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${port}`, asked };
}

test('an agent that hangs is an error that says so, also in the middle of its answer', async (t) => {
  for (const part of ['', 'half']) {
    const { url } = await hanging(t, part);
    const client = new AgentClient(url, undefined);
    await assert.rejects(client.ask('GET', '/api/v1/status', undefined, 200), (error) => {
      assert.ok(error instanceof CommandError);
      assert.match(error.message, /^http:\S+ has not answered for 0\.2 s: it hangs/);
      return true;
    });
    await assert.rejects(client.ask('POST', '/x', {}, 200), /may still do what it was asked/);
  }
});

test('who ends a command does not wait for an agent that hangs', async (t) => {
  const config = parseConfig('{"remote_write":[{"url":"http://localhost:1/"}]}', {
    file: 'test',
    baseDir: '/',
  });
  for (const isTTY of [false, true]) {
    const { url, asked } = await hanging(t, '');
    const ended = new AbortController();
    const written: string[] = [];
    const options = { config, url, httpConfig: undefined, json: false, once: false, signal: ended.signal };
    const running = statusCommand(options, { isTTY, write: (text) => written.push(text) });
    await asked;
    ended.abort();
    if (isTTY) assert.equal(await running, 1);
    else await assert.rejects(running, /ended before http:\S+ had answered/);
    assert.deepEqual(written, []);
  }
});
