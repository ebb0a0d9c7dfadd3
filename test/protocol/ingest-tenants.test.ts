import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeWriteRequestV1, type Label } from '../../src/protocol/schema.ts';
import { BothKernels } from '../reference/both-kernels.ts';
import { validLabels } from '../reference/requests.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { canonical } from '../reference/verdicts.ts';
import { labels } from '../support/messages.ts';

const sampled = (...list: readonly (readonly Label[])[]): Uint8Array =>
  encodeWriteRequestV1({ timeseries: list.map((of) => ({ labels: of, samples: [{ timestamp: 1n }] })) });

/** The tenant of each series of the dictionary. */
function tenantsOf({ dictionary }: BothKernels): string[] {
  const { seriesTenant, seriesCount, stringAt, text } = dictionary;
  return [...seriesTenant.subarray(0, seriesCount)].map((id) =>
    Buffer.from(text.bytes.subarray(stringAt[id], stringAt[id + 1])).toString(),
  );
}

describe('tenants on the way in, by both kernels', () => {
  it('a series is its tenant and its labels, however requests follow one another', () => {
    const requests = fc.array(
      fc.tuple(fc.constantFrom('', 'a', 'b', 'team-c'), fc.array(fc.nat(3), { maxLength: 5 })),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(fc.array(validLabels, { minLength: 4, maxLength: 4 }), requests, (pool, list) => {
        const kernels = new BothKernels();
        const ids = new Map<string, number>();
        const expected: number[] = [];
        for (const [tenant, picked] of list) {
          for (const i of picked) {
            const key = JSON.stringify([tenant, canonical(pool[i]!)]);
            if (!ids.has(key)) ids.set(key, ids.size);
            expected.push(ids.get(key)!);
          }
          kernels.take(sampled(...picked.map((i) => pool[i]!)), undefined, tenant);
        }
        const keys = [...ids.keys()].map((key) => JSON.parse(key) as [string, Label[]]);
        assert.deepEqual(
          tenantsOf(kernels),
          keys.map(([tenant]) => tenant),
        );
        for (const [id, [tenant, of]] of keys.entries()) {
          const { seriesHash: hashes } = kernels.dictionary;
          assert.deepEqual([hashes[2 * id], hashes[2 * id + 1]], seriesHash(of, tenant));
        }
        assert.equal(kernels.batch.rows, expected.length);
        kernels.compareAll();
      }),
      { numRuns: 200 },
    );
  });

  it('the table of a kernel keeps tenants apart also when it grows', () => {
    const kernels = new BothKernels();
    const many = Array.from({ length: 400 }, (_, i) => labels({ __name__: 'x', i: `${i}` }));
    for (let round = 0; round < 2; round++) {
      for (let tenant = 0; tenant < 8; tenant++) kernels.take(sampled(...many), undefined, `t${tenant}`);
    }
    assert.equal(kernels.dictionary.seriesCount, 8 * many.length);
    kernels.compareAll();
  });

  it('metadata has the tenant of its request', () => {
    const kernels = new BothKernels();
    const entry = encodeWriteRequestV1({ metadata: [{ metricFamilyName: 'x', help: 'y' }] });
    kernels.take(entry);
    assert.equal(kernels.batch.metadataTenant.length, 0);
    for (const tenant of ['a', 'b', '', 'a']) kernels.take(entry, undefined, tenant);
    const [a, b] = ['a', 'b'].map((name) => kernels.dictionary.internString(Buffer.from(name), 0, 1));
    assert.deepEqual([...kernels.batch.metadataTenant.used], [0, a, b, 0, a]);
    kernels.compareAll();
  });

  it('a reset ends the tenant', () => {
    const kernels = new BothKernels();
    kernels.take(sampled(labels({ __name__: 'x' })), undefined, 'a');
    kernels.reset();
    assert.equal(kernels.dictionary.tenant, 0);
  });
});
