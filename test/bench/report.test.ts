import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asMarkdown, asText, type Entry, stepTable, sweepTable } from '../../bench/report.ts';
import type { TrialResult } from '../../bench/stage.ts';
import { faultOf } from '../../bench/verdict.ts';

const sink = {
  ...{ port: 1, requests: 10, bytes: 8000, firstMs: 1, lastMs: 2, arrivedAt: new Float64Array(0) },
  ...{ rows: 1000, delivered: 1000, duplicates: 0, inversions: 0, wrong: 0 },
};
const trial = (cpuSeconds: number, lost = 0): TrialResult => ({
  ...{ samples: 1000, endpoints: 1, drained: true, cpuSeconds },
  sink: { ...sink, delivered: 1000 - lost },
});
const ours: Entry = { name: 'spillway', trials: [1, 9, 2].map((s) => trial(s / 1000)), failures: 0 };
const theirs: Entry = { name: 'vmagent', trials: [4, 4, 4].map((s) => trial(s / 1000, s)), failures: 1 };

describe('the tables of the bench', () => {
  it('have medians, ratios, and the worst of what is lost', () => {
    const markdown = asMarkdown(stepTable([ours, theirs])).split('\n');
    assert.deepEqual(markdown.slice(0, 3), [
      '|  | spillway | vmagent |',
      '| --- | ---: | ---: |',
      '| CPU-s per M samples | 2.00 (0.50x) | 4.00 (1.00x) |',
    ]);
    assert.ok(markdown.includes('| samples lost | 0 | 4 |'));
    assert.equal(markdown.at(-1), '| verified | yes | FAILED |');
    assert.ok(!markdown.some((line) => line.includes('ready after')), 'nobody was started');
  });

  it('have a row for each contender of a step in a sweep', () => {
    const table = sweepTable('series', [
      { value: 1000, entries: [ours, theirs] },
      { value: 2000, entries: [ours] },
    ]);
    assert.equal(
      asText(table),
      [
        'series     agent  CPU-s per M samples         verified',
        '1,000   spillway                 2.00  0.50x       yes',
        '1,000    vmagent                 4.00  1.00x    FAILED',
        '2,000   spillway                 2.00              yes',
      ].join('\n'),
    );
  });
});

describe('the verdict of the bench', () => {
  const faulty = (counts: Partial<typeof sink>): TrialResult => ({
    ...trial(1),
    sink: { ...sink, ...counts },
  });

  it('fails everybody for what is altered, and Spillway for all that it promises', () => {
    assert.equal(faultOf('vmagent', faulty({ wrong: 2 })), '2 not as they were sent');
    const counts = { delivered: 999, duplicates: 3, inversions: 4 };
    assert.equal(faultOf('vmagent', faulty(counts)), undefined);
    for (const name of ['spillway', 'spillway-typescript'] as const) {
      assert.equal(faultOf(name, faulty(counts)), '1 lost, 3 delivered twice, 4 out of order');
      assert.equal(faultOf(name, faulty({})), undefined);
    }
  });

  it('counts the samples of each endpoint', () => {
    assert.equal(faultOf('spillway', { ...faulty({ delivered: 2000 }), endpoints: 2 }), undefined);
    assert.equal(faultOf('spillway', { ...faulty({ delivered: 1999 }), endpoints: 2 }), '1 lost');
  });

  it('takes nothing for lost that a trial did not wait for', () => {
    assert.equal(
      faultOf('spillway', { ...faulty({ delivered: 10, duplicates: 5 }), drained: false }),
      undefined,
    );
    assert.equal(faultOf('spillway', { ...faulty({ wrong: 1 }), drained: false }), '1 not as they were sent');
  });
});
