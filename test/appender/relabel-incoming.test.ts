// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are templates of Prometheus, not of JavaScript.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HashSet } from '../../src/appender/hash-set.ts';
import { RelabelIncoming } from '../../src/appender/relabel-incoming.ts';
import type { IngestLimits } from '../../src/protocol/limits.ts';
import { noLimits } from '../../src/protocol/limits.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { type Admission, Dictionary, type SeriesGate } from '../../src/serialization/dictionary.ts';
import { padded } from '../reference/both-kernels.ts';
import { labelBlock } from '../reference/label-block.ts';
import { Road } from '../reference/road.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { relabel, ruleOf, type WrittenRule } from '../relabel/rules.ts';
import { bitsOf, labels, request, series } from '../support/messages.ts';
import { rowsOf, seriesKey } from '../support/rows.ts';

type Labels = Readonly<Record<string, string>>;

/** The rules, with a count of the blocks that were asked about. */
class Counted implements SeriesGate {
  asked = 0;
  readonly #gate: SeriesGate;

  constructor(gate: SeriesGate) {
    this.#gate = gate;
  }

  admit(raw: Uint8Array, view: DataView, start: number, end: number, limits: IngestLimits): Admission {
    this.asked++;
    return this.#gate.admit(raw, view, start, end, limits);
  }
}

/** Counts how often something was found. */
class Lookups extends HashSet {
  found = 0;

  override has(h0: number, h1: number, h2: number, h3: number): boolean {
    const has = super.has(h0, h1, h2, h3);
    if (has) this.found++;
    return has;
  }
}

function roadOf(...rules: WrittenRule[]): { road: Road; gate: Counted } {
  const gates: Counted[] = [];
  const road = new Road('none', undefined, undefined, undefined, () => {
    gates.push(new Counted(new RelabelIncoming(rules.map(ruleOf), 7)));
    return gates.at(-1)!;
  });
  return { road, gate: gates[0]! };
}

function take(road: Road, ...all: Labels[]): ReturnType<Road['take']> {
  return road.take(encodeWriteRequestV1(request(...all.map((of, i) => series(of, [1 + i, i])))));
}

const sorted = (of: Labels): Labels =>
  Object.fromEntries(Object.entries(of).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));

describe('relabel_configs', () => {
  it('a series is stored as the rules make it, or not at all', () => {
    const names = fc.constantFrom('a', 'b', 'job', '～', '𐀀');
    const values = fc.constantFrom('1', '2', '\ufeffmark', 'x'.repeat(200));
    const labelSet = fc.dictionary(names, values, { maxKeys: 4 });
    const rule: fc.Arbitrary<WrittenRule> = fc.oneof(
      fc.record({ sourceLabels: fc.array(names, { maxLength: 2 }), targetLabel: names }),
      // Not idempotent: what is stored must not be taken for what came.
      fc.constant<WrittenRule>({ sourceLabels: ['a'], regex: '1', targetLabel: 'a', replacement: '2' }),
      fc.constant<WrittenRule>({
        sourceLabels: ['a'],
        regex: '(2.*)',
        targetLabel: 'a',
        replacement: '${1}x',
      }),
      fc.record({
        action: fc.constantFrom('drop' as const, 'keep' as const),
        sourceLabels: fc.tuple(names),
        regex: fc.constantFrom('1', '[^2]*'),
      }),
      fc.record({
        action: fc.constantFrom('labeldrop' as const, 'labelkeep' as const),
        regex: fc.constantFrom('a', 'b|__name__', '__.*'),
      }),
      fc.record({
        action: fc.constant('labelmap' as const),
        regex: fc.constantFrom('(a|b)', '(.*)'),
        replacement: fc.constantFrom('$1', 'x$1'),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 3 }),
        fc.array(fc.array(labelSet, { maxLength: 5 }), { maxLength: 5 }),
        (rules, requests) => {
          const { road } = roadOf(...rules);
          for (const sets of requests) {
            const all = sets.map((set): Labels => sorted({ ...set, __name__: 'm' }));
            const report = take(road, ...all);
            const left = all.map((of) => relabel(of, ...rules));
            const kept = left.filter((of) => of?.__name__ !== undefined) as Labels[];
            assert.equal(report.samples, kept.length);
            assert.equal(report.dropped, all.length - kept.length);
            assert.equal(report.refused.size, 0);
            const { timeseries } = road.deliver();
            assert.deepEqual(
              timeseries.flatMap(({ labels: of, samples }) => samples.map(() => seriesKey(of))),
              kept.map((of) => seriesKey(labels(of))),
            );
          }
          for (let id = 0; id < road.dictionary.seriesCount; id++) {
            const hash = [...road.dictionary.seriesHash.subarray(2 * id, 2 * id + 2)];
            assert.deepEqual(hash, seriesHash(labelsOf(road.dictionary, id)));
          }
        },
      ),
    );
  });

  it('is asked once for each series, and not for each sample', () => {
    const { road, gate } = roadOf(
      { sourceLabels: ['__name__'], regex: 'dropped_.*', action: 'drop' },
      { sourceLabels: ['__name__'], regex: 'changed_.*', targetLabel: 'zone', replacement: 'x' },
    );
    const all = ['kept', 'changed'].flatMap((of) => [0, 1, 2].map((i) => ({ __name__: `${of}_${i}` })));
    for (let round = 0; round < 5; round++) {
      assert.equal(take(road, ...all).samples, 6);
      assert.equal(gate.asked, 6);
    }
  });

  it('what comes with the labels that another series got is a series of its own', () => {
    const { road } = roadOf({ sourceLabels: ['a'], targetLabel: 'a', replacement: '${1}x' });
    // Each of them where the one before is expected, by what the rules made of it.
    for (let round = 0; round < 2; round++) {
      for (const a of ['1', '1x', '1xx', '1x', '1']) {
        take(road, { __name__: 'm', a });
        const { timeseries } = road.deliver();
        assert.deepEqual(
          timeseries.map(({ labels: of }) => seriesKey(of)),
          [`{__name__="m",a="${a}x"}`],
        );
      }
    }
  });

  it('remembers what is dropped by its hash, and leaves nothing of it in the segment', () => {
    const rule = ruleOf({ sourceLabels: ['secret'], regex: '.+', action: 'drop' });
    const sets: Lookups[] = [];
    const road = new Road('none', undefined, undefined, undefined, () => {
      sets.push(new Lookups(1000));
      return new RelabelIncoming([rule], 7, sets.at(-1)!);
    });
    const dropped = Array.from({ length: 100 }, (_, i) => ({ __name__: 'm', secret: `${i}` }));
    const before = road.dictionary.contentBytes;
    for (let round = 0; round < 3; round++) assert.equal(take(road, ...dropped).dropped, 100);
    assert.equal(road.dictionary.contentBytes, before);
    assert.equal(road.dictionary.pairCount, 0);
    for (const set of sets) assert.deepEqual([set.size, set.found], [100, 200]);
  });

  it('decides anew what it has forgotten, the same way', () => {
    const rules = [ruleOf({ sourceLabels: ['i'], regex: '.*[02468]', action: 'drop' })];
    const road = new Road(
      'none',
      undefined,
      undefined,
      undefined,
      () => new RelabelIncoming(rules, 7, new HashSet(10)),
    );
    const all = Array.from({ length: 1000 }, (_, i) => ({ __name__: 'm', i: `${i}`, pad: 'x'.repeat(2000) }));
    for (let round = 0; round < 2; round++) {
      const report = take(road, ...all);
      assert.deepEqual([report.samples, report.dropped], [500, 500]);
    }
    assert.equal(road.dictionary.seriesCount, 500);
  });

  it('what is invalid is refused before any rule', () => {
    const { road } = roadOf({ regex: 'bad|__name__', action: 'labeldrop' });
    const report = take(road, { job: 'nameless' });
    assert.deepEqual([...report.refused], [['no_metric_name', 1]]);
    assert.equal(report.dropped, 0);
  });

  it('counts all rows of a dropped series, of all kinds', () => {
    const { road } = roadOf({ sourceLabels: ['__name__'], regex: 'dropped', action: 'drop' });
    const exemplar = { labels: labels({ id: '1' }), timestamp: 1n, valueBits: bitsOf(1) };
    const report = road.take(
      encodeWriteRequestV1(
        request(
          { ...series({ __name__: 'dropped' }, [1, 1], [2, 2]), exemplars: [exemplar] },
          { ...series({ __name__: 'kept' }, [1, 1], [2, 2]), exemplars: [exemplar] },
        ),
      ),
    );
    assert.equal(report.dropped, 3);
    assert.deepEqual([report.samples, report.exemplars], [2, 1]);
    assert.ok(
      rowsOf({ timeseries: road.deliver().timeseries, metadata: [] }).every((row) =>
        row.series.includes('kept'),
      ),
    );
  });

  it('labels over a limit are refused as they came in', () => {
    const gate = new RelabelIncoming([ruleOf({ regex: 'long', action: 'labeldrop' })], 7);
    const dictionary = new Dictionary(1, gate);
    dictionary.startRequest({ ...noLimits, valueBytes: 10 });
    const { bytes, view } = padded(labelBlock(labels({ __name__: 'm', long: 'x'.repeat(11) })));
    assert.equal(dictionary.intern(bytes, view, 0, bytes.length - 16), -1);
    assert.equal(dictionary.invalid, 'label_value_too_long');
  });
});

function labelsOf(dictionary: Dictionary, series: number): { name: string; value: string }[] {
  const text = (id: number): string =>
    Buffer.from(
      dictionary.text.bytes.subarray(dictionary.stringAt[id]!, dictionary.stringAt[id + 1]!),
    ).toString();
  return [
    ...dictionary.seriesPairs.subarray(dictionary.seriesAt[series]!, dictionary.seriesAt[series + 1]!),
  ].map((pair) => ({ name: text(dictionary.pairName[pair]!), value: text(dictionary.pairValue[pair]!) }));
}
