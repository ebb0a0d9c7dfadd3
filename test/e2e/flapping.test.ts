import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { Agent, type AgentConfig, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { Random } from '../support/random.ts';
import { repeatsOf } from '../support/repeats.ts';
import { describeRow, type Row } from '../support/rows.ts';
import { type Answer, type Received, type Script, Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

/** POISON=off leaves out the rows that the receiver never takes. */
const withPoison = process.env.POISON !== 'off';
const poisonShare = 1 / 500;

/** What a receiver says of a row that it never takes; the words mean nothing to an agent. */
const refusal = 'label value has 70000 bytes, the limit is 65536';

/** Takes what it ever takes. */
function picky(isPoison: (row: Row) => boolean): Script {
  return ({ rows }) => (rows.some(isPoison) ? { status: 400, body: refusal } : {});
}

/**
 * About a fifth of the answers are none that an agent could like, or `share` of those. Rows may be stored behind each of
 * them. A slow receiver also lets its sender wait for seconds, and takes less by two loops (some 100 rows a second) than
 * the load brings on any machine; a fast one leaves no backlog, so that loops are given up.
 */
function faulty(random: Random, isPoison: (row: Row) => boolean, slow: boolean, share = 1): Script {
  return ({ rows }: Received): Answer => {
    const store = random.int(0, 2) === 0 && ((row: Row) => !isPoison(row));
    // Some receivers keep the good rows of a request that they refuse.
    if (rows.some(isPoison)) return { status: 400, body: refusal, store };
    const kind = (slow ? random.next() : random.next() + 0.03) / share;
    if (kind < 0.01) return { instead: 'hang', store };
    if (kind < 0.02) return { status: 503, headers: { 'retry-after': '1' }, store };
    if (kind < 0.03) return { status: 429, headers: { 'retry-after': '1' } };
    if (kind < 0.06) return { status: 429 };
    if (kind < 0.1) return { status: 500, body: 'internal', store };
    if (kind < 0.15) return { instead: 'reset', store };
    if (kind < 0.2) return { status: 200, instead: 'reset-mid-answer', store };
    return { delayMs: slow ? random.int(150, 400) : random.int(1, 4) };
  };
}

test('an endpoint that flaps in every way, resharding, restarts and poison rows: all in order, none missing (RW1-S-15, -23)', async (t) => {
  const random = Random.of(t);
  const scripted = new Random(random.int(0, 2 ** 32));
  const isPoison = (row: Row): boolean =>
    withPoison && crc32(`${random.seed} ${row.series} ${row.at}`) < poisonShare * 2 ** 32;
  const sink = await Sink.start(t);
  const config = (min_shards: number): AgentConfig => ({
    shutdown_grace: '200ms',
    wal: { segment_age: '1s' },
    remote_write: [
      remote(sink.url, {
        name: 'flapping',
        remote_timeout: '1s',
        queue_config: { min_shards, max_shards: 16, max_samples_per_send: 20, capacity: 100 },
      }),
    ],
  });
  const agent = await Agent.start(t, config(2));
  const refusedSamples = async (): Promise<number> =>
    (await agent.metric('prometheus_remote_storage_samples_failed_total', { remote_name: 'flapping' }))!;
  const loops = (wanted: (count: number) => boolean): Promise<number> =>
    poll(
      () => `the number of loops does not change:\n${agent.lines.slice(-20).join('\n')}`,
      async () => {
        const count = await agent.metric('spillway_endpoint_loops', { endpoint: 'flapping' });
        return count !== undefined && wanted(count) ? count : undefined;
      },
    );
  let refused = 0;
  const restart = async (end: () => Promise<unknown>): Promise<void> => {
    refused += await refusedSamples();
    await end();
    await running;
    // Of what it had at the end, it may give up what is too many.
    await agent.configure(config(1));
    await agent.start();
    running = load.run();
  };

  const load = new Load(t, agent.url, { seriesEach: 10, everyMs: 30 });
  const delivered = (rows: number): Promise<void> => {
    const enough = sink.arrivals.count + rows;
    return sink.waitFor('rows delivered', () => sink.arrivals.count >= enough);
  };
  // While one of two loops is failing there are not more of them, and they are counted once in ten seconds.
  sink.script = faulty(scripted, isPoison, true, 1 / 4);
  let running = load.run();
  // Slow: up, and two ends while rows are in all those loops.
  const most = await loops((count) => count > 2);
  sink.script = faulty(scripted, isPoison, true);
  await delivered(random.int(200, 1000));
  await restart(() => agent.terminate());
  await delivered(random.int(200, 1000));
  await restart(() => agent.kill9());
  // Fast: what is too many goes.
  sink.script = faulty(scripted, isPoison, false);
  await loops((count) => count < most);
  await delivered(random.int(200, 1000));
  load.stop();
  await running;
  sink.script = picky(isPoison);

  const good = load.acknowledged.filter((row) => !isPoison(row));
  const poison = load.acknowledged.filter(isPoison);
  await sink.waitForRows(good);
  if (withPoison) assert.ok(poison.length > 0, 'there were poison rows');
  await poll(
    () => 'rows are left',
    async () =>
      (await agent.metric('spillway_endpoint_backlog_rows', { endpoint: 'flapping' })) === 0
        ? true
        : undefined,
  );
  refused += await refusedSamples();
  assert.equal(await agent.terminate(), 0);

  assertNoLoss(
    {
      acknowledged: good,
      refused: [...load.refused, ...poison],
      unknown: load.unknown.map((rows) => rows.filter((row) => !isPoison(row))),
    },
    sink.arrivals,
  );
  assertStoodAlone(sink, poison, isPoison);
  const { needless, ambiguous, unanswered, evidence } = repeatsOf(sink);
  assert.deepEqual(needless.slice(0, 5).map(describeRow), [], 'rows that came again for no reason');
  t.diagnostic(
    `${good.length} good rows, ${poison.length} poison rows, ${refused} counted as failed; ${sink.requests.length} ` +
      `requests, up to ${most} loops; ${sink.arrivals.duplicates} arrivals were duplicates, after ` +
      `${ambiguous.length} errors and ${unanswered.length} requests without an answer, and ${evidence.length} rows that were sent once more for evidence`,
  );
});

/** No poison row was given up in company of a good one. */
function assertStoodAlone(sink: Sink, poison: readonly Row[], isPoison: (row: Row) => boolean): void {
  const alone = new Set<string>();
  for (const { rows } of sink.requests) {
    if (rows.every(isPoison)) for (const row of rows) alone.add(describeRow(row));
  }
  const others = poison.map(describeRow).filter((row) => !alone.has(row));
  assert.deepEqual(others.slice(0, 5), [], 'poison rows that were never tried without good ones beside them');
}
