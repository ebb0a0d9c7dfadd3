import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compress, uncompress } from 'snappyjs';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

for (const [kernel, codec] of [
  ['wasm', 'brotli'],
  ['typescript', 'snappy'],
] as const) {
  test(`the ${kernel} kernel delivers all of it from frames in ${codec}, in bodies of either compression`, async (t) => {
    /** Bytes of bodies, and of the same messages in plain snappy. */
    const bytes = { fast: [0, 0], small: [0, 0] };
    const sinkOf = (compression: 'fast' | 'small') =>
      Sink.start(t, (_, body) => {
        const sums = bytes[compression];
        sums[0]! += body.length;
        sums[1]! += compress(uncompress(Uint8Array.from(body))).length;
        return { status: 204 };
      });
    const fast = await sinkOf('fast');
    const small = await sinkOf('small');
    const agent = await Agent.start(t, {
      kernel,
      wal: { codec },
      remote_write: [
        remote(fast.url, { name: 'fast' }),
        remote(small.url, { name: 'small', wire_compression: 'small' }),
      ],
    });
    const load = new Load(t, agent.url);
    await load.send(100);
    for (const sink of [fast, small]) await sink.waitForRows(load.acknowledged);
    assert.equal(await agent.terminate(), 0);
    for (const sink of [fast, small]) {
      assertNoLoss(load, sink.arrivals);
      assert.equal(sink.arrivals.duplicates, 0);
    }
    assert.ok(bytes.small[0]! <= bytes.small[1]!, `small: ${bytes.small}`);
    assert.ok(bytes.small[0]! < bytes.fast[0]!, `small: ${bytes.small}, fast: ${bytes.fast}`);
  });
}
