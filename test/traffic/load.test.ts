import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadOptions, TrafficLoad } from '../../src/traffic/load.ts';
import { Sink } from '../support/sink.ts';

const defaults: Omit<LoadOptions, 'url' | 'signal'> = {
  series: 10,
  rate: 10,
  durationMs: 1,
  form: { protocol: '1.0', histograms: false, exemplars: false },
  batch: 1,
  connections: 1,
  run: 'test',
};

test('what is put off is sent again, when the receiver wants it; at the end it is not taken for refused', async (t) => {
  const ended = new AbortController();
  let later = 0;
  const sink = await Sink.start(t, ({ connection, index }) => {
    // The first answer: soon. The connection that it comes by is put off for long then, the other one goes on.
    if (index === 0) return { status: 408 };
    if (connection === 0) return { status: 429, headers: { 'Retry-After': '300' } };
    if (++later === 20) ended.abort();
    return {};
  });
  const two = { ...defaults, series: 2, rate: 40, connections: 2, durationMs: Number.POSITIVE_INFINITY };
  const report = await new TrafficLoad({ ...two, url: sink.url, signal: ended.signal }).run();
  assert.equal(sink.requests.filter(({ connection }) => connection === 0).length, 2);
  const { sent, acknowledged, refused, left, unknown, retries } = report;
  assert.deepEqual(
    { sent, acknowledged, refused, left, unknown, retries },
    { sent: 21, acknowledged: 20, refused: 0, left: 1, unknown: 0, retries: 2 },
  );
});

test('what a receiver refuses for good is not sent again', async (t) => {
  const sink = await Sink.start(t, () => ({ status: 400, body: 'no\n' }));
  const signal = new AbortController().signal;
  const report = await new TrafficLoad({ ...defaults, url: sink.url, signal }).run();
  assert.deepEqual([report.refused, report.left, report.lastError], [10, 0, '400 no']);
  assert.equal(sink.requests.length, 10);
});

test('after the signal nothing more is begun, and what has no answer is unknown', async (t) => {
  const ended = new AbortController();
  const sink = await Sink.start(t, () => {
    ended.abort();
    return { instead: 'hang' };
  });
  const report = await new TrafficLoad({ ...defaults, url: sink.url, signal: ended.signal }).run();
  assert.equal(sink.requests.length, 1);
  const { sent, acknowledged, unknown, lastError } = report;
  assert.deepEqual(
    { sent, acknowledged, unknown, lastError },
    { sent: 1, acknowledged: 0, unknown: 1, lastError: 'no answer' },
  );
});
