import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import * as snappyjs from 'snappyjs';
import { loneExemplars, type SeriesMetadata } from '../../src/protocol/emitter-v2.ts';
import {
  decodeWriteRequestV2,
  encodeWriteRequestV1,
  encodeWriteRequestV2,
  type Label,
  type MetadataV2,
  type TimeSeriesV1,
} from '../../src/protocol/schema.ts';
import { uncompress } from '../../src/protocol/snappy.ts';
import { METADATA } from '../../src/serialization/rows.ts';
import { ExactScratch } from '../reference/exact-scratch.ts';
import { type FlatRow, flatRows } from '../reference/flat-rows.ts';
import { int64, int64Edges, oddBits, validRequest } from '../reference/requests.ts';
import { type Kernel, Ring, Road } from '../reference/road.ts';
import { verdictsOn } from '../reference/verdicts.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { labels } from '../support/messages.ts';
import { Random } from '../support/random.ts';

/** A row of a request, as it should arrive. */
interface SentRow extends FlatRow {
  readonly start: bigint;
  sent: boolean;
}

/** A `TimeSeries` with its references resolved. */
interface PlainSeries {
  readonly labels: readonly Label[];
  readonly samples: object[];
  readonly histograms: object[];
  readonly exemplars: object[];
  readonly metadata: object | null;
}

type Family = (labels: readonly Label[]) => SeriesMetadata | undefined;

const noFamily: Family = () => undefined;
const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

/** What a request of these rows should say, made the plainest way; and the exemplars that it cannot carry. */
function expectedOf(
  rows: readonly SentRow[],
  familyOf: Family,
): { series: PlainSeries[]; lone: readonly number[] } {
  const sent = rows.flatMap((row, index) =>
    row.sent ? [{ ...row, index, key: JSON.stringify(row.labels) }] : [],
  );
  const groups: { key: string; kind: string; rows: typeof sent; exemplars: typeof sent }[] = [];
  for (const row of sent) {
    if (row.kind === 'exemplar') continue;
    const last = groups.at(-1);
    if (last?.key === row.key && last.kind === row.kind) last.rows.push(row);
    else groups.push({ key: row.key, kind: row.kind, rows: [row], exemplars: [] });
  }
  const lone: number[] = [];
  for (const row of sent) {
    if (row.kind !== 'exemplar') continue;
    const own = groups.filter(({ key }) => key === row.key);
    const group = own.findLast(({ rows: [of] }) => of!.index < row.index) ?? own[0];
    if (group === undefined) lone.push(row.index);
    else group.exemplars.push(row);
  }
  const series = groups.map(({ kind, rows: of, exemplars }): PlainSeries => {
    const family = familyOf(of[0]!.labels);
    const known = family !== undefined && (family.type !== 0 || family.help.length + family.unit.length > 0);
    const started = of.map(({ row, start }) => ({ ...row, startTimestamp: start }));
    return {
      labels: of[0]!.labels,
      samples: kind === 'sample' ? started : [],
      histograms: kind === 'histogram' ? started : [],
      exemplars: exemplars.map(({ row }) => row),
      metadata: known ? { type: family.type, help: text(family.help), unit: text(family.unit) } : null,
    };
  });
  return { series, lone };
}

/** What a message says, its references resolved; holds it against what 2.0 asks of every message. */
function resolve(message: Uint8Array): PlainSeries[] {
  const { symbols, timeseries } = decodeWriteRequestV2(message);
  assert.equal(symbols[0], '', 'RW2-S-24: symbols[0]');
  assert.equal(new Set(symbols).size, symbols.length, 'RW2-S-24: each string once');
  const used = new Set([0]);
  const symbol = (ref: number): string => {
    assert.ok(ref < symbols.length, 'RW2-S-24: every ref is below the length of symbols');
    used.add(ref);
    return symbols[ref]!;
  };
  const labelsOf = (refs: readonly number[]): Label[] => {
    assert.equal(refs.length % 2, 0, 'RW2-S-22');
    return Array.from({ length: refs.length / 2 }, (_, i) => ({
      name: symbol(refs[2 * i]!),
      value: symbol(refs[2 * i + 1]!),
    }));
  };
  const metadataOf = (metadata: MetadataV2 | null) =>
    metadata && {
      type: metadata.type,
      help: symbol(metadata.helpRef),
      unit: symbol(metadata.unitRef),
    };
  const series = timeseries.map((of): PlainSeries => {
    assert.ok(of.labelsRefs.length > 0, 'RW2-S-22');
    assert.equal(of.samples.length > 0, of.histograms.length === 0, 'RW2-S-23: samples or histograms');
    assert.equal(of.createdTimestamp, 0n, 'INT-16');
    return {
      labels: labelsOf(of.labelsRefs),
      samples: [...of.samples],
      histograms: [...of.histograms],
      exemplars: of.exemplars.map(({ labelsRefs, ...row }) => ({ ...row, labels: labelsOf(labelsRefs) })),
      metadata: metadataOf(of.metadata),
    };
  });
  assert.equal(used.size, symbols.length, 'no symbol that nothing refers to');
  return series;
}

/** Uncompresses by snappyjs and by our own code, which checks more. */
function plain(body: Uint8Array, rawBytes: number): Uint8Array {
  const raw = snappyjs.uncompress(Uint8Array.from(body));
  const out = new ExactScratch();
  assert.equal(uncompress(body, out, rawBytes), rawBytes);
  assert.equal(Buffer.compare(out.bytes.subarray(0, rawBytes), raw), 0);
  return raw;
}

/** Rows in a ring, and what is known of them. */
class Case {
  readonly road: Road;
  ring: Ring;
  rows: SentRow[];

  constructor(timeseries: readonly TimeSeriesV1[], kernel: Kernel) {
    this.road = new Road('none', undefined, kernel);
    this.road.take(encodeWriteRequestV1({ timeseries }));
    this.ring = this.road.read(this.road.commit());
    this.rows = flatRows(timeseries).map((row) => ({ ...row, start: 0n, sent: true }));
    assert.equal(this.rows.length, this.ring.length);
  }

  /** The same rows in the order of `order`, with these start times, in a ring that starts at `head`. */
  arrange(order: readonly number[], starts: readonly bigint[] | undefined, head: number): void {
    const ring = new Ring(order.length, head);
    this.rows = order.map((from, i) => {
      const at = this.ring.at(from);
      const words = (column: Int32Array) => [column[2 * at]!, column[2 * at + 1]!] as const;
      const { kind, series, time, value, payload } = this.ring;
      ring.push(kind[at]!, series[at]!, words(time), words(value), payload.of(at));
      const start = this.rows[from]!.kind === 'exemplar' ? 0n : (starts?.[i % starts.length] ?? 0n);
      if (starts !== undefined) ring.setStart(i, Number(start & 0xffffffffn), Number(start >> 32n));
      return { ...this.rows[from]!, start };
    });
    this.ring = ring;
  }

  skip(i: number, skip: number): void {
    this.ring.skip[this.ring.at(i)] = skip;
    this.rows[i]!.sent = skip === 0;
  }

  /** Emits rows `[first, first + count)` and holds the body against what they should become. */
  emits(familyOf: Family = noFamily, first = 0, count: number = this.ring.length): Uint8Array {
    const labelsOf = new Map(this.rows.map((row, i) => [this.ring.series[this.ring.at(i)]!, row.labels]));
    const metadataOf = (series: number) => familyOf(labelsOf.get(series)!);
    const { body, rawBytes } = this.road.emitV2(this.ring, metadataOf, first, count);
    const message = plain(body, rawBytes);
    const { series, lone } = expectedOf(this.rows.slice(first, first + count), familyOf);
    assert.deepEqual(loneExemplars(this.ring, this.ring.head + first, count), lone);
    if (series.length === 0) assert.equal(rawBytes, 0);
    else assert.deepEqual(resolve(message), series);
    return body;
  }
}

const kept = validRequest.map((request) => verdictsOn(request).kept);

/** Families by the first letters of the metric name: the same object for all series of one, some with texts of labels. */
const family: fc.Arbitrary<SeriesMetadata | undefined> = fc.option(
  fc.record(
    {
      type: fc.oneof(
        { weight: 9, arbitrary: fc.nat(7) },
        { weight: 1, arbitrary: fc.constantFrom(128, 70_000) },
      ),
      help: fc
        .constantFrom('', 'a', 'up', 'Total number of requests.', 'é\u{1F4A7}', 'h'.repeat(300))
        .map(utf8),
      unit: fc.constantFrom('', 'b', 'seconds').map(utf8),
    },
    { noNullPrototype: true },
  ),
  { nil: undefined },
);

function sample(of: Record<string, string>, timestamp: bigint, valueBits: bigint): TimeSeriesV1 {
  return { labels: labels(of), samples: [{ timestamp, valueBits }], exemplars: [], histograms: [] };
}

/** `rows` samples of as many series, scraped together. */
function scrape(rows: number, timestamp = 1_700_000_000_000n): TimeSeriesV1[] {
  return Array.from({ length: rows }, (_, i) =>
    sample(
      {
        __name__: `http_requests_${i % 7}_total`,
        instance: `10.0.${i >>> 8}.${i & 0xff}:9100`,
        job: 'node',
        path: `/p/${i % 50}`,
      },
      timestamp,
      0x4059000000000000n + BigInt(i * 7919),
    ),
  );
}

/** A hundred series of each of so many pods, with labels and values as a fleet has them. */
function pods(count: number): TimeSeriesV1[] {
  const random = new Random(7);
  const value = new DataView(new ArrayBuffer(8));
  return Array.from({ length: 100 * count }, (_, i) => {
    const pod = Math.floor(i / 100);
    value.setFloat64(0, random.int(0, 4) === 0 ? random.next() : random.int(0, 1 << 20));
    return sample(
      {
        __name__: `http_server_${Math.floor((i % 100) / 14)}_seconds_bucket`,
        cluster: 'production-eu-west-1-a',
        container: `service-${pod % 12}`,
        instance: `10.42.${pod >>> 8}.${pod & 255}:8080`,
        job: `shop/service-${pod % 12}`,
        le: `${(i % 14) * 0.25}`,
        namespace: 'shop',
        node: `ip-10-0-0-${pod >>> 4}.internal`,
        pod: `service-${pod % 12}-${(pod * 7919).toString(16)}`,
        region: 'eu-west-1',
      },
      BigInt(1_700_000_000_000 + ((pod * 7919) % 15_000)),
      value.getBigUint64(0),
    );
  });
}

for (const kernel of ['typescript', 'wasm'] as const) {
  describe(`the emitter of 2.0 in ${kernel}`, () => {
    it('says what the rows say: any run of them in any order, some left out, with metadata and start times (RW2-S-14, RW2-S-22 to RW2-S-25)', () => {
      fc.assert(
        fc.property(
          kept,
          fc.array(family, { minLength: 1, maxLength: 3 }),
          fc.option(fc.array(fc.oneof(int64, fc.constant(0n)), { minLength: 1, maxLength: 5 }), {
            nil: undefined,
          }),
          fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 3 }),
          fc.nat(),
          (series, families, starts, runs, seed) => {
            const random = new Random(seed);
            const one = new Case(series, kernel);
            const order = one.rows.map((_, i) => i);
            // As they came, or thrown together: a few rows change places, or all of them.
            for (let n = random.int(0, 3) * order.length; n > 0; n--) {
              const [a, b] = [random.int(0, order.length), random.int(0, order.length)];
              [order[a], order[b]] = [order[b]!, order[a]!];
            }
            one.arrange(order, starts, random.int(0, 100));
            for (let i = 0; i < order.length; i++) one.skip(i, random.next() < 0.2 ? 1 : 0);
            const familyOf: Family = (of) => families[of.length % families.length];
            one.emits(familyOf);
            for (const [from, length] of runs) {
              const first = from % (order.length + 1);
              one.emits(familyOf, first, length % (order.length - first + 1));
            }
          },
        ),
        { numRuns: 300 },
      );
    });

    it('is the bytes of protobufjs, field by field in the order of their numbers', () => {
      const one = new Case(scrape(300), kernel);
      one.arrange(
        one.rows.map((_, i) => i),
        [0n, 1_600_000_000_000n, -1n],
        3,
      );
      const known = { type: 1, help: utf8('Requests.'), unit: utf8('requests') };
      const body = one.emits((of) => (of[0]!.value.includes('3') ? undefined : known));
      const message = snappyjs.uncompress(body);
      assert.equal(Buffer.compare(encodeWriteRequestV2(decodeWriteRequestV2(message)), message), 0);
    });

    it('of nothing is empty: no rows, all of them skipped, a lone exemplar', () => {
      const of: TimeSeriesV1 = {
        ...sample({ __name__: 'x' }, 1n, 1n),
        exemplars: [{ labels: labels({ trace_id: 'abc' }), timestamp: 5n, valueBits: 1n }],
      };
      const one = new Case([of], kernel);
      const empty = { body: Uint8Array.of(0), rawBytes: 0 };
      assert.deepEqual(one.road.emitV2(one.ring, undefined, 0, 0), empty);
      one.skip(0, 1);
      assert.deepEqual(one.road.emitV2(one.ring), empty);
      assert.deepEqual(loneExemplars(one.ring, one.ring.head, 2), [1]);
      one.skip(1, 1);
      assert.deepEqual(one.road.emitV2(one.ring), empty);
      assert.deepEqual(loneExemplars(one.ring, one.ring.head, 2), []);
    });

    it('keeps every bit of values, times and start times', () => {
      const samples = oddBits.flatMap((valueBits) =>
        int64Edges.filter((timestamp) => timestamp !== 0n).map((timestamp) => ({ timestamp, valueBits })),
      );
      const one = new Case([{ ...sample({ __name__: 'x' }, 1n, 1n), samples }], kernel);
      one.arrange(
        one.rows.map((_, i) => i),
        int64Edges.toReversed(),
        5,
      );
      one.emits();
    });

    it('names metadata that comes as another object, and that changes between requests', () => {
      const one = new Case(scrape(20), kernel);
      const slots: number[] = [];
      for (let round = 0; round < 3; round++) {
        for (const help of ['', 'one', 'other', 'node']) {
          one.emits(() => ({ type: 2, help: utf8(help), unit: utf8('job') }));
        }
        slots.push(one.road.reader.slots);
      }
      assert.equal(slots[2], slots[0], 'metadata that is the same costs no memory again');
    });

    it('gives refs of one, two and three bytes, to labels, metadata and exemplars', () => {
      const wide = scrape(16_600);
      const exemplars = [
        { labels: labels({ trace_id: 'abc', path: '/p/7' }), timestamp: 5n, valueBits: 1n },
        { labels: [], timestamp: 6n, valueBits: 0n },
      ];
      const last = { ...wide.at(-1)!, labels: labels({ __name__: 'last', only: 'here' }), exemplars };
      const one = new Case([...wide, last], kernel);
      const known = { type: 3, help: utf8('last'), unit: utf8('trace_id') };
      const rare = { type: 3, help: utf8('At last.'), unit: utf8('u') };
      one.emits((of) => (of[0]!.value === 'last' ? rare : of[0]!.value.includes('3') ? known : undefined));
      one.emits(noFamily, 0, 16_600);
    });

    it('of all rows, again and again, while the dictionary grows', () => {
      const one = new Case(scrape(50), kernel);
      for (let round = 0; round < 5; round++) {
        one.emits();
        one.road.take(encodeWriteRequestV1({ timeseries: scrape(100 << round, 1_700_000_000_001n) }));
        one.road.read(one.road.commit());
      }
    });

    it('of the first rows of a large dictionary, which make its tables and their memory grow', () => {
      for (const rows of [50, 200, 800, 3200]) {
        const exemplars = [{ labels: labels({ trace_id: 'abc' }), timestamp: 5n, valueBits: 1n }];
        const [first, ...others] = scrape(rows);
        // With an exemplar, which WebAssembly leaves to TypeScript over the same memory, and without.
        for (const of of [{ ...first!, exemplars }, first!]) {
          const one = new Case([of, ...others], kernel);
          one.emits(noFamily, 0, 20);
        }
      }
    });

    it('has at most 20 bytes a sample on 1 and 4 shards, and no more than plain snappy; fewer as `small`', (t: TestContext) => {
      for (const shards of [1, 4]) {
        const bytes = { fast: 0, small: 0, snappy: 0 };
        let rows = 0;
        for (const compression of ['fast', 'small'] as const) {
          const road = new Road('none', undefined, kernel, compression === 'small' ? 'small' : undefined);
          road.take(encodeWriteRequestV1({ timeseries: pods(20 * shards) }));
          const ring = road.read(road.commit());
          const random = new Random(shards);
          for (let i = 0; i < ring.length; i++) ring.skip[ring.at(i)] = random.int(0, shards) === 0 ? 0 : 1;
          const { body } = road.emitV2(ring);
          rows = ring.skip.subarray(0, ring.length).filter((skip) => skip === 0).length;
          bytes[compression] = body.length;
          bytes.snappy = snappyjs.compress(snappyjs.uncompress(body)).length;
        }
        const per = (total: number) => (total / rows).toFixed(1);
        t.diagnostic(
          `${shards} shards: ${per(bytes.fast)} B, small ${per(bytes.small)}, snappyjs ${per(bytes.snappy)}`,
        );
        assert.ok(bytes.fast <= 20 * rows);
        assert.ok(bytes.fast <= 1.02 * bytes.snappy);
        assert.ok(bytes.small <= 0.97 * bytes.snappy);
      }
    });

    it('carries the captures of real senders', async () => {
      for (const folder of v1Captures) {
        const road = new Road('snappy', undefined, kernel);
        for (const capture of await loadCaptures(folder)) {
          road.take(capture.raw);
          const ring = road.read(road.commit());
          for (let i = 0; i < ring.length; i++) {
            if (ring.kind[ring.at(i)] === METADATA) ring.skip[ring.at(i)] = 1;
          }
          const live = ring.skip.subarray(0, ring.length).filter((skip) => skip === 0).length;
          const { body, rawBytes } = road.emitV2(ring);
          if (live === 0) continue;
          const rows = resolve(plain(body, rawBytes)).flatMap((of) => [
            ...of.samples,
            ...of.histograms,
            ...of.exemplars,
          ]);
          assert.equal(rows.length, live, capture.name);
        }
      }
    });
  });
}
