import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ListenAddress } from '../config/addresses.ts';
import type { Written } from '../network/written.ts';
import {
  decodeWriteRequestV1,
  decodeWriteRequestV2,
  type HistogramV1,
  type Label,
} from '../protocol/schema.ts';
import { Scratch, uncompress } from '../protocol/snappy.ts';
import { answerEarly } from '../receiver/early-answer.ts';
import { describeError } from '../runtime/errors.ts';
import { loadMetadata } from './load-shape.ts';
import { headerFaults, labelFault, symbolFaults } from './request-faults.ts';
import { type SeriesRows, TrafficVerifier, type Verdict } from './verifier.ts';

type Labels = Readonly<Record<string, string>>;

/** A row as it came: a sample, a histogram or an exemplar; `startTimestamp` is 0 where there is none. */
export interface ReceivedRow {
  readonly labels: Labels;
  readonly timestamp: bigint;
  readonly startTimestamp: bigint;
  readonly value:
    | { readonly kind: 'sample'; readonly bits: bigint }
    | { readonly kind: 'histogram'; readonly histogram: HistogramV1 }
    | { readonly kind: 'exemplar'; readonly bits: bigint; readonly labels: Labels };
}

/** A request as it was answered. `written` are the counts of a 2.0 answer. */
export interface AnsweredRequest {
  readonly version: '1.0' | '2.0';
  readonly bytes: number;
  readonly status: number;
  readonly written: Written | undefined;
}

export interface SinkOptions {
  readonly listen: ListenAddress;
  /** What requests are answered with; what is not 2xx stores nothing. 204 by default. */
  readonly status?: number;
  /** Before the answer, ms. */
  readonly delayMs?: number;
  /** Called for each row that is stored. */
  readonly onRow?: (row: ReceivedRow) => void;
  /** Called for each request, behind its rows; the answer waits for it. */
  readonly onRequest?: (request: AnsweredRequest) => Promise<void>;
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
  /** What the answers to 2.0 requests said in their `X-Prometheus-Remote-Write-*-Written`, in all. */
  readonly written: Written;
  /** How often a sender did what a sender must not do; `faults` has the first of each kind. */
  readonly faultCount: number;
  readonly faults: readonly string[];
}

/** Of a body, as it comes and decompressed: what Prometheus and Spillway take by default. */
const MOST_BYTES = 32 * 2 ** 20;
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
  readonly #written = { samples: 0, histograms: 0, exemplars: 0 };

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
      written: { ...this.#written },
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
      const body = await bodyOf(request);
      if (body === undefined) {
        this.#fault(TOO_LARGE);
        answerEarly(request, response, 413, {}, `${TOO_LARGE}\n`);
        return;
      }
      const { status, delayMs } = this;
      this.#requests++;
      this.#bytes += body.length;
      const { 'content-type': type = '' } = request.headers;
      const version = type.includes('io.prometheus.write.v2.Request') ? '2.0' : '1.0';
      this.#versions[version]++;
      for (const fault of headerFaults(request.headers, version)) this.#fault(fault);
      // Decoded at once, and stored only when it is said to be: what is refused comes again.
      const stored = status >= 200 && status < 300;
      let counts: Written;
      try {
        counts = version === '2.0' ? this.#takeV2(body, stored) : this.#takeV1(body, stored);
      } catch (error) {
        this.#fault(`a body that cannot be read: ${describeError(error)}`);
        await this.#options.onRequest?.({ version, bytes: body.length, status: 400, written: undefined });
        response.writeHead(400).end(`${describeError(error)}\n`);
        return;
      }
      if (delayMs > 0) await sleep(delayMs);
      const written = version === '2.0' && stored ? counts : undefined;
      for (const kind of written === undefined ? [] : kinds) this.#written[kind] += counts[kind];
      await this.#options.onRequest?.({ version, bytes: body.length, status, written });
      response.writeHead(status, written === undefined ? {} : writtenHeaders(written)).end();
    } catch (error) {
      // A connection that was cut while its body came: nothing arrived.
      if (request.complete) this.#fault(describeError(error));
      response.destroy();
    }
  }

  #takeV1(body: Uint8Array, stored: boolean): Written {
    const { timeseries, metadata } = decodeWriteRequestV1(this.#raw(body));
    const counts = { samples: 0, histograms: 0, exemplars: 0 };
    for (const { labels, samples, histograms, exemplars } of timeseries) {
      const rows = { samples, histograms, exemplars: exemplars.map(withNames) };
      this.#take(labels, rows, counts, stored);
    }
    if (stored) this.#metadata += metadata.length;
    return counts;
  }

  #takeV2(body: Uint8Array, stored: boolean): Written {
    const message = decodeWriteRequestV2(this.#raw(body));
    for (const fault of symbolFaults(message)) this.#fault(fault);
    const counts = { samples: 0, histograms: 0, exemplars: 0 };
    const labelsOf = (refs: readonly number[]): Label[] => {
      const labels: Label[] = [];
      for (let i = 0; i + 1 < refs.length; i += 2) {
        const name = message.symbols[refs[i]!] ?? '?';
        labels.push({ name, value: message.symbols[refs[i + 1]!] ?? '?' });
      }
      return labels;
    };
    for (const { labelsRefs, samples, histograms, exemplars, metadata } of message.timeseries) {
      const labels = labelsOf(labelsRefs);
      if (stored && metadata !== null) this.#metadata++;
      const known = loadMetadata[labels.find(({ name }) => name === '__name__')?.value ?? ''];
      if (metadata !== null && known !== undefined && metadata.type !== known.type) {
        this.#fault(`spillway load with metadata of another type: ${metadata.type}`);
      }
      const named = exemplars.map((one) => withNames({ ...one, labels: labelsOf(one.labelsRefs) }));
      this.#take(labels, { samples, histograms, exemplars: named }, counts, stored);
    }
    return counts;
  }

  #take(
    labels: readonly Label[],
    rows: Required<SeriesRows>,
    counts: { -readonly [Kind in keyof Written]: number },
    stored: boolean,
  ): void {
    for (const kind of kinds) counts[kind] += rows[kind].length;
    const fault = labelFault(labels);
    if (fault !== undefined) this.#fault(fault);
    if (!stored) return;
    this.#histograms += rows.histograms.length;
    this.#exemplars += rows.exemplars.length;
    const byName = Object.fromEntries(labels.map(({ name, value }) => [name, value]));
    this.#verifier.add(JSON.stringify(labels.map(({ name, value }) => [name, value])), byName, rows);
    const { onRow } = this.#options;
    if (onRow === undefined) return;
    const of = (row: { timestamp: bigint; startTimestamp?: bigint }, value: ReceivedRow['value']): void =>
      onRow({ labels: byName, timestamp: row.timestamp, startTimestamp: row.startTimestamp ?? 0n, value });
    for (const row of rows.samples) of(row, { kind: 'sample', bits: row.valueBits });
    for (const row of rows.histograms) of(row, { kind: 'histogram', histogram: row });
    for (const row of rows.exemplars) {
      of(row, { kind: 'exemplar', bits: row.valueBits, labels: row.labels });
    }
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

const TOO_LARGE = `a body of more than ${MOST_BYTES / 2 ** 20} MiB, which receivers refuse`;

/** Undefined when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MOST_BYTES) return undefined;
  const parts: Buffer[] = [];
  let bytes = 0;
  // Not destroyed: some of the rest is read over while the answer leaves.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MOST_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const kinds = ['samples', 'histograms', 'exemplars'] as const;

function withNames<T extends { readonly labels: readonly Label[] }>(
  row: T,
): Omit<T, 'labels'> & { labels: Labels } {
  return { ...row, labels: Object.fromEntries(row.labels.map(({ name, value }) => [name, value])) };
}

function writtenHeaders({ samples, histograms, exemplars }: Written): Record<string, string> {
  return {
    'X-Prometheus-Remote-Write-Samples-Written': String(samples),
    'X-Prometheus-Remote-Write-Histograms-Written': String(histograms),
    'X-Prometheus-Remote-Write-Exemplars-Written': String(exemplars),
  };
}
