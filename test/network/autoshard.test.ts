import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clampShards, neededShards, type ShardLoad } from '../../src/network/autoshard.ts';

/** Ten samples a second in and out, one loop busy all the time. */
const steady: ShardLoad = {
  current: 1,
  min: 1,
  max: 50,
  arrivedPerSecond: 10,
  deliveredPerSecond: 10,
  secondsPerSample: 0.1,
  backlogSamples: 0,
  failing: false,
};

/** A backlog this small is no reason to add loops; one sample more is. */
const second = steady.arrivedPerSecond;

const table: [name: string, load: Partial<ShardLoad>, expected: number][] = [
  [
    'nothing in or out',
    { current: 10, arrivedPerSecond: 0, deliveredPerSecond: 0, secondsPerSample: NaN },
    10,
  ],
  ['steady', {}, 1],
  ['down to the busy time', { current: 10, secondsPerSample: 0.5 }, 5],
  ['down to the minimum', { current: 10, min: 8, secondsPerSample: 0.5 }, 8],
  ['idle', { current: 10, arrivedPerSecond: 0, secondsPerSample: 0.5 }, 1],
  ['not down within 30 %', { current: 7, secondsPerSample: 0.5 }, 7],
  ['up to the busy time', { current: 2, secondsPerSample: 1, backlogSamples: second }, 11],
  ['up to the maximum', { current: 2, max: 6, secondsPerSample: 1, backlogSamples: second }, 6],
  ['not up within 30 %', { current: 9, secondsPerSample: 1, backlogSamples: second }, 9],
  [
    'not up while the present loops keep up',
    { current: 2, secondsPerSample: 1, backlogSamples: second - 1 },
    2,
  ],
  ['20 s behind', { current: 2, secondsPerSample: 0.2, backlogSamples: 200 }, 4],
  ['90 s behind', { current: 4, secondsPerSample: 0.4, backlogSamples: 900 }, 22],
  ['not down while more than 10 s behind', { current: 22, secondsPerSample: 0.2, backlogSamples: 101 }, 22],
  ['down when nearly there', { current: 22, secondsPerSample: 0.2, backlogSamples: 100 }, 3],
  ['down when there', { current: 3, secondsPerSample: 0.2 }, 2],
  ['a slowdown is rounded up', { secondsPerSample: 0.12, backlogSamples: second }, 2],
  ['a failing endpoint gets no more', { failing: true, secondsPerSample: 5, backlogSamples: 1e9 }, 1],
  ['nor one that takes nothing', { deliveredPerSecond: 0, secondsPerSample: NaN, backlogSamples: 1e9 }, 1],
  ['a reload raised the minimum', { current: 1, min: 4 }, 4],
  ['a reload lowered the maximum', { current: 50, max: 20, failing: true }, 20],
];

/** As the manager puts the two together. */
const desiredShards = (load: ShardLoad): number => clampShards(neededShards(load), load);

for (const [name, load, expected] of table) {
  test(`${name}: ${expected}`, () => {
    assert.equal(desiredShards({ ...steady, ...load }), expected);
  });
}

const load = fc.record({
  current: fc.integer({ min: 1, max: 100 }),
  min: fc.integer({ min: 1, max: 20 }),
  max: fc.integer({ min: 20, max: 100 }),
  arrivedPerSecond: fc.double({ min: 0, max: 1e7, noNaN: true }),
  deliveredPerSecond: fc.double({ min: 0, max: 1e7, noNaN: true }),
  secondsPerSample: fc.double({ min: 0, max: 10 }),
  backlogSamples: fc.nat(1e9),
  failing: fc.boolean(),
});

test('what is needed beyond the maximum is said', () => {
  const load = { ...steady, current: 6, max: 6, secondsPerSample: 1, backlogSamples: second };
  assert.equal(neededShards(load), 11);
  assert.equal(desiredShards(load), 6);
});

test('a whole number within the bounds, whatever is measured', () => {
  fc.assert(
    fc.property(load, (measured) => {
      fc.pre(measured.deliveredPerSecond === 0 || !Number.isNaN(measured.secondsPerSample));
      const shards = desiredShards(measured);
      assert.ok(Number.isInteger(shards) && shards >= measured.min && shards <= measured.max, String(shards));
    }),
  );
});

test('an endpoint that fails or takes nothing never gets more than it has', () => {
  fc.assert(
    fc.property(load, fc.boolean(), (measured, failing) => {
      const dead = failing ? { ...measured, failing } : { ...measured, deliveredPerSecond: 0 };
      assert.ok(desiredShards(dead) <= Math.max(measured.current, measured.min));
    }),
  );
});

/** An endpoint that takes up to 20 000 samples a second from each loop, and is looked at every 10 s. */
class Endpoint {
  shards = 1;
  backlog = 0;
  readonly changes: number[] = [];

  look(arrivedPerSecond: number, up: boolean, slowness = 1): void {
    const secondsPerSample = slowness / 20_000;
    this.backlog += arrivedPerSecond * 10;
    const delivered = up ? Math.min(this.backlog, (this.shards / secondsPerSample) * 10) : 0;
    this.backlog -= delivered;
    const desired = desiredShards({
      current: this.shards,
      min: 1,
      max: 200,
      arrivedPerSecond,
      deliveredPerSecond: delivered / 10,
      secondsPerSample,
      backlogSamples: this.backlog,
      failing: !up,
    });
    if (desired !== this.shards) this.changes.push(desired);
    this.shards = desired;
  }
}

test('two minutes of outage, then fifteen minutes: caught up, without overshooting or flapping', () => {
  const endpoint = new Endpoint();
  for (let s = 0; s < 120; s += 10) {
    endpoint.look(50_000, false);
    assert.equal(endpoint.shards, 1);
  }
  assert.equal(endpoint.backlog, 6_000_000);
  for (let s = 0; s < 15 * 60; s += 10) {
    endpoint.look(50_000, true);
    // 2.5 loops are busy with what arrives; 5 % of the backlog, at most 6.4 million, keep 16 more busy.
    assert.ok(endpoint.shards >= 3 && endpoint.shards <= 19, `${endpoint.shards} loops after ${s} s`);
  }
  assert.equal(endpoint.backlog, 0);
  assert.equal(endpoint.shards, 3);
  assert.ok(endpoint.changes.length <= 4, String(endpoint.changes));
});

test('reply times that swing by a quarter move nothing', () => {
  const endpoint = new Endpoint();
  endpoint.shards = 10;
  for (let i = 0; i < 90; i++) endpoint.look(180_000, true, i % 2 === 0 ? 1.1 : 0.85);
  assert.deepEqual(endpoint.changes, []);
});
