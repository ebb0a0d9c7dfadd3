/**
 * The bench of the whole agent beside its peers: the same load through each, every sample checked at the far
 * end. See README.md for what the numbers mean.
 */
import { type Contender, findContender, Missing, type Name, USUAL } from './contenders.ts';
import { describeMachine } from './machine.ts';
import { helpText, type Options, parseOptions } from './options.ts';
import { writePage } from './page.ts';
import {
  asMarkdown,
  asText,
  type Entry,
  formatTrial,
  type SweepStep,
  stepTable,
  sweepTable,
  type Table,
} from './report.ts';
import { flagOf, roundsOf, type Scenario, type Step, stepsOf } from './scenarios.ts';
import { selfCheck } from './self-check.ts';
import { SeriesSet } from './series.ts';
import type { TrialResult } from './stage.ts';
import { runTrial, type TrialOptions } from './trial.ts';
import { faultOf } from './verdict.ts';

const RUNS = 3;

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort());
process.exitCode = await main(process.argv.slice(2), interrupt.signal);

/** Returns the exit status: 1 when a trial failed, 2 when the bench could not run. */
async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}
npm run bench -- --help lists the options`);
    return 2;
  }
  try {
    return (await bench(options, signal)) ? 0 : 1;
  } catch (error) {
    console.error(signal.aborted ? 'interrupted' : error);
    return 2;
  }
}

/** False when a trial failed. */
async function bench(options: Options, signal: AbortSignal): Promise<boolean> {
  if (options.help) {
    console.log(helpText());
    return true;
  }
  const wanted = ({ only = USUAL }: Scenario): readonly Name[] => options.only ?? only;
  const names = new Set(options.scenarios.flatMap(wanted));
  const contenders = new Map([...names].flatMap((name) => find(name, options)).map((c) => [c.name, c]));
  const machine = describeMachine();
  let passed = true;
  if (options.writeDocs) writePage(new Map()); // the texts, also of what is not measured
  for (const scenario of options.scenarios) {
    const present = wanted(scenario).flatMap((name) => {
      const contender = contenders.get(name);
      return contender !== undefined && takesPart(name, scenario) ? [contender] : [];
    });
    const conditions = `${machine}. ${present.map(({ name, version }) => `${name} ${version}`).join(', ')}.`;
    console.log(`${scenario.title} (${scenario.name})\n${conditions}`);
    const runs = options.runs ?? scenario.runs ?? RUNS;
    const { table, failures } = await runScenario(scenario, present, runs, signal);
    console.log(`${asText(table)}\n`);
    passed &&= failures === 0;
    if (!options.writeDocs) continue;
    const command = `npm run bench:${scenario.name}${options.repeat === '' ? '' : ` -- ${options.repeat}`}`;
    const date = new Date().toISOString().slice(0, 10);
    const figures = [`    ${command}`, `${date}, medians of ${runs}. ${conditions}`, asMarkdown(table)];
    writePage(new Map([[scenario.name, figures.join('\n\n')]]));
  }
  return passed;
}

/** The contender, or nothing but a line that says how to get it. */
function find(name: Name, { programs }: Options): Contender[] {
  try {
    const peer = name === 'vmagent' || name === 'prometheus';
    return [findContender(name, peer ? programs[name] : undefined)];
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`${name} takes no part: ${error.message}`);
    return [];
  }
}

function takesPart(name: Name, { leftOut = {} }: Scenario): boolean {
  const reason = leftOut[name];
  if (reason !== undefined) console.log(`${name} takes no part: ${reason}`);
  return reason === undefined;
}

async function runScenario(
  scenario: Scenario,
  contenders: readonly Contender[],
  runs: number,
  signal: AbortSignal,
): Promise<{ table: Table; failures: number }> {
  const steps: SweepStep[] = [];
  let heading = '';
  for (const step of stepsOf(scenario.settings)) {
    const entries = await runStep(scenario, step, contenders, runs, signal);
    if (step.varied !== undefined) {
      heading = flagOf(step.varied.setting);
      console.log(`${asText(stepTable(entries))}\n`);
    }
    steps.push({ value: step.varied?.value ?? 0, entries });
  }
  const all = steps.flatMap(({ entries }) => entries);
  const table = heading === '' ? stepTable(all) : sweepTable(heading, steps);
  return { table, failures: all.reduce((total, entry) => total + entry.failures, 0) };
}

async function runStep(
  { name, course, rows }: Scenario,
  { settings, varied }: Step,
  contenders: readonly Contender[],
  runs: number,
  signal: AbortSignal,
): Promise<Entry[]> {
  const options: TrialOptions = { course, rows, settings, series: new SeriesSet(settings.series) };
  console.log(`${describeLoad(options)}; medians of ${runs}`);
  const own = await selfCheck(options, signal);
  console.log(`load straight into the sink: ${Math.round(own).toLocaleString('en-US')} samples/s\n`);

  const results = contenders.map((contender) => ({ contender, trials: [] as TrialResult[], failures: 0 }));
  for (let run = 1; run <= runs; run++) {
    for (const result of results) {
      const { contender, trials } = result;
      const value = varied === undefined ? '' : ` ${flagOf(varied.setting)} ${varied.value}`;
      const title = `${name}${value} ${run}/${runs} ${contender.name}`;
      try {
        const trial = await runTrial(contender, options, signal);
        trials.push(trial);
        const fault = faultOf(contender.name, trial);
        if (fault !== undefined) result.failures++;
        console.log(`${title}: ${formatTrial(trial)}${fault === undefined ? '' : `; FAILED: ${fault}`}`);
      } catch (error) {
        signal.throwIfAborted();
        result.failures++;
        console.log(`${title}: FAILED: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  console.log();
  return results.map(({ contender, ...result }): Entry => ({ name: contender.name, ...result }));
}

function describeLoad({ course, settings }: TrialOptions): string {
  const { series, samplesPerSeries, perRequest, connections, rate, backlogMb } = settings;
  const { endpoints, answerMs, loops, lifetime } = settings;
  const amount = course === 'start' ? `until ${backlogMb} MB are on disk` : `x ${roundsOf(settings)} rounds`;
  const request = `${perRequest} a request${samplesPerSeries > 1 ? ` with ${samplesPerSeries} samples each` : ''}`;
  const speed = rate === 0 ? 'at full speed' : `at ${rate} samples/s`;
  const rest = [
    lifetime > 0 && `pods that live for ${lifetime} scrapes`,
    endpoints > 1 && `${endpoints} endpoints`,
    answerMs > 0 && `which answer after ${answerMs} ms`,
    loops > 0 && `${loops} loops each`,
  ].filter((part) => part !== false);
  return [`${series} series ${amount}`, request, `${connections} connections`, speed, ...rest].join(', ');
}
