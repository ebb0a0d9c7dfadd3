import type { IncomingMessage, ServerResponse } from 'node:http';
import { Appender } from './appender/appender.ts';
import type { Config } from './config/load.ts';
import type { FileQueue } from './filequeue/file-queue.ts';
import type { IngestReport } from './protocol/ingest-report.ts';
import { createKernel, type IngestKernel } from './protocol/kernel.ts';
import type { IngestLimits } from './protocol/limits.ts';
import { senderOf } from './receiver/senders.ts';
import { WriteHandler } from './receiver/write-handler.ts';
import { describeError } from './runtime/errors.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from './serialization/rows.ts';
import { ingestLimits } from './settings.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

export interface IntakeOptions {
  readonly config: Config;
  /** What rows are appended to; undefined while none are taken. */
  readonly queue: () => FileQueue | undefined;
  /** The user that a request was let in as. */
  readonly userOf: (request: IncomingMessage) => string | undefined;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly now: () => number;
}

/**
 * The way in, for requests and for the program that the agent is built into: transactions under the limits that are in
 * force, counted as they end.
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #kernel: IngestKernel;
  #limits: IngestLimits;
  #writes: WriteHandler;
  #newestMs = Number.NEGATIVE_INFINITY;
  #receivedRows = 0;
  #refusedRows = 0;

  constructor(options: IntakeOptions) {
    const { config, logger } = options;
    this.#options = options;
    this.#kernel = createKernel(config.kernel, (error) => {
      logger.log('warn', 'decoding in TypeScript, which takes more CPU, since WebAssembly cannot be had', {
        reason: describeError(error),
      });
    });
    this.#limits = ingestLimits(config);
    this.#writes = this.#newWrites(config);
  }

  /** Valid rows that came in since the start. */
  get receivedRows(): number {
    return this.#receivedRows;
  }

  /** Rows that were answered with a 400 since the start. */
  get refusedRows(): number {
    return this.#refusedRows;
  }

  /** Newest time among the rows received, ms; -Infinity before the first. */
  get newestMs(): number {
    return this.#newestMs;
  }

  /** Bytes of write requests that are held at this moment. */
  get inFlightBytes(): number {
    return this.#writes.inFlightBytes;
  }

  /** Answers a write request. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    return this.#writes.handle(request, response);
  }

  /** A new transaction; undefined while no rows are taken. */
  appender(): Appender | undefined {
    const queue = this.#options.queue();
    return (
      queue &&
      new Appender({
        queue,
        kernel: this.#kernel,
        limits: this.#limits,
        onReport: (report) => this.#reported(report),
      })
    );
  }

  /** Puts other limits in force. */
  configure(config: Config): void {
    this.#limits = ingestLimits(config);
    // Requests that are under way keep to the limits that they came in under.
    this.#writes = this.#newWrites(config);
  }

  #reported(report: IngestReport): void {
    const { metrics } = this.#options;
    const { receivedRows } = metrics.intake;
    receivedRows[SAMPLE]! += report.samples;
    receivedRows[HISTOGRAM]! += report.histograms;
    receivedRows[EXEMPLAR]! += report.exemplars;
    receivedRows[METADATA]! += report.metadata;
    this.#receivedRows += report.samples + report.histograms + report.exemplars + report.metadata;
    for (const [reason, rows] of report.refused) {
      metrics.refusedRows.inc({ reason }, rows);
      this.#refusedRows += rows;
    }
    if (report.dropped > 0) metrics.droppedRows.inc({ reason: 'dropped_by_relabel_configs' }, report.dropped);
    if (report.newestMs > this.#newestMs) this.#newestMs = report.newestMs;
  }

  #newWrites({ receiver }: Config): WriteHandler {
    const { userOf, metrics, logger, now } = this.#options;
    return new WriteHandler({
      maxRequestBytes: receiver.maxRequestBytes,
      maxInFlightBytes: receiver.maxInFlightBytes,
      bodyIdleMs: receiver.bodyIdleTimeoutMs,
      limits: this.#limits,
      perSender: receiver.perSender,
      senderOf: (request) => senderOf(request, receiver.perSender.header, userOf(request)),
      tenants: { header: receiver.tenantHeader, default: receiver.defaultTenant },
      appender: () => this.appender(),
      logger,
      now,
      onRequest: (status, bytes, seconds) => metrics.intake.answered(status, bytes, seconds),
      onLimited: (limit) => metrics.limitedRequests.inc({ limit }),
    });
  }
}
