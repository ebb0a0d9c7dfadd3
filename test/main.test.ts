import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseConfig } from '../src/config/load.ts';
import { walDirectory } from '../src/filequeue/file-queue.ts';
import { put, row, usingQueue } from './filequeue/queue.ts';
import { remote } from './support/agent.ts';
import { Child } from './support/child.ts';
import { poll } from './support/deadline.ts';
import { request, series } from './support/messages.ts';
import { projectDir, spillway } from './support/paths.ts';
import { freePort } from './support/ports.ts';
import { Sender } from './support/sender.ts';
import { Sink } from './support/sink.ts';
import { type Ran, runSpillwayIn } from './support/spillway.ts';
import { tempDir } from './support/temp.ts';

const run = (t: TestContext, args: readonly string[], cwd = projectDir): Promise<Ran> =>
  runSpillwayIn(t, cwd, ...args);

const { version } = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8')) as { version: string };

test('--help and --version say what they are asked', async (t) => {
  const help = await run(t, ['--help']);
  assert.equal(help.code, 0);
  for (const command of ['run', 'check-config', 'config --defaults', 'recent', 'dead-letters', 'inspect']) {
    assert.ok(help.text.includes(command), command);
  }
  for (const command of ['recent', 'dead-letters', 'queue', 'check-config']) {
    const { code, text } = await run(t, [command, '--help']);
    assert.equal(code, 0);
    assert.match(text.split('\n')[0]!, new RegExp(`^spillway ${command} `));
    assert.doesNotMatch(text, /Usage:|\[run\]/);
  }
  const purge = await run(t, ['dead-letters', 'purge', '--frobnicate', '--help']);
  assert.match(purge.text, /^ {2}--all .*\n {2}--yes /m);
  assert.deepEqual(await run(t, ['--version']), { code: 0, text: version });
});

test('a wrong command line ends with 2, says what is wrong, and where its help is', async (t) => {
  const cwd = await tempDir(t, 'main');
  const wrong: readonly (readonly [readonly string[], RegExp, string])[] = [
    [['frobnicate'], /no command frobnicate/, ''],
    [['--frobnicate'], /--frobnicate/, ''],
    [['run', '--config'], /--config/, 'run '],
    [['run', 'spillway.yaml'], /unexpected argument: spillway\.yaml/, 'run '],
    [['check-config'], /a configuration file/, 'check-config '],
    [['config'], /--defaults/, 'config '],
    [['run', '--listen', 'nowhere'], /--listen nowhere/, 'run '],
    [['recent', 'up', '--listen', 'x:1'], /spillway recent has no option --listen/, 'recent '],
    [['queue', 'mend'], /no command queue mend/, 'queue '],
    [['dead-letters', 'list', '--frobnicate'], /--frobnicate/, 'dead-letters list '],
    [['quue'], /no command quue; did you mean queue\?/, ''],
    [['queue'], /queue: ls, cat, export, replay, verify or repair\?/, 'queue '],
    [['queue', 'ls', '--jsn'], /spillway queue ls has no option --jsn; did you mean --json\?/, 'queue ls '],
    [['load', '--proto', '2.0'], /spillway load has no option --proto; did you mean --protocol\?/, 'load '],
  ];
  await Promise.all(
    wrong.map(async ([args, says, command]) => {
      const { code, text } = await run(t, args, cwd);
      assert.equal(code, 2, args.join(' '));
      const [first, ...rest] = text.split('\n');
      assert.match(first!, says);
      assert.deepEqual(rest.slice(-1), [`see: spillway ${command}--help`]);
      assert.ok(rest.length <= 2, text);
      assert.doesNotMatch(text, /^ +at /m);
    }),
  );
  assert.deepEqual(readdirSync(cwd), []);
});

const broken = 'listen: 127.0.0.1:9201\nremote_write:\n  - url: http://localhost/\n    ttl: soon\nlistn: x\n';

test('check-config says whether a file is valid, and where it is not', async (t) => {
  const cwd = await tempDir(t, 'main');
  writeFileSync(join(cwd, 'good.yaml'), 'remote_write: [{ url: "http://localhost:1/" }]\n');
  writeFileSync(join(cwd, 'bad.yaml'), broken);
  assert.deepEqual(await run(t, ['check-config', 'good.yaml'], cwd), {
    code: 0,
    text: 'good.yaml is valid',
  });
  const bad = await run(t, ['check-config', 'bad.yaml'], cwd);
  assert.equal(bad.code, 1);
  assert.match(bad.text, /bad\.yaml:4:5: remote_write\[0\]\.ttl: /);
  assert.match(bad.text, /bad\.yaml:5:1: .*listen/);
  assert.doesNotMatch(bad.text, /Usage|^ +at /m);
  const missing = await run(t, ['check-config', 'missing.yaml'], cwd);
  assert.equal(missing.code, 1);
  assert.match(missing.text, /cannot read the configuration file missing\.yaml: ENOENT/);
});

test('run ends with 2 on a broken configuration, before it makes anything', async (t) => {
  const cwd = await tempDir(t, 'main');
  writeFileSync(join(cwd, 'bad.yaml'), broken);
  const { code, text } = await run(t, ['run', '--config', 'bad.yaml'], cwd);
  assert.equal(code, 2);
  assert.match(text, /bad\.yaml:4:5: /);
  assert.deepEqual(readdirSync(cwd), ['bad.yaml']);
});

test('config --defaults prints a configuration that is valid', async (t) => {
  const { code, text } = await run(t, ['config', '--defaults']);
  assert.equal(code, 0);
  const config = parseConfig(text, { file: 'defaults', baseDir: '/' });
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 9201 });
});

test('inspect prints a captured request and a segment as lines of JSON', async (t) => {
  const captured = join(projectDir, 'test/fixtures/captures');
  const bodyOf = (folder: string): string =>
    join(captured, folder, readdirSync(join(captured, folder)).find((name) => name.endsWith('.bin'))!);
  const dir = await tempDir(t, 'main');
  const { queue } = await usingQueue(t, dir);
  await put(queue, row('up', 1));
  const segment = join(dir, readdirSync(dir).find((name) => name.endsWith('.open'))!);
  const golden = join(projectDir, 'test/fixtures/segments/v1-tiny/00000000000000000001.committed');
  for (const [args, first] of [
    [[bodyOf('prometheus-2.42-agent')], { version: '1.0' }],
    [[bodyOf('prometheus-3.5-agent-rw2'), '--v2'], { version: '2.0' }],
    [[segment], { offset: 0, type: 'header' }],
    [[golden], { offset: 0, type: 'header', segment: 1 }],
  ] as const) {
    const { code, text } = await run(t, ['inspect', ...args]);
    assert.equal(code, 0, text);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    assert.ok(lines.length > 1);
    for (const [key, value] of Object.entries(first)) {
      assert.equal((lines[0] as Record<string, unknown>)[key], value);
    }
  }
});

test('inspect says what it cannot read, without a stack', async (t) => {
  for (const file of ['missing.bin', join(projectDir, 'package.json')]) {
    const { code, text } = await run(t, ['inspect', file]);
    assert.equal(code, 1);
    assert.ok(text.startsWith(`spillway: ${file} cannot be read`), text);
    assert.doesNotMatch(text, /^ +at /m);
  }
});

test('recent looks samples up in a running agent, and says when there is none', async (t) => {
  const dir = await tempDir(t, 'main');
  const args = ['run', '--listen', '127.0.0.1:0'];
  const child = Child.spawn(t, 'agent', process.execPath, [spillway, ...args], { cwd: dir });
  const url = (await child.line(/listening on (http:\S+)/))[1]!;
  const sent = await new Sender(t, url).write(
    request(series({ __name__: 'up', job: 'mine' }, [Date.now(), 42])),
  );
  assert.equal(sent?.status, 204);
  const text = await poll(
    () => 'the sample does not show',
    async () => {
      const { code, text } = await run(t, ['recent', 'up{job="mine"}', '--url', url]);
      assert.equal(code, 0, text);
      return / 42$/m.test(text) ? text : undefined;
    },
  );
  assert.match(text, /^up\{job="mine"\}$/m);

  const wrong = await run(t, ['recent', 'up{', '--url', url]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.text, /^spillway: .*\(400\)$/m);
  await child.kill('SIGTERM');
  const gone = await run(t, ['recent', 'up', '--url', url]);
  assert.equal(gone.code, 1);
  assert.match(gone.text, new RegExp(`^spillway: no agent answers at ${url}: .*ECONNREFUSED`));
  assert.doesNotMatch(gone.text, /^ +at /m);
});

test('recent goes by --config: to the agent that runs on it, and to its file when none does', async (t) => {
  const cwd = await tempDir(t, 'main');
  const listen = `127.0.0.1:${await freePort()}`;
  writeFileSync(
    join(cwd, 'spillway.yaml'),
    JSON.stringify({ listen, data_dir: 'queue', remote_write: [remote('sqlite:recent.db', { name: 'r' })] }),
  );
  const look = (...args: string[]) => run(t, ['recent', 'up', ...args], cwd);
  const never = await look('--config', 'spillway.yaml');
  assert.equal(never.code, 1);
  assert.match(never.text, /^spillway: there is nothing in \S+queue: no agent has run there$/);
  assert.deepEqual(readdirSync(cwd), ['spillway.yaml']);

  const args = [spillway, 'run', '-c', 'spillway.yaml'];
  const child = Child.spawn(t, 'agent', process.execPath, args, { cwd });
  const url = (await child.line(/listening on (http:\S+)/))[1]!;
  await new Sender(t, url).write(request(series({ __name__: 'up' }, [Date.now(), 42])));
  const found = async (...how: string[]): Promise<string | undefined> => {
    const { code, text } = await look(...how);
    assert.equal(code, 0, text);
    return / 42$/m.test(text) ? text : undefined;
  };
  await poll(
    () => 'the sample does not show',
    () => found('--config', 'spillway.yaml'),
  );
  await child.kill('SIGTERM');
  assert.match((await found('--config', 'spillway.yaml'))!, /^up\n {2}\S+ {2}42$/m);
  assert.match((await found('--data-dir', 'queue'))!, /^up\n {2}\S+ {2}42$/m);
});

test('--listen and --data-dir win over the file', async (t) => {
  const sink = await Sink.start(t);
  const cwd = await tempDir(t, 'main');
  const port = await freePort();
  writeFileSync(
    join(cwd, 'spillway.yaml'),
    JSON.stringify({ listen: '192.0.2.1:1', data_dir: './no', remote_write: [remote(sink.url)] }),
  );
  const args = ['run', '-c', 'spillway.yaml', '--listen', `127.0.0.1:${port}`, '--data-dir', 'yes'];
  const child = Child.spawn(t, 'agent', process.execPath, [spillway, ...args], { cwd });
  await child.line(new RegExp(`listening on http://127\\.0\\.0\\.1:${port}$`));
  await child.kill('SIGTERM');
  assert.ok(existsSync(walDirectory(join(cwd, 'yes'))));
  assert.ok(!existsSync(join(cwd, 'no')));
});

test('a port in use, or a directory in use, ends with 1 and is named', async (t) => {
  const cwd = await tempDir(t, 'main');
  const port = new URL((await Sink.start(t)).url).port;
  const taken = await run(t, ['run', '--listen', `127.0.0.1:${port}`], cwd);
  assert.equal(taken.code, 1);
  assert.match(
    taken.text,
    new RegExp(`^spillway: cannot listen on 127\\.0\\.0\\.1:${port}; .*EADDRINUSE`, 'm'),
  );
  assert.doesNotMatch(taken.text, /^ +at /m);
  await usingQueue(t, walDirectory(join(cwd, 'data')));
  const locked = await run(t, ['run', '--listen', '127.0.0.1:0'], cwd);
  assert.equal(locked.code, 1);
  assert.match(locked.text, /^spillway: .*data\/wal is in use by another Spillway process/m);
});

test('a data directory that cannot be made ends the start, and is named with its key', {
  skip: !existsSync('/proc/self'),
}, async (t) => {
  const cwd = await tempDir(t, 'main');
  for (const args of [
    ['run', '--listen', '127.0.0.1:0', '--data-dir', '/proc/x'],
    ['run', '--listen', '127.0.0.1:0', '--data-dir', join(projectDir, 'package.json')],
  ]) {
    const { code, text } = await run(t, args, cwd);
    assert.equal(code, 1);
    assert.match(text, /^spillway: the data directory \S+ cannot be made: set `data_dir` \(or --data-dir\)/m);
    assert.match(text, /: (ENOENT|EEXIST): .*mkdir/);
    assert.doesNotMatch(text, /^ +at /m);
  }
});

test('the log says that it listens, where, and on what data', async (t) => {
  const cwd = await tempDir(t, 'main');
  const args = [spillway, 'run', '--listen', '127.0.0.1:0'];
  const child = Child.spawn(t, 'agent', process.execPath, args, { cwd });
  const [, url] = await child.line(/^Spillway is listening on (http:\S+)$/);
  const [, logged, rest] = await child.line(
    /level=info msg="Spillway listens and takes writes" url=(\S+) (.*)$/,
  );
  assert.equal(logged, url);
  assert.equal(rest, `version=${version} data_dir=${join(cwd, 'data')} endpoints=recent`);
});

test('a second SIGTERM ends at once what the first left waiting', async (t) => {
  const sink = await Sink.start(t, () => ({ instead: 'hang' }));
  const cwd = await tempDir(t, 'main');
  writeFileSync(
    join(cwd, 'spillway.yaml'),
    JSON.stringify({ listen: '127.0.0.1:0', shutdown_grace: '1h', remote_write: [remote(sink.url)] }),
  );
  const args = [spillway, 'run', '--config', 'spillway.yaml'];
  const child = Child.spawn(t, 'agent', process.execPath, args, { cwd });
  const url = (await child.line(/listening on (http:\S+)/))[1]!;
  await new Sender(t, url).write(request(series({ __name__: 'up' }, [1, 1])));
  await sink.waitFor('the request', () => sink.requests.length === 1);
  const exit = child.kill('SIGTERM');
  await child.line(/stopping: delivering/);
  assert.ok(child.running);
  await child.kill('SIGTERM');
  assert.deepEqual(await exit, { code: 1, signal: null });
  // What waits is on disk, for the next start.
  const { queue } = await usingQueue(t, walDirectory(join(cwd, 'data')));
  assert.equal(queue.rowsFrom(0, 0), 1);
});
