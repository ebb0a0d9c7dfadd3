import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Remote, remote } from '../support/agent.ts';
import { atEnd } from '../support/cleanup.ts';
import { Exporter } from '../support/exporter.ts';
import { labels } from '../support/messages.ts';
import { encodeBodyV2, requestV2, v2Headers } from '../support/messages-v2.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { type MetadataText, seriesKey } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';
import { type Received, Sink } from '../support/sink.ts';

/** So often is metadata sent here; a minute in real life. */
const quick: Partial<Remote> = { metadata_config: { send: true, send_interval: '100ms' } };

/** Writes a sample of each of these families as a 2.0 sender does, again and again, to whatever runs there. */
class Writer {
  readonly #sender: Sender;
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>;
  /** Of these there are samples from now on. */
  names: readonly string[];

  constructor(t: TestContext, agent: Agent, names: readonly string[], labels: Record<string, string> = {}) {
    this.names = names;
    this.#sender = new Sender(t, agent.url);
    this.#running = this.#run(labels);
    atEnd(t, () => this.stop());
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(more: Record<string, string>): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const all = this.names.map((name) => ({
        labels: { __name__: name, ...more },
        samples: [{ timestamp: BigInt(Date.now()) }],
        metadata: { type: 2, help: `Of ${name}.` },
      }));
      await this.#sender.post(encodeBodyV2(requestV2(...all)), v2Headers).catch(() => undefined);
      await sleep(10);
    }
  }
}

/** The names of the families in these. */
function familiesOf(metadata: readonly MetadataText[]): string[] {
  return metadata.map((text) => JSON.parse(text).metricFamilyName);
}

function timesTold(requests: readonly Received[], family: string): number {
  return requests.filter(({ metadata }) => familiesOf(metadata).includes(family)).length;
}

/** Waits until each of `families` has come in so many requests from now on. */
async function told(sink: Sink, families: readonly string[], times: number): Promise<void> {
  const from = sink.requests.length;
  await sink.waitFor(`${families} ${times} times more`, () =>
    families.every((family) => timesTold(sink.requests.slice(from), family) >= times),
  );
}

test('INT-10, RLY-06: metadata of a 2.0 sender goes to a 1.0 endpoint again and again, also after a kill and a reload', async (t) => {
  const [sink, other] = [await Sink.start(t), await Sink.start(t)];
  const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'one', ...quick })] });
  const writer = new Writer(t, agent, ['a', 'b', 'c']);
  await told(sink, ['a', 'b', 'c'], 3);

  await agent.kill9();
  await agent.configure({
    remote_write: [
      remote(sink.url, { name: 'one', ...quick }),
      remote(other.url, { name: 'other', start_at: 'now', ...quick }),
    ],
  });
  await agent.start();
  // In the segment that was open then, nothing would be told by rows again.
  await told(sink, ['a', 'b', 'c'], 3);
  await told(other, ['a', 'b', 'c'], 2);

  writer.names = ['b', 'c'];
  const changed = sink.requests.length;
  const hasA = ({ rows }: Received) =>
    rows.some(({ series }) => series === seriesKey(labels({ __name__: 'a' })));
  await sink.waitFor('samples without any of a', () =>
    sink.requests.slice(changed).some((request) => request.rows.length > 0 && !hasA(request)),
  );
  // Its last rows may be told of once more.
  await told(sink, ['b'], 2);
  const from = sink.requests.length;
  await told(sink, ['b', 'c'], 3);
  assert.equal(timesTold(sink.requests.slice(from), 'a'), 0, 'nothing comes of it any more');

  await agent.configure({ remote_write: [remote(other.url, { name: 'other', ...quick })] });
  assert.equal((await agent.reload()).status, 200);
  await told(other, ['b', 'c'], 3);
  await agent.metricUntil('spillway_endpoint_metadata_repeated_total', { endpoint: 'other' }, (n) => n > 0);
});

test('what is told again of a family goes to each tenant that a label of its series says', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, {
    remote_write: [remote(sink.url, { tenant: { from_labels: ['team'] }, ...quick })],
  });
  for (const team of ['x', 'y']) new Writer(t, agent, [`of_${team}`, 'both'], { team });
  const of = (team: string) => sink.requests.filter(({ headers }) => headers['x-scope-orgid'] === team);
  await sink.waitFor('each tenant is told', () =>
    ['x', 'y'].every((team) => [`of_${team}`, 'both'].every((family) => timesTold(of(team), family) >= 3)),
  );
  assert.equal(timesTold(of('x'), 'of_y') + timesTold(of('y'), 'of_x'), 0);
  const ofNeither = sink.requests.filter(
    (request) => !of('x').includes(request) && !of('y').includes(request),
  );
  assert.deepEqual(
    ofNeither.map(({ headers }) => headers['x-scope-orgid']),
    [],
  );
});

test(
  'INT-10: Prometheus 3.5 as a sender of 2.0: all that it says of what it scrapes goes on to 1.0, with every interval',
  needs('prometheus-3'),
  async (t) => {
    const sink = await Sink.start(t);
    const agent = await Agent.start(t, { remote_write: [remote(sink.url, quick)] });
    const exporter = await Exporter.start(t);
    await Prometheus.start(t, {
      program: 'prometheus-3',
      flags: ['--enable-feature=metadata-wal-records'],
      scrape: { demo: exporter.url },
      remoteWrite: `${agent.url}/api/v1/write`,
      remoteWriteWith: {
        protobuf_message: 'io.prometheus.write.v2.Request',
        metadata_config: { send: false },
      },
    });
    await told(sink, ['demo_total', 'demo_odd', 'demo_always'], 4);
    const ofTotal = sink.metadata
      .map((text) => JSON.parse(text))
      .find((m) => m.metricFamilyName === 'demo_total');
    assert.equal(ofTotal.help, 'Counts scrapes.');
  },
);
