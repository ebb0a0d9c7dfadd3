import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { WasmColumns } from '../../src/protocol/wasm-columns.ts';
import { Column } from '../../src/serialization/columns.ts';
import { HeapColumns, type LabelColumns } from '../../src/serialization/label-columns.ts';
import { SegmentDictionary } from '../../src/serialization/segment-dictionary.ts';
import { Choices } from '../reference/choices.ts';

/** The columns as they are, with a count of the frames that the module has placed. */
class CountedColumns extends WasmColumns {
  placed = 0;
  left = 0;

  override placeSeries(added: Parameters<LabelColumns['placeSeries']>[0]): boolean {
    const isPlaced = super.placeSeries(added);
    if (isPlaced) this.placed++;
    else this.left++;
    return isPlaced;
  }
}

/** A segment as two dictionaries have it: one in arrays, one in the memory of the module. */
class Both {
  readonly typescript: SegmentDictionary = new SegmentDictionary(undefined, new HeapColumns());
  readonly columns: CountedColumns = new CountedColumns();
  readonly wasm: SegmentDictionary = new SegmentDictionary(undefined, this.columns);

  /** Adds the same to both. They agree on what is wrong with it, and on what they hold then. */
  add(body: Readonly<Record<string, unknown>>): void {
    assert.deepEqual(outcome(this.wasm, body), outcome(this.typescript, body));
    const { wasm, typescript } = this;
    const { series } = typescript;
    assert.equal(wasm.series, series);
    assert.equal(wasm.slots, typescript.slots);
    assert.deepEqual(used(wasm.columns, series), used(typescript.columns, series));
    for (let id = 0; id < series; id++) {
      assert.equal(wasm.has(id), typescript.has(id));
      if (!wasm.has(id)) continue;
      assert.deepEqual(hashOf(wasm, id), hashOf(typescript, id), `hash of ${id}`);
    }
  }
}

function outcome(dictionary: SegmentDictionary, body: Readonly<Record<string, unknown>>): unknown {
  try {
    dictionary.add(body);
    return 'read';
  } catch (error) {
    return `${error}`;
  }
}

function used({ seriesAt, seriesSlots, seriesBytes }: LabelColumns, series: number): number[][] {
  return [
    [...seriesAt.subarray(0, series + 1)],
    [...seriesSlots.subarray(0, seriesAt[series])],
    [...seriesBytes.subarray(0, series)],
  ];
}

function hashOf({ seriesHash }: SegmentDictionary, id: number): number[] {
  return [...seriesHash.subarray(2 * id, 2 * id + 2)];
}

const STRINGS = 40;

/** Strings, and pairs of them; some pairs, and the strings of some, are missing. */
function addPairs(both: Both, choices: Choices): void {
  const lengths = new Column();
  const text = new Column();
  for (let i = 0; i < STRINGS; i++) {
    const bytes = Buffer.alloc(choices.chance(0.1) ? choices.int(0, 300) : choices.int(0, 12), 97 + (i % 26));
    lengths.putVarint(bytes.length);
    text.putBytes(bytes, 0, bytes.length);
  }
  both.add({ strings: { first: 2, lengths: lengths.used, bytes: text.used } });
  for (let first = choices.int(0, 3), frame = 0; frame < 3; frame++, first += 20 + choices.int(0, 3)) {
    const names = new Column();
    const values = new Column();
    for (let i = 0; i < 20; i++) {
      // As differences, up and down.
      names.putVarint(choices.int(0, 5));
      values.putVarint(choices.int(0, 6));
    }
    both.add({ pairs: { first, names: names.used, values: values.used } });
  }
}

/** The section of some series. What is wrong with it, if anything, is a matter of chance. */
function sectionOf(choices: Choices, first: number, damage: number): Record<string, unknown> {
  const counts = new Column();
  const pairs = new Column();
  const series = choices.int(0, 30);
  let before: number[] = [];
  for (let i = 0; i < series; i++) {
    const size = choices.chance(0.02) ? choices.int(0, 300) : choices.int(0, 24);
    const mostly = choices.chance(0.7);
    const own = Array.from({ length: size }, (_, k) =>
      mostly && k < before.length && !choices.chance(0.1) ? before[k]! : choices.int(0, 64),
    );
    counts.putVarint(size);
    for (const [k, pair] of own.entries()) {
      const delta = (pair - (before[k] ?? 0)) | 0;
      pairs.putVarint((delta << 1) ^ (delta >> 31));
    }
    before = own;
  }
  const hashes = Uint8Array.from({ length: 8 * series }, () => choices.int(0, 256));
  const section = { first, counts: counts.used, pairs: pairs.used, hashes };
  if (!choices.chance(damage)) return section;
  const column = choices.chance(0.5) ? section.counts : section.pairs;
  switch (choices.int(0, 4)) {
    case 0:
      if (column.length > 0) column[choices.int(0, column.length)] = choices.int(0, 256);
      return section;
    case 1:
      return { ...section, counts: section.counts.subarray(0, choices.int(0, section.counts.length + 1)) };
    case 2:
      return { ...section, pairs: section.pairs.subarray(0, choices.int(0, section.pairs.length + 1)) };
    default:
      return { ...section, hashes: hashes.subarray(0, choices.int(0, hashes.length + 1)) };
  }
}

describe('series placed in the memory of the module', () => {
  it('stand there as TypeScript places them, whatever is missing or wrong', (t: TestContext) => {
    let placed = 0;
    let left = 0;
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(0, 0.5), (seed, damage) => {
        const choices = new Choices(seed);
        const both = new Both();
        for (let turn = 0; turn < 3; turn++) {
          if (turn === 0) addPairs(both, choices);
          const gap = choices.chance(0.2) ? choices.int(0, 100) : 0;
          both.add({ series: sectionOf(choices, both.typescript.series + gap, damage) });
        }
        placed += both.columns.placed;
        left += both.columns.left;
      }),
      { numRuns: 300 },
    );
    t.diagnostic(`${placed} frames were placed there, ${left} were left to TypeScript`);
    assert.ok(placed > 300 && left > 50, 'both ways are taken');
  });

  it('have pairs of any number, and numbers in more bytes than they need', () => {
    const both = new Both();
    addPairs(both, new Choices(1));
    const hashes = (series: number) => new Uint8Array(8 * series).fill(7);
    const bytes = (...list: number[]) => Uint8Array.from(list);
    for (const [counts, pairs] of [
      [bytes(0x81, 0x00), bytes(0x08)],
      [bytes(0x01), bytes(0x88, 0x80, 0x00)],
      [bytes(0x01), bytes(0xff, 0xff, 0xff, 0xff, 0x0f)],
      [bytes(0x01), bytes(0xfe, 0xff, 0xff, 0xff, 0xff, 0x01)],
      [bytes(0x81, 0x80, 0x00), bytes(0x08)],
      [bytes(0x00), bytes()],
      [bytes(0x02, 0x02, 0x01), bytes(0x08, 0x08, 0x01, 0x01, 0x02)],
      [bytes(0x00, 0x01), bytes(0x08)],
      [bytes(0x01, 0x01), bytes(0x08)],
      [bytes(0x01), bytes(0x08, 0x08)],
      [bytes(0xff, 0xff, 0xff, 0xff, 0x0f), bytes(0x08)],
    ] as const) {
      const series = counts.filter((b) => b < 0x80).length;
      both.add({ series: { first: both.typescript.series, counts, pairs, hashes: hashes(series) } });
    }
    both.add({ series: { first: 2 ** 27, counts: bytes(1), pairs: bytes(8), hashes: hashes(1) } });
    both.add({ series: { first: 0, counts: bytes(1), pairs: bytes(8), hashes: hashes(1) } });
    assert.ok(both.columns.placed > 4);
  });
});
