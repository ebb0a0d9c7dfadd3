import { parseListenAddress } from '../config/addresses.ts';
import { parseDuration } from '../config/durations.ts';
import { wait } from '../runtime/wait.ts';
import { type SinkReport, TrafficSink } from '../traffic/sink.ts';
import type { LoadVerdict } from '../traffic/verifier.ts';
import { CommandError, UsageError } from './errors.ts';
import { Output } from './output.ts';
import { requestJson, requestText, rowJson, rowText } from './sink-lines.ts';
import { StatusLine } from './status-line.ts';
import { bytesText, countText } from './text.ts';

export interface SinkFlags {
  readonly listen: string | undefined;
  readonly print: boolean;
  readonly verify: boolean;
  readonly answer: string | undefined;
  readonly delay: string | undefined;
  readonly json: boolean;
  /** Ends it. */
  readonly signal: AbortSignal;
}

const SHOW_MS = 1000;

/**
 * `spillway sink`: receives remote write until the signal, or until nobody reads what it prints, and says what came. Returns the exit code: with `--verify` 1
 * when something is wrong with it. Throws `UsageError` and `CommandError`.
 */
export async function sinkCommand(flags: SinkFlags): Promise<number> {
  const listen = parseListenAddress(flags.listen ?? '127.0.0.1:9202');
  if (listen === undefined) throw new UsageError(`--listen ${flags.listen} is not HOST:PORT`);
  const output = new Output();
  const signal = AbortSignal.any([flags.signal, output.signal]);
  const options: SinkStart = {
    listen,
    status: statusOf(flags.answer),
    delayMs: delayOf(flags.delay),
    ...(flags.print && {
      onRow: (row) => void output.line(flags.json ? rowJson(row) : rowText(row)),
      // The sender waits for whoever reads.
      onRequest: (request) => output.line(flags.json ? requestJson(request) : requestText(request)),
    }),
  };
  const sink = await started(options);
  const line = new StatusLine(process.stderr);
  process.stderr.write(`listening at ${sink.url}; end it by Ctrl-C\n`);
  try {
    let before = sink.report;
    while (!signal.aborted) {
      await wait(SHOW_MS, signal);
      const now = sink.report;
      if (!flags.print && now.requests !== before.requests) {
        line.show(
          `${lineOf(now)}  ${countText((now.samples - before.samples) * (1000 / SHOW_MS))} samples/s`,
        );
      }
      before = now;
    }
  } finally {
    line.clear();
    await sink.close();
  }
  const { report } = sink;
  const wrong = flags.verify ? problemsOf(report) : [];
  if (flags.json) await output.line(JSON.stringify({ ...report, problems: wrong }));
  else {
    const lines = flags.verify ? verdictLines(report, wrong) : faultLines(report);
    await output.line([lineOf(report), ...lines].join('\n'));
  }
  return wrong.length === 0 ? 0 : 1;
}

type SinkStart = Parameters<typeof TrafficSink.start>[0];

async function started(options: SinkStart): Promise<TrafficSink> {
  try {
    return await TrafficSink.start(options);
  } catch (cause) {
    throw new CommandError(`cannot listen on ${options.listen.host}:${options.listen.port}`, {}, cause);
  }
}

function lineOf({
  requests,
  versions,
  bytes,
  samples,
  series,
  histograms,
  exemplars,
  staleMarkers,
  metadata,
  written,
}: SinkReport): string {
  const parts = [
    `${countText(requests)} requests (${versions['1.0']} of 1.0, ${versions['2.0']} of 2.0), ${bytesText(bytes)}`,
    `${countText(samples)} samples of ${countText(series)} series`,
    ...(histograms > 0 ? [`${countText(histograms)} histograms`] : []),
    ...(exemplars > 0 ? [`${countText(exemplars)} exemplars`] : []),
    ...(staleMarkers > 0 ? [`${countText(staleMarkers)} stale markers`] : []),
  ];
  if (metadata > 0) parts.push(`${countText(metadata)} with metadata`);
  if (versions['2.0'] > 0) {
    parts.push(
      `answered as written: ${written.samples} samples, ${written.histograms} histograms, ${written.exemplars} exemplars`,
    );
  }
  return parts.join(', ');
}

/** What a sender, or what lies between it and the sink, did wrong. A duplicate is none: what was not answered is sent again. */
function problemsOf({ load, loadHistograms, loadExemplars, notNewer, faults }: SinkReport): string[] {
  return [
    ...faults,
    ...loadProblems('samples', load),
    ...loadProblems('histograms', loadHistograms),
    ...loadProblems('exemplars', loadExemplars),
    ...(notNewer > 0
      ? [`${notNewer} samples of other series are not newer than the one before: sent again, or out of order`]
      : []),
  ];
}

function loadProblems(rows: string, { missing, inversions, wrong }: LoadVerdict): string[] {
  return [
    ...(missing > 0 ? [`${missing} ${rows} of spillway load are missing, though newer ones came`] : []),
    ...(inversions > 0 ? [`${inversions} ${rows} of spillway load came after newer ones`] : []),
    ...(wrong > 0 ? [`${wrong} ${rows} of spillway load have a wrong value or time`] : []),
  ];
}

function verdictLines(
  { load, loadHistograms, loadExemplars }: SinkReport,
  problems: readonly string[],
): string[] {
  const seen = [
    `${load.distinct} samples`,
    ...(loadHistograms.distinct > 0 ? [`${loadHistograms.distinct} histograms`] : []),
    ...(loadExemplars.distinct > 0 ? [`${loadExemplars.distinct} exemplars`] : []),
  ].join(', ');
  const again = load.duplicates + loadHistograms.duplicates + loadExemplars.duplicates;
  const wrong = problems.map((one) => `WRONG: ${one}`);
  return [
    `of spillway load: ${seen}; ${again} of them came again`,
    ...(problems.length === 0 ? ['nothing is wrong with what came'] : wrong),
  ];
}

function faultLines({ faults }: SinkReport): string[] {
  return faults.map((fault) => `the sender breaks a rule: ${fault}`);
}

function statusOf(text: string | undefined): number {
  if (text === undefined) return 204;
  if (/^[2-5]\d\d$/.test(text)) return Number(text);
  throw new UsageError(`--answer ${text} is not a status such as 204, 400 or 503`);
}

function delayOf(text: string | undefined): number {
  const ms = text === undefined ? 0 : parseDuration(text);
  if (ms === undefined) throw new UsageError(`--delay ${text} is not a duration such as 200ms`);
  return ms;
}
