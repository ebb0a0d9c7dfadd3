import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parseOptions } from '../../bench/options.ts';
import { PAGE_PATH, pageWith } from '../../bench/page.ts';
import { DEFAULTS, roundsOf, SCENARIOS, stepsOf } from '../../bench/scenarios.ts';

const PACKAGE_PATH = new URL('../package.json', pathToFileURL(PAGE_PATH));
const names = SCENARIOS.map(({ name }) => name);

describe('the scenarios of the bench', () => {
  it('each have a command of their own', () => {
    const { scripts } = JSON.parse(readFileSync(PACKAGE_PATH, 'utf8'));
    const commands = Object.keys(scripts).filter((key) => / --scenario (?!all\b)/.test(scripts[key]));
    assert.deepEqual(
      commands,
      names.map((name) => `bench:${name}`),
    );
    for (const name of names) {
      assert.equal(scripts[`bench:${name}`], `npm run --silent bench -- --scenario ${name}`);
    }
  });

  it('are a step for each value of a list', () => {
    const steps = stepsOf({ series: [10, 20], rate: 5 });
    assert.deepEqual(steps, [
      { varied: { setting: 'series', value: 10 }, settings: { ...DEFAULTS, series: 10, rate: 5 } },
      { varied: { setting: 'series', value: 20 }, settings: { ...DEFAULTS, series: 20, rate: 5 } },
    ]);
    assert.deepEqual(stepsOf({}), [{ varied: undefined, settings: DEFAULTS }]);
    assert.throws(() => stepsOf({ series: [1, 2], rate: [1, 2] }), /--series, --rate/);
  });

  it('send whole scrapes in whole requests, two at least', () => {
    const rounds = (series: number, samples: number, samplesPerSeries: number): number =>
      roundsOf({ ...DEFAULTS, series, samples, samplesPerSeries });
    assert.equal(rounds(1000, 10_000, 1), 10);
    assert.equal(rounds(1000, 10_001, 1), 11);
    assert.equal(rounds(1000, 1, 1), 2);
    assert.equal(rounds(1000, 10_001, 100), 100);
  });
});

describe('the options of the bench', () => {
  it('replace what the scenario sets', () => {
    const { scenarios } = parseOptions(['--scenario', 'steady,sweep-series', '--series', '50']);
    assert.deepEqual(
      scenarios.map(({ name, settings }) => [name, settings.series]),
      [
        ['steady', 50],
        ['sweep-series', 50],
      ],
    );
    assert.equal(scenarios[0]?.settings.rate, 10_000);
  });

  it('say what to repeat, without the paths of a machine', () => {
    const { repeat } = parseOptions(
      '--scenario up --vmagent /x/vmagent --series 50 --write-docs --runs=5'.split(' '),
    );
    assert.equal(repeat, '--series 50 --runs 5');
  });

  it('are refused by name', () => {
    assert.throws(() => parseOptions(['--scenario', 'down']), /--scenario down/);
    assert.throws(() => parseOptions(['--series', '0']), /--series 0: a whole number from 1 on/);
    assert.throws(() => parseOptions(['--only', 'alloy']), /--only alloy/);
    assert.throws(() => parseOptions(['--rate', '1,2', '--loops', '1,2']), /--rate, --loops/);
    assert.equal(parseOptions(['--rate', '0']).scenarios[0]?.settings.rate, 0);
  });
});

describe('docs/performance.md', () => {
  const page = readFileSync(PAGE_PATH, 'utf8');

  it('says what the scenarios say (npm run bench:docs -- --scenario none)', () => {
    assert.equal(pageWith(new Map(), page), page);
  });

  it('keeps the figures of what was not run', () => {
    const [first, second, third] = names as [string, string, string];
    const once = pageWith(
      new Map([
        [first, '    OLD FIRST'],
        [second, 'OLD SECOND'],
      ]),
      '',
    );
    const twice = pageWith(
      new Map([
        [second, 'NEW SECOND'],
        [third, 'THIRD'],
      ]),
      once,
    );
    for (const figures of ['    OLD FIRST', 'NEW SECOND', 'THIRD'])
      assert.ok(twice.includes(`\n${figures}\n`));
    assert.ok(!twice.includes('OLD SECOND'));
    assert.equal(pageWith(new Map(), twice), twice);
  });
});
