import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Exporter } from '../support/exporter.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { Random } from '../support/random.ts';
import type { Samples } from '../support/samples.ts';

interface Road {
  readonly sender: Prometheus;
  readonly agent: Agent;
  readonly receiver: Prometheus;
  readonly exporter: Exporter;
}

/** Prometheus that scrapes an exporter and the agent -> agent -> Prometheus. */
async function build(t: test.TestContext): Promise<Road> {
  const receiver = await Prometheus.start(t);
  const agent = await Agent.start(t, {
    external_labels: { via: 'spillway' },
    remote_write: [remote(receiver.writeUrl)],
  });
  const exporter = await Exporter.start(t);
  const sender = await Prometheus.start(t, {
    scrape: { demo: exporter.url, agent: `${agent.url}/metrics` },
    remoteWrite: `${agent.url}/api/v1/write`,
    externalLabels: { replica: 'a' },
  });
  return { sender, agent, receiver, exporter };
}

/** What the sender has by now is, sample by sample, what the receiver begins with, or will. */
async function assertArrives({ sender, receiver }: Road): Promise<void> {
  const all = '{job=~"demo|agent"}';
  const sent = await sender.samples(all, { replica: 'a', via: 'spillway' });
  assert.ok(sent.size > 200, 'the sender has scraped');
  let received = new Map<string, Samples>();
  const short = (): string[] =>
    [...sent.keys()].filter((key) => (received.get(key)?.length ?? 0) < sent.get(key)!.length);
  await poll(
    () =>
      `${short().length} of ${sent.size} series miss samples, among them ${short().slice(0, 3).join(' ')}`,
    async () => {
      received = await receiver.samples(all);
      return short().length === 0 ? true : undefined;
    },
  );
  for (const [key, samples] of sent)
    assert.deepEqual(received.get(key)!.slice(0, samples.length), samples, key);
}

test('all that one Prometheus scrapes can be queried from another', needs('prometheus'), async (t) => {
  const road = await build(t);
  await road.exporter.scraped(20);
  await assertArrives(road);
});

test('nothing is missing after the receiver was away', needs('prometheus'), async (t) => {
  const road = await build(t);
  await road.exporter.scraped(10);
  await assertArrives(road);
  await road.receiver.stop();
  await road.exporter.scraped(20);
  await road.receiver.start();
  await assertArrives(road);
});

test('nothing is missing after the agent was started again', needs('prometheus'), async (t) => {
  const road = await build(t);
  await road.exporter.scraped(10);
  assert.equal(await road.agent.terminate(), 0);
  await road.exporter.scraped(10);
  await road.agent.start();
  await road.exporter.scraped(10);
  await assertArrives(road);
});

// Prometheus refuses a 1.0 request whole when one row of it is an old duplicate (INT-12, INT-14): fresh rows that
// shared a request with rows sent again would be lost here.
test(
  'nothing is missing after the agent was killed again and again (INT-12, INT-14, RLY-13)',
  needs('prometheus'),
  async (t) => {
    const random = Random.of(t);
    const road = await build(t);
    for (let life = 0; life < 8; life++) {
      // Every other life has a backlog to drain when it is killed.
      if (life % 2 === 1) await road.receiver.stop();
      await road.exporter.scraped(random.int(2, 6));
      if (life % 2 === 1) await road.receiver.start();
      await sleep(random.int(0, 400));
      await road.agent.kill9();
      await road.agent.start();
    }
    await road.exporter.scraped(5);
    await assertArrives(road);
  },
);
