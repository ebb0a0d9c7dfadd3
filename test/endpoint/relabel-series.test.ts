import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { uncompress } from 'snappyjs';
import { ExternalLabels } from '../../src/endpoint/external-labels.ts';
import { RelabelSeries } from '../../src/endpoint/relabel-series.ts';
import { decodeWriteRequestV1, encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { Road } from '../reference/road.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { relabel, ruleOf, type WrittenRule } from '../relabel/rules.ts';
import { request, series } from '../support/messages.ts';

type Labels = Readonly<Record<string, string>>;

const byBytes = (a: { name: string }, b: { name: string }) =>
  Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));

function sorted(labels: Labels): { name: string; value: string }[] {
  return Object.entries(labels)
    .map(([name, value]) => ({ name, value }))
    .sort(byBytes);
}

const names = fc.constantFrom('a', 'b', 'bb', 'c', 'job', 'zone', '～', '𐀀', '_');
const values = fc.constantFrom('1', '2', '\ufeffmark', 'é𐀀', 'x'.repeat(200));
const labelSet = fc.dictionary(names, values, { maxKeys: 8 });
const rule: fc.Arbitrary<WrittenRule> = fc.oneof(
  fc.record({
    sourceLabels: fc.array(names, { maxLength: 2 }),
    targetLabel: names,
    regex: fc.constantFrom('(.*)', '(.).*', '(?:1;)?(.+)'),
  }),
  fc.record({ targetLabel: names, replacement: fc.constantFrom('', 'new', '１') }),
  fc.record({
    action: fc.constantFrom('drop' as const, 'keep' as const),
    sourceLabels: fc.tuple(names),
    regex: fc.constantFrom('1', '[^2]*', '.*'),
  }),
  fc.record({
    action: fc.constantFrom('labeldrop' as const, 'labelkeep' as const),
    regex: fc.constantFrom('.', 'b+|__name__', '.*'),
  }),
  fc.record({
    action: fc.constant('labelmap' as const),
    regex: fc.constantFrom('(.)', '(b)b', '(.*)'),
    replacement: fc.constantFrom('$1', 'x$1', '～'),
  }),
);

test('each series leaves as the rules make it, sorted and hashed as it leaves', () => {
  fc.assert(
    fc.property(
      fc.option(labelSet, { nil: undefined }),
      fc.array(rule, { minLength: 1, maxLength: 4 }),
      fc.array(labelSet, { minLength: 1, maxLength: 6 }),
      fc.constantFrom('wasm', 'typescript'),
      (external, rules, sets, kernel) => {
        const before = external && new ExternalLabels(external);
        const road = new Road('none', new RelabelSeries(rules.map(ruleOf), before), kernel);
        // Each in a frame of its own, so that the dictionary grows under the rules.
        const all = [...new Map(sets.map((set) => [JSON.stringify(sorted(set)), set])).values()];
        for (const [i, set] of all.entries()) {
          const own: Labels = { __name__: 'm', ...set };
          road.take(encodeWriteRequestV1(request(series(own, [1, 1]))));
          const rows = road.read(road.commit());
          const came = Object.fromEntries(sorted({ ...external, ...own }).map((l) => [l.name, l.value]));
          const left = relabel(came, ...rules);
          const hash = [road.reader.seriesHash[2 * i], road.reader.seriesHash[2 * i + 1]];
          if (left === undefined || Object.keys(left).length === 0) {
            assert.equal(rows.length, 0);
            assert.ok(road.reader.isDropped(i));
            assert.deepEqual(hash, seriesHash(sorted(own)));
            continue;
          }
          assert.ok(!road.reader.isDropped(i));
          const { timeseries } = decodeWriteRequestV1(uncompress(road.emit(rows).body));
          assert.deepEqual(
            timeseries.map(({ labels }) => labels),
            [sorted(left)],
          );
          assert.deepEqual(hash, seriesHash(sorted(left)));
        }
      },
    ),
  );
});

test('a long series may have its labels doubled, behind external ones', () => {
  const many = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`l${1000 + i}`, `${i}`]));
  const twice = ruleOf({ action: 'labelmap', regex: '(l.*)', replacement: 'copy_$1' });
  const road = new Road('none', new RelabelSeries([twice], new ExternalLabels({ zone: 'z' })), 'wasm');
  road.take(encodeWriteRequestV1(request(series({ __name__: 'm', ...many }, [1, 1]))));
  const copies = Object.fromEntries(Object.entries(many).map(([name, value]) => [`copy_${name}`, value]));
  assert.deepEqual(
    road.deliver().timeseries.map(({ labels }) => labels),
    [sorted({ __name__: 'm', ...many, ...copies, zone: 'z' })],
  );
});

test('what rules set takes a slot once', () => {
  const set = ruleOf({ targetLabel: 'cluster', replacement: 'eu' });
  const road = new Road('none', new RelabelSeries([set]));
  const all = Array.from({ length: 50 }, (_, i) => series({ __name__: `m${i}` }, [1, 1]));
  road.take(encodeWriteRequestV1(request(...all)));
  assert.equal(road.deliver().timeseries.length, 50);
  assert.equal(road.reader.slots, 51);
});

test('the routing stands for the rules, in their order, and for what comes before them', () => {
  const a: WrittenRule = { targetLabel: 'a', replacement: 'x' };
  const b: WrittenRule = { targetLabel: 'b', replacement: 'x' };
  const of = (rules: readonly WrittenRule[], external?: Labels) =>
    new RelabelSeries(rules.map(ruleOf), external && new ExternalLabels(external)).routing;
  assert.equal(of([a, b]), of([a, b]));
  const different = [
    of([a]),
    of([b]),
    of([a, b]),
    of([b, a]),
    of([a], { z: '1' }),
    of([a], { z: '2' }),
    of([{ ...a, regex: 'x' }]),
    of([{ ...a, separator: ',' }]),
    of([{ ...a, sourceLabels: ['b'] }]),
    of([{ ...a, action: 'lowercase' }]),
    of([{ ...a, modulus: 2 }]),
    of([{ ...a, replacement: 'y' }]),
  ];
  assert.equal(new Set(different).size, different.length);
  assert.ok(!different.includes(0));
});
