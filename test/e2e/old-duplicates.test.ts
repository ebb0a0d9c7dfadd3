import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Gateway } from '../support/gateway.ts';
import { request, series } from '../support/messages.ts';
import { needs } from '../support/programs.ts';
import { Random } from '../support/random.ts';
import { describeRow, type Row } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';

// RLY-13 against a receiver that means it: a real Prometheus refuses a request whole for one old duplicate in it.

const seriesCount = 60;
/** The most scrapes of a test. */
const mostScrapes = 280;
/**
 * Rows of a series are so far apart: all of them are 50 minutes. They end before the present, or no query would show
 * the last of them, and Prometheus takes nothing that is an hour older than what it has.
 */
const stepMs = 10_700;

/** Scrapes of sixty series; each has one row of all of them, the next ones are a step later. */
class Scrapes {
  readonly sender: Sender;
  readonly #start = Date.now() - mostScrapes * stepMs;
  #next = 0;

  constructor(t: test.TestContext, agent: Agent) {
    this.sender = new Sender(t, agent.url);
  }

  /** Sends `count` scrapes. Ends at the first that is not acknowledged, and says whether there was one. */
  async send(count: number): Promise<boolean> {
    for (let i = 0; i < count; i++) {
      const scrape = this.#next++;
      const rows = Array.from({ length: seriesCount }, (_, s) =>
        series({ __name__: 'scraped', i: `${s}` }, [this.#start + scrape * stepMs, scrape * 100 + s]),
      );
      const reply = await this.sender.write(request(...rows));
      if (reply?.status !== 204) return false;
    }
    return true;
  }

  get acknowledged(): readonly Row[] {
    return this.sender.acknowledged;
  }
}

async function build(
  t: test.TestContext,
  random: Random,
): Promise<{ gateway: Gateway; agent: Agent; scrapes: Scrapes }> {
  const gateway = await Gateway.start(t);
  gateway.answerDelayMs = () => random.int(0, 30);
  const agent = await Agent.start(t, {
    wal: { segment_age: '100ms' },
    remote_write: [
      remote(gateway.sink.url, {
        queue_config: { min_shards: 8, max_shards: 8, max_samples_per_send: 20, capacity: 100 },
      }),
    ],
  });
  return { gateway, agent, scrapes: new Scrapes(t, agent) };
}

/** The series of which every row has arrived. */
function completeSeries(rows: readonly Row[], { sink }: Gateway): Set<string> {
  const names = new Set(rows.map(({ series }) => series));
  for (const row of rows) if (!sink.arrivals.has(row)) names.delete(row.series);
  return names;
}

/** Everything acknowledged is in Prometheus, and nothing that was not sent. */
async function assertAllThere(gateway: Gateway, scrapes: Scrapes): Promise<void> {
  let found = { lost: [''], invented: [''] };
  await poll(
    () => `${found.lost.length} rows are not in Prometheus, among them\n${found.lost.slice(0, 5).join('\n')}`,
    async () => {
      found = await gateway.missing('scraped', scrapes.acknowledged);
      return found.lost.length === 0 ? true : undefined;
    },
  );
  const unanswered = scrapes.sender.unknown.flat().length;
  assert.ok(found.invented.length <= unanswered, `nobody sent ${found.invented.slice(0, 5).join('\n')}`);
  assert.deepEqual(gateway.mixed.map(({ rows }) => rows.map(describeRow)).slice(0, 1), []);
}

test(
  'killed again and again while it drains into Prometheus: old duplicates cost no fresh row',
  needs('prometheus'),
  async (t) => {
    const random = Random.of(t);
    const { gateway, agent, scrapes } = await build(t, new Random(random.int(0, 2 ** 32)));
    for (let life = 0; life < 6; life++) {
      gateway.held = () => true;
      assert.ok(await scrapes.send(20));
      const { arrivals } = gateway.sink;
      const enough = arrivals.count + random.int(1, 20 * seriesCount);
      gateway.held = () => false;
      await gateway.sink.waitFor('part of the backlog', () => arrivals.count >= enough);
      await sleep(random.int(0, 20));
      await agent.kill9();
      await agent.start();
    }
    assert.ok(await scrapes.send(5));
    await assertAllThere(gateway, scrapes);
    assert.equal(await agent.terminate(), 0);
    t.diagnostic(`Prometheus refused ${gateway.refused} requests for their age`);
  },
);

test(
  'killed while one shard was held for most of an hour: nothing of it is lost, and nobody waits for it',
  needs('prometheus'),
  async (t) => {
    const random = Random.of(t);
    const { gateway, agent, scrapes } = await build(t, new Random(random.int(0, 2 ** 32)));
    const { arrivals } = gateway.sink;
    const held = `{__name__="scraped",i="${random.int(0, seriesCount)}"}`;
    gateway.held = ({ series }) => series === held;

    // Series that share a loop with the held one wait with it; the others must not notice.
    assert.ok(await scrapes.send(100));
    const free = await poll(
      () => 'the series that are not held do not arrive',
      async () => {
        const names = completeSeries(scrapes.acknowledged, gateway);
        return names.size > (2 / 3) * seriesCount ? names : undefined;
      },
    );

    for (let life = 0; life < 4; life++) {
      const sending = scrapes.send(40);
      const enough = arrivals.count + random.int(1, 10 * seriesCount);
      await gateway.sink.waitFor('rows under way', () => arrivals.count >= enough);
      await sleep(random.int(0, 20));
      await agent.kill9();
      await sending;
      await agent.start();
    }
    assert.ok(await scrapes.send(10));
    const fresh = scrapes.acknowledged.filter(({ series }) => free.has(series));
    await gateway.sink.waitForRows(fresh);
    assert.ok(!scrapes.acknowledged.some((row) => row.series === held && arrivals.has(row)), 'held');

    gateway.held = () => false;
    await assertAllThere(gateway, scrapes);
    assert.equal(await agent.terminate(), 0);
    t.diagnostic(
      `${free.size} series were free; Prometheus refused ${gateway.refused} requests for their age`,
    );
  },
);
