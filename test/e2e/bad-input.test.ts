import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compress } from 'snappyjs';
import { block, copy2, literal, varint } from '../reference/snappy-elements.ts';
import { Agent, remote } from '../support/agent.ts';
import { Attacks } from '../support/attacks.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { request, series } from '../support/messages.ts';
import { encodeBody } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

const MiB = 2 ** 20;
const limits = {
  request: 1 * MiB,
  decoded: 4 * MiB,
  inFlight: 16 * MiB,
  perSender: 5 * MiB,
  connections: 100,
};

/**
 * What the configuration bounds, on top of what the agent takes with a load that behaves: what is in flight, a few
 * times over (as it came, as rows, in the buffers of the encoder and of the reader), the buffer of the largest
 * request, and connections; with room for garbage that has not been collected. No refused label may add to it.
 */
const bound = 100 * MiB + 8 * limits.inFlight + 2 * limits.decoded + limits.connections * 64 * 1024;

/** A block that repeats two bytes of a field up to `size`. */
function bomb(field: number, size: number): Uint8Array {
  const copies = Array.from({ length: size / 64 - 1 }, () => copy2(2, 64));
  return block(size, literal(Buffer.alloc(64, Uint8Array.of(field, 0)), 1), ...copies);
}

function oneSeries(fields: Uint8Array): Uint8Array {
  return compress(Buffer.concat([Uint8Array.of(0x0a), varint(fields.length), fields]));
}

const named = (labels: Record<string, string>): Uint8Array =>
  encodeBody(request(series({ __name__: 'bad', ...labels }, [1, 1])));

const bad: readonly Uint8Array[] = [
  // Over a limit of requests, each in its own way.
  Buffer.alloc(limits.request + 1),
  bomb(0x0a, limits.decoded + 64),
  bomb(0x0a, limits.decoded),
  bomb(0x1a, limits.decoded),
  oneSeries(Buffer.alloc(limits.decoded - 8, Uint8Array.of(0x12, 0))),
  oneSeries(Buffer.alloc(limits.decoded - 8, Uint8Array.of(0x0a, 0, 0x12, 0))),
  // Lies, and what is no message.
  Buffer.concat([varint(limits.decoded), Buffer.alloc(1000, 0xff)]),
  Buffer.concat([varint(0xffff_ffff), Buffer.alloc(1000)]),
  Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  compress(Buffer.alloc(MiB, 0xff)),
  // Labels without end: each is new, so that a dictionary that kept them would grow.
  ...Array.from({ length: 20 }, (_, i) =>
    named(Object.fromEntries(Array.from({ length: 5000 }, (_, j) => [`l${j}`, `${i}.${j}`]))),
  ),
  named({ ['n'.repeat(100_000)]: 'x' }),
  named({ n: 'x'.repeat(1_000_000) }),
];

test('a sender that behaves delivers everything beside bombs, slow senders and floods, in bounded memory', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, {
    receiver: {
      max_request_bytes: limits.request,
      max_decoded_bytes: limits.decoded,
      max_in_flight_bytes: limits.inFlight,
      max_series_per_request: 10_000,
      max_rows_per_request: 50_000,
      max_connections: limits.connections,
      request_timeout: '5s',
      header_timeout: '2s',
      body_idle_timeout: '1s',
      per_sender: { in_flight_bytes: limits.perSender, header: 'X-Sender' },
    },
    remote_write: [remote(sink.url)],
  });
  const load = new Load(t, agent.url, { connections: 3, everyMs: 10 });
  await load.send(10);
  const before = await agent.peakMemory();

  const attacks = new Attacks(t, agent.url);
  attacks.bodies(bad, 4);
  attacks.slowBodies(limits.request, 100, 100, 10);
  attacks.slowBodies(limits.request, limits.request - 1, undefined, 10);
  attacks.slowBodies(2 ** 30, 1, undefined, 2);
  attacks.slowHeaders(100, 20);
  attacks.slowHeaders(undefined, 2 * limits.connections);

  const running = load.run();
  const met = async (name: string, labels: Record<string, string>): Promise<void> => {
    await poll(
      () => `${name} ${JSON.stringify(labels)} stays 0`,
      async () => ((await agent.metric(name, labels)) || undefined) && true,
    );
  };
  for (const limit of [
    'max_request_bytes',
    'max_decoded_bytes',
    'max_series_per_request',
    'max_rows_per_request',
    'per_sender.in_flight_bytes',
    'body_idle_timeout',
  ]) {
    await met('spillway_limited_requests_total', { limit });
  }
  for (const reason of ['too_many_labels', 'label_name_too_long', 'label_value_too_long']) {
    await met('spillway_refused_rows_total', { reason });
  }
  for (const reason of ['too_many', 'timeout']) await met('spillway_closed_connections_total', { reason });
  // All of it once more, now that everything has grown to its size.
  for (let i = 0; i < 4; i++) await load.acknowledgedRequests(50);
  load.stop();
  await running;
  await attacks.stop();

  assert.deepEqual(load.refused, []);
  await sink.waitForRows(load.acknowledged);
  assertNoLoss(load, sink.arrivals);
  const peak = await agent.peakMemory();
  t.diagnostic(`memory: ${Math.round(before / MiB)} MiB before, at most ${Math.round(peak / MiB)} MiB`);
  assert.ok(peak - before < bound, `over the bound of ${Math.round(bound / MiB)} MiB more`);
  await poll(
    () => 'bytes stay in flight when everybody is gone',
    async () => ((await agent.metric('spillway_received_in_flight_bytes')) === 0 ? true : undefined),
  );
});
