import { parseDuration } from '../config/durations.ts';
import { wait } from '../runtime/wait.ts';
import { type LoadReport, TrafficLoad } from '../traffic/load.ts';
import { UsageError } from './errors.ts';
import { headersOf } from './headers.ts';
import { StatusLine } from './status-line.ts';
import { countText, durationText } from './text.ts';

export interface LoadFlags {
  readonly url: string;
  readonly series: string | undefined;
  readonly rate: string | undefined;
  readonly duration: string | undefined;
  readonly headers: readonly string[];
  readonly json: boolean;
  readonly signal: AbortSignal;
}

const SHOW_MS = 1000;

/**
 * `spillway load URL`: returns the exit code: 0 when every sample was acknowledged. Throws `UsageError`.
 */
export async function loadCommand(flags: LoadFlags, write: (text: string) => void): Promise<number> {
  if (!URL.canParse(flags.url) || !/^https?:/.test(flags.url)) {
    throw new UsageError(`${flags.url} is not a URL such as http://127.0.0.1:9201/api/v1/write`);
  }
  const series = countOf('--series', flags.series, 100);
  const rate = countOf('--rate', flags.rate, series);
  if (rate > 1000 * series) {
    throw new UsageError(
      `--rate ${rate}: times are in milliseconds, so ${series} series have at most ${1000 * series} samples a second`,
    );
  }
  const durationMs = flags.duration === undefined ? Number.POSITIVE_INFINITY : parseDuration(flags.duration);
  if (durationMs === undefined)
    throw new UsageError(`--duration ${flags.duration} is not a duration such as 30s`);
  const run = Date.now().toString(36);
  const load = new TrafficLoad({
    url: flags.url,
    series,
    rate,
    durationMs,
    headers: headersOf(flags.headers),
    run,
    signal: flags.signal,
  });
  const line = new StatusLine(process.stderr);
  const every = durationText(load.stepMs / 1000);
  process.stderr.write(
    `sending ${series} series, a sample each ${load.stepMs < 1000 ? `${load.stepMs}ms` : every}, ` +
      `${Number.isFinite(durationMs) ? `for ${flags.duration}` : 'until Ctrl-C'}; ` +
      'spillway sink --verify tells whether all arrived\n',
  );
  const ended = new AbortController();
  const running = load.run().finally(() => ended.abort());
  const startedMs = performance.now();
  while (!ended.signal.aborted) {
    await wait(SHOW_MS, ended.signal);
    if (ended.signal.aborted) break;
    const left = durationMs - (performance.now() - startedMs);
    line.show(`${lineOf(load.report)}${Number.isFinite(left) ? `  ${durationText(left / 1000)} left` : ''}`);
  }
  const report = await running.finally(() => line.clear());
  if (flags.json) write(`${JSON.stringify({ run, series, stepMs: load.stepMs, ...report })}\n`);
  else {
    write(`${lineOf(report)}\n`);
    if (report.refused > 0) write(`${report.refused} samples were refused: ${report.lastError}\n`);
    if (report.unknown > 0)
      write(`${report.unknown} samples had no answer before the end: ${report.lastError}\n`);
  }
  return report.acknowledged === report.sent ? 0 : 1;
}

function lineOf({ acknowledged, sent, retries, behindMs, lastError }: LoadReport): string {
  return [
    `${countText(acknowledged)} of ${countText(sent)} samples acknowledged`,
    ...(retries > 0 ? [`${countText(retries)} attempts failed (${lastError})`] : []),
    ...(behindMs >= 1000 ? [`${durationText(behindMs / 1000)} late`] : []),
  ].join(', ');
}

function countOf(flag: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`${flag} ${text} is not a whole number of 1 or more`);
}
