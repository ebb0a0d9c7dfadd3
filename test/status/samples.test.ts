import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EndpointSample, grown, Minute, perSecond, quantile } from '../../src/status/samples.ts';

const sample = (atMs: number) => ({ atMs, receivedRows: atMs, walBytes: 0, endpoints: new Map() });

test('a minute of samples is kept, and one from about so long ago is found', () => {
  const minute = new Minute();
  assert.equal(minute.before(0, 60_000), undefined);
  for (let at = 0; at <= 120_000; at += 2000) minute.add(sample(at));
  assert.equal(minute.before(120_000, 60_000)?.atMs, 60_000);
  assert.equal(minute.before(120_500, 60_000)?.atMs, 62_000);
  assert.equal(minute.before(120_000, 20_000)?.atMs, 100_000);
  // After a time of sleep the last one from before it has to do.
  assert.equal(minute.before(500_000, 60_000)?.atMs, 120_000);
});

test('for an endpoint that came later, the samples that have it count', () => {
  const minute = new Minute();
  for (const at of [0, 2000]) minute.add(sample(at));
  for (const at of [4000, 6000])
    minute.add({ ...sample(at), endpoints: new Map([['a', {} as EndpointSample]]) });
  assert.equal(minute.before(6000, 60_000, 'a')?.atMs, 4000);
  assert.equal(minute.before(6000, 60_000, 'b'), undefined);
});

test('a clock that is set back leaves no samples of the future', () => {
  const minute = new Minute();
  for (const at of [10_000, 20_000, 5000, 7000]) minute.add(sample(at));
  assert.equal(minute.before(7000, 60_000)?.atMs, 5000);
});

test('rates', () => {
  assert.equal(perSecond(30, 10, 2000), 10);
  assert.equal(perSecond(30, undefined, 2000), 0);
  assert.equal(perSecond(5, 10, 2000), 0);
  assert.equal(perSecond(30, 10, 0), 0);
  assert.deepEqual(
    [
      ...grown(
        [
          ['a', 3],
          ['b', 2],
          ['c', 1],
        ],
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
      ),
    ],
    [
      ['a', 2],
      ['c', 1],
    ],
  );
});

test('quantiles, by straight lines within a bucket', () => {
  const bounds = [0.1, 0.2, 0.4];
  assert.equal(quantile(0.5, [0, 0, 0, 0], bounds), undefined);
  assert.equal(quantile(0.5, [10, 0, 0, 0], bounds), 0.05);
  assert.ok(Math.abs(quantile(0.99, [50, 0, 50, 0], bounds)! - 0.396) < 1e-9);
  assert.equal(quantile(0.99, [1, 0, 0, 9], bounds), 0.4);
});
