import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import * as snappyjs from 'snappyjs';
import { createEmitter } from '../../src/protocol/emit-wasm.ts';
import { decodeWriteRequestV1, encodeWriteRequestV1, type TimeSeriesV1 } from '../../src/protocol/schema.ts';
import { Scratch, uncompress } from '../../src/protocol/snappy.ts';
import { METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { ExactScratch } from '../reference/exact-scratch.ts';
import { flatRows } from '../reference/flat-rows.ts';
import { validRequest } from '../reference/requests.ts';
import { type Kernel, Ring, Road } from '../reference/road.ts';
import { canonical, verdictsOn } from '../reference/verdicts.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { labels } from '../support/messages.ts';
import { Random } from '../support/random.ts';

/** A road with these series in a ring. */
function ringOf(timeseries: readonly TimeSeriesV1[], kernel: Kernel): { road: Road; ring: Ring } {
  const road = new Road('none', undefined, kernel);
  road.take(encodeWriteRequestV1({ timeseries }));
  return { road, ring: road.read(road.commit()) };
}

/** The `TimeSeries` that rows become: one each, but neighbouring samples of one series share theirs. */
function expectedOf(timeseries: readonly TimeSeriesV1[], isSent: (row: number) => boolean): TimeSeriesV1[] {
  const out: {
    labels: TimeSeriesV1['labels'];
    samples: object[];
    exemplars: object[];
    histograms: object[];
  }[] = [];
  let key = '';
  for (const { labels: of, kind, row } of flatRows(timeseries).filter((_, i) => isSent(i))) {
    const last = key;
    key = kind === 'sample' ? JSON.stringify(of) : '';
    if (key === '' || key !== last) out.push({ labels: of, samples: [], exemplars: [], histograms: [] });
    out[out.length - 1]![`${kind}s`].push(row);
  }
  return out as unknown as TimeSeriesV1[];
}

/** Uncompresses by snappyjs and by our own code, which checks more. */
function plain(body: Uint8Array, rawBytes: number): Uint8Array {
  const raw = snappyjs.uncompress(Uint8Array.from(body));
  const out = new ExactScratch();
  assert.equal(uncompress(body, out, rawBytes), rawBytes);
  assert.equal(Buffer.compare(out.bytes.subarray(0, rawBytes), raw), 0);
  return raw;
}

/** Emits rows `[first, first + count)` and holds the body against what protobufjs says it should be. */
function emits(
  road: Road,
  ring: Ring,
  timeseries: readonly TimeSeriesV1[],
  first = 0,
  count = ring.length,
): void {
  const { body, rawBytes } = road.emit(ring, first, count);
  const expected = expectedOf(
    timeseries,
    (i) => i >= first && i < first + count && ring.skip[ring.at(i)] === 0,
  );
  assert.deepEqual(decodeWriteRequestV1(plain(body, rawBytes)).timeseries, expected);
}

const kept = validRequest.map((request) => verdictsOn(request).kept);

function sample(name: string, timestamp: bigint, valueBits: bigint): TimeSeriesV1 {
  return {
    labels: labels({ __name__: name }),
    samples: [{ timestamp, valueBits }],
    exemplars: [],
    histograms: [],
  };
}

/** `rows` samples of as many series with labels of usual length, scraped together. */
function scrape(rows: number, labelBytes: number, timestamp = 1_700_000_000_000n): TimeSeriesV1[] {
  const filler = 'f'.repeat(Math.max(1, labelBytes - 90));
  return Array.from({ length: rows }, (_, i) => ({
    ...sample('http_requests_total', timestamp, 0x4059000000000000n + BigInt(i * 7919)),
    labels: labels({
      __name__: 'http_requests_total',
      filler: `${filler}${i % 3}`,
      instance: `10.0.${i >>> 8}.${i & 0xff}:9100`,
      job: 'node',
      path: `/p/${i % 50}`,
    }),
  }));
}

for (const kernel of ['typescript', 'wasm'] as const) {
  describe(`the emitter in ${kernel}`, () => {
    describe('a body', () => {
      it('is the plain message of its rows: any run of them, some left out, anywhere in the ring', () => {
        const run = fc.tuple(fc.nat(), fc.nat());
        fc.assert(
          fc.property(
            kept,
            fc.array(run, { minLength: 1, maxLength: 4 }),
            fc.nat(),
            fc.nat(),
            (series, runs, turn, seed) => {
              const { road, ring } = ringOf(series, kernel);
              const turned = ring.turned(turn);
              const random = new Random(seed);
              for (let i = 0; i < turned.length; i++) turned.skip[turned.at(i)] = random.next() < 0.2 ? 1 : 0;
              for (const [from, length] of runs) {
                const first = from % (turned.length + 1);
                emits(road, turned, series, first, length % (turned.length - first + 1));
              }
            },
          ),
          { numRuns: 400 },
        );
      });

      it('of all rows, again and again with one emitter: no copy reaches into a body before', () => {
        fc.assert(
          fc.property(kept, (series) => {
            const { road, ring } = ringOf(series, kernel);
            for (let i = 0; i < 3; i++) emits(road, ring, series);
          }),
          { numRuns: 150 },
        );
      });

      it('of nothing is empty', () => {
        const { road, ring } = ringOf([sample('x', 1n, 1n)], kernel);
        assert.deepEqual(road.emit(ring, 0, 0), { body: Uint8Array.of(0), rawBytes: 0 });
        ring.skip[ring.at(0)] = 1;
        assert.deepEqual(road.emit(ring), { body: Uint8Array.of(0), rawBytes: 0 });
      });
    });

    describe('sizes', () => {
      // Times are not 0 here, so protobufjs writes the same bytes.
      const same = (series: readonly TimeSeriesV1[]) => {
        const { road, ring } = ringOf(series, kernel);
        const message = encodeWriteRequestV1({ timeseries: expectedOf(series, () => true) });
        for (let round = 0; round < 2; round++) {
          const { body, rawBytes } = road.emit(ring);
          assert.equal(Buffer.compare(plain(body, rawBytes), message), 0, 'not the plain message');
        }
        return message.length;
      };

      it('one series and a hundred samples', () => {
        const samples = Array.from({ length: 100 }, (_, i) => ({
          timestamp: BigInt(1e12 + 15_000 * i),
          valueBits: BigInt(i + 1),
        }));
        same([{ ...sample('x', 1n, 1n), samples }]);
      });

      it('more than 64 KiB', () => {
        assert.ok(same(scrape(500, 250)) > 65_536);
      });

      it('more than 4 MiB', () => {
        assert.ok(same(scrape(12_000, 400)) > 4 * 1024 * 1024);
      });

      it('labels of more than 64 KiB, more than once', () => {
        const long = { name: 'long', value: 'v'.repeat(70_000) };
        const of = (i: number) => ({
          ...sample('x', 5n, 1n),
          labels: [...labels({ __name__: `x${i}` }), long],
        });
        assert.ok(same([of(1), of(2), of(3), of(1)]) > 280_000);
      });

      it('a label that was last seen 65534, 65535 and 65536 bytes before', () => {
        for (let length = 65_400; length < 65_540; length++) {
          const between = { ...sample('y', 5n, 1n), labels: labels({ __name__: 'v'.repeat(length) }) };
          same([sample('x', 5n, 1n), between, sample('x', 6n, 1n)]);
        }
      });

      // What a label shares with the one above it is copied; from so far away a copy takes more room than it saves.
      it('many short labels like those of a series more than 64 KiB before', () => {
        const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
        const short = [...letters].flatMap((x) => [...letters].map((y) => `${x}${y}`));
        const of = (i: number): TimeSeriesV1 => ({
          ...sample('x', 5n, 1n),
          labels: [
            ...labels({ A: `${i}`.repeat(70_000), __name__: 'x' }),
            ...short.map((name) => ({ name, value: `same${letters[i]}${i % 2 === 0 ? '' : '-'}` })),
          ].sort((a, b) => (a.name < b.name ? -1 : 1)),
        });
        same(Array.from({ length: 9 }, (_, i) => of(i)));
      });

      // Copies of a few bytes are no shorter than what they stand for; the buffer must hold that too.
      it('labels that share little with those above them', () => {
        const unlike = Array.from({ length: 40 }, (_, i) => ({
          ...sample('x', 5n, 1n),
          labels: labels({
            __name__: 'x',
            // Names of another length and with another letter than in the row above.
            ...Object.fromEntries(
              Array.from({ length: 50 }, (_, k) => [
                `${'ab'[i % 2]}${i}_${k + 10}`.padEnd(6 + (i % 2), 'x'),
                'v',
              ]),
            ),
          }),
        }));
        same(unlike.map((one) => ({ ...one, labels: canonical(one.labels) })));
        const alike = Array.from({ length: 40 }, (_, i) => ({
          ...sample('x', 5n, 1n),
          labels: labels({
            __name__: 'x',
            ...Object.fromEntries(
              [...'abcdefghijklmnopqrstuvwxyz'].map((name) => [name, `v${i}`.repeat(1 + (i % 2))]),
            ),
          }),
        }));
        same(alike);
      });

      it('labels that share words of four bytes, with one new byte between them, or none', () => {
        const random = new Random(4);
        const words = Array.from({ length: 300 }, () =>
          random.next().toString(36).slice(2, 6).padEnd(4, 'x'),
        );
        const value = () =>
          Array.from({ length: random.int(1, 40) }, () => {
            return (
              words[random.int(0, words.length)]! +
              (random.int(0, 3) === 0 ? '' : '-+*/=?!'[random.int(0, 7)]!)
            );
          }).join('');
        same(
          Array.from({ length: 500 }, (_, i) => ({
            ...sample('x', 5n, 1n),
            labels: labels({ __name__: `x${i}`, a: value(), b: value(), c: `${'y'.repeat(i % 5)}z` }),
          })),
        );
      });

      it('a label that goes on as the dictionary does behind one it shares its start with, and the message does not', () => {
        const of = (more: Record<string, string>) => ({
          ...sample('x', 5n, 1n),
          labels: labels({ __name__: 'x', ...more, q: 'known' }),
        });
        // The field of `b: other`, which follows `a: some-words` in the dictionary; in the message `q` does.
        const field = '\n\n\n\u0001b\u0012\u0005other';
        same([of({}), of({ a: 'some-words' }), of({ b: 'other' }), of({}), of({ c: `some-words${field}` })]);
      });

      it('values that share any of their bytes with the one before', () => {
        const values = Array.from({ length: 256 }, (_, mask) => {
          let bits = 0x4142_4344_4546_4748n;
          for (let byte = 0; byte < 8; byte++) if (mask & (1 << byte)) bits ^= 0xffn << BigInt(8 * byte);
          return bits;
        });
        const order = [...values, ...values.toReversed()].flatMap((bits, i) =>
          i % 7 === 0 ? [bits, 0n, bits] : [bits],
        );
        // Of series of which all, some and none are like the one before; at one time, and at times that differ.
        for (const step of [0, 1]) {
          for (const every of [1, 2, 5]) {
            same(
              order.map((bits, i) => ({
                ...sample('x', BigInt(1_700_000_000_000 + step * i), bits),
                labels: labels({ __name__: 'x', z: `${i % every === 0 ? 'z' : i}` }),
              })),
            );
          }
          same([
            {
              ...sample('x', 1n, 1n),
              samples: order.map((valueBits, i) => ({ timestamp: BigInt(5e12 + step * i), valueBits })),
            },
          ]);
        }
      });

      it('samples in the first seconds of 1970', () => {
        for (const timestamp of [1n, 127n, 128n, 16_383n, 16_384n, 2n ** 21n]) {
          same(
            Array.from({ length: 600 }, (_, i) => sample(i.toString(36), timestamp, BigInt(i + 1) << 40n)),
          );
          same(scrape(100, 90, timestamp));
          const samples = Array.from({ length: 600 }, (_, i) => ({ timestamp, valueBits: BigInt(i % 3) }));
          same([{ ...sample('x', 1n, 1n), samples }]);
        }
      });
    });

    describe('compression', () => {
      it('is at most 1.25 times that of snappyjs on every capture', async (t: TestContext) => {
        for (const folder of v1Captures) {
          const road = new Road('snappy', undefined, kernel);
          let [own, other, worst] = [0, 0, 0];
          for (const capture of await loadCaptures(folder)) {
            road.take(capture.raw);
            const ring = road.read(road.commit());
            for (let i = 0; i < ring.length; i++)
              if (ring.kind[ring.at(i)] === METADATA) ring.skip[ring.at(i)] = 1;
            const { body, rawBytes } = road.emit(ring);
            const plainSnappy = snappyjs.compress(plain(body, rawBytes));
            assert.ok(body.length <= 1.25 * plainSnappy.length, capture.name);
            worst = Math.max(worst, body.length / plainSnappy.length);
            own += body.length;
            other += plainSnappy.length;
          }
          t.diagnostic(
            `${folder}: ${own}, snappyjs ${other}: ${(own / other).toFixed(2)}, at worst ${worst.toFixed(2)}`,
          );
        }
      });

      it('is at most 1.25 times that of snappyjs on a large scrape, and on what 4 and 16 shards have of it', (t: TestContext) => {
        for (const shards of [1, 4, 16]) {
          const { road, ring } = ringOf(scrape(2000 * shards, 390), kernel);
          // Shards by a hash: which series follow one another is anyone's guess.
          const random = new Random(shards);
          for (let i = 0; i < ring.length; i++) ring.skip[ring.at(i)] = random.int(0, shards) === 0 ? 0 : 1;
          const { body, rawBytes } = road.emit(ring);
          const other = snappyjs.compress(plain(body, rawBytes)).length;
          t.diagnostic(
            `${shards} shards: ${body.length}, snappyjs ${other}: ${(body.length / other).toFixed(2)}`,
          );
          assert.ok(body.length <= 1.25 * other);
        }
      });
    });

    describe('positions over the life of a dictionary', () => {
      it('stay right when they pass the highest and start anew', () => {
        // Bodies of 512 MiB, nearly all of it one copied label; the buffer is never touched where nothing is written.
        const label = { name: 'y', value: 'v'.repeat(1 << 20) };
        const series = [0, 1].map((i) => ({
          ...sample('x', 5n, 1n),
          labels: [...labels({ __name__: `x${i}` }), label],
        }));
        const { road } = ringOf(series, kernel);
        const ring = new Ring(512);
        for (let i = 0; i < 512; i++) ring.push(SAMPLE, i % 2, [5, 0], [1, 0]);
        const emitter = createEmitter(kernel, assert.ifError);
        const out = new Scratch();
        const message = encodeWriteRequestV1({ timeseries: [...series, series[0]!] });
        const sums = new Set<number>();
        for (let i = 0; i < 10; i++) {
          sums.add(crc32(emitter.emit(ring, ring.head, ring.length, road.reader, out).bytes));
          assert.equal(sums.size, 1, `body ${i} is another than the first`);
          const { bytes, rawBytes } = emitter.emit(ring, ring.head, 3, road.reader, out);
          assert.equal(Buffer.compare(plain(bytes, rawBytes), message), 0, `after body ${i}`);
        }
      });
    });

    describe('metadata', () => {
      it('leaves in a body of its own, with what is left out left out (INT-10)', () => {
        const metadata = Array.from({ length: 50 }, (_, i) => ({
          type: i % 8,
          metricFamilyName: `m${i}`,
          help: 'h',
          unit: '',
        }));
        const road = new Road('snappy', undefined, kernel);
        road.take(encodeWriteRequestV1({ metadata, timeseries: [sample('x', 1n, 1n)] }));
        const ring = road.read(road.commit());
        ring.skip[ring.at(3)] = 1;
        assert.equal(ring.kind[ring.at(0)], SAMPLE);
        const decoded = decodeWriteRequestV1(snappyjs.uncompress(road.emitMetadata(ring)));
        assert.deepEqual(decoded, { timeseries: [], metadata: metadata.toSpliced(2, 1) });
      });
    });
  });
}
