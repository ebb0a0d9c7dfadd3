import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { stringify } from 'yaml';
import { Ledger } from '../../src/ledger/ledger.ts';
import type { DeadLetter } from '../../src/network/dead-letter.ts';
import { lettersMessage } from '../../src/network/letters-message.ts';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { lockDirectory } from '../../src/runtime/directory-lock.ts';
import { EXEMPLAR, HISTOGRAM } from '../../src/serialization/rows.ts';
import { type Access, Agent, type Remote, remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { basic, tlsClient, tlsFile } from '../support/https.ts';
import { letterOf, metadataLetter, refusal, sampleLetter } from '../support/letters.ts';
import { bitsOf, labels, request, series } from '../support/messages.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { freePort } from '../support/ports.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { type Row, rowsOf, seriesKey } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

const now = Date.now() - 60_000;

interface Done {
  readonly code: number | null;
  readonly lines: readonly string[];
}

/** A data directory with letters, and the agent on it, or none. */
class Setup {
  readonly dataDir: string;
  readonly config: string;
  readonly agent: Agent | undefined;
  readonly #t: TestContext;

  private constructor(t: TestContext, dataDir: string, config: string, agent: Agent | undefined) {
    this.#t = t;
    this.dataDir = dataDir;
    this.config = config;
    this.agent = agent;
  }

  static async make(
    t: TestContext,
    how: 'running' | 'stopped',
    remotes: readonly (Remote & { readonly authorization?: object })[],
    letters: Readonly<Record<string, readonly DeadLetter[]>>,
    doors?: { readonly web_config_file: string; readonly access: Access },
  ): Promise<Setup> {
    if (how === 'running') {
      const { web_config_file, access } = doors ?? {};
      const agent = await Agent.start(
        t,
        { ...(web_config_file === undefined ? {} : { web_config_file }), remote_write: remotes },
        access === undefined ? {} : { access },
      );
      // What is in the ledger before the agent runs is what its workers have put there in an earlier run.
      await agent.terminate();
      keep(agent.dataDir, letters);
      await agent.start();
      return new Setup(t, agent.dataDir, join(dirname(agent.dataDir), 'spillway.yaml'), agent);
    }
    const dataDir = await tempDir(t, 'letters');
    const config = join(await tempDir(t, 'letters'), 'spillway.yaml');
    const listen = `127.0.0.1:${await freePort()}`;
    writeFileSync(config, stringify({ listen, data_dir: dataDir, remote_write: remotes }));
    keep(dataDir, letters);
    return new Setup(t, dataDir, config, undefined);
  }

  start(...args: string[]): Child {
    const all = [spillway, 'dead-letters', ...args, '--config', this.config];
    return Child.spawn(this.#t, `dead-letters ${args[0]}`, process.execPath, all, { cwd: projectDir });
  }

  async run(...args: string[]): Promise<Done> {
    const child = this.start(...args);
    const { code } = await child.end();
    return { code, lines: child.lines };
  }

  /** The letters that are there, by what `export` says. */
  async exported(...args: string[]): Promise<Record<string, unknown>[]> {
    const { code, lines } = await this.run('export', ...args);
    assert.equal(code, 0, lines.join('\n'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

function keep(dataDir: string, letters: Readonly<Record<string, readonly DeadLetter[]>>): void {
  const ledger = Ledger.open(dataDir, Date.now(), () => assert.fail('the ledger is whole'));
  try {
    for (const [endpoint, some] of Object.entries(letters)) ledger.deadLetters.keep(endpoint, refusal(some));
  } finally {
    ledger.close();
  }
}

const up = (job: string) => ({ __name__: 'up', job });
const some = (count: number, from = 0): DeadLetter[] =>
  Array.from({ length: count }, (_, i) => sampleLetter(from + i, up(`${i % 3}`), now + i));
const rowsOfLetters = (letters: readonly DeadLetter[]): Row[] =>
  rowsOf(decodeWriteRequestV1(lettersMessage(letters)));
const rowNumbers = (letters: readonly Record<string, unknown>[]): unknown[] => letters.map(({ row }) => row);

for (const how of ['stopped', 'running'] as const) {
  test(`${how}: letters are listed, exported and purged, by filters`, async (t) => {
    const sink = await Sink.start(t);
    const remotes = [remote(sink.url, { name: 'a' }), remote(sink.url, { name: 'b' })];
    const setup = await Setup.make(t, how, remotes, { a: some(30), b: some(4) });

    const list = await setup.run('list');
    assert.equal(list.code, 0);
    assert.match(list.lines[0]!, /^a: 30 rejected with 400, from 20\S+Z to 20\S+Z$/);
    assert.match(list.lines[1]!, /^b: 4 rejected with 400/);
    assert.match(list.lines[3]!, / b 400 out of bounds$/);
    assert.equal(list.lines[4], `  up{job="0"} 3 @ ${new Date(now + 3).toISOString()}`);
    assert.equal(list.lines.at(-1), '... more: --limit N, or export');
    const few = await setup.run('list', '--json', '--limit', '3', '--endpoint', 'b');
    assert.deepEqual(rowNumbers(few.lines.map((line) => JSON.parse(line))), [3, 2, 1]);

    const exported = await setup.exported();
    assert.equal(exported.length, 34);
    assert.deepEqual(
      { ...exported[0], id: 1, at: '' },
      {
        id: 1,
        endpoint: 'a',
        at: '',
        reason: 'rejected',
        cause: '400',
        words: 'out of bounds',
        segment: 1,
        row: 0,
        kind: 'sample',
        labels: up('0'),
        timestampMs: now,
        value: '0',
        valueBits: '0000000000000000',
      },
    );
    assert.deepEqual(rowNumbers(await setup.exported('--endpoint', 'b', '--selector', 'up{job="1"}')), [1]);
    if (how === 'running') {
      // A stopped agent's directory is held by one of them at a time.
      const none = [
        ['--since', '1ms'],
        ['--before', '1d'],
        ['--reason', 'duplicate'],
        ['--cause', '422'],
      ].map((filter) => setup.exported(...filter));
      assert.deepEqual(await Promise.all(none), [[], [], [], []]);
      assert.equal((await setup.exported('--cause', '400')).length, 34);
    }

    assert.equal((await setup.run('purge')).code, 2);
    const unasked = await setup.run('purge', '--all');
    assert.equal(unasked.code, 2);
    assert.match(unasked.lines[0]!, /without a terminal to ask on it needs --yes/);
    for (const command of ['list', 'export', 'purge', 'resend']) {
      const unknown = await setup.run(command, '--endpoint', 'c');
      assert.equal(unknown.code, 2, command);
      assert.match(unknown.lines[0]!, /--endpoint c: there is no such endpoint; there are a, b$/);
    }
    assert.deepEqual(await setup.run('purge', '--endpoint', 'a', '--selector', '{job!="2"}'), {
      code: 0,
      lines: ['purged 20 letters'],
    });
    assert.deepEqual(
      rowNumbers(await setup.exported('--endpoint', 'a')),
      [2, 5, 8, 11, 14, 17, 20, 23, 26, 29],
    );
    assert.deepEqual(await setup.run('purge', '--all', '--yes'), { code: 0, lines: ['purged 14 letters'] });
    assert.deepEqual((await setup.run('list')).lines, ['no dead letters']);
    assert.deepEqual(sink.requests, []);
    if (setup.agent !== undefined) {
      assert.equal(await setup.agent.metric('spillway_dead_letters_purged_total', { endpoint: 'a' }), 30);
      assert.equal(await setup.agent.metric('spillway_dead_letters', { endpoint: 'a' }), 0);
    }
  });

  test(`${how}: what is sent again arrives whole, oldest first, and is no dead letter any more`, async (t) => {
    const sink = await Sink.start(t);
    const mixed = [
      ...some(40).reverse(),
      sampleLetter(50, up('stale'), now, 0x7ff0000000000002n),
      letterOf(51, HISTOGRAM, now, up('h'), {
        histograms: [{ timestamp: BigInt(now), countInt: 3n, sumBits: bitsOf(0.5), positiveDeltas: [3n] }],
      }),
      letterOf(52, EXEMPLAR, now, up('e'), {
        exemplars: [{ timestamp: BigInt(now), valueBits: bitsOf(1), labels: labels({ trace: 'x' }) }],
      }),
    ];
    const one = remote(sink.url, { name: 'a', queue_config: { max_samples_per_send: 10 } });
    const remotes = [{ ...one, authorization: { credentials: 'secret' } }, remote(sink.url, { name: 'b' })];
    const setup = await Setup.make(t, how, remotes, {
      a: [...mixed, metadataLetter(53, 'up', 'Is it?')],
      b: some(2),
    });
    const { code, lines } = await setup.run('resend', '--endpoint', 'a');
    assert.deepEqual(lines, ['a: resent 44, refused again 0, left 0']);
    assert.equal(code, 0);

    const keyOf = ({ series: name, kind, at, content }: Row) => `${name} ${kind} ${at} ${content}`;
    const arrived = sink.requests.flatMap(({ rows }) => rows);
    assert.deepEqual(arrived.map(keyOf).sort(), rowsOfLetters(mixed).map(keyOf).sort());
    const times = arrived.map(({ at }) => Number(at));
    assert.deepEqual(
      times,
      times.toSorted((x, y) => x - y),
    );
    assert.deepEqual(
      sink.requests.filter(({ rows }) => rows.length > 0).map(({ rows }) => rows.length),
      [10, 10, 10, 10, 3],
    );
    assert.equal(sink.metadata.length, 1);
    for (const { headers } of sink.requests) assert.equal(headers.authorization, 'Bearer secret');
    assert.deepEqual(rowNumbers(await setup.exported()), [0, 1]);
    if (setup.agent !== undefined) {
      assert.equal(await setup.agent.metric('spillway_dead_letters_resent_total', { endpoint: 'a' }), 44);
      assert.equal(await setup.agent.metric('spillway_dead_letters', { endpoint: 'b' }), 2);
    }
  });

  test(`${how}: what is refused again stays, with the new words, and the rest is taken`, async (t) => {
    const sink = await Sink.start(t, ({ rows }) =>
      rows.some(({ at }) => at === BigInt(now + 7)) ? { status: 422, body: 'seven is not welcome' } : {},
    );
    const setup = await Setup.make(t, how, [remote(sink.url, { name: 'a' })], { a: some(20) });
    const { code, lines } = await setup.run('resend');
    assert.deepEqual([code, lines], [1, ['a: resent 19, refused again 1, left 0']]);
    const [letter, ...more] = await setup.exported();
    assert.deepEqual(
      [letter?.row, letter?.cause, letter?.words, more],
      [7, '422', 'seven is not welcome', []],
    );
    assert.equal([...sink.arrivals.rows()].length, 19);
  });

  test(`${how}: an endpoint that is down, or does not let us in, costs no letter`, async (t) => {
    const sink = await Sink.start(t, () => ({ status: 403, body: 'who are you?' }));
    const setup = await Setup.make(t, how, [remote(sink.url, { name: 'a' })], { a: some(20), gone: some(1) });
    const shut = await setup.run('resend');
    assert.equal(shut.code, 1);
    assert.deepEqual(shut.lines, [
      'a: resent 0, refused again 0, left 20',
      'a: stopped, the endpoint does not let us in (403: who are you?); nothing is lost, mend that and try again',
      'gone: not in the configuration; its letters stay',
    ]);
    await sink.stop();
    const down = await setup.run('resend', '--endpoint', 'a');
    assert.equal(down.code, 1);
    assert.match(down.lines[1]!, /^a: stopped, the endpoint cannot take them now \(network: .*ECONNREFUSED/);
    assert.equal((await setup.exported()).length, 21);
  });
}

test('a resend that is killed has lost nothing: what was not answered is still there', async (t) => {
  const sink = await Sink.start(t, ({ index }) => (index === 2 ? { instead: 'hang' } : {}));
  const one = remote(sink.url, { name: 'a', queue_config: { max_samples_per_send: 10 } });
  const setup = await Setup.make(t, 'running', [one], { a: some(50) });
  const child = setup.start('resend');
  await sink.waitFor('the third request', () => sink.requests.length === 3);
  await child.kill('SIGKILL');
  assert.equal((await setup.exported()).length, 30);
  sink.script = () => ({});
  assert.equal((await setup.run('resend')).code, 0);
  assert.equal([...sink.arrivals.rows()].length, 50);
});

test('who may only look sends nothing again, rather than what could not be noted as sent', async (t) => {
  const folder = await tempDir(t, 'letters');
  const web_config_file = join(folder, 'web.yaml');
  const users = { admin: hashSync('a', 4), grafana: hashSync('g', 4) };
  const tls_server_config = { cert_file: tlsFile('server.crt'), key_file: tlsFile('server.key') };
  const web = { tls_server_config, basic_auth_users: users, user_access: { grafana: 'read' } };
  writeFileSync(web_config_file, stringify(web));
  const access = { client: tlsClient(), authorization: basic('admin', 'a') };
  const sink = await Sink.start(t);
  const remotes = [remote(sink.url, { name: 'a' })];
  const setup = await Setup.make(t, 'running', remotes, { a: some(20) }, { web_config_file, access });
  const as = (username: string, password: string): string[] => {
    const file = join(folder, `${username}.yaml`);
    writeFileSync(
      file,
      stringify({ basic_auth: { username, password }, tls_config: { ca_file: tlsFile('ca.crt') } }),
    );
    return ['--http-config-file', file];
  };
  const looker = as('grafana', 'g');
  assert.equal((await setup.exported(...looker)).length, 20);
  const denied = await setup.run('resend', ...looker);
  assert.equal(denied.code, 1);
  assert.match(denied.lines.join('\n'), /^spillway: https:\S+ answers 403: .* need the access `all`/);
  assert.deepEqual(sink.requests, []);
  const allowed = await setup.run('resend', ...as('admin', 'a'));
  assert.deepEqual([allowed.code, allowed.lines], [0, ['a: resent 20, refused again 0, left 0']]);
  assert.equal([...sink.arrivals.rows()].length, 20);
});

test('letters for the built-in destination are sent again to its file', async (t) => {
  const setup = await Setup.make(t, 'running', [{ name: 'a', url: 'sqlite:recent.db' }], { a: some(3) });
  assert.deepEqual((await setup.run('resend')).lines, ['a: resent 3, refused again 0, left 0']);
  const found = await fetch(`${setup.agent!.url}/api/v1/recent?match=up`);
  assert.equal(((await found.json()) as { totalSeries: number }).totalSeries, 3);
});

test('a directory without a ledger, one in other hands, and a wrong command line are said so', async (t) => {
  const sink = await Sink.start(t);
  const setup = await Setup.make(t, 'stopped', [remote(sink.url, { name: 'a' })], {});
  const empty = await tempDir(t, 'letters');
  const nothing = await setup.run('list', '--data-dir', empty);
  assert.equal(nothing.code, 1);
  assert.match(nothing.lines[0]!, /there is no ledger in/);
  assert.deepEqual(readdirSync(empty), []);

  const lock = lockDirectory(setup.dataDir);
  const held = await setup.run('list');
  lock.release();
  assert.equal(held.code, 1);
  assert.match(held.lines[0]!, /in use, and no agent answers at http:\/\/127.*--url/);

  for (const [args, says] of [
    [['look'], /list, export, resend or purge\?/],
    [['list', 'all'], /unexpected argument: all/],
    [['list', '--since', 'noon'], /--since noon/],
    [['list', '--selector', 'up{'], /--selector/],
    [['list', '--limit', '0'], /--limit 0 is not a whole number of 1 or more/],
    [
      ['list', '--reason', 'refused'],
      /--reason refused is not known; there are expired, rejected, duplicate,/,
    ],
  ] as const) {
    const { code, lines } = await setup.run(...args);
    assert.equal(code, 2, args.join(' '));
    assert.match(lines[0]!, says);
  }
});

test(
  'a real Prometheus takes what it can, and refuses again what is older than what it has',
  needs('prometheus'),
  async (t) => {
    const prometheus = await Prometheus.start(t);
    const sender = new Sender(t, prometheus.url);
    const written = await sender.write(request(series(up('ahead'), [now + 5000, 1])));
    assert.equal(written?.status, 204);
    const fresh = Array.from({ length: 300 }, (_, i) => sampleLetter(i, up(`${i % 3}`), now + i, i));
    const old = sampleLetter(300, up('ahead'), now, 7);
    const setup = await Setup.make(t, 'running', [remote(prometheus.writeUrl, { name: 'prom' })], {
      prom: [old, ...fresh],
    });
    const { code, lines } = await setup.run('resend');
    assert.deepEqual([code, lines], [1, ['prom: resent 300, refused again 1, left 0']]);
    const [letter] = await setup.exported();
    assert.match(String(letter?.words), /out of order/);
    const stored = await prometheus.samples('up');
    for (const job of ['0', '1', '2']) {
      const values = stored.get(seriesKey(labels(up(job))))?.map(({ value }) => Number(value));
      const expected = Array.from({ length: 100 }, (_, i) => 3 * i + Number(job));
      assert.deepEqual(values, expected);
    }
  },
);

test('letters that the agent is sending again are left to it', async (t) => {
  const sink = await Sink.start(t, () => ({ instead: 'hang' }));
  const setup = await Setup.make(t, 'running', [remote(sink.url, { name: 'a' })], { a: some(3) });
  const begun = await fetch(`${setup.agent!.url}/api/v1/dead_letters/resend`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"endpoint":"a"}',
  });
  assert.equal(begun.status, 200);
  await sink.waitFor('a request', () => sink.requests.length === 1);
  const { code, lines } = await setup.run('resend');
  assert.deepEqual([code, lines.length], [1, 1]);
  assert.match(lines[0]!, /^a: the agent sends them again already/);
  assert.equal(sink.requests.length, 1);
});
