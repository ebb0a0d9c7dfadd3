import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { uncompress } from 'snappyjs';
import { decodeWriteRequestV1, encodeWriteRequestV1, type Label } from '../../src/protocol/schema.ts';
import { FrameError } from '../../src/serialization/frame.ts';
import { SegmentDictionary, type SeriesRewrite } from '../../src/serialization/segment-dictionary.ts';
import { flatRows } from '../reference/flat-rows.ts';
import { PlainReader } from '../reference/plain-frame.ts';
import { validLabels, validRequest } from '../reference/requests.ts';
import { Road } from '../reference/road.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { canonical } from '../reference/verdicts.ts';
import { labels, request, series } from '../support/messages.ts';

const utf8 = (text: string) => Buffer.from(text);

/** The labels of a series as they leave, or undefined when it is missing. */
function labelsOf(dictionary: SegmentDictionary, id: number): Label[] | undefined {
  if (!dictionary.has(id)) return undefined;
  const { labels, seriesAt, seriesSlots, seriesBytes, slotAt } = dictionary.columns;
  const slots = [...seriesSlots.subarray(seriesAt[id], seriesAt[id + 1])];
  const fields = Buffer.concat(slots.map((slot) => labels.bytes.subarray(slotAt[slot], slotAt[slot + 1])));
  assert.equal(seriesBytes[id], fields.length);
  const head = Uint8Array.of(0x0a, (fields.length & 0x7f) | 0x80, fields.length >>> 7);
  return [...decodeWriteRequestV1(Buffer.concat([head, fields])).timeseries[0]!.labels];
}

function hashOf({ seriesHash: hashes }: SegmentDictionary, id: number): [number, number] {
  return [hashes[2 * id]!, hashes[2 * id + 1]!];
}

/** A record with these series, each with a sample. */
function recordOf(road: Road, ...list: readonly (readonly Label[])[]): Uint8Array {
  road.take(
    encodeWriteRequestV1({ timeseries: list.map((of) => ({ labels: of, samples: [{ timestamp: 1n }] })) }),
  );
  return road.commit();
}

describe('a dictionary read frame by frame', () => {
  it('has every series with its labels and its hash', () => {
    const frames = fc.array(fc.array(validLabels, { maxLength: 6 }), { maxLength: 4 });
    fc.assert(
      fc.property(frames, (segment) => {
        const road = new Road();
        const seen = new Map<string, number>();
        for (const list of segment) {
          road.read(recordOf(road, ...list));
          for (const of of list) {
            const sorted = canonical(of);
            const key = JSON.stringify(sorted);
            if (!seen.has(key)) seen.set(key, seen.size);
            assert.deepEqual(labelsOf(road.reader, seen.get(key)!), sorted);
            assert.deepEqual(hashOf(road.reader, seen.get(key)!), seriesHash(sorted));
          }
        }
        assert.equal(road.reader.series, seen.size);
        assert.ok(!road.reader.has(seen.size));
      }),
      { numRuns: 150 },
    );
  });

  it('over missing frames: rows of series first named there are missing, all others are right', () => {
    const frames = fc.array(fc.tuple(validRequest, fc.boolean()), { minLength: 2, maxLength: 6 });
    let missing = 0;
    fc.assert(
      fc.property(frames, fc.constantFrom('none', 'snappy'), (segment, codec) => {
        const road = new Road(codec);
        const plain = new PlainReader(codec);
        for (const [message, isThere] of segment) {
          road.take(encodeWriteRequestV1(message));
          const record = road.commit();
          if (!isThere) continue;
          const { content } = plain.read(record);
          const expected = content.filter(({ kind, labels: of }) => kind !== 'metadata' && of !== undefined);
          missing += content.filter(({ kind, labels: of }) => kind !== 'metadata' && of === undefined).length;
          const ring = road.read(record);
          const rows = Array.from({ length: ring.length }, (_, i) => ring.at(i)).filter(
            (at) => ring.kind[at] !== 3,
          );
          assert.deepEqual(
            rows.map((at) =>
              labelsOf(road.reader, ring.series[at]!)!.map(({ name, value }) => [name, value]),
            ),
            expected.map((row) => row.labels),
          );
        }
      }),
      { numRuns: 200 },
    );
    assert.ok(missing > 20, `only ${missing} rows were missing`);
  });

  it('a series is missing when its string, its pair or itself was in a lost frame', () => {
    const road = new Road();
    const a = labels({ __name__: 'x', job: 'a' });
    const lost = labels({ __name__: 'x', job: 'lost' });
    road.read(recordOf(road, a));
    recordOf(road, lost);
    // By its string in another pair, by its pair in another series, by itself; and one that needs none of them.
    const string = labels({ __name__: 'lost' });
    const pair = labels({ __name__: 'x', job: 'lost', z: 'new' });
    const whole = labels({ __name__: 'x', job: 'b' });
    const ring = road.read(recordOf(road, string, pair, lost, a, whole));
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((id) => labelsOf(road.reader, id)),
      [a, undefined, undefined, undefined, whole],
    );
    assert.equal(ring.length, 2);
    const { timeseries } = decodeWriteRequestV1(uncompress(road.emit(ring).body));
    assert.deepEqual(
      timeseries.map((one) => one.labels),
      [a, whole],
    );
  });

  it('texts of metadata are missing when their frame was lost', () => {
    const road = new Road();
    const entry = (help: string) => {
      road.take(encodeWriteRequestV1({ metadata: [{ metricFamilyName: 'x', help }] }));
      return road.commit();
    };
    road.read(entry('first'));
    entry('lost');
    assert.equal(road.read(entry('lost')).length, 0);
    assert.equal(road.read(entry('first')).length, 1);
    assert.equal(road.reader.string(3)?.toString(), utf8('first').join(','));
    assert.equal(road.reader.string(4), undefined);
    assert.equal(road.reader.string(99), undefined);
    assert.deepEqual(road.reader.string(0), new Uint8Array(0));
  });

  it('refuses additions that were there before, and any far behind the last', () => {
    const column = (...bytes: number[]) => Uint8Array.from(bytes);
    const strings = (first: number) => ({ strings: { first, lengths: column(1), bytes: column(0x61) } });
    const dictionary = new SegmentDictionary();
    dictionary.add(strings(0));
    assert.throws(() => dictionary.add(strings(0)), FrameError);
    assert.throws(() => dictionary.add(strings(2 ** 27)), FrameError);
    dictionary.add(strings(5));
    assert.deepEqual(
      [0, 1, 4, 5, 6].map((id) => dictionary.string(id)?.length),
      [1, undefined, undefined, 1, undefined],
    );
  });

  it('refuses sections that do not add up', () => {
    const column = (...bytes: number[]) => Uint8Array.from(bytes);
    const eight = new Uint8Array(8);
    for (const body of [
      { strings: { first: 0, lengths: column(2), bytes: column(0x61) } },
      { strings: { first: 0, lengths: column(1), bytes: column(0x61, 0x62) } },
      { strings: { first: -1, lengths: column(), bytes: column() } },
      { strings: [] },
      { pairs: { first: 0, names: column(0, 0), values: column(0) } },
      { pairs: { first: 0, names: column(0), values: column(0, 0) } },
      { series: { first: 0, counts: column(1), pairs: column(0), hashes: new Uint8Array(7) } },
      { series: { first: 0, counts: column(2), pairs: column(0), hashes: eight } },
      { series: { first: 0, counts: column(1), pairs: column(0, 0), hashes: eight } },
      { series: { first: 0, counts: column(0xff, 0xff, 0xff, 0xff, 0x0f), pairs: column(0), hashes: eight } },
      { series: { first: 0, counts: column(0x80), pairs: column(0), hashes: eight } },
    ]) {
      assert.throws(() => new SegmentDictionary().add(body), { name: /FrameError|ColumnError/ });
    }
  });
});

/** Adds one label in its sorted place, by the plainest code. */
function adding(name: string, value: string): SeriesRewrite {
  return {
    open(dictionary) {
      const added = dictionary.addSlot(utf8(name), utf8(value));
      return (slots, count) => {
        const names = [...slots.subarray(0, count)].map((slot) => dictionary.slotName(slot));
        const at = names.filter((one) => Buffer.compare(one, utf8(name)) < 0).length;
        slots.copyWithin(at + 1, at, count);
        slots[at] = added;
        return count + 1;
      };
    },
  };
}

describe('a rewrite', () => {
  it('changes the labels of every series, and the hash with them', () => {
    const frames = fc.array(fc.array(validLabels, { maxLength: 5 }), { maxLength: 3 });
    fc.assert(
      fc.property(
        frames,
        fc.constantFrom('Z', 'cluster', 'm', '\u{10ffff}', 'n'.repeat(200)),
        (segment, name) => {
          const road = new Road('snappy', adding(name, 'v'.repeat(150)));
          for (const list of segment) {
            const ring = road.read(recordOf(road, ...list));
            const expected = list.map((of) => canonical([...of, { name, value: 'v'.repeat(150) }]));
            const rows = flatRows(decodeWriteRequestV1(uncompress(road.emit(ring).body)).timeseries);
            assert.deepEqual(
              rows.map((row) => row.labels),
              expected,
            );
            for (const [i, of] of expected.entries()) {
              assert.deepEqual(hashOf(road.reader, ring.series[ring.at(i)]!), seriesHash(of));
            }
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('that changes nothing leaves the hash', () => {
    const road = new Road('none', { open: () => (_slots, count) => count });
    road.read(recordOf(road, labels({ __name__: 'up', job: 'a' })));
    assert.deepEqual(hashOf(road.reader, 0), seriesHash(labels({ __name__: 'up', job: 'a' })));
  });

  it('can make two series one, and drop one', () => {
    const road = new Road('none', {
      open: (dictionary) => (slots, count) => {
        const isJob = (slot: number) => utf8('job').equals(dictionary.slotName(slot));
        const kept = [...slots.subarray(0, count)].filter((slot) => !isJob(slot));
        slots.set(kept);
        return kept.length === 1 && count === 1 ? 0 : kept.length;
      },
    });
    const [a, b, dropped] = [
      labels({ __name__: 'x', job: 'a' }),
      labels({ __name__: 'x', job: 'b' }),
      labels({ __name__: 'y' }),
    ];
    road.read(recordOf(road, a, b, dropped));
    assert.deepEqual(labelsOf(road.reader, 0), labels({ __name__: 'x' }));
    assert.deepEqual(labelsOf(road.reader, 1), labels({ __name__: 'x' }));
    assert.deepEqual(hashOf(road.reader, 0), hashOf(road.reader, 1));
    assert.deepEqual(
      [0, 1, 2].map((id) => road.reader.has(id)),
      [true, true, false],
    );
    assert.deepEqual(
      [0, 1, 2, 3].map((id) => road.reader.isDropped(id)),
      [false, false, true, false],
    );
    assert.deepEqual(hashOf(road.reader, 2), seriesHash(dropped));
  });

  it('may drop any of many series', () => {
    const road = new Road('none', {
      open: (dictionary) => (slots, count) =>
        Buffer.from(dictionary.slotValue(slots[0]!)).toString().endsWith('7') ? 0 : count,
    });
    const all = Array.from({ length: 300 }, (_, i) => labels({ __name__: `series_${i}` }));
    road.read(recordOf(road, ...all));
    for (const i of all.keys()) {
      assert.equal(road.reader.isDropped(i), i % 10 === 7, `${i}`);
      assert.equal(road.reader.has(i), i % 10 !== 7, `${i}`);
    }
  });

  it('may add as many labels as it likes, when it says first how many', () => {
    const more = Array.from({ length: 1000 }, (_, i) => `y${1000 + i}`);
    const road = new Road('none', {
      open(dictionary) {
        const slotsOfMore = more.map((name) => dictionary.addSlot(utf8(name), utf8('v')));
        return (slots, count) => {
          if (count + more.length <= slots.length) slots.set(slotsOfMore, count);
          else slots.fill(0);
          return count + more.length;
        };
      },
    });
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`a${1000 + i}`, 'v']));
    const of = labels({ __name__: 'x', ...many });
    const ring = road.read(recordOf(road, of, of));
    const expected = [...of, ...labels(Object.fromEntries(more.map((name) => [name, 'v'])))];
    const rows = flatRows(decodeWriteRequestV1(uncompress(road.emit(ring).body)).timeseries);
    assert.deepEqual(rows[0]!.labels, expected);
    assert.deepEqual(hashOf(road.reader, 0), seriesHash(expected));
  });
});

describe('after a frame that was refused', () => {
  it('the next frames are read as over a missing one', () => {
    const road = new Road('none');
    road.read(recordOf(road, labels({ __name__: 'a' })));
    const broken = {
      strings: { first: 3, lengths: Uint8Array.of(9), bytes: Uint8Array.of(0x61) },
    };
    assert.throws(() => road.reader.add(broken), FrameError);
    road.take(encodeWriteRequestV1(request(series({ __name__: 'b' }, [1, 1]))));
    assert.equal(road.read(road.commit()).length, 1);
    assert.deepEqual(labelsOf(road.reader, 1), labels({ __name__: 'b' }));
  });

  it('nothing of it is left where a gap comes instead', () => {
    const column = (...bytes: number[]) => Uint8Array.from(bytes);
    const dictionary = new SegmentDictionary();
    const strings = (first: number, length: number) => ({
      strings: { first, lengths: column(length), bytes: column(0x61) },
    });
    assert.throws(() => dictionary.add(strings(0, 9)), FrameError);
    dictionary.add(strings(1, 1));
    assert.equal(dictionary.string(0), undefined);
    assert.equal(dictionary.string(1)?.length, 1);
  });
});
