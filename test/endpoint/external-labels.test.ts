import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExternalLabels } from '../../src/endpoint/external-labels.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { Road } from '../reference/road.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { labels, request, series } from '../support/messages.ts';

const byBytes = (a: { name: string }, b: { name: string }) =>
  Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));

const names = fc.constantFrom('a', 'b', 'bb', 'c', 'job', 'zone', '～', '𐀀', '_');
const labelSet = fc.dictionary(names, fc.constantFrom('1', '2', 'x'.repeat(200)), { maxKeys: 8 });

test('labels join in their sorted place, an existing one wins, and the hash is that of the result (RW1-S-09, -10)', () => {
  fc.assert(
    fc.property(labelSet, fc.array(labelSet, { minLength: 1, maxLength: 6 }), (external, sets) => {
      const road = new Road('none', new ExternalLabels(external));
      const all = sets.map((set) => series({ __name__: 'm', ...set }, [1, 1]));
      road.take(encodeWriteRequestV1(request(...all)));
      const rows = road.read(road.commit());
      const expected = sets.map((set) =>
        Object.entries({ ...external, __name__: 'm', ...set })
          .map(([name, value]) => ({ name, value }))
          .sort(byBytes),
      );
      for (const [i, labels] of expected.entries()) {
        const id = rows.series[rows.at(i)]!;
        const hash = [road.reader.seriesHash[2 * id], road.reader.seriesHash[2 * id + 1]];
        assert.deepEqual(hash, seriesHash(labels));
      }
      const { timeseries } = { timeseries: sets.length };
      assert.equal(timeseries, rows.length);
    }),
  );
});

test('what leaves has the labels, in order', () => {
  const road = new Road('snappy', new ExternalLabels({ zone: 'z', a: 'first', job: 'other' }));
  road.take(
    encodeWriteRequestV1(
      request(series({ __name__: 'm', job: 'own' }, [1, 1]), series({ __name__: 'n', b: '2' }, [1, 1])),
    ),
  );
  assert.deepEqual(
    road.deliver().timeseries.map(({ labels }) => labels.map(({ name, value }) => `${name}=${value}`).join()),
    ['__name__=m,a=first,job=own,zone=z', '__name__=n,a=first,b=2,job=other,zone=z'],
  );
});

test('there may be many of them', () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`l${1000 + i}`, `${i}`]));
  const road = new Road('snappy', new ExternalLabels(many));
  road.take(encodeWriteRequestV1(request(series({ __name__: 'm', zone: 'z' }, [1, 1]))));
  assert.deepEqual(
    road.deliver().timeseries.map(({ labels }) => labels),
    [labels({ __name__: 'm', ...many, zone: 'z' })],
  );
});

test('the routing stands for the labels, not for the order in which they are written', () => {
  const of = (labels: Record<string, string>) => new ExternalLabels(labels).routing;
  assert.equal(of({ a: '1', b: '2' }), of({ b: '2', a: '1' }));
  const different = [
    { a: '1' },
    { a: '2' },
    { b: '1' },
    { a: '1', b: '1' },
    { a1: '' },
    { ab: 'c' },
    { a: 'bc' },
  ];
  assert.equal(
    new Set(different.map((labels) => of(labels as Record<string, string>))).size,
    different.length,
  );
  for (const labels of different) assert.notEqual(of(labels as Record<string, string>), 0);
});
