import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staleMarkerBits } from '../../src/protocol/schema.ts';
import { Exporter } from './exporter.ts';
import { bitsOf, request, series } from './messages.ts';
import { needs } from './programs.ts';
import { Prometheus } from './prometheus.ts';
import { Sender } from './sender.ts';
import { Sink } from './sink.ts';

test('Prometheus scrapes an exporter and writes to the sink', needs('prometheus'), async (t) => {
  const sink = await Sink.start(t);
  const exporter = await Exporter.start(t);
  await Prometheus.start(t, {
    scrape: { demo: exporter.url },
    remoteWrite: sink.url,
    externalLabels: { from: 'a' },
  });
  await exporter.scraped(10);
  const rows = (): string[] => [...sink.arrivals.rows()].map(({ series, content }) => `${series} ${content}`);
  const stale = staleMarkerBits.toString(16);
  await sink.waitFor('a stale marker of a series that flickers', () =>
    rows().some((row) => row.includes('demo_flickers') && row.endsWith(stale)),
  );
  assert.ok(rows().some((row) => row.includes('from="a"') && row.includes('place="199"')));
  assert.deepEqual(sink.arrivals.inversions, []);
});

test(
  'Prometheus receives what a sender writes, and has it after a restart',
  needs('prometheus'),
  async (t) => {
    const prometheus = await Prometheus.start(t);
    const sender = new Sender(t, prometheus.url);
    const now = Date.now();
    const reply = await sender.write(
      request(
        series({ __name__: 'up', job: 'a' }, [now - 2, 0.1], [now - 1, bitsOf(Number.NaN)], [now, -0]),
        series({ __name__: 'up', job: 'b' }, [now, 2]),
      ),
    );
    assert.equal(reply?.status, 204);
    const expected = new Map([
      [
        '{__name__="up",job="a"}',
        [
          { at: BigInt(now - 2), value: '0.1' },
          { at: BigInt(now - 1), value: 'NaN' },
          { at: BigInt(now), value: '-0' },
        ],
      ],
      ['{__name__="up",job="b"}', [{ at: BigInt(now), value: '2' }]],
    ]);
    assert.deepEqual(await prometheus.samples('up'), expected);
    await prometheus.stop();
    await prometheus.start();
    assert.deepEqual(await prometheus.samples('up'), expected);
  },
);
