import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MetadataCache } from '../../src/endpoint/metadata-cache.ts';
import { MetadataRepeats, type RepeatOptions } from '../../src/endpoint/repeat-metadata.ts';
import type { OutgoingMetadata } from '../../src/endpoint/take-metadata.ts';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { Negotiation } from '../../src/network/version.ts';
import { METADATA } from '../../src/serialization/rows.ts';
import { EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import { noon, putV2, usingQueue } from '../filequeue/queue.ts';
import { network, ok, response } from '../network/support/outcomes.ts';
import { type PostScript, ScriptedDestination } from '../network/support/scripted.ts';
import type { SeriesV2 } from '../support/messages-v2.ts';
import { tempDir } from '../support/temp.ts';
import { Delivery, type DeliveryOptions, unsynced } from './delivery.ts';

const MINUTE = 60_000;

/** A queue and its delivery, by one clock. */
class Rig {
  readonly queue: FileQueue;
  readonly destination: ScriptedDestination;
  readonly #t: TestContext;
  readonly #clock: { now: number };
  delivery!: Delivery;

  private constructor(t: TestContext, queue: FileQueue, clock: { now: number }, script: PostScript) {
    this.#t = t;
    this.queue = queue;
    this.#clock = clock;
    this.destination = new ScriptedDestination(script);
  }

  static async start(t: TestContext, script: PostScript = () => ok, options?: DeliveryOptions): Promise<Rig> {
    const clock = { now: noon };
    const dir = await tempDir(t, 'repeats');
    const { queue } = await usingQueue(t, dir, { files: unsynced, now: () => clock.now });
    const rig = new Rig(t, queue, clock, script);
    rig.deliver(options);
    return rig;
  }

  deliver(options?: DeliveryOptions): void {
    this.delivery = new Delivery(this.#t, this.queue, this.destination, options);
    this.delivery.now = this.#clock.now;
  }

  async stop(): Promise<Uint8Array> {
    await this.delivery.stop();
    return this.delivery.block!;
  }

  pass(ms: number): void {
    this.#clock.now += ms;
    this.delivery.now = this.#clock.now;
  }

  /** A sample of each of these, with metadata unless the name ends with `?`. */
  async write(...names: string[]): Promise<void> {
    await putV2(this.queue, ...names.map((name) => this.#series(name)));
    this.delivery.feeder.pump();
  }

  #series(name: string): SeriesV2 {
    const samples = [{ timestamp: BigInt(this.#clock.now) }];
    if (name.endsWith('?')) return { labels: { __name__: name.slice(0, -1) }, samples };
    return { labels: { __name__: name }, samples, metadata: { type: 2, help: `Of ${name}.` } };
  }

  /** The families that were sent since this was last asked, those of each request together. */
  sent(): string[][] {
    const posts = this.destination.posts.splice(0);
    return posts
      .filter(({ metadata }) => metadata.length > 0)
      .map(({ metadata }) => metadata.map((text) => JSON.parse(text).metricFamilyName as string).sort());
  }
}

test('INT-10, RLY-06: what a 2.0 sender says of a family goes to 1.0 once an interval, as long as its series come', async (t) => {
  const rig = await Rig.start(t);
  const { delivery } = rig;
  await rig.write('a', 'b', 'plain?');
  await delivery.done();
  assert.deepEqual(rig.sent().flat().sort(), ['a', 'b']);
  await delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [], 'just told');

  rig.pass(MINUTE);
  await rig.write('a', 'b', 'plain?');
  await delivery.done();
  assert.deepEqual(rig.sent(), [], 'no row of metadata, nothing is due');
  await delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['a', 'b']]);

  rig.pass(MINUTE);
  await rig.write('b', 'plain?');
  await delivery.done();
  await delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['b']], 'a has gone');

  rig.pass(MINUTE);
  await delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [], 'nothing comes');

  await rig.write('a');
  await delivery.done();
  await delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['a']], 'it is back');
  assert.equal(delivery.stats.get('metadataRepeated'), 4);
  assert.equal(delivery.stats.delivered(METADATA), 2, 'these were rows');
  assert.equal(delivery.waitingRows, 0);
  assert.equal(delivery.feeder.unsettled, 0);
});

test('what a series has taken back is not told again', async (t) => {
  const rig = await Rig.start(t);
  await rig.write('a', 'b');
  await rig.delivery.done();
  await rig.delivery.repeats.tell();
  await rig.write('a?', 'b');
  await rig.delivery.done();
  rig.sent();
  rig.pass(MINUTE);
  await rig.write('a?', 'b');
  await rig.delivery.done();
  await rig.delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['b']]);
});

test('after a restart in the middle of a segment it goes on', async (t) => {
  const rig = await Rig.start(t);
  await rig.write('a', 'b');
  await rig.delivery.done();
  const block = await rig.stop();
  rig.sent();
  rig.pass(MINUTE);
  rig.deliver({ block });
  await rig.write('b');
  await rig.delivery.done();
  assert.deepEqual(rig.sent(), []);
  await rig.delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['b']]);
});

test('a new segment brings rows of metadata: nothing is told twice for that', async (t) => {
  const rig = await Rig.start(t);
  await rig.write('a');
  await rig.delivery.done();
  rig.pass(MINUTE);
  await rig.write('a');
  await rig.delivery.done();
  await rig.delivery.repeats.tell();
  rig.sent();
  await rig.queue.endSegment();
  rig.pass(MINUTE / 3);
  await rig.write('a');
  await rig.delivery.done();
  assert.equal(rig.delivery.stats.lost('metadata_unchanged', METADATA), 1);
  rig.pass((MINUTE * 2) / 3);
  await rig.write('a');
  await rig.delivery.done();
  await rig.delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['a']]);
});

test('in an outage nothing is tried, and behind it each family is told once', async (t) => {
  let up = true;
  const rig = await Rig.start(t, () => (up ? ok : network()), { loops: 1 });
  const { delivery } = rig;
  await rig.write('a');
  await delivery.done();
  up = false;
  for (let minute = 0; minute < 100; minute++) {
    rig.pass(MINUTE);
    await rig.write('a');
    if (minute === 0) await delivery.until('it fails', () => delivery.failures.length > 0);
    await delivery.repeats.tell();
  }
  assert.equal(delivery.stats.get('metadataRepeatsFailed'), 0);
  rig.sent();
  up = true;
  await delivery.done();
  for (let i = 0; i < 3; i++) await delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['a']]);
});

test('over 2.0 it goes with each series; when 1.0 is fallen back to, once an interval', async (t) => {
  const negotiation = new Negotiation('auto', noon);
  const cache = new MetadataCache();
  for (const setting of [new Negotiation('2.0'), negotiation]) {
    const rig = await Rig.start(t, () => ok, { v2: { negotiation: setting, cache } });
    const { delivery } = rig;
    if (setting.version === '2.0')
      rig.destination.script = ({ rows }) => ({
        ...response(204),
        written: { samples: rows.length, histograms: 0, exemplars: 0 },
      });
    await rig.write('a');
    await delivery.done();
    rig.sent();
    rig.pass(MINUTE);
    await rig.write('a');
    await delivery.done();
    await delivery.repeats.tell();
    assert.deepEqual(rig.sent(), setting.version === '2.0' ? [] : [['a']]);
  }
});

test('nothing is told when metadata is switched off', async (t) => {
  const rig = await Rig.start(t, () => ok, { metadata: { send: false, sendIntervalMs: MINUTE } });
  await rig.write('a');
  await rig.delivery.done();
  rig.pass(MINUTE);
  await rig.write('a');
  await rig.delivery.done();
  await rig.delivery.repeats.tell();
  assert.deepEqual(rig.sent(), []);
});

test('what is dropped by relabelling is not told, and what is renamed keeps the name of its family', async (t) => {
  const relabel = [
    { sourceLabels: ['__name__'], regex: 'gone', action: 'drop' },
    { sourceLabels: ['__name__'], regex: 'a', targetLabel: '__name__', replacement: 'new' },
  ] as const;
  const rig = await Rig.start(t, () => ok, { relabel });
  await rig.write('a', 'gone');
  await rig.delivery.done();
  rig.sent();
  rig.pass(MINUTE);
  await rig.write('a', 'gone');
  await rig.delivery.done();
  await rig.delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [['a']]);
});

test('what is not taken is counted, said, and told at the next time', async (t) => {
  for (const [outcome, cause] of [
    [response(500, 'no'), '500'],
    [network(), 'ECONNRESET'],
  ] as const) {
    let refuses = false;
    const rig = await Rig.start(t, () => (refuses ? outcome : ok), { settings: { maxMetadataPerSend: 2 } });
    const { delivery } = rig;
    const names = ['a', 'b', 'c', 'd', 'e'];
    await rig.write(...names);
    await delivery.done();
    rig.pass(MINUTE);
    await rig.write(...names);
    await delivery.done();
    rig.sent();
    refuses = true;
    await delivery.repeats.tell();
    assert.equal(rig.sent().length, 1, 'the rest is not tried');
    assert.deepEqual(delivery.repeatFailures, [{ entries: 2, cause }]);
    assert.equal(delivery.stats.get('metadataRepeatsFailed'), 2);
    assert.deepEqual(delivery.failures, []);
    refuses = false;
    rig.pass(MINUTE);
    await rig.write(...names);
    await delivery.done();
    await delivery.repeats.tell();
    assert.deepEqual(rig.sent(), [['a', 'b'], ['c', 'd'], ['e']]);
    assert.equal(delivery.stats.get('metadataRepeated'), 5);
  }
});

test('what was not taken comes by the rows of the next segment, what was taken does not', async (t) => {
  let requests = 0;
  let refuses = false;
  const rig = await Rig.start(t, () => (refuses && ++requests === 2 ? response(500, 'no') : ok), {
    settings: { maxMetadataPerSend: 2 },
  });
  const { delivery } = rig;
  const names = ['a', 'b', 'c', 'd', 'e'];
  await rig.write(...names);
  await delivery.done();
  rig.pass(MINUTE / 2);
  await rig.write(...names);
  await delivery.done();
  rig.sent();
  refuses = true;
  await delivery.repeats.tell();
  assert.deepEqual(rig.sent(), [
    ['a', 'b'],
    ['c', 'd'],
  ]);
  rig.pass(MINUTE / 2);
  await rig.queue.endSegment();
  await rig.write(...names);
  await delivery.done();
  assert.deepEqual(rig.sent().flat().sort(), ['c', 'd', 'e']);
});

/** Repeats of what `due` says, to a destination; what each tenant was sent. */
function of(due: readonly OutgoingMetadata[], script: PostScript, more?: Partial<RepeatOptions>) {
  const destination = new ScriptedDestination(script);
  const repeats = new MetadataRepeats({
    intervalMs: 1,
    maxPerSend: 10,
    destination,
    stats: new EndpointStats(),
    due: () => due,
    isDown: () => false,
    onTaken: () => undefined,
    onFailure: () => undefined,
    ...more,
  });
  return { destination, repeats };
}

/** `08 <type>`: no more is needed of a message. */
const gauge = Uint8Array.of(0x08, 2);

function dueOf(tenant: string, message: Uint8Array = gauge): OutgoingMetadata {
  return { tenant, message, family: 'a', time: { committedMs: 0, nowMs: 0 } };
}

test('a tenant that is refused does not stop the others; an endpoint that does not answer does', async () => {
  const due = ['one', 'one', 'one', 'two', 'three'].map((tenant) => dueOf(tenant));
  for (const [outcome, posts, failed, taken] of [
    [response(401), 3, 3, 2],
    [response(503), 1, 2, 0],
    [network(), 1, 2, 0],
  ] as const) {
    const stats = new EndpointStats();
    const script: PostScript = ({ index }) => (index === 0 ? outcome : ok);
    const { destination, repeats } = of(due, script, { stats, maxPerSend: 2 });
    await repeats.tell();
    assert.equal(destination.posts.length, posts);
    assert.equal(stats.get('metadataRepeatsFailed'), failed);
    assert.equal(stats.get('metadataRepeated'), taken);
  }
});

test('one round at a time, by a timer; a stop cuts it, and there is no other', async () => {
  const due = [dueOf('')];
  const { destination, repeats } = of(due, () => undefined);
  repeats.start();
  await destination.progress.until(
    () => 'a request',
    () => destination.posts.length > 0,
  );
  const running = repeats.tell();
  await repeats.stop();
  await running;
  await repeats.tell();
  await repeats.stop();
  assert.equal(destination.posts.length, 1);
  assert.equal(destination.posts[0]!.open, false);
});

test('texts may be long: then there are fewer entries in a request', async () => {
  const message = new Uint8Array(300 * 1024);
  message.set([0x22, 0xfc, 0xdf, 0x12]); // A help text of all that follows.
  const due = Array.from({ length: 10 }, () => dueOf('', message));
  const { destination, repeats } = of(due, () => ok);
  await repeats.tell();
  assert.deepEqual(
    destination.posts.map(({ metadata }) => metadata.length),
    [4, 4, 2],
  );
});
