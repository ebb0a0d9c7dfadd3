import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ListenAddress } from '../config/addresses.ts';
import { decodeWriteRequestV1, decodeWriteRequestV2, type Label } from '../protocol/schema.ts';
import { Scratch, uncompress } from '../protocol/snappy.ts';
import { describeError } from '../runtime/errors.ts';
import { headerFaults, labelFault, symbolFaults } from './request-faults.ts';
import { TrafficVerifier, type Verdict } from './verifier.ts';

/** A sample as it came. */
export interface ReceivedSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly timestamp: bigint;
  readonly valueBits: bigint;
}

export interface SinkOptions {
  readonly listen: ListenAddress;
  /** What requests are answered with; what is not 2xx stores nothing. 204 by default. */
  readonly status?: number;
  /** Before the answer, ms. */
  readonly delayMs?: number;
  /** Called for each sample that is stored. */
  readonly onSample?: (sample: ReceivedSample) => void;
}

/** What has come so far. */
export interface SinkReport extends Verdict {
  readonly requests: number;
  /** Requests by version. */
  readonly versions: Readonly<Record<'1.0' | '2.0', number>>;
  readonly bytes: number;
  readonly histograms: number;
  readonly exemplars: number;
  readonly metadata: number;
  /** How often a sender did what a sender must not do; `faults` has the first of each kind. */
  readonly faultCount: number;
  readonly faults: readonly string[];
}

const MOST_BYTES = 256 * 2 ** 20;
const MOST_FAULTS = 20;

/**
 * A remote-write receiver, 1.0 and 2.0, that keeps no sample: it counts, and says what is wrong with what it is sent
 * and how. What one reaches for to look at a sender. Requests may come to any path.
 */
export class TrafficSink {
  /** How the next requests are answered; may be changed at any time. */
  status: number;
  delayMs: number;
  readonly #options: SinkOptions;
  readonly #server = createServer(
    { requestTimeout: 0 },
    (request, response) => void this.#handle(request, response),
  );
  readonly #verifier = new TrafficVerifier();
  readonly #faults: Map<string, number> = new Map();
  readonly #versions = { '1.0': 0, '2.0': 0 };
  readonly #scratch: Scratch = new Scratch();
  #faultCount = 0;
  #requests = 0;
  #bytes = 0;
  #histograms = 0;
  #exemplars = 0;
  #metadata = 0;

  private constructor(options: SinkOptions) {
    this.#options = options;
    this.status = options.status ?? 204;
    this.delayMs = options.delayMs ?? 0;
  }

  /** Listens. Rejects with what the system says. */
  static async start(options: SinkOptions): Promise<TrafficSink> {
    const sink = new TrafficSink(options);
    const { host, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      sink.#server.once('error', reject);
      sink.#server.listen(port, host === '' ? undefined : host, resolve);
    });
    return sink;
  }

  /** Where senders reach it from this machine. */
  get url(): string {
    const { host } = this.#options.listen;
    const here = host === '' || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    const { port } = this.#server.address() as AddressInfo;
    return `http://${here.includes(':') ? `[${here}]` : here}:${port}/api/v1/write`;
  }

  get report(): SinkReport {
    return {
      ...this.#verifier.verdict,
      requests: this.#requests,
      versions: { ...this.#versions },
      bytes: this.#bytes,
      histograms: this.#histograms,
      exemplars: this.#exemplars,
      metadata: this.#metadata,
      faultCount: this.#faultCount,
      faults: [...this.#faults].map(([what, times]) => (times === 1 ? what : `${what} (${times} times)`)),
    };
  }

  /** Closes the listener and every connection. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.method !== 'POST') {
        response.writeHead(405, { Allow: 'POST' }).end('this is a remote-write receiver: POST\n');
        return;
      }
      const parts: Buffer[] = [];
      for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
      const body = Buffer.concat(parts);
      const { status, delayMs } = this;
      this.#requests++;
      this.#bytes += body.length;
      const { 'content-type': type = '' } = request.headers;
      const version = type.includes('io.prometheus.write.v2.Request') ? '2.0' : '1.0';
      this.#versions[version]++;
      for (const fault of headerFaults(request.headers, version)) this.#fault(fault);
      // Decoded at once, and stored only when it is said to be: what is refused comes again.
      const stored = status >= 200 && status < 300;
      let counts: Readonly<Record<string, number>>;
      try {
        counts = version === '2.0' ? this.#takeV2(body, stored) : this.#takeV1(body, stored);
      } catch (error) {
        this.#fault(`a body that cannot be read: ${describeError(error)}`);
        response.writeHead(400).end(`${describeError(error)}\n`);
        return;
      }
      if (delayMs > 0) await sleep(delayMs);
      response.writeHead(status, version === '2.0' && stored ? writtenHeaders(counts) : {}).end();
    } catch (error) {
      // A connection that was cut while its body came: nothing arrived.
      if (!request.destroyed) this.#fault(describeError(error));
      response.destroy();
    }
  }

  #takeV1(body: Uint8Array, stored: boolean): Record<string, number> {
    const { timeseries, metadata } = decodeWriteRequestV1(this.#raw(body));
    const counts = { Samples: 0, Histograms: 0, Exemplars: 0 };
    for (const { labels, samples, histograms, exemplars } of timeseries) {
      counts.Samples += samples.length;
      counts.Histograms += histograms.length;
      counts.Exemplars += exemplars.length;
      this.#take(labels, samples, stored);
    }
    if (stored) this.#metadata += metadata.length;
    return this.#count(counts, stored);
  }

  #takeV2(body: Uint8Array, stored: boolean): Record<string, number> {
    const message = decodeWriteRequestV2(this.#raw(body));
    for (const fault of symbolFaults(message)) this.#fault(fault);
    const counts = { Samples: 0, Histograms: 0, Exemplars: 0 };
    for (const { labelsRefs, samples, histograms, exemplars, metadata } of message.timeseries) {
      const labels: Label[] = [];
      for (let i = 0; i + 1 < labelsRefs.length; i += 2) {
        const name = message.symbols[labelsRefs[i]!] ?? '?';
        labels.push({ name, value: message.symbols[labelsRefs[i + 1]!] ?? '?' });
      }
      counts.Samples += samples.length;
      counts.Histograms += histograms.length;
      counts.Exemplars += exemplars.length;
      if (stored && metadata !== null) this.#metadata++;
      this.#take(labels, samples, stored);
    }
    return this.#count(counts, stored);
  }

  #take(
    labels: readonly Label[],
    samples: readonly { readonly timestamp: bigint; readonly valueBits: bigint }[],
    stored: boolean,
  ): void {
    const fault = labelFault(labels);
    if (fault !== undefined) this.#fault(fault);
    if (!stored) return;
    const byName = Object.fromEntries(labels.map(({ name, value }) => [name, value]));
    this.#verifier.add(JSON.stringify(labels.map(({ name, value }) => [name, value])), byName, samples);
    const { onSample } = this.#options;
    if (onSample !== undefined) for (const sample of samples) onSample({ labels: byName, ...sample });
  }

  #count(
    counts: { readonly Samples: number; readonly Histograms: number; readonly Exemplars: number },
    stored: boolean,
  ): Record<string, number> {
    if (stored) {
      this.#histograms += counts.Histograms;
      this.#exemplars += counts.Exemplars;
    }
    return counts;
  }

  #raw(body: Uint8Array): Uint8Array {
    const length = uncompress(body, this.#scratch, MOST_BYTES);
    return this.#scratch.bytes.subarray(0, length);
  }

  #fault(what: string): void {
    this.#faultCount++;
    const times = this.#faults.get(what);
    if (times !== undefined || this.#faults.size < MOST_FAULTS) this.#faults.set(what, (times ?? 0) + 1);
  }
}

function writtenHeaders(counts: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(counts).map(([kind, rows]) => [`X-Prometheus-Remote-Write-${kind}-Written`, String(rows)]),
  );
}
