import type { WasmMemory } from './wasm-module.ts';

/** What assembly/emit.ts exports. */
export interface EmitExports {
  readonly memory: WasmMemory;
  heapBase(): number;
  place(
    labels: number,
    slotAt: number,
    slotSeen: number,
    seriesSlots: number,
    seriesAt: number,
    seriesBytes: number,
  ): void;
  placeSeriesColumns(
    slotAt: number,
    slotRoom: number,
    pairSlot: number,
    pairRoom: number,
    seriesSlots: number,
    seriesSlotRoom: number,
    seriesAt: number,
    seriesBytes: number,
    seriesRoom: number,
  ): void;
  placeSeries(
    first: number,
    added: number,
    counts: number,
    pairs: number,
    end: number,
    pairCount: number,
    slotCount: number,
  ): number;
  forget(slots: number): void;
  placePayloads(at: number, size: number, from: number): void;
  measure(rows: number, count: number, series: number): number;
  emit(
    rows: number,
    count: number,
    rawBytes: number,
    base: number,
    slots: number,
    series: number,
    out: number,
    outEnd: number,
  ): number;
  shrink(
    body: number,
    bodyEnd: number,
    rawBytes: number,
    plain: number,
    table: number,
    out: number,
    outEnd: number,
  ): number;
  placeV2(
    labels: number,
    slots: number,
    strings: number,
    families: number,
    seriesSlots: number,
    seriesAt: number,
    seriesBytes: number,
  ): void;
  roomV2(rows: number, count: number, started: boolean, series: number): number;
  writeV2(
    rows: number,
    count: number,
    started: boolean,
    series: number,
    slots: number,
    strings: number,
    families: number,
    request: number,
    order: number,
    area: number,
    areaEnd: number,
  ): number;
  symbolsV2(): number;
  writeSymbolsV2(start: number, end: number): void;
  compressDense(plain: number, rawBytes: number, room: number, out: number, outEnd: number): number;
  compressV2(plain: number, rawBytes: number, table: number, out: number, outEnd: number): number;
}
