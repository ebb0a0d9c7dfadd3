import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { request, series } from '../support/messages.ts';
import { rowKey } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';
import { type Answer, type Received, Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

/** Answers after which a sender must come again with the same rows. */
const again: Record<string, Answer> = {
  'a 500': { status: 500, body: 'internal' },
  'a 503 with Retry-After in seconds': { status: 503, headers: { 'retry-after': '1' } },
  'a 503 with a Retry-After that is over': {
    status: 503,
    headers: { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' },
  },
  'a 503 with a Retry-After that says nothing': { status: 503, headers: { 'retry-after': 'soon' } },
  'a 429 with Retry-After': { status: 429, headers: { 'retry-after': '1' } },
  'a 408': { status: 408 },
  'a reset before the answer': { instead: 'reset' },
  'a reset after the rows were stored': { instead: 'reset', store: true },
  'a reset in the middle of an error': { status: 500, instead: 'reset-mid-answer' },
  'an endpoint that hangs': { instead: 'hang' },
  'an endpoint that stores and hangs': { instead: 'hang', store: true },
};

const refusals = [1, 4, 7];

for (const [what, answer] of Object.entries(again)) {
  test(`${what} loses nothing, and the same rows come again`, async (t) => {
    const sink = await Sink.start(t, ({ index }) => (refusals.includes(index) ? answer : {}));
    const agent = await Agent.start(t, {
      remote_write: [
        remote(sink.url, {
          // Where nothing hangs no request may run into it, however slow the machine.
          remote_timeout: answer.instead === 'hang' ? '3s' : '1m',
          queue_config: { min_shards: 1, max_shards: 1, max_samples_per_send: 200 },
        }),
      ],
    });
    const load = new Load(t, agent.url);
    await load.send(40);
    await sink.waitForRows(load.acknowledged);
    assert.equal(await agent.terminate(), 0);

    assertNoLoss(load, sink.arrivals);
    let resent = 0;
    for (const index of refusals) {
      const before = sink.requests[index]!;
      assert.deepEqual(contents(sink.requests[index + 1]!), contents(before));
      resent += before.rows.length;
    }
    assert.equal(sink.arrivals.duplicates, answer.store === true ? resent : 0);
  });
}

function contents({ rows, metadata }: Received): string[] {
  return [...rows.map((row) => `${row.series} ${rowKey(row)}`), ...metadata];
}

test('rows that are refused for good are counted, shown with the words of the receiver, and not sent again', async (t) => {
  const sink = await Sink.start(t, ({ rows }) =>
    rows.some(({ series }) => series.includes('poison'))
      ? { status: 400, body: 'no poison here, please' }
      : {},
  );
  const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'picky' })] });
  const sender = new Sender(t, agent.url);

  const write = (name: string, at: number) => sender.write(request(series({ __name__: name }, [at, at])));
  await write('good', 1);
  await sink.waitForRows(sender.acknowledged);
  await write('poison', 2);
  await agent.line(/no poison here, please/);
  await write('good', 3);
  await sink.waitFor('the row behind', () => [...sink.arrivals.rows()].some(({ at }) => at === 3n));

  const failed = () =>
    agent.metric('prometheus_remote_storage_samples_failed_total', { remote_name: 'picky' });
  await poll(
    () => 'the poison is given up',
    async () => ((await failed()) === 1 ? true : undefined),
  );
  await agent.line(/refused 1 rows for good, counted as rejected/);
  const sent = () => sink.requests.filter(({ rows }) => rows.some(({ at }) => at === 2n)).length;
  const before = sent();
  assert.ok(before >= 2, 'one word is not enough: it was refused again after the good row was taken');
  assert.equal(await agent.terminate(), 0);
  assert.equal(sent(), before);
});
