import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Prometheus } from './prometheus.ts';
import type { Row } from './rows.ts';
import type { Samples } from './samples.ts';
import { v1Headers } from './sender.ts';
import { type Answer, type Received, Sink } from './sink.ts';

/**
 * A real Prometheus behind a proxy that holds back what it is told to, with 503, and keeps account: what
 * Prometheus took is in the sink's `arrivals`. Prometheus refuses a 1.0 request whole when one row of it is older
 * than what it has (INT-12, INT-14).
 */
export class Gateway {
  readonly sink: Sink;
  readonly prometheus: Prometheus;
  /** Which rows are held back, with the requests that they are in. */
  held: (row: Row) => boolean = () => false;
  /** How long Prometheus's answer takes to its sender: time to be killed in, with rows that it has taken. */
  answerDelayMs: () => number = () => 0;
  /** Requests that had rows which Prometheus has beside rows which it has not: RLY-13 forbids them. */
  readonly mixed: Received[] = [];
  /** Requests that Prometheus refused. */
  refused = 0;

  private constructor(sink: Sink, prometheus: Prometheus) {
    this.sink = sink;
    this.prometheus = prometheus;
  }

  static async start(t: TestContext): Promise<Gateway> {
    const gateway = new Gateway(await Sink.start(t), await Prometheus.start(t));
    gateway.sink.script = (received, body) => gateway.#pass(received, body);
    return gateway;
  }

  /**
   * What is wrong, compared with Prometheus's own answer to a query for `metric`: rows that it does not have, and
   * samples that nobody sent. Rows with a stale marker are left out: a query does not show them.
   */
  async missing(metric: string, rows: readonly Row[]): Promise<{ lost: string[]; invented: string[] }> {
    const stored = await this.prometheus.samples(`{__name__="${metric}"}`);
    const wanted = new Set(rows.map((row) => `${row.series} ${row.at} ${valueText(row)}`));
    const found = new Set([...stored].flatMap(([series, samples]) => texts(series, samples)));
    return {
      lost: [...wanted].filter((text) => !found.has(text)),
      invented: [...found].filter((text) => !wanted.has(text)),
    };
  }

  async #pass(received: Received, body: Uint8Array): Promise<Answer> {
    if (received.rows.some(this.held)) return { status: 503, body: 'held' };
    const known = received.rows.filter((row) => this.sink.arrivals.has(row)).length;
    if (known > 0 && known < received.rows.length) this.mixed.push(received);
    const response = await fetch(this.prometheus.writeUrl, { method: 'POST', headers: v1Headers, body });
    if (response.status === 400) this.refused++;
    const text = await response.text();
    await sleep(this.answerDelayMs());
    return { status: response.status, body: text };
  }
}

function texts(series: string, samples: Samples): string[] {
  return samples.map(({ at, value }) => `${series} ${at} ${value}`);
}

/** A finite value as Prometheus prints it; those of these tests are whole numbers. */
function valueText({ content }: Row): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${content}`));
  return String(view.getFloat64(0));
}
