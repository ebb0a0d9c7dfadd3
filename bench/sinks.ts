/** The endpoints of a trial, each a sink process that gets everything, spoken to as one. */
import type { Command, SinkOptions, SinkReport } from './sink.ts';
import { SinkProcess } from './sink-process.ts';

export class Sinks {
  readonly urls: readonly string[];
  /** Rejects when one of them ends. */
  readonly death: Promise<never>;
  readonly #sinks: readonly SinkProcess[];

  private constructor(sinks: readonly SinkProcess[]) {
    this.#sinks = sinks;
    this.urls = sinks.map(({ writeUrl }) => writeUrl.href);
    this.death = Promise.race(sinks.map(({ death }) => death));
    this.death.catch(() => {}); // expected once they were told to stop
  }

  /** Starts `count` sinks that are up; `signal` ends them. */
  static async start(count: number, options: SinkOptions, signal: AbortSignal): Promise<Sinks> {
    const starts = await Promise.allSettled(
      Array.from({ length: count }, () => SinkProcess.start(options, signal)),
    );
    const sinks = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed !== undefined) {
      await Promise.all(sinks.map((sink) => sink.stop()));
      throw failed.reason;
    }
    return new Sinks(sinks);
  }

  /** One at a time. Throws when a sink has ended. */
  async tell(command: Command): Promise<SinkReport> {
    const reports = Promise.all(this.#sinks.map((sink) => sink.tell(command)));
    return combined(await Promise.race([reports, this.death]));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.stop()));
  }
}

/** Counts are added up; a time is that of the endpoint that was last to get there, and never if one did not. */
function combined(reports: readonly SinkReport[]): SinkReport {
  const sum = (of: (report: SinkReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  const firsts = reports.map(({ firstMs }) => firstMs);
  const [first] = reports as [SinkReport];
  return {
    port: first.port,
    requests: sum((report) => report.requests),
    bytes: sum((report) => report.bytes),
    firstMs: firsts.includes(0) ? 0 : Math.max(...firsts),
    lastMs: Math.max(...reports.map(({ lastMs }) => lastMs)),
    rows: sum((report) => report.rows),
    delivered: sum((report) => report.delivered),
    duplicates: sum((report) => report.duplicates),
    inversions: sum((report) => report.inversions),
    wrong: sum((report) => report.wrong),
    arrivedAt: first.arrivedAt.map((_, body) => latest(reports.map(({ arrivedAt }) => arrivedAt[body]!))),
  };
}

function latest(times: readonly number[]): number {
  return times.includes(0) ? 0 : Math.max(...times);
}
