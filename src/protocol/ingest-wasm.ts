import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import * as at from './assembly/layout.ts';
import type { IngestReport } from './ingest-report.ts';
import { IngestRequest, ingestField, ingestSeries } from './ingest-v1.ts';
import { WasmIngestV2 } from './ingest-wasm-v2.ts';
import { IngestWorkspace } from './ingest-workspace.ts';
import type { IngestLimits } from './limits.ts';
import { ProtoReader } from './proto-reader.ts';

/** Drives the loop in WebAssembly, and does what it hands back. Its memory is that of an `IngestWorkspace`. */
export class WasmIngest {
  readonly #workspace: IngestWorkspace;
  readonly #v2: WasmIngestV2;
  /** The series of the labels at hand, when they were unknown to the table. */
  #interned = -1;

  /** `mostEntries` as for `IngestWorkspace`. */
  constructor(mostEntries?: number) {
    this.#workspace = new IngestWorkspace(mostEntries);
    this.#v2 = new WasmIngestV2(this.#workspace);
  }

  /** Bytes of memory that the module holds. */
  get memoryBytes(): number {
    return this.#workspace.memory.bytes.length;
  }

  /** For tests: requests of 2.0 that were read in TypeScript from end to end. An ordinary one is not. */
  get leftToTypeScript(): number {
    return this.#v2.leftToTypeScript;
  }

  /** As `IngestWorkspace.uncompress`. */
  uncompress(body: Uint8Array, length: number, dictionary: Dictionary): Uint8Array | undefined {
    return this.#workspace.uncompress(body, length, dictionary);
  }

  /** Ingests the `length` bytes that were uncompressed last; results and errors are those of `ingestV2`. */
  ingestV2(length: number, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport {
    return this.#v2.ingest(length, limits, dictionary, batch);
  }

  /** Ingests the `length` bytes that were uncompressed last; results and errors are those of `ingestV1`. */
  ingest(length: number, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport {
    const { memory } = this.#workspace;
    this.#workspace.internWithin(limits.labels, dictionary);
    const request: IngestRequest = new IngestRequest(
      memory.raw,
      memory.rawView,
      length,
      dictionary,
      batch,
      limits,
      (raw, view, start, end) => this.#intern(request, raw, view, start, end),
    );
    memory.set(at.AT, memory.target);
    memory.set(at.END, memory.target + length);
    memory.set(at.FIELDS_LEFT, Math.min(limits.series, 0xffffffff));
    this.#workspace.begin(batch, dictionary, rowsLeft(request));
    for (;;) {
      const status = memory.module.run();
      this.#workspace.adoptSeries(dictionary);
      if (status === at.NEW_LABEL) this.#takeLabel(request);
      else if (status === at.UNKNOWN) this.#takeUnknown(request);
      else if (status === at.ROOM) this.#makeRoomInTable(request, 1);
      else {
        this.#workspace.handOver(batch);
        request.samples = memory.get(at.SAMPLES);
        if (status === at.DONE) break;
        if (status === at.ODD) this.#readField(request);
      }
    }
    return request.finish(this.#workspace.newestMs);
  }

  /** A label that is not in the table, of a series that is not either. */
  #takeLabel(request: IngestRequest): void {
    const { memory } = this.#workspace;
    const { dictionary, raw } = request;
    const start = memory.get(at.LABEL_AT) - memory.target;
    const reader = new ProtoReader(raw, start, request.length);
    reader.tag();
    const length = reader.length();
    const end = reader.at + length;
    const pair = dictionary.internPair(raw, request.view, reader.at, end);
    if (pair < 0 || !dictionary.isWrittenAs(pair, raw, start, end)) {
      memory.set(at.LABEL_AT, 0);
      this.#takeUnknown(request);
      return;
    }
    this.#makeRoomInTable(request, 2);
    // Where the table has to start anew, this series does so, too.
    if (memory.get(at.LABEL_AT) === 0) return;
    dictionary.countBlocks(2);
    const { pairName, pairHash } = dictionary;
    memory.module.learnPair(pair, pairName[pair]!, pairHash[2 * pair]!, pairHash[2 * pair + 1]!);
  }

  /** A series of plain samples that is not in the table. */
  #takeUnknown(request: IngestRequest): void {
    const { memory } = this.#workspace;
    const { dictionary } = request;
    const start = memory.get(at.LABELS_START) - memory.target;
    const end = memory.get(at.LABELS_END) - memory.target;
    const series = dictionary.internLabels(request.raw, request.view, start, end);
    if (series >= 0) {
      this.#makeRoomInTable(request, 1);
      dictionary.countBlocks(1);
      memory.module.take(series);
      this.#learnSeries(request);
      return;
    }
    const fieldEnd = memory.get(at.FIELD_END) - memory.target;
    request.refuseSeries(dictionary.invalid, memory.get(at.ROWS), start, fieldEnd);
    this.#workspace.setRowsLeft(rowsLeft(request));
    memory.module.pass();
  }

  /** The field at the cursor, by the code that reads all there is. The columns have been handed over. */
  #readField(request: IngestRequest): void {
    const { memory } = this.#workspace;
    const { target } = memory;
    const from = memory.get(at.AT) - target;
    if (memory.get(at.FIELDS_LEFT) === 0) throw request.tooManyFields(from);
    const series = memory.get(at.FOUND) | 0;
    this.#interned = -1;
    let end: number;
    if (series < 0) end = ingestField(request, from);
    else {
      const labels = memory.get(at.LABELS_START) - target;
      const labelsEnd = memory.get(at.LABELS_END) - target;
      end = ingestSeries(request, labels, memory.get(at.FIELD_END) - target, series, labelsEnd);
    }
    if (this.#interned >= 0) {
      this.#makeRoomInTable(request, 1);
      request.dictionary.countBlocks(1);
      memory.module.remember(this.#interned);
    }
    this.#learnSeries(request);
    memory.set(at.FIELD_END, target + end);
    memory.module.pass();
    this.#workspace.goOnBehind(request.batch, rowsLeft(request));
  }

  #intern(request: IngestRequest, raw: Uint8Array, view: DataView, start: number, end: number): number {
    const series = request.dictionary.internLabels(raw, view, start, end);
    const { memory } = this.#workspace;
    // Entered into the table later: it may have to grow, and the views would be empty ones while they are read.
    if (
      raw === request.raw &&
      memory.get(at.LABELS_START) === memory.target + start &&
      memory.get(at.LABELS_END) === memory.target + end
    )
      this.#interned = series;
    return series;
  }

  #makeRoomInTable(request: IngestRequest, entries: number): void {
    this.#workspace.makeRoomInTable(entries);
    this.#renewViews(request);
  }

  #learnSeries(request: IngestRequest): void {
    this.#workspace.learnSeries(request.dictionary);
    this.#renewViews(request);
  }

  #renewViews(request: IngestRequest): void {
    request.raw = this.#workspace.memory.raw;
    request.view = this.#workspace.memory.rawView;
  }
}

function rowsLeft({ limits, rows }: IngestRequest): number {
  return limits.rows - rows;
}
