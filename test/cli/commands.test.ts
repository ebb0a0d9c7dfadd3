import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext, test } from 'node:test';
import { type CommandName, commands } from '../../src/cli/commands.ts';
import { parseFlags } from '../../src/cli/flags.ts';
import { checkUsage, helpText, resolveCommand, unknownFlag } from '../../src/cli/usage.ts';
import { remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { poll } from '../support/deadline.ts';
import { request, series } from '../support/messages.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { freePort } from '../support/ports.ts';
import { find, needs } from '../support/programs.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

const names = Object.keys(commands) as CommandName[];

/** What they print is for programs already: a log, and a script for a shell. */
const withoutJson = ['run', 'completion'] as const satisfies readonly CommandName[];
type WithJson = Exclude<CommandName, (typeof withoutJson)[number]>;
const hasJson = (name: CommandName): name is WithJson => !withoutJson.some((one) => one === name);

describe('help teaches: what it does, each option, and an example that parses', () => {
  for (const name of names) {
    it(name, () => {
      const { about, does, options, examples } = commands[name];
      const help = helpText(name);
      assert.ok(help.startsWith(`spillway ${name}`));
      assert.ok(about.length > 0 && /\.(?:md)?$/.test(does));
      for (const { flag, value } of options) {
        assert.match(help, new RegExp(`^ {2}--${flag}${value === undefined ? '' : ` ${value}`} `, 'm'));
      }
      assert.ok(help.split('\n').every((line) => line.length <= 100));
      assert.equal(
        options.some(({ flag }) => flag === 'json'),
        hasJson(name),
      );
      assert.ok(examples.length > 0);
      for (const example of examples) {
        assert.ok(help.includes(example));
        const words = wordsOf(example);
        const { values, positionals } = parseFlags(words, (flag) => unknownFlag(flag, name));
        const { command, args } = resolveCommand(positionals);
        assert.equal(command, name);
        checkUsage(command, args, values);
      }
    });
  }
});

test('the list of commands has each of them', () => {
  const all = helpText(undefined);
  for (const name of names)
    assert.match(all, new RegExp(`^ {2}${name} .*${commands[name].about.slice(0, 20)}`, 'm'));
  for (const code of ['0', '1', '2']) assert.ok(all.includes(` ${code} `), `exit code ${code}`);
});

/** The arguments of `spillway` in a line of a shell, without pipes and quotes. */
function wordsOf(example: string): string[] {
  const [, own = ''] = /(?:^| |\()spillway (.*?)(?: \| |\)|$)/.exec(example) ?? [];
  return [...own.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}

/** The names in the first line of what each says with --json, or in the first of its list: programs go by them. */
const says: Readonly<Record<WithJson, readonly string[]>> = {
  'check-config': ['file', 'valid', 'errors', 'warnings'],
  'config convert': ['text', 'notes', 'usable', 'errors', 'warnings'],
  config: ['path', 'about', 'values', 'default'],
  status: ['version', 'status', 'endpoints'],
  explain: ['labels', 'tenant', 'door', 'endpoints'],
  recent: ['series', 'totalSeries'],
  'endpoint ls': ['endpoints', 'removed'],
  'endpoint pause': ['name', 'pausedSinceMs'],
  'endpoint resume': ['name'],
  'endpoint seek': ['direction', 'segment', 'rows'],
  'endpoint forget': ['rows', 'bytes', 'deadLetters'],
  'dead-letters list': ['endpoint', 'reason', 'cause', 'words'],
  'dead-letters export': ['endpoint', 'reason', 'cause', 'words'],
  'dead-letters resend': ['endpoints'],
  'dead-letters purge': ['purged'],
  'queue ls': ['segments', 'skipped'],
  'queue cat': ['kind', 'labels', 'timestampMs', 'value', 'valueBits', 'segment', 'row', 'committedMs'],
  'queue export': ['file', 'rows', 'leftOut', 'segments', 'damage'],
  'queue replay': ['delivered', 'lost', 'waiting', 'resent', 'state'],
  'queue verify': ['files', 'missing', 'whole'],
  'queue repair': ['steps'],
  inspect: ['offset', 'type'],
  sink: ['series', 'samples', 'load', 'requests', 'written', 'faults', 'problems'],
  load: ['run', 'protocol', 'series', 'stepMs', 'sent', 'acknowledged', 'refused', 'notWritten', 'unknown'],
  'hash-password': ['hash'],
};

/** What only this shell understands. */
const inFish = commands.completion.examples.find((example) => example.includes('fish'))!;

test('the example for fish completes words in fish', needs('fish'), async (t) => {
  const own = `function spillway; '${process.execPath}' '${spillway}' $argv; end`;
  const script = `${own}; ${inFish}; and complete -C 'spillway check-'`;
  const child = Child.spawn(t, inFish, find('fish')!, ['--no-config', '-c', script], { cwd: projectDir });
  assert.equal((await child.end()).code, 0, child.tail());
  assert.match(child.tail(), /^check-config\t\w/);
});

const row = (name: string) => series({ __name__: name, job: 'node' }, [Date.now(), 1]);

/** An agent as `spillway run` of its own example starts it, with rows, a dead letter and an endpoint taken out. */
async function workplace(t: TestContext) {
  const storage = await Sink.start(t);
  const cwd = await tempDir(t, 'commands');
  const listen = `127.0.0.1:${await freePort()}`;
  const config = (...more: object[]): Promise<void> =>
    writeFile(
      join(cwd, 'spillway.yaml'),
      JSON.stringify({
        listen,
        data_dir: './data',
        remote_write: [
          remote(storage.url, { name: 'storage' }),
          remote('sqlite:recent.db', { name: 'r' }),
          ...more,
        ],
      }),
    );
  await config(remote('http://127.0.0.1:1/', { name: 'archive' }));
  await writeFile(join(cwd, 'prometheus.yml'), `remote_write: [{ url: "${storage.url}" }]\n`);
  const shell = (line: string): Child => {
    const script = `set -o pipefail; spillway() { "${process.execPath}" "${spillway}" "$@"; }; ${line}`;
    return Child.spawn(t, line, 'bash', ['-c', script], { cwd });
  };
  const args = [spillway, ...wordsOf(commands.run.examples[0]!)];
  const agent = Child.spawn(t, 'agent', process.execPath, args, { cwd });
  const [, url] = await agent.line(/listening on (http:\/\/\S+)/);
  storage.script = ({ rows }) =>
    rows.some((row) => row.series.includes('refused')) ? { status: 400, body: 'no' } : {};
  const [up, refused] = ['up', 'refused'].map((name) =>
    series({ __name__: name, job: 'node' }, [Date.now(), 1]),
  );
  await new Sender(t, url!).write(request(up!, refused!));
  await poll(
    () => `no dead letter:\n${agent.tail()}`,
    async () =>
      (await (await fetch(`${url}/metrics`)).text()).match(/^spillway_dead_letters\{.*"storage".*\} 1$/m) ??
      undefined,
  );
  storage.script = () => ({});
  await config();
  assert.equal((await fetch(`${url}/-/reload`, { method: 'POST' })).status, 200, agent.tail());
  return { cwd, url: url!, storage, shell, agent };
}

test('each example works on an agent that runs, and says with --json what programs can read', async (t) => {
  const { cwd, url, storage, shell, agent } = await workplace(t);
  for (const name of names) {
    if (name === 'run') continue;
    // What has been delivered by all is deleted: for what looks into the queue some must wait.
    if (name === 'queue ls') await shell('spillway endpoint pause storage --config spillway.yaml').end();
    if (name === 'queue ls') await new Sender(t, url).write(request(row('up')));
    for (const example of commands[name].examples) {
      if (example === inFish) continue;
      const line = example
        .replace('http://127.0.0.1:9201', url)
        .replace('http://127.0.0.1:9202/api/v1/write', storage.url)
        .replace('data/wal/00000000000000000001.open', () => openSegment(cwd))
        .replace('127.0.0.1:9202', `127.0.0.1:${await freePort()}`);
      const json = hasJson(name)
        ? line.replace(/(?= -- )|(?= \| (?!spillway))|$/, ' --json')
        : `${line} && complete -p spillway`;
      const text = name === 'sink' ? await sinkText(t, cwd, json) : await textOf(shell, cwd, json);
      assert.ok(!text.includes('\u001b'), `${line}: colours without a terminal`);
      if (!hasJson(name)) continue;
      const values = name === 'check-config' ? [text] : text.trimEnd().split('\n');
      assert.notEqual(text, '', line);
      const [first] = values.flatMap((one) => JSON.parse(one) as object | object[]);
      for (const key of says[name])
        assert.ok(Object.hasOwn(first!, key), `${line}: ${key} in ${text.slice(0, 500)}`);
    }
  }
  assert.equal((await agent.kill('SIGTERM')).code, 0);
});

/** What a line of a shell says on standard output. */
async function textOf(shell: (line: string) => Child, cwd: string, line: string): Promise<string> {
  const output = join(cwd, 'output');
  const child = shell(`${line} > '${output}'`);
  assert.equal((await child.end()).code, 0, `${line}:\n${child.tail()}`);
  return readFile(output, 'utf8');
}

/** The same for what goes on until it is interrupted. */
async function sinkText(t: TestContext, cwd: string, line: string): Promise<string> {
  const child = Child.spawn(t, line, process.execPath, [spillway, ...wordsOf(line)], { cwd });
  await child.line(/^listening at/);
  assert.equal((await child.kill('SIGINT')).code, 0, child.tail());
  return child.lines.at(-1)!;
}

function openSegment(cwd: string): string {
  const wal = join(cwd, 'data', 'wal');
  return join(wal, readdirSync(wal).find((name) => name.endsWith('.open'))!);
}
