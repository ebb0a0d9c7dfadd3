import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paintFor } from '../../src/cli/colour.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { type Answers, isWell, Rates, statusView } from '../../src/cli/status-view.ts';
import { parseConfig } from '../../src/config/load.ts';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { runSpillway } from '../support/spillway.ts';

const endpoint = {
  name: 'a',
  url: 'http://a/',
  failing: false,
  segment: 1,
  waitingBytes: 2048,
  oldestSeconds: 75,
};

function answers(receivedRows: number, deliveredRows: number, waitingRows: number): Answers {
  const status = {
    version: '1.2.3',
    receivedRows,
    refusedRows: 0,
    walBytes: 1_500_000,
    endpoints: [{ name: 'a', deliveredRows, droppedRows: 7 }],
    removedEndpoints: [],
  };
  return { base: 'http://agent', status, endpoints: [{ ...endpoint, waitingRows }], notReady: undefined };
}

test('the view has rates and the time that a backlog takes still, once it has seen two readings', () => {
  const rates = new Rates();
  const plain = paintFor({ isTTY: false });
  const first = answers(1000, 500, 60_000);
  rates.take(first, 0);
  assert.deepEqual(statusView(first, rates, plain), [
    'Spillway 1.2.3 at http://agent   received 1.0k rows   queue 1.4 MiB\n',
    '\n',
    'ENDPOINT  STATE   WAITING  BYTES    OLDEST  DELIVERED  ETA  DROPPED\n',
    'a         behind  60.0k    2.0 KiB  1m15s   -          -    7\n',
  ]);
  const second = answers(3000, 12_500, 50_000);
  rates.take(second, 2000);
  const [head, , , line] = statusView(second, rates, plain);
  assert.match(head!, /received 3\.0k rows, 1\.0k\/s/);
  assert.match(line!, /50\.0k +2\.0 KiB +1m15s +6\.0k\/s +10s +7$/m);
  rates.take(answers(4000, 12_500, 90_000), 3000);
  assert.match(statusView(answers(4000, 12_500, 90_000), rates, plain)[3]!, /never at this rate/);
  assert.equal(isWell({ ...second, notReady: 'full' }), false);
  assert.equal(isWell({ ...second, endpoints: [{ ...endpoint, waitingRows: 1, failing: true }] }), false);
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
    /^Spillway \S+ at http:\/\/127\.0\.0\.1:\d+ +received \d+ rows +queue .*\n\nENDPOINT .*\na +delivering /,
  );
  const { receivedRows, ready } = JSON.parse((await status('--json')).text) as {
    receivedRows: number;
    ready: boolean;
  };
  assert.deepEqual([receivedRows, ready], [load.acknowledged.length, true]);

  sink.script = () => ({ status: 500 });
  await load.send(1);
  await agent.metricUntil('spillway_endpoint_loops_failing', { endpoint: 'a' }, (loops) => loops > 0);
  const failing = await status();
  assert.deepEqual([failing.code, /\na +failing /.test(failing.text)], [1, true], failing.text);
  await agent.terminate();
  const gone = await status();
  assert.deepEqual([gone.code, /no agent answers/.test(gone.text)], [1, true]);
});

test('on a terminal the view is drawn over itself until it is ended', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'a' })] });
  const written: string[] = [];
  const screen = { isTTY: true, columns: 80, rows: 24, write: (text: string) => written.push(text) };
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
  assert.ok(written[1]!.startsWith('\u001b[5A\u001b[J'));
});
