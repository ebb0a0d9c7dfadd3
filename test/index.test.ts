import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as spillway from '../src/index.ts';
import { Child } from './support/child.ts';
import { bitsOf } from './support/messages.ts';
import { Sink } from './support/sink.ts';
import { tempDir } from './support/temp.ts';

test('the public entry exports these names', () => {
  assert.deepEqual(Object.keys(spillway).sort(), [
    'Agent',
    'AgentStateError',
    'Appender',
    'CommitError',
    'ConfigError',
    'DirectoryLockedError',
    'InvalidSeriesError',
    'InvalidTenantError',
    'ListenError',
    'SpillwayError',
    'TransactionEndedError',
    'createLogger',
    'defaultConfig',
    'doorDrops',
    'doorReasons',
    'endpointReasons',
    'loadConfig',
    'parseConfig',
  ]);
});

test('a program that embeds Spillway delivers what it commits', async (t) => {
  const sink = await Sink.start(t);
  const cwd = await tempDir(t, 'embed');
  const program = fileURLToPath(new URL('../examples/embed.js', import.meta.url));
  const child = Child.spawn(t, 'embed', process.execPath, [program, sink.url, 'data'], { cwd });
  assert.deepEqual(await child.end(), { code: 0, signal: null });
  await child.line(/^committed 5 rows$/);
  await child.line(/^delivered 5 rows, 0 wait$/);

  const arrived = [...sink.arrivals.rows()].sort((a, b) => Number(a.at - b.at));
  assert.equal(sink.arrivals.count, 4);
  const now = arrived.at(-1)!.at;
  const up = '{__name__="demo_up",job="embed"}';
  const seconds = '{__name__="demo_seconds",job="embed"}';
  const find = (kind: string) => arrived.filter((row) => row.kind === kind);
  assert.deepEqual(find('sample'), [
    { series: up, kind: 'sample', at: now - 1000n, content: bitsOf(1).toString(16) },
    { series: up, kind: 'sample', at: now, content: '7ff0000000000002' },
  ]);
  assert.deepEqual(find('exemplar'), [
    {
      series: seconds,
      kind: 'exemplar',
      at: now,
      content: `${bitsOf(2.5).toString(16)} {trace_id="4bf92f35"}`,
    },
  ]);
  const [histogram] = find('histogram');
  assert.deepEqual([histogram!.series, histogram!.at], [seconds, now]);
  const { countInt, sumBits, positiveSpans, positiveDeltas } = JSON.parse(histogram!.content);
  assert.deepEqual(
    { countInt, sumBits, positiveSpans, positiveDeltas },
    {
      countInt: '3n',
      sumBits: `${bitsOf(4.5)}n`,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveDeltas: ['2n', '-1n'],
    },
  );
  assert.equal(sink.metadata.length, 1);
  assert.deepEqual(JSON.parse(sink.metadata[0]!), {
    type: 3,
    metricFamilyName: 'demo_seconds',
    help: 'How long something took.',
    unit: 'seconds',
  });
});
