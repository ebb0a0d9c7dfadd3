import type { IngestLimits } from '../protocol/limits.ts';
import { digest, murmur3 } from '../protocol/murmur3.ts';
import { LabelSet } from '../relabel/label-set.ts';
import { Relabeller, type RelabelRule } from '../relabel/rules.ts';
import { Column } from '../serialization/columns.ts';
import { type Admission, Dictionary, type SeriesGate } from '../serialization/dictionary.ts';
import { HashSet } from './hash-set.ts';

/** 16 bytes each, in a table that is at most half full. Beyond, what is dropped is decided once more. */
const MOST_DROPPED = 1 << 20;
/** What the labels of series that are decided are read with; it is emptied when it has grown to this. */
const MOST_SOURCE_BYTES = 1 << 20;

/**
 * `relabel_configs`: stands before the dictionary of the open segment, and is asked of label blocks that it has not
 * seen. So a series is decided when it first comes in a segment, and its samples cost nothing; of the series that
 * are dropped only the hash of their labels is kept, across segments.
 *
 * Labels are read by a small dictionary of its own, which checks them and sorts them as the other does: what is
 * dropped leaves no trace in the segment.
 */
export class RelabelIncoming implements SeriesGate {
  readonly #relabeller: Relabeller;
  readonly #source: Dictionary;
  readonly #seed: number;
  readonly #dropped: HashSet;
  readonly #encoded: Column = new Column();
  readonly #label: Column = new Column();

  /** `seed` guards against chosen collisions: a random 32-bit number. Throws `RegexError`. */
  constructor(rules: readonly RelabelRule[], seed: number, mostDropped: number = MOST_DROPPED) {
    this.#relabeller = new Relabeller(rules);
    this.#source = new Dictionary(seed);
    this.#seed = seed;
    this.#dropped = new HashSet(mostDropped);
  }

  admit(raw: Uint8Array, view: DataView, start: number, end: number, limits: IngestLimits): Admission {
    murmur3(view, start, end - start, this.#seed);
    const [h0, h1, h2, h3] = [digest[0]!, digest[1]!, digest[2]!, digest[3]!];
    if (this.#dropped.has(h0, h1, h2, h3)) return 'dropped';
    const source = this.#source;
    if (source.contentBytes > MOST_SOURCE_BYTES) source.reset(this.#seed);
    source.startRequest(limits);
    const series = source.intern(raw, view, start, end);
    // Not valid: the dictionary says so itself.
    if (series < 0) return 'unchanged';
    const labels = this.#labelsOf(series);
    const before = labels.size;
    const set = new LabelSet(labels);
    if (!this.#relabeller.apply(set) || set.get('__name__') === '') {
      this.#dropped.add(h0, h1, h2, h3);
      return 'dropped';
    }
    const added = [...set.added];
    if (added.length === 0 && labels.size === before) return 'unchanged';
    return this.#encode(set.entries());
  }

  #labelsOf(series: number): Map<string, string> {
    const { seriesPairs, seriesAt, pairName, pairValue } = this.#source;
    const labels = new Map<string, string>();
    for (let i = seriesAt[series]!; i < seriesAt[series + 1]!; i++) {
      const pair = seriesPairs[i]!;
      labels.set(this.#text(pairName[pair]!), this.#text(pairValue[pair]!));
    }
    return labels;
  }

  #text(id: number): string {
    const { text, stringAt } = this.#source;
    return decoder.decode(text.bytes.subarray(stringAt[id]!, stringAt[id + 1]!));
  }

  /** As `Label` fields. The dictionary sorts them. */
  #encode(labels: readonly (readonly [name: string, value: string])[]): Uint8Array {
    const [all, one] = [this.#encoded, this.#label];
    all.clear();
    for (const [name, value] of labels) {
      one.clear();
      putText(one, 0x0a, name);
      putText(one, 0x12, value);
      all.putVarint(0x0a);
      all.putVarint(one.length);
      all.putBytes(one.bytes, 0, one.length);
    }
    return all.used.slice();
  }
}

function putText(column: Column, tag: number, text: string): void {
  const bytes = encoder.encode(text);
  column.putVarint(tag);
  column.putVarint(bytes.length);
  column.putBytes(bytes, 0, bytes.length);
}

const encoder = new TextEncoder();
/** The byte order mark is a character like any other here. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
