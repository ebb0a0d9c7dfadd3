/**
 * A handler: stands between the queue and the network and sees every series once a segment. This one keeps the values
 * of some labels to itself: `user="ann"` leaves as `user="5a8f..."`, the same for the same value.
 *
 * It works on slots, numbers for encoded label pairs, so that a series costs no text and a sample nothing at all.
 */
import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type {
  RewriteSeries,
  SegmentDictionary,
  SeriesRewrite,
} from '../src/serialization/segment-dictionary.ts';

export class HideValues implements SeriesRewrite {
  /** Stands for what it does to labels, since the hash of every series depends on it. Never 0. */
  readonly routing: number;
  readonly #names: ReadonlySet<string>;
  readonly #key: string;

  constructor(names: readonly string[], key: string) {
    this.#names = new Set(names);
    this.#key = key;
    this.routing = crc32(JSON.stringify(['hide', [...names].sort(), this.#digest(key)])) || 1;
  }

  /** Called for each segment: slots mean something only within one. */
  open(dictionary: SegmentDictionary): RewriteSeries {
    const replaced = new Map<number, number>();
    const slotFor = (slot: number): number => {
      let to = replaced.get(slot);
      if (to === undefined) {
        const name = dictionary.slotName(slot);
        const hidden = this.#names.has(decoder.decode(name));
        to = hidden
          ? dictionary.addSlot(name, encoder.encode(this.#digest(dictionary.slotValue(slot))))
          : slot;
        replaced.set(slot, to);
      }
      return to;
    };
    // Names stay, so the order by name stays; returning 0 would drop the series.
    return (slots, count) => {
      for (let i = 0; i < count; i++) slots[i] = slotFor(slots[i]!);
      return count;
    };
  }

  #digest(value: Uint8Array | string): string {
    return createHmac('sha256', this.#key).update(value).digest('hex').slice(0, 16);
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
