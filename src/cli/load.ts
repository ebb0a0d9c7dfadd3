import { parseDuration } from '../config/durations.ts';
import { type Written, writtenRows } from '../network/written.ts';
import { wait } from '../runtime/wait.ts';
import { type LoadReport, TrafficLoad } from '../traffic/load.ts';
import type { LoadForm } from '../traffic/load-request.ts';
import { UsageError } from './errors.ts';
import { headersOf } from './headers.ts';
import { StatusLine } from './status-line.ts';
import { countText, durationText, oneLine } from './text.ts';

export interface LoadFlags {
  readonly url: string;
  readonly series?: string;
  readonly rate?: string;
  readonly duration?: string;
  readonly protocol?: string;
  readonly histograms?: boolean;
  readonly exemplars?: boolean;
  readonly batch?: string;
  readonly header?: readonly string[];
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** As people say it, and as `protobuf_message` does. */
const protocols: Readonly<Record<string, LoadForm['protocol']>> = {
  '1.0': '1.0',
  '2.0': '2.0',
  'prometheus.WriteRequest': '1.0',
  'io.prometheus.write.v2.Request': '2.0',
};

const SHOW_MS = 1000;

/**
 * `spillway load URL`: returns the exit code: 0 when every row was acknowledged, and written. Throws `UsageError`.
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
  const protocol = Object.hasOwn(protocols, flags.protocol ?? '1.0') && protocols[flags.protocol ?? '1.0'];
  if (!protocol) throw new UsageError(`--protocol ${flags.protocol}: 1.0 or 2.0?`);
  const { histograms = false, exemplars = false } = flags;
  const batch = flags.batch === undefined ? {} : { batch: countOf('--batch', flags.batch, 1) };
  const run = Date.now().toString(36);
  const load = new TrafficLoad({
    url: flags.url,
    series,
    rate,
    durationMs,
    form: { protocol, histograms, exemplars },
    ...batch,
    headers: headersOf(flags.header ?? []),
    run,
    signal: flags.signal,
  });
  const line = new StatusLine(process.stderr);
  const every = durationText(load.stepMs / 1000);
  process.stderr.write(
    `sending ${series} series over ${protocol}, a sample each ${load.stepMs < 1000 ? `${load.stepMs}ms` : every}, ` +
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
  if (flags.json) write(`${JSON.stringify({ run, protocol, series, stepMs: load.stepMs, ...report })}\n`);
  else write([`${lineOf(report)}\n`, ...failures(report).map((text) => `${text}\n`)].join(''));
  return report.acknowledged === report.sent && report.overcounted === 0 ? 0 : 1;
}

function lineOf({ acknowledged, sent, retries, behindMs, lastError }: LoadReport): string {
  return [
    `${countText(acknowledged)} of ${countText(sent)} rows acknowledged`,
    ...(retries > 0 ? [`${countText(retries)} attempts failed (${oneLine(lastError ?? '')})`] : []),
    ...(behindMs >= 1000 ? [`${durationText(behindMs / 1000)} late`] : []),
  ].join(', ');
}

/** What did not arrive, by what is known of it. */
function failures({ refused, left, unknown, ...report }: LoadReport): string[] {
  const lastError = oneLine(report.lastError ?? '');
  const { notWritten, notWrittenOf, uncounted, overcounted } = report;
  const lines: string[] = [];
  if (refused > 0) lines.push(`${refused} rows were refused: ${lastError}`);
  if (lastError.startsWith('415')) lines.push('the receiver does not take 2.0: --protocol 1.0');
  if (left > 0) lines.push(`${left} rows were put off, and not sent again before the end: ${lastError}`);
  if (unknown > 0) lines.push(`${unknown} rows had no answer before the end: ${lastError}`);
  if (writtenRows(notWritten) > 0) lines.push(`answered 2xx, but not written: ${kindsText(notWritten)}`);
  if (uncounted > 0) {
    lines.push(
      `${uncounted} answers without X-Prometheus-Remote-Write-*-Written count as nothing written: does the receiver take 2.0?`,
    );
  }
  for (const { firstSeries, lastSeries, timestampMs, ...short } of notWrittenOf) {
    const which = firstSeries === lastSeries ? firstSeries : `${firstSeries} to ${lastSeries}`;
    lines.push(`  of series ${which} at ${new Date(timestampMs).toISOString()}: ${kindsText(short)}`);
  }
  if (notWrittenOf.some((one) => one.lastSeries > one.firstSeries)) {
    lines.push('  the counts do not say which: --batch 1 sends each series in a request of its own');
  }
  if (overcounted > 0) lines.push(`${overcounted} answers count more rows than they were sent`);
  return lines;
}

function kindsText(written: Written): string {
  const kinds = ['samples', 'histograms', 'exemplars'] as const;
  return kinds.flatMap((kind) => (written[kind] > 0 ? [`${written[kind]} ${kind}`] : [])).join(', ');
}

function countOf(flag: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`${flag} ${text} is not a whole number of 1 or more`);
}
