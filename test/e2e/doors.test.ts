import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { stringify } from 'yaml';
import { Agent, remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { Exporter } from '../support/exporter.ts';
import { ask, basic, tlsClient, tlsFile } from '../support/https.ts';
import { Load } from '../support/load.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

const tls_server_config = {
  cert_file: tlsFile('server.crt'),
  key_file: tlsFile('server.key'),
  client_ca_file: tlsFile('ca.crt'),
  client_auth_type: 'RequireAndVerifyClientCert',
};
const tls_config = {
  ca_file: tlsFile('ca.crt'),
  cert_file: tlsFile('client.crt'),
  key_file: tlsFile('client.key'),
};
const client = tlsClient('client');

test(
  'a Prometheus writes with a password over TLS with certificates on both sides; what it may not see stays closed',
  needs('prometheus'),
  async (t) => {
    const folder = await tempDir(t, 'web');
    const web = join(folder, 'web.yaml');
    const users = (writer: string): string =>
      stringify({
        tls_server_config,
        basic_auth_users: { writer: hashSync(writer, 10), reader: hashSync('look', 4) },
        user_access: { writer: 'write', reader: 'read' },
      });
    await writeFile(web, users('s3cret'));
    const sink = await Sink.start(t);
    const access = { client, authorization: basic('reader', 'look') };
    const agent = await Agent.start(
      t,
      { web_config_file: web, remote_write: [remote(sink.url)] },
      { access },
    );
    const exporter = await Exporter.start(t);
    const passwordFile = join(folder, 'password');
    await writeFile(passwordFile, 's3cret');
    await Prometheus.start(t, {
      scrape: { demo: exporter.url },
      remoteWrite: `${agent.url}/api/v1/write`,
      remoteWriteWith: { tls_config, basic_auth: { username: 'writer', password_file: passwordFile } },
    });
    await sink.waitFor('samples of the exporter', () => sink.arrivals.count > 500);

    // The password changes on both sides, first at the agent; both follow without a restart.
    await writeFile(web, users('an0ther'));
    await agent.line(/the web configuration has changed; the new one is in force/);
    await writeFile(passwordFile, 'an0ther');
    const before = sink.arrivals.count;
    await sink.waitFor('samples with the new password', () => sink.arrivals.count > before + 2000);
    assert.deepEqual(sink.arrivals.inversions, []);

    const writer = { authorization: basic('writer', 'an0ther') };
    assert.equal((await ask(`${agent.url}/metrics`, { ...client, headers: writer })).status, 403);
    assert.equal((await ask(`${agent.url}/metrics`, client)).status, 401);
    await assert.rejects(ask(`${agent.url}/metrics`, tlsClient()));
    assert.equal(await agent.metric('spillway_auth_refusals_total', { reason: 'no_access' }), 1);
    assert.equal(await agent.metric('spillway_web_config_failing'), 0);
    assert.doesNotMatch(agent.lines.join('\n'), /s3cret|an0ther|\$2[aby]\$/);
  },
);

test('an agent delivers to another over TLS with certificates on both sides', async (t) => {
  const folder = await tempDir(t, 'web');
  const web = join(folder, 'web.yaml');
  await writeFile(web, stringify({ tls_server_config, basic_auth_users: { a: hashSync('s3cret', 4) } }));
  const sink = await Sink.start(t);
  const access = { client, authorization: basic('a', 's3cret') };
  const far = await Agent.start(t, { web_config_file: web, remote_write: [remote(sink.url)] }, { access });
  const near = await Agent.start(t, {
    remote_write: [
      {
        ...remote(`${far.url}/api/v1/write`),
        tls_config,
        basic_auth: { username: 'a', password: 's3cret' },
      },
    ],
  });
  const load = new Load(t, near.url, { connections: 2 });
  await load.send(50);
  await sink.waitForRows(load.acknowledged);
  assert.deepEqual(sink.arrivals.inversions, []);
});

test('an agent that listens to everybody without credentials says so, and check-config checks both files', async (t) => {
  const folder = await tempDir(t, 'web');
  const child = Child.spawn(t, 'agent', process.execPath, [spillway, 'run', '--listen', '0.0.0.0:0'], {
    cwd: folder,
  });
  await child.line(/^WARNING: Whoever reaches 0\.0\.0\.0, port \d+, may write and look/);
  await child.line(/level=warn .*may write and look/);
  await child.kill('SIGTERM');

  await writeFile(join(folder, 'web.yaml'), 'basic_auth_users: {a: s3cret}\n');
  await writeFile(
    join(folder, 'spillway.yaml'),
    'web_config_file: web.yaml\nremote_write: [{url: "sqlite:recent.db"}]\n',
  );
  for (const [expected, ...args] of [
    [1, 'check-config', join(folder, 'spillway.yaml')],
    [2, 'run', '--config', join(folder, 'spillway.yaml')],
  ] as [number, ...string[]][]) {
    const checked = Child.spawn(t, 'check', process.execPath, [spillway, ...args], { cwd: projectDir });
    await checked.line(/web\.yaml:1:\d+: basic_auth_users\.a: not a bcrypt hash/);
    assert.equal((await checked.end()).code, expected);
    assert.doesNotMatch(checked.lines.join('\n'), /s3cret/);
  }
});
