import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import * as at from './assembly/layout.ts';
import type { IngestReport } from './ingest-report.ts';
import { ingestV2, inRequest, mostSymbols, takeSeries } from './ingest-v2.ts';
import type { IngestWorkspace } from './ingest-workspace.ts';
import type { IngestLimits } from './limits.ts';
import { mostLabelBytes, RequestV2 } from './request-v2.ts';
import { Symbols } from './symbols.ts';

/**
 * Drives the loop in WebAssembly for remote write 2.0 (assembly/ingest-v2.ts), and does what it hands back: what is
 * new, and what no usual sender writes. A request is read in TypeScript from end to end when it
 *
 *  - has other fields than symbols and series, or more of these than the limits let in,
 *  - has more symbols than there is room for: the next one finds room,
 *  - may have more bytes of labels than may be looked up for a request. The module knows labels without looking them
 *    up, so it could not tell where the limit is passed.
 */
export class WasmIngestV2 {
  readonly #workspace: IngestWorkspace;
  readonly #symbols: Symbols = new Symbols();
  /** `#symbols` are those of the request at hand. They are for what the module does not read, and filled late. */
  #loaded = false;
  /**
   * Requests that were read in TypeScript from end to end. For tests, which could not tell otherwise that the module
   * read anything. No metric: what it costs is CPU, which is seen; and nobody but the author of a sender can change it.
   */
  leftToTypeScript = 0;

  constructor(workspace: IngestWorkspace) {
    this.#workspace = workspace;
  }

  /** Ingests the `length` bytes that were uncompressed last; results and errors are those of `ingestV2`. */
  ingest(length: number, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport {
    const { raw, rawView } = this.#workspace.memory;
    if (!this.#scan(length, limits)) {
      this.leftToTypeScript++;
      return ingestV2(raw, rawView, length, dictionary, batch, limits, this.#symbols);
    }
    this.#loaded = false;
    const report = inRequest(dictionary, limits, () => {
      const request = new RequestV2(raw, rawView, length, this.#symbols, dictionary, batch, limits);
      this.#run(request);
      return request.report;
    });
    this.#workspace.ask({ metadata: dictionary.seriesCount });
    return report;
  }

  /** Finds the symbols. False when the request is not for the module. */
  #scan(length: number, limits: IngestLimits): boolean {
    const { memory } = this.#workspace;
    const { module, target, rooms } = memory;
    if (module.scan(target, target + length, word(mostSymbols(limits)), word(limits.series)) === 0)
      return false;
    const symbols = memory.get(at.SYMBOL_COUNT);
    this.#workspace.ask({ symbols });
    if (symbols > rooms.symbols) return false;
    // There is a ref a byte at most; one long symbol makes that far more than there is.
    const most = mostLabelBytes(limits);
    return length * memory.get(at.LONGEST_SYMBOL) <= most || module.labelBytes(target + length) <= most;
  }

  #run(request: RequestV2): void {
    const { dictionary, batch, limits } = request;
    const workspace = this.#workspace;
    const { memory } = workspace;
    memory.set(at.AT, memory.get(at.SERIES_AT));
    memory.set(at.END, memory.target + request.length);
    memory.set(at.MOST_REFS, Math.min(2 * limits.labels, at.REFS));
    memory.set(at.MOST_TEXT, word(limits.valueBytes));
    workspace.begin(batch, dictionary, limits.rows);
    let status: number = at.FULL;
    while (status !== at.DONE) {
      status = memory.module.runV2();
      if (status === at.UNKNOWN) this.#takeUnknown(request);
      else if (status === at.SAID) this.#take(request, memory.get(at.FOUND));
      else if (status === at.ROOM) this.#makeRoom(request, at.REFS + 1);
      else {
        this.#handOver(request);
        if (status === at.ODD) this.#readSeries(request);
      }
    }
  }

  /** A series of plain samples whose labels are not in the table. */
  #takeUnknown(request: RequestV2): void {
    const { memory } = this.#workspace;
    const { dictionary, limits } = request;
    const refs = memory.refs;
    const count = memory.get(at.REF_COUNT);
    this.#load(request);
    const series = request.internRefs(refs, count);
    if (series >= 0) {
      const before = memory.get(at.ENTRY_COUNT);
      memory.module.rememberRefs(series);
      dictionary.countBlocks(memory.get(at.ENTRY_COUNT) - before);
      this.#take(request, series);
      return;
    }
    const samples = memory.get(at.ROWS);
    request.rows += samples;
    request.refuseSeries(dictionary.invalid, { samples, histograms: 0, exemplars: 0 }, refs, count);
    this.#workspace.setRowsLeft(limits.rows - request.rows);
    memory.set(at.AT, memory.get(at.FIELD_END));
  }

  /** The samples at hand are of this series; its metadata may be new. */
  #take(request: RequestV2, series: number): void {
    const { memory } = this.#workspace;
    const { metadata } = request.dictionary;
    const [type, help, unit] = [memory.get(at.TYPE), memory.get(at.HELP), memory.get(at.UNIT)];
    if ((type | help | unit) !== 0 || metadata.hasSome(series)) {
      this.#load(request);
      // The samples before it keep their place, and stay in the columns: new series come one behind the other.
      this.#workspace.count(request.batch);
      request.storeMetadata(series, type, help, unit, memory.refs, memory.get(at.REF_COUNT));
    }
    memory.module.takeV2(series);
    if (help !== 0) this.#learn(request, help);
    if (unit !== 0) this.#learn(request, unit);
  }

  /** Tells the module which string of the dictionary a symbol is. */
  #learn(request: RequestV2, ref: number): void {
    const string = request.string(ref);
    if (string < 0) return;
    this.#makeRoom(request, 1);
    const { memory } = this.#workspace;
    const before = memory.get(at.ENTRY_COUNT);
    memory.module.learnText(ref, string);
    request.dictionary.countBlocks(memory.get(at.ENTRY_COUNT) - before);
  }

  /** The series at the cursor, by the code that reads all there is. The columns have been handed over. */
  #readSeries(request: RequestV2): void {
    const { memory } = this.#workspace;
    const { target } = memory;
    this.#load(request);
    takeSeries(request, memory.get(at.LABELS_START) - target, memory.get(at.FIELD_END) - target);
    memory.set(at.AT, memory.get(at.FIELD_END));
    this.#workspace.goOnBehind(request.batch, request.limits.rows - request.rows);
  }

  #load(request: RequestV2): void {
    if (this.#loaded) return;
    this.#loaded = true;
    const { memory } = this.#workspace;
    const [begins, ends] = memory.symbols(memory.get(at.SYMBOL_COUNT));
    request.symbols.load(begins, ends, memory.target);
  }

  #makeRoom(request: RequestV2, entries: number): void {
    this.#workspace.makeRoomInTable(entries);
    request.raw = this.#workspace.memory.raw;
    request.view = this.#workspace.memory.rawView;
  }

  /** Moves the rows in the columns to the batch, and counts them. */
  #handOver(request: RequestV2): void {
    const { memory } = this.#workspace;
    const samples = memory.get(at.SAMPLES);
    this.#workspace.handOver(request.batch);
    memory.set(at.SAMPLES, 0);
    request.rows += samples;
    request.report.samples += samples;
    this.#workspace.setRowsLeft(request.limits.rows - request.rows);
    if (samples > 0) request.report.newestMs = Math.max(request.report.newestMs, this.#workspace.newestMs);
  }
}

/** As a word of the memory. */
function word(limit: number): number {
  return Math.min(limit, 0xffffffff);
}
