/**
 * The bench of the whole agent beside its peers: the same load through each, every sample checked at the far
 * end. See README.md for what the numbers mean.
 */
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os';
import { type Contender, findContender, Missing } from './contenders.ts';
import { type Options, parseOptions } from './options.ts';
import { type Entry, formatTable, formatTrial } from './report.ts';
import { selfCheck } from './self-check.ts';
import { SeriesSet } from './series.ts';
import { runTrial, type TrialOptions, type TrialResult } from './trial.ts';
import { faultOf } from './verdict.ts';

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort());
try {
  process.exitCode = (await bench(parseOptions(process.argv.slice(2)), interrupt.signal)) ? 0 : 1;
} catch (error) {
  console.error(interrupt.signal.aborted ? 'interrupted' : error);
  process.exitCode = 2;
}

async function bench(options: Options, signal: AbortSignal): Promise<boolean> {
  const { runs, scenario } = options;
  const contenders = options.only.flatMap((name) => find(name, options));
  const trialOptions: TrialOptions = { ...options, series: new SeriesSet(options.series) };

  console.log(describeLoad(options));
  console.log(describeMachine());
  console.log(contenders.map(({ name, version }) => `${name} ${version}`).join(', '));
  const own = await selfCheck(trialOptions, signal);
  console.log(`load straight into the sink: ${Math.round(own).toLocaleString('en-US')} samples/s\n`);

  const entries = contenders.map((contender) => ({ contender, trials: [] as TrialResult[], failures: 0 }));
  for (let run = 1; run <= runs; run++) {
    for (const entry of entries) {
      const { contender, trials } = entry;
      const title = `${scenario} ${run}/${runs} ${contender.name}`;
      try {
        const trial = await runTrial(contender, trialOptions, signal);
        trials.push(trial);
        const fault = faultOf(contender.name, trial);
        if (fault !== undefined) entry.failures++;
        console.log(`${title}: ${formatTrial(trial)}${fault === undefined ? '' : `; FAILED: ${fault}`}`);
      } catch (error) {
        signal.throwIfAborted();
        entry.failures++;
        console.log(`${title}: FAILED: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  const table = entries.map(({ contender, ...entry }): Entry => ({ name: contender.name, ...entry }));
  console.log(`\n${formatTable(table)}`);
  return entries.every(({ failures }) => failures === 0);
}

/** The contender, or nothing but a line that says how to get it. */
function find(name: Contender['name'], { programs }: Options): Contender[] {
  try {
    return [findContender(name, programs[name])];
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`${name} takes no part: ${error.message}`);
    return [];
  }
}

function describeLoad({ series, rounds, perRequest, connections, runs, scenario, rate }: Options): string {
  const speed = rate === undefined ? 'at full speed' : `at ${rate} samples/s`;
  return (
    `Scenario ${scenario}: ${series} series x ${rounds} rounds, ${perRequest} a request, ` +
    `${connections} connections, ${speed}; medians of ${runs}`
  );
}

function describeMachine(): string {
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  const cores = `${availableParallelism()} cores`;
  return `${cpus()[0]?.model}, ${cores}, ${memory}; Linux ${release()}, node ${process.version}; data in ${tmpdir()}`;
}
