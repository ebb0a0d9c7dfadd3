import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { staleMarkerBits } from '../../src/protocol/schema.ts';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Exporter } from '../support/exporter.ts';
import { type Pair, pairs } from '../support/pairs.ts';
import { needs, versionOf } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { readRows } from '../support/remote-read.ts';
import type { Row } from '../support/rows.ts';
import type { Samples, Store } from '../support/samples.ts';
import { Sink } from '../support/sink.ts';
import { VictoriaMetrics, Vmagent } from '../support/victoria-metrics.ts';

/*
 * Senders and receivers of other makes on both ends, as they are. Each sender writes the same twice: to a receiver
 * directly, and through Spillway to another of the same make, which is away for a while. In the end both have the
 * same: of Prometheus bit by bit, stale markers and other NaNs included; of vmagent, which keeps nothing, what it passes
 * on, bit by bit too; of VictoriaMetrics what it makes of them.
 */

// Most of their time they wait for scrapes.
describe('what is written through Spillway is what is written directly, stale markers in their places (RW1-S-20, RW2-S-30, RW-STALE-05)', {
  concurrency: 2,
}, () => {
  for (const pair of pairs) it(nameOf(pair), needs(pair.sender, pair.receiver), (t) => compare(t, pair));
});

function nameOf({ sender, receiver, message, out }: Pair): string {
  const said = (what: string | undefined): string => (what === undefined ? '' : ` (${what})`);
  return `${sender}${said(message)} -> Spillway${said(out)} -> ${receiver}`;
}

async function compare(t: TestContext, pair: Pair): Promise<void> {
  const { sender, receiver, out } = pair;
  t.diagnostic(`${sender} ${versionOf(sender)}, ${receiver} ${versionOf(receiver)}`);
  const [direct, through] = [await startReceiver(t, receiver), await startReceiver(t, receiver)];
  const agent = await Agent.start(t, {
    remote_write: [remote(through.writeUrl, out === undefined ? {} : { protobuf_message: out })],
  });
  const exporter = await Exporter.start(t);
  await startSender(t, pair, exporter.url, [`${agent.url}/api/v1/write`, direct.writeUrl]);

  await exporter.scraped(10);
  await through.stop();
  await exporter.scraped(10);
  await through.start();
  const until = BigInt(Date.now());
  await exporter.scraped(3);
  await assertSame(direct, through, selectorFor(receiver), until);
  if (sender === 'vmagent') await assertFellBack(agent);
  if (out === 'auto') {
    const version = receiver === 'prometheus-3' ? 2 : 1;
    await agent.metricUntil('spillway_endpoint_remote_write_version', {}, (found) => found === version);
  }
}

/** `demo_odd` without labels goes from one end of a float to the other: what VictoriaMetrics rounds away differs. */
function selectorFor(receiver: Pair['receiver']): string {
  return receiver.startsWith('victoria')
    ? '{job="demo",__name__=~".+",__name__!="demo_odd"}'
    : '{job="demo"}';
}

async function startReceiver(t: TestContext, receiver: Pair['receiver']): Promise<Store> {
  if (receiver === 'victoria-metrics' || receiver === 'victoria-metrics-debian')
    return await VictoriaMetrics.start(t, receiver);
  if (receiver === 'vmagent') return await startRelay(t, receiver);
  const prometheus = await Prometheus.start(t, { program: receiver });
  return {
    writeUrl: prometheus.writeUrl,
    samples: async () => bySeries(await readRows(prometheus.url, 'job', 'demo')),
    stop: () => prometheus.stop(),
    start: () => prometheus.start(),
  };
}

/** A vmagent that passes on what it is sent: it has what a sink behind it was given. */
async function startRelay(t: TestContext, program: 'vmagent'): Promise<Store> {
  const sink = await Sink.start(t);
  const flags = ['-remoteWrite.forcePromProto'];
  const vmagent = await Vmagent.start(t, { program, remoteWrites: [sink.url], flags });
  return {
    writeUrl: vmagent.writeUrl,
    samples: async () =>
      bySeries([...sink.arrivals.rows()].filter(({ series }) => series.includes('job="demo"'))),
    stop: () => vmagent.stop(),
    start: () => vmagent.start(),
  };
}

/** With the bits as values. */
function bySeries(rows: readonly Row[]): Map<string, Samples> {
  const all = new Map<string, Samples[number][]>();
  for (const { series, at, content } of rows) {
    const samples = all.get(series);
    if (samples === undefined) all.set(series, [{ at, value: content }]);
    else samples.push({ at, value: content });
  }
  return all;
}

async function startSender(
  t: TestContext,
  { sender, message }: Pair,
  page: string,
  urls: readonly [string, string],
): Promise<void> {
  const scrape = { demo: page };
  if (sender === 'vmagent' || sender === 'vmagent-debian') {
    await Vmagent.start(t, { program: sender, scrape, remoteWrites: urls });
    return;
  }
  await Prometheus.start(t, {
    program: sender,
    scrape,
    remoteWrite: urls[0],
    ...(message !== undefined && { remoteWriteWith: { protobuf_message: message } }),
    moreRemoteWrites: [{ url: urls[1] }],
  });
}

/** What both have from before `until` is the same, in the end. */
async function assertSame(direct: Store, through: Store, selector: string, until: bigint): Promise<void> {
  const expected = await poll(
    () => 'the receiver beside has not come past the end',
    async () => {
      const all = await direct.samples(selector);
      const past = [...all.values()].some((samples) => samples.at(-1)!.at > until);
      return past && all.size > 200 ? before(all, until) : undefined;
    },
  );
  let different: string[] = [];
  await poll(
    () =>
      `${different.length} of ${expected.size} series differ, among them\n${different.slice(0, 3).join('\n')}`,
    async () => {
      const found = before(await through.samples(selector), until);
      different = differences(expected, found);
      return different.length === 0 ? true : undefined;
    },
  );
  // The series that flickers ends with one at each third scrape.
  const stale = staleMarkerBits.toString(16);
  const ends = [...expected.values()].flat().filter(({ value }) => value === stale || value === 'null');
  assert.ok(ends.length > 2, 'there were stale markers');
  const counts = [...expected.values()].map((samples) => samples.length);
  assert.ok(Math.max(...counts) >= 15, `most samples of a series: ${Math.max(...counts)}`);
}

function before(series: ReadonlyMap<string, Samples>, until: bigint): Map<string, Samples> {
  return new Map(
    [...series]
      .map(([key, samples]): [string, Samples] => [key, samples.filter(({ at }) => at <= until)])
      .filter(([, samples]) => samples.length > 0),
  );
}

function differences(expected: ReadonlyMap<string, Samples>, found: ReadonlyMap<string, Samples>): string[] {
  const text = (samples: Samples | undefined): string =>
    samples?.map(({ at, value }) => `${value}@${at}`).join(' ') ?? 'nothing';
  return [...new Set([...expected.keys(), ...found.keys()])]
    .filter((key) => text(expected.get(key)) !== text(found.get(key)))
    .map((key) => `${key}\n  directly: ${text(expected.get(key))}\n  through: ${text(found.get(key))}`);
}

/** INT-17: vmagent tries its own protocol with zstd first; told 415, it goes on with snappy. */
async function assertFellBack(agent: Agent): Promise<void> {
  const answered = (code: string): Promise<number | undefined> =>
    agent.metric('spillway_received_requests_total', { code });
  assert.ok(((await answered('415')) ?? 0) > 0, 'vmagent has tried zstd');
  assert.ok(((await answered('204')) ?? 0) > 0, 'and snappy');
}
