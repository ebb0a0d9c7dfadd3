import { crc32 } from 'node:zlib';
import { LabelSet } from '../relabel/label-set.ts';
import { Relabeller, type RelabelRule } from '../relabel/rules.ts';
import type { RewriteSeries, SegmentDictionary, SeriesRewrite } from '../serialization/segment-dictionary.ts';

/**
 * `write_relabel_configs` of an endpoint: changes or drops every series, once for each segment that it is in.
 *
 * Rules are functions of texts, so the labels of a series are decoded for them; labels that the rules leave alone
 * keep their slots, and what they set gets a slot once. Only series are relabelled, neither metadata nor the labels
 * of exemplars, as in Prometheus.
 */
export class RelabelSeries implements SeriesRewrite {
  /** Stands for the rules and what comes before them, since the hash of every series depends on them. Never 0. */
  readonly routing: number;
  readonly #before: (SeriesRewrite & { readonly routing: number }) | undefined;
  readonly #relabeller: Relabeller;

  /** `before` changes the series first. Throws `RegexError`. */
  constructor(
    rules: readonly RelabelRule[],
    before?: SeriesRewrite & {
      readonly routing: number;
    },
  ) {
    this.#relabeller = new Relabeller(rules);
    this.#before = before;
    const written = rules.map((rule) => [
      rule.action,
      rule.sourceLabels,
      rule.separator,
      rule.regex,
      rule.modulus ?? 0,
      rule.targetLabel ?? '',
      rule.replacement,
    ]);
    this.routing = crc32(JSON.stringify(written), before?.routing ?? 0) || 1;
  }

  open(dictionary: SegmentDictionary): RewriteSeries {
    const before = this.#before?.open(dictionary);
    const added = new AddedSlots(dictionary);
    const names: string[] = [];
    return (slots, size) => {
      const count = before === undefined ? size : before(slots, size);
      if (count > slots.length) return count;
      const labels = new Map<string, string>();
      for (let i = 0; i < count; i++) {
        names[i] = decode(dictionary.slotName(slots[i]!));
        labels.set(names[i]!, decode(dictionary.slotValue(slots[i]!)));
      }
      const set = new LabelSet(labels);
      if (!this.#relabeller.apply(set)) return 0;
      const more = [...set.added];
      if (more.length > 0) return merge(slots, count, names, set, added.slotsOf(more));
      let left = 0;
      for (let i = 0; i < count; i++) if (set.isOriginal(names[i]!)) slots[left++] = slots[i]!;
      return left;
    };
  }
}

interface Slot {
  readonly name: Uint8Array;
  readonly slot: number;
}

/**
 * Puts the slots of the labels that are left and of those that were set in the order of their names, if there is
 * room for them; returns how many they are.
 */
function merge(
  slots: Uint32Array,
  count: number,
  names: readonly string[],
  set: LabelSet,
  more: readonly Slot[],
): number {
  const merged = [...more];
  for (let i = 0; i < count; i++) {
    if (set.isOriginal(names[i]!)) merged.push({ name: encoder.encode(names[i]), slot: slots[i]! });
  }
  if (merged.length > slots.length) return merged.length;
  merged.sort((a, b) => Buffer.compare(a.name, b.name));
  for (const [i, { slot }] of merged.entries()) slots[i] = slot;
  return merged.length;
}

/** The slots of labels that rules have set in a dictionary, each made once. */
class AddedSlots {
  readonly #dictionary: SegmentDictionary;
  readonly #names = new Map<string, { readonly name: Uint8Array; readonly slots: Map<string, number> }>();

  constructor(dictionary: SegmentDictionary) {
    this.#dictionary = dictionary;
  }

  slotsOf(labels: readonly (readonly [name: string, value: string])[]): Slot[] {
    return labels.map(([text, value]) => {
      let known = this.#names.get(text);
      if (known === undefined) {
        known = { name: encoder.encode(text), slots: new Map() };
        this.#names.set(text, known);
      }
      let slot = known.slots.get(value);
      if (slot === undefined) {
        slot = this.#dictionary.addSlot(known.name, encoder.encode(value));
        known.slots.set(value, slot);
      }
      return { name: known.name, slot };
    });
  }
}

const encoder = new TextEncoder();
/** The byte order mark is a character like any other here. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
