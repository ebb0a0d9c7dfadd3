import { createServer } from 'node:http';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { listenAnywhere } from './ports.ts';
import { Progress } from './progress.ts';

/** Something to scrape: values that change with each scrape, the odd ones among them, and a series that ends. */
export class Exporter {
  readonly url: string;
  readonly #progress = new Progress();
  #scrapes = 0;

  private constructor(url: string) {
    this.url = url;
  }

  static async start(t: TestContext): Promise<Exporter> {
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'text/plain; version=0.0.4');
      response.end(exporter.#page());
    });
    const exporter: Exporter = new Exporter(`http://127.0.0.1:${await listenAnywhere(server)}/metrics`);
    atEnd(t, () => {
      server.closeAllConnections();
      server.close();
    });
    return exporter;
  }

  /** Waits for `more` scrapes from now. */
  async scraped(more: number): Promise<void> {
    const end = this.#scrapes + more;
    await this.#progress.until(
      () => `${end} scrapes: there were ${this.#scrapes}`,
      () => this.#scrapes >= end,
    );
  }

  #page(): string {
    const n = ++this.#scrapes;
    this.#progress.made();
    // Not -0: Prometheus 2.42 sends it as 0.
    const odd = ['NaN', '+Inf', '-Inf', '5e-324', '1.7976931348623157e+308', '0.1'];
    const lines = [
      '# HELP demo_total Counts scrapes.',
      '# TYPE demo_total counter',
      ...Array.from(
        { length: 200 },
        (_, i) => `demo_total{place="${i}",note="\\"quoted\\" é 🚰"} ${n * (i + 1)}`,
      ),
      '# TYPE demo_odd gauge',
      `demo_odd ${odd[n % odd.length]}`,
      '# TYPE demo_always gauge',
      // VictoriaMetrics rounds the values of a series together.
      ...odd.map((value) => `demo_always{odd="${value}"} ${value}`),
      '# TYPE demo_flickers gauge',
      ...(n % 3 === 0 ? [] : [`demo_flickers ${n / 3}`]),
    ];
    return `${lines.join('\n')}\n`;
  }
}
