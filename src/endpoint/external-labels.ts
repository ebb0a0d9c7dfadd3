import { crc32 } from 'node:zlib';
import type { RewriteSeries, SegmentDictionary, SeriesRewrite } from '../serialization/segment-dictionary.ts';

/**
 * Adds labels to every series, each in its sorted place (RW1-S-10). A label that the series has already wins,
 * as in Prometheus.
 *
 * For each pair of the dictionary it is remembered where its name stands among the added ones, so that a series
 * is merged without comparing a string.
 */
export class ExternalLabels implements SeriesRewrite {
  /** Stands for these labels, since the hash of every series depends on them (network/progress.ts). Never 0. */
  readonly routing: number;
  readonly #labels: readonly { readonly name: Uint8Array; readonly value: Uint8Array }[];

  constructor(labels: Readonly<Record<string, string>>) {
    const encoder = new TextEncoder();
    this.#labels = Object.entries(labels)
      .map(([name, value]) => ({ name: encoder.encode(name), value: encoder.encode(value) }))
      .sort((a, b) => Buffer.compare(a.name, b.name));
    this.routing = 1;
    for (const { name, value } of this.#labels) {
      for (const text of [name, value]) this.routing = crc32(text, crc32(`${text.length} `, this.routing));
    }
    this.routing ||= 1;
  }

  open(dictionary: SegmentDictionary): RewriteSeries {
    const added = this.#labels.map(({ name, value }) => dictionary.addSlot(name, value));
    /** Per slot: twice the number of added names below its name, plus one when the next is the same. */
    let ranks = new Uint16Array(256);
    let ranked = 0;
    const result = new Uint32Array(256 + 1024);
    let merged = result;
    return (slots, count) => {
      if (ranks.length < dictionary.slots) {
        const grown = new Uint16Array(dictionary.slots * 2);
        grown.set(ranks);
        ranks = grown;
      }
      for (; ranked < dictionary.slots; ranked++) ranks[ranked] = this.#rank(dictionary.slotName(ranked));
      if (merged.length < count + added.length) merged = new Uint32Array(2 * (count + added.length));
      let at = 0;
      let next = 0;
      for (let i = 0; i < count; i++) {
        const slot = slots[i]!;
        const rank = ranks[slot]!;
        while (next < rank >>> 1) merged[at++] = added[next++]!;
        if ((rank & 1) === 1) next++;
        merged[at++] = slot;
      }
      while (next < added.length) merged[at++] = added[next++]!;
      if (at <= slots.length) for (let i = 0; i < at; i++) slots[i] = merged[i]!;
      return at;
    };
  }

  #rank(name: Uint8Array): number {
    let below = 0;
    for (const label of this.#labels) {
      const order = Buffer.compare(label.name, name);
      if (order === 0) return 2 * below + 1;
      if (order > 0) break;
      below++;
    }
    return 2 * below;
  }
}
