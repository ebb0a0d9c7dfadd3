import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/config/durations.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

describe('parseDuration', () => {
  const table: readonly [text: string, ms: number | undefined][] = [
    ['0', 0],
    ['0s', 0],
    ['0ms', 0],
    ['30s', 30 * second],
    ['500ms', 500],
    ['5m', 5 * minute],
    ['1h30m', 90 * minute],
    ['90m', 90 * minute],
    ['1d', day],
    ['1w', 7 * day],
    ['1y', 365 * day],
    ['1y1w1d1h1m1s1ms', 373 * day + hour + minute + second + 1],
    ['1s500ms', 1500],
    ['007s', 7 * second],
    ['', undefined],
    ['1', undefined],
    ['s', undefined],
    ['1.5h', undefined],
    ['-1s', undefined],
    ['+1s', undefined],
    ['1 s', undefined],
    [' 1s', undefined],
    ['1S', undefined],
    ['1m1h', undefined],
    ['1s1s', undefined],
    ['1us', undefined],
    ['1e3s', undefined],
    ['285617y', undefined],
    ['99999999999999999999999y', undefined],
  ];
  for (const [text, ms] of table) {
    it(`${JSON.stringify(text)} is ${ms}`, () => assert.equal(parseDuration(text), ms));
  }
});

describe('formatDuration', () => {
  const table: readonly [ms: number, text: string][] = [
    [0, '0s'],
    [1, '1ms'],
    [1500, '1s500ms'],
    [90 * minute, '1h30m'],
    [36 * hour, '36h'],
    [2 * day, '2d'],
    [7 * day, '1w'],
    [8 * day, '8d'],
    [365 * day, '1y'],
    [366 * day, '366d'],
  ];
  for (const [ms, text] of table) {
    it(`${ms} is ${text}`, () => assert.equal(formatDuration(ms), text));
  }

  it('is read back as the same number of milliseconds', () => {
    const units = fc.constantFrom(1, second, minute, hour, day, 7 * day, 365 * day);
    const round = fc.tuple(units, fc.nat(1000)).map(([unit, count]) => unit * count);
    const any = fc.maxSafeNat();
    fc.assert(fc.property(fc.oneof(round, any), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
  });
});
