import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type BucketSpan,
  decodeWriteRequestV1,
  decodeWriteRequestV2,
  type HistogramV1,
  type TimeSeriesV1,
} from '../../src/protocol/schema.ts';
import { Agent, remote } from '../support/agent.ts';
import { loadCaptures } from '../support/captures.ts';
import { poll } from '../support/deadline.ts';
import { inV1 } from '../support/messages-v2.ts';
import { needs } from '../support/programs.ts';
import { Prometheus, type StoredExemplar, type StoredHistogram } from '../support/prometheus.ts';
import { seriesKey } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';

/*
 * What Prometheus 2.42 and 3.5 once sent of native histograms and exemplars, into a Prometheus that keeps them: what is
 * asked of it afterwards is what was sent, from the bounds of the buckets to the labels of the exemplars.
 */

const flags = ['--enable-feature=native-histograms,exemplar-storage'];
const outgoing = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'] as const;

test(
  'a Prometheus has the native histograms and exemplars that others sent, over 1.0 and 2.0',
  needs('prometheus-3'),
  async (t) => {
    const receivers = await Promise.all(
      outgoing.map(() => Prometheus.start(t, { program: 'prometheus-3', flags })),
    );
    const agent = await Agent.start(t, {
      remote_write: receivers.map(({ writeUrl }, i) =>
        remote(writeUrl, {
          name: `to-${i}`,
          protobuf_message: outgoing[i]!,
          send_native_histograms: true,
          send_exemplars: true,
        }),
      ),
    });
    const wanted: { readonly histograms: Stored; readonly exemplars: Stored } = {
      histograms: new Map(),
      exemplars: new Map(),
    };
    const sender = new Sender(t, agent.url);
    for (const [version, requests] of await load()) {
      for (const timeseries of requests) {
        assert.equal((await sender.write({ timeseries }, version))?.status, 204);
        for (const { labels, histograms, exemplars } of timeseries) {
          push(wanted.histograms, seriesKey(labels), histograms.map(storedHistogram).map(histogramText));
          push(wanted.exemplars, seriesKey(labels), exemplars.map(storedExemplar).map(exemplarText));
        }
      }
    }
    assert.ok(countOf(wanted.histograms) > 30, `${countOf(wanted.histograms)} histograms`);
    assert.ok(countOf(wanted.exemplars) > 8, `${countOf(wanted.exemplars)} exemplars`);
    for (const prometheus of receivers) {
      assert.deepEqual(
        await eventually(countOf(wanted.histograms), async () =>
          texts(await prometheus.histograms('{job=~".+"}'), histogramText),
        ),
        wanted.histograms,
      );
      assert.deepEqual(
        await eventually(countOf(wanted.exemplars), async () =>
          texts(await prometheus.exemplars('{job=~".+"}'), exemplarText),
        ),
        wanted.exemplars,
      );
    }
  },
);

/** By series, each as text, in the order of their times. */
type Stored = Map<string, string[]>;

/** The requests of the captures, of series with histograms or exemplars, as if they came just now. */
async function load(): Promise<[version: '1.0' | '2.0', requests: TimeSeriesV1[][]][]> {
  const v1 = await loadCaptures('prometheus-2.42-agent');
  const v2 = await loadCaptures('prometheus-3.5-agent-rw2');
  return [
    ['1.0', recent(v1.map(({ raw }) => decodeWriteRequestV1(raw).timeseries))],
    ['2.0', recent(v2.map(({ raw }) => inV1(decodeWriteRequestV2(raw)).timeseries))],
  ];
}

function recent(requests: readonly (readonly TimeSeriesV1[])[]): TimeSeriesV1[][] {
  const all = requests.flat();
  const rows = all.flatMap(({ samples, histograms, exemplars }) => [...samples, ...histograms, ...exemplars]);
  const last = rows.reduce((at, { timestamp }) => (timestamp > at ? timestamp : at), 0n);
  const shift = BigInt(Date.now()) - last;
  const moved = <T extends { readonly timestamp: bigint }>(row: T): T => ({
    ...row,
    timestamp: row.timestamp + shift,
  });
  const special = new Set(
    all
      .filter(({ histograms, exemplars }) => histograms.length + exemplars.length > 0)
      .map(({ labels }) => seriesKey(labels)),
  );
  return requests
    .map((timeseries) =>
      timeseries
        .filter(({ labels }) => special.has(seriesKey(labels)))
        .map(({ labels, samples, histograms, exemplars }) => ({
          labels,
          samples: samples.map(moved),
          histograms: histograms.map(moved).map(counted),
          exemplars: exemplars.map(moved),
        })),
    )
    .filter((timeseries) => timeseries.length > 0);
}

/** With the count that its buckets add up to: a target of 2.42 counted wrong, and such rows are refused today. */
function counted(histogram: HistogramV1): HistogramV1 {
  const { negativeSpans, negativeDeltas, positiveSpans, positiveDeltas, zeroCountInt = 0n } = histogram;
  const both = [...side(negativeSpans, negativeDeltas), ...side(positiveSpans, positiveDeltas)];
  return { ...histogram, countInt: both.reduce((sum, { count }) => sum + count, zeroCountInt) };
}

/** The buckets of one side, those next to zero first. */
function side(
  spans: readonly BucketSpan[],
  deltas: readonly bigint[],
): { readonly index: number; readonly count: bigint }[] {
  const buckets: { index: number; count: bigint }[] = [];
  let index = 0;
  for (const { offset, length } of spans) {
    index += offset;
    for (let i = 0; i < length; i++, index++) {
      const count = (buckets.at(-1)?.count ?? 0n) + deltas[buckets.length]!;
      buckets.push({ index, count });
    }
  }
  return buckets;
}

/** What the query API is to say of it: bucket i ends at 2^(i / 2^schema). */
function storedHistogram(histogram: HistogramV1): StoredHistogram {
  const { schema, zeroCountInt = 0n, zeroThresholdBits } = histogram;
  const end = (index: number): number => 2 ** (index / 2 ** schema);
  const negative = side(histogram.negativeSpans, histogram.negativeDeltas).reverse();
  const positive = side(histogram.positiveSpans, histogram.positiveDeltas);
  const zero = numberOf(zeroThresholdBits);
  const buckets = [
    ...negative.map(({ index, count }) => [1, -end(index), -end(index - 1), count] as const),
    [3, -zero, zero, zeroCountInt] as const,
    ...positive.map(({ index, count }) => [0, end(index - 1), end(index), count] as const),
  ];
  return {
    at: histogram.timestamp,
    count: String(histogram.countInt),
    sum: String(numberOf(histogram.sumBits)),
    buckets: buckets
      .filter(([, , , count]) => count > 0n)
      .map(([bounds, from, to, count]) => [bounds, String(from), String(to), String(count)]),
  };
}

function storedExemplar({ timestamp, labels, valueBits }: TimeSeriesV1['exemplars'][number]): StoredExemplar {
  return { at: timestamp, labels: seriesKey(labels), value: String(numberOf(valueBits)) };
}

/** Counts and sums to the bit; bounds, which each computes for itself, to twelve digits. */
function histogramText({ at, count, sum, buckets = [] }: StoredHistogram): string {
  const shown = buckets.map(
    ([bounds, from, to, count]) =>
      `${bounds} ${Number(from).toPrecision(12)} ${Number(to).toPrecision(12)}: ${Number(count)}`,
  );
  return `${at} ${Number(count)} ${Number(sum)} ${shown.join(', ')}`;
}

function exemplarText({ at, labels, value }: StoredExemplar): string {
  return `${at} ${labels} ${Number(value)}`;
}

function texts<T>(all: ReadonlyMap<string, readonly T[]>, text: (one: T) => string): Stored {
  return new Map([...all].map(([series, rows]) => [series, rows.map(text)]));
}

function push(all: Stored, series: string, rows: readonly string[]): void {
  if (rows.length > 0) all.set(series, [...(all.get(series) ?? []), ...rows]);
}

function countOf(all: Stored): number {
  return [...all.values()].flat().length;
}

/** What it has when it has so many. */
async function eventually(count: number, ask: () => Promise<Stored>): Promise<Stored> {
  let last: Stored = new Map();
  return await poll(
    () => `${countOf(last)} of ${count} are there`,
    async () => {
      last = await ask();
      return countOf(last) >= count ? last : undefined;
    },
  );
}

function numberOf(bits: bigint): number {
  return new Float64Array(BigUint64Array.of(bits).buffer)[0]!;
}
