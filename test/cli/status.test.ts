import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { paintFor } from '../../src/cli/colour.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { type Answers, isWell, statusView } from '../../src/cli/status-view.ts';
import { cutTo } from '../../src/cli/text.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { EndpointStatus, RemovedEndpoint, StatusDocument } from '../../src/status/document.ts';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { runSpillway } from '../support/spillway.ts';

/** As an agent says it; `more` is of its endpoint. */
function answers(more: Partial<EndpointStatus>): Answers {
  const endpoint = {
    name: 'a',
    state: 'delivering',
    level: 'ok',
    says: 'Delivering.',
    advice: '',
    failing: false,
    droppedRows: 7,
    backlog: { rows: 50_000, bytes: 2048, seconds: 75 },
    deliveredPerSecond: 6000,
    etaSeconds: 10,
    ...more,
  } as EndpointStatus;
  const status = {
    version: '1.2.3',
    receivedRows: 3000,
    receivedPerSecond: 1000,
    refusedRows: 0,
    walBytes: 1_500_000,
    disk: { capBytes: null },
    status: { state: 'ok', level: 'ok', says: 'All is well.', advice: '' },
    endpoints: [endpoint],
    removedEndpoints: [] as RemovedEndpoint[],
  } as unknown as StatusDocument;
  return { base: 'http://agent', status, notReady: undefined };
}

test('the view has rates, the time that a backlog takes still, and the words of what is not well', () => {
  const plain = paintFor({ isTTY: false });
  assert.deepEqual(statusView(answers({}), plain, 100), [
    'Spillway 1.2.3 at http://agent\n',
    'received 3.0k rows since its start, 1.0k/s; queue 1.4 MiB\n',
    '\n',
    'ENDPOINT  STATE       WAITING  BYTES    OLDEST  DELIVERED  ETA  DROPPED\n',
    'a         delivering  50.0k    2.0 KiB  1m15s   6.0k/s     10s  7\n',
  ]);
  const says = 'Holding since 03:12: 401. Nothing is lost.';
  const held = answers({
    state: 'holding',
    level: 'critical',
    failing: true,
    says,
    advice: 'Mend the password.',
  });
  assert.deepEqual(statusView(held, plain, 30).slice(-5), [
    '\n',
    'a\n',
    '  Holding since 03:12: 401.\n',
    '  Nothing is lost.\n',
    '  Mend the password.\n',
  ]);
  assert.equal(isWell(held), false);
  assert.equal(isWell({ ...answers({}), notReady: 'full' }), false);
  assert.equal(isWell(answers({})), true);
});

test('colours are for terminals that want them', () => {
  assert.equal(paintFor({ isTTY: true }, {})('x', 'red'), '\u001b[31mx\u001b[0m');
  for (const [tty, env] of [
    [false, {}],
    [true, { NO_COLOR: '1' }],
    [true, { TERM: 'dumb' }],
  ] as const) {
    assert.equal(paintFor({ isTTY: tty }, env)('x', 'red'), 'x');
  }
});

test('status says once how the agent is doing, and by its exit code whether an endpoint fails', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'a' })] });
  const load = new Load(t, agent.url, { connections: 1, seriesEach: 3 });
  await load.send(2);
  await sink.waitForRows(load.acknowledged);
  const status = (...flags: string[]) => runSpillway(t, 'status', '--url', agent.url, ...flags);
  const { code, text } = await status();
  assert.equal(code, 0, text);
  assert.match(
    text,
    /^Spillway \S+ at http:\/\/127\.0\.0\.1:\d+\nreceived \d+ rows since its start, .*; queue .*\n\nENDPOINT .*\na +(delivering|idle) /,
  );
  const { receivedRows, ready } = JSON.parse((await status('--json')).text) as {
    receivedRows: number;
    ready: boolean;
  };
  assert.deepEqual([receivedRows, ready], [load.acknowledged.length, true]);

  sink.script = () => ({ status: 500 });
  await load.send(1);
  await agent.metricUntil('spillway_endpoint_loops_failing', { endpoint: 'a' }, (loops) => loops > 0);
  await poll(
    () => 'the view does not say 500',
    async () => {
      const { code, text: failing } = await status();
      assert.equal(code, 1, failing);
      return /\na +retrying [\s\S]*\na\n {2}.*500/.test(failing) ? true : undefined;
    },
  );
  await agent.terminate();
  const gone = await status();
  assert.deepEqual([gone.code, /no agent answers/.test(gone.text)], [1, true]);
});

test('on a terminal the view is drawn over itself until it is ended', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'a' })] });
  const written: string[] = [];
  // As a terminal that does not know its size has it.
  const screen = { isTTY: true, columns: 0, rows: 0, write: (text: string) => written.push(text) };
  const ended = new AbortController();
  const config = parseConfig('{"remote_write":[{"url":"http://localhost:1/"}]}', {
    file: 'test',
    baseDir: '/',
  });
  const running = statusCommand(
    { config, url: agent.url, httpConfig: undefined, json: false, once: false, signal: ended.signal },
    screen,
  );
  await poll(
    () => `two views: ${written.length}`,
    async () => (written.length >= 2 ? true : undefined),
  );
  ended.abort();
  assert.equal(await running, 0);
  // No colour of this test is in the way: what stands before the first words is to draw over the last view.
  assert.ok(written[0]!.startsWith('\u001b[J'));
  assert.ok(written[1]!.startsWith('\u001b[6A\u001b[J'));
  const one = async (columns: number): Promise<string> => {
    const narrow: string[] = [];
    const enough = new AbortController();
    const write = (text: string): void => {
      narrow.push(text);
      enough.abort();
    };
    const options = { config, url: agent.url, httpConfig: undefined, json: false, once: false };
    await statusCommand({ ...options, signal: enough.signal }, { isTTY: true, columns, rows: 0, write });
    return stripVTControlCharacters(narrow.join(''));
  };
  const lines = (await one(20)).split('\n');
  assert.deepEqual(
    lines.filter((line) => line.length > 20),
    [],
  );
  assert.match((await one(200)).split('\n').find((line) => line.startsWith('ENDPOINT'))!, /DROPPED$/);
});

test('a line is cut where the terminal ends: no colour is left on or cut in half, wide characters are two columns', () => {
  const red = (text: string): string => `\u001b[31m${text}\u001b[0m`;
  for (const [columns, line, cut] of [
    [4, 'four', 'four'],
    [3, 'four\n', 'fou\n'],
    [3, `a${red('bcd')}e\n`, `a${red('bc')}\n`],
    [1, `a${red('bcd')}`, `a${red('')}`],
    [3, '負荷', '負'],
    [2, 'e\u0301e\u0301e\u0301', 'e\u0301e\u0301'],
    [3, '🟢🟢x', '🟢'],
  ] as const) {
    assert.equal(cutTo(columns, line), cut, JSON.stringify(line));
  }
});

test('what an endpoint answers does nothing to the terminal', () => {
  const says = 'Retrying: 500\u001b[2J\r\nno';
  const view = statusView(answers({ level: 'warning', says, advice: '' }), paintFor({ isTTY: false }), 100);
  assert.deepEqual(view.slice(-1), ['  Retrying: 500 [2J no\n']);
});
