import type { FileQueue } from '../filequeue/file-queue.ts';
import type { IngestReport } from '../protocol/ingest-report.ts';
import { ingestV1 } from '../protocol/ingest-v1.ts';
import type { IngestKernel, WriteVersion } from '../protocol/kernel.ts';
import { type IngestLimits, noLimits } from '../protocol/limits.ts';
import { checkTenant } from '../protocol/tenant-id.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { Column } from '../serialization/columns.ts';
import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import { type Histogram, type Labels, RowEncoder, type Value } from './encode.ts';

/** An appender was used after its transaction had ended. */
export class TransactionEndedError extends SpillwayError {
  readonly code = 'TRANSACTION_ENDED';
}

/** Metadata of a metric family. */
export interface Metadata {
  /** As in remote write 1.0: 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, ... */
  readonly type: number;
  readonly help: string;
  readonly unit: string;
}

/** What an appender hands its transaction to. */
export interface AppenderTarget {
  readonly queue: FileQueue;
  readonly kernel: IngestKernel;
  /** Of requests. What a program appends itself is held to those of labels alone. */
  readonly limits: IngestLimits;
  /** Told of every commit: the rows that it took or refused. */
  readonly onReport: (report: IngestReport) => void;
}

/**
 * One transaction: collects rows, then commits all of them or none.
 *
 * What is appended is kept as bytes of a remote write message, so that rows that a program appends and rows that
 * came over the network take one and the same way into the queue. Nothing reaches the queue before `commit`.
 * A transaction ends with `commit` or `rollback`.
 */
export class Appender {
  readonly #target: AppenderTarget;
  /** What was appended row by row, once something was: most transactions are a request and nothing else. */
  #rows: Column | undefined;
  #encoder: RowEncoder | undefined;
  #body: Uint8Array | undefined;
  #tenant: Uint8Array = NO_TENANT;
  #version: WriteVersion = '1.0';
  #ended = false;
  #report: IngestReport | undefined;

  constructor(target: AppenderTarget) {
    this.#target = target;
  }

  /** Whose all rows of this transaction are. Throws `InvalidTenantError`. */
  setTenant(tenant: string): void {
    this.#open();
    checkTenant(tenant);
    this.#tenant = new TextEncoder().encode(tenant);
  }

  /** Appends a sample. Throws `InvalidSeriesError`. */
  append(labels: Labels, timestampMs: number | bigint, value: Value): void {
    this.#open();
    this.#encode().sample(labels, timestampMs, value);
  }

  /** Appends a native histogram. Throws `InvalidSeriesError`. */
  appendHistogram(labels: Labels, timestampMs: number | bigint, histogram: Histogram): void {
    this.#open();
    this.#encode().histogram(labels, timestampMs, histogram);
  }

  /** Appends an exemplar of a series. Throws `InvalidSeriesError`. */
  appendExemplar(
    labels: Labels,
    exemplar: { readonly labels: Labels; readonly timestampMs: number | bigint; readonly value: Value },
  ): void {
    this.#open();
    this.#encode().exemplar(labels, exemplar);
  }

  /** Sets the metadata of a metric family. Throws `InvalidSeriesError`. */
  updateMetadata(family: string, metadata: Metadata): void {
    this.#open();
    this.#encode().metadata(family, metadata);
  }

  /**
   * Appends all of a remote write request of this version, a snappy block as it came. It is looked at in `commit`,
   * and must not change before; at most one a transaction.
   */
  appendRequest(body: Uint8Array, version: WriteVersion = '1.0'): void {
    this.#open();
    if (this.#body !== undefined) throw new TransactionEndedError('a transaction takes one request');
    this.#body = body;
    this.#version = version;
  }

  /**
   * Makes all of it durable: resolves after fsync. Rejects with `CommitError` (retryable) when it could not be
   * written, with `SnappyError` or `MalformedError` for a request that cannot be read, and with `LimitError` for
   * one that is too large; then nothing of the transaction is kept. Series that are invalid are left out and named
   * in `report`.
   */
  commit(): Promise<void> {
    this.#open();
    this.#ended = true;
    const { queue, kernel, limits, onReport } = this.#target;
    try {
      const { result, durable } = queue.append((dictionary, batch) =>
        forTenant(this.#tenant, dictionary, batch, () => {
          const body = this.#body;
          const ingest = (bytes: Uint8Array) =>
            this.#version === '2.0'
              ? kernel.ingestV2(bytes, limits, dictionary, batch)
              : kernel.ingestV1(bytes, limits, dictionary, batch);
          const rows = this.#rows;
          if (body !== undefined && (rows === undefined || rows.length === 0)) return ingest(body);
          rows?.reserve(16);
          const { bytes, length } = rows ?? NO_ROWS;
          const view = new DataView(bytes.buffer);
          const report = ingestV1(bytes, view, length, dictionary, batch, withoutSize(limits));
          return body === undefined ? report : merge(report, ingest(body));
        }),
      );
      this.#report = result;
      onReport(result);
      return durable;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Forgets all of it. */
  rollback(): void {
    this.#open();
    this.#ended = true;
    this.#rows = undefined;
    this.#encoder = undefined;
    this.#body = undefined;
  }

  /** What became of the rows; undefined before `commit`. */
  get report(): IngestReport | undefined {
    return this.#report;
  }

  #encode(): RowEncoder {
    this.#rows ??= new Column();
    this.#encoder ??= new RowEncoder(this.#rows);
    return this.#encoder;
  }

  #open(): void {
    if (this.#ended) throw new TransactionEndedError('the transaction has ended; take a new appender');
  }
}

const NO_TENANT = new Uint8Array(0);
/** With the slack that is read over. */
const NO_ROWS = { bytes: new Uint8Array(16), length: 0 };

/** What `ingest` takes is of this tenant: series and metadata, of whichever protocol. */
function forTenant<T>(tenant: Uint8Array, dictionary: Dictionary, batch: RowBatch, ingest: () => T): T {
  batch.tenant = dictionary.useTenant(tenant);
  try {
    return ingest();
  } finally {
    batch.tenant = dictionary.useTenant(NO_TENANT);
  }
}

/** A program appends as much as it likes; a label that is too long for a request is too long for a program. */
function withoutSize({ labels, nameBytes, valueBytes }: IngestLimits): IngestLimits {
  return { ...noLimits, labels, nameBytes, valueBytes };
}

function merge(a: IngestReport, b: IngestReport): IngestReport {
  const refused = new Map(a.refused);
  for (const [reason, rows] of b.refused) refused.set(reason, (refused.get(reason) ?? 0) + rows);
  return {
    samples: a.samples + b.samples,
    histograms: a.histograms + b.histograms,
    exemplars: a.exemplars + b.exemplars,
    metadata: a.metadata + b.metadata,
    refused,
    dropped: a.dropped + b.dropped,
    droppedHistograms: a.droppedHistograms + b.droppedHistograms,
    droppedExemplars: a.droppedExemplars + b.droppedExemplars,
    expandedBytes: a.expandedBytes + b.expandedBytes,
    firstRefused: a.firstRefused ?? b.firstRefused,
    newestMs: Math.max(a.newestMs, b.newestMs),
  };
}
