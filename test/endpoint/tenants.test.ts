import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { uncompress } from 'snappyjs';
import type { TenantConfig } from '../../src/config/tenants.ts';
import { RelabelSeries } from '../../src/endpoint/relabel-series.ts';
import { EndpointTenants } from '../../src/endpoint/tenants.ts';
import { decodeWriteRequestV1, encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { isTenant } from '../../src/protocol/tenant-id.ts';
import { SegmentDictionary } from '../../src/serialization/segment-dictionary.ts';
import { Road } from '../reference/road.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { canonical } from '../reference/verdicts.ts';
import { ruleOf } from '../relabel/rules.ts';
import { labels, request, series } from '../support/messages.ts';

const plain: TenantConfig = { header: 'X', fromLabels: [], keepLabel: false, default: undefined };

/** The tenant, the labels and the hash that a series leaves with. */
function leaves(road: Road, ring: ReturnType<Road['read']>, i: number) {
  const { tenants, seriesHash: hashes } = road.reader;
  const id = ring.series[ring.at(i)]!;
  const { timeseries } = decodeWriteRequestV1(uncompress(road.emit(ring, i, 1).body));
  return {
    tenant: tenants.names[road.reader.tenantOf(id)]!,
    labels: timeseries[0]!.labels,
    hash: [hashes[2 * id]!, hashes[2 * id + 1]!],
  };
}

test('a series leaves under its label, else under what it came in under, else under the default', () => {
  const values = fc.constantFrom('a', 'b', 'no tenant', '..', 'x'.repeat(151), 'ä');
  const sets = fc.dictionary(fc.constantFrom('team', 'ns', 'job', 'z'), values, { maxKeys: 4 });
  fc.assert(
    fc.property(
      fc.record({
        fromLabels: fc.subarray(['ns', 'team', 'zz']),
        keepLabel: fc.boolean(),
        default: fc.constantFrom(undefined, 'a', 'other'),
      }),
      fc.array(fc.tuple(fc.constantFrom('', 'a', 'in'), sets), { minLength: 1, maxLength: 6 }),
      fc.constantFrom('wasm', 'typescript'),
      fc.boolean(),
      (settings, list, kernel, relabelled) => {
        const config = { ...plain, ...settings };
        const rewrite = relabelled
          ? new RelabelSeries([ruleOf({ action: 'labeldrop', regex: 'z' })])
          : undefined;
        const choice = new EndpointTenants(config, rewrite?.routing ?? 0);
        const road = new Road('none', rewrite, kernel, undefined, undefined, choice);
        for (const [cameIn, more] of list) {
          const all = { __name__: 'x', ...more };
          road.take(encodeWriteRequestV1(request(series(all, [1, 1]))), undefined, cameIn);
          const ring = road.read(road.commit());
          const left: Record<string, string> = { ...all };
          if (relabelled) delete left.z;
          const label = config.fromLabels.find((name) => isTenant(left[name] ?? ''));
          const tenant = label !== undefined ? left[label]! : cameIn || (config.default ?? '');
          if (label !== undefined && !config.keepLabel) delete left[label];
          const sorted = canonical(labels(left));
          assert.deepEqual(leaves(road, ring, 0), {
            tenant,
            labels: sorted,
            hash: seriesHash(sorted, tenant),
          });
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('without the setting the tenants that series came in under make no difference', () => {
  const road = new Road();
  const up = { __name__: 'up', job: 'a' };
  const rows = ['', 'a', 'b'].map((tenant) => {
    road.take(encodeWriteRequestV1(request(series(up, [1, 1]))), undefined, tenant);
    return leaves(road, road.read(road.commit()), 0);
  });
  assert.equal(road.dictionary.seriesCount, 3);
  for (const row of rows) {
    assert.deepEqual(row, { tenant: '', labels: canonical(labels(up)), hash: seriesHash(labels(up)) });
  }
});

test('metadata leaves under what it came in under, else under the default', () => {
  const entry = encodeWriteRequestV1({ metadata: [{ metricFamilyName: 'x', help: 'y' }] });
  const road = new Road();
  for (const tenant of ['', 'a']) road.take(entry, undefined, tenant);
  const record = road.commit();
  for (const [fallback, expected] of [
    [undefined, ['', 'a']],
    ['b', ['b', 'a']],
  ] as const) {
    const choice = new EndpointTenants({ ...plain, fromLabels: ['team'], default: fallback }, 0);
    const reader = new SegmentDictionary(undefined, undefined, choice);
    road.readInto(record, reader);
    const a = road.dictionary.internString(Buffer.from('a'), 0, 1);
    assert.deepEqual(
      [0, a].map((cameIn) => reader.tenants.names[reader.metadataTenant(cameIn)]),
      expected,
    );
  }
});

test('routing goes by what decides the tenant, and by what comes before it', () => {
  const of = (config: Partial<TenantConfig>, before = 0) =>
    new EndpointTenants({ ...plain, ...config }, before).routing;
  const all = [
    of({}),
    of({ fromLabels: ['a'] }),
    of({ fromLabels: ['a', 'b'] }),
    of({ fromLabels: ['a'], keepLabel: true }),
    of({ default: 'a' }),
    of({}, 7),
  ];
  assert.equal(new Set(all).size, all.length);
  assert.ok(!all.includes(0));
  assert.equal(of({ header: 'Y' }), of({}));
});
