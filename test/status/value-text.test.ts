import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeHistogramV1,
  encodeHistogramV1,
  type HistogramV1,
  type Sparse,
} from '../../src/protocol/schema.ts';
import { histogramText, valueText } from '../../src/status/value-text.ts';
import { bitsOf } from '../support/messages.ts';

// Texts of Go's strconv.FormatFloat as util/jsonutil of Prometheus calls it.
const texts: readonly (readonly [number, string])[] = [
  [0, '0'],
  [-0, '-0'],
  [1, '1'],
  [-1.5, '-1.5'],
  [0.1, '0.1'],
  [1700000000.123, '1700000000.123'],
  [2 ** 53, '9007199254740992'],
  [1e20, '100000000000000000000'],
  [1e21, '1e+21'],
  [-1.25e300, '-1.25e+300'],
  [0.000001, '0.000001'],
  [0.0000001, '1e-07'],
  [-1.5e-9, '-1.5e-09'],
  [5e-324, '5e-324'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
];

test('values as Prometheus prints them', () => {
  for (const [value, text] of texts) assert.equal(valueText(bitsOf(value)), text);
});

test('bits with a sign, as SQLite has them', () => {
  assert.equal(valueText(BigInt.asIntN(64, bitsOf(-2.5))), '-2.5');
  assert.equal(valueText(-(2n ** 63n)), '-0');
});

test('a stale marker is not just a NaN (RW-STALE-01)', () => {
  assert.equal(valueText(0x7ff0000000000002n), 'stale');
  for (const bits of [0x7ff8000000000001n, 0x7ff8000000000002n, 0xfff0000000000002n, 0x7ff0000000000001n]) {
    assert.equal(valueText(bits), 'NaN');
  }
});

test('histograms', () => {
  const textOf = (fields: Sparse<HistogramV1>) => histogramText(decodeHistogramV1(encodeHistogramV1(fields)));
  assert.equal(
    textOf({ countInt: 2n ** 64n - 1n, sumBits: bitsOf(0.5) }),
    '{count:18446744073709551615, sum:0.5}',
  );
  assert.equal(textOf({ countFloatBits: bitsOf(2.5), sumBits: bitsOf(Number.NaN) }), '{count:2.5, sum:NaN}');
  assert.equal(textOf({ countFloatBits: 0n }), '{count:0, sum:0}');
  assert.equal(textOf({ sumBits: 0x7ff0000000000002n, countInt: 3n }), 'stale'); // RW-STALE-02
});
