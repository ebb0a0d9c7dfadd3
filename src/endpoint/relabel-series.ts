import { crc32 } from 'node:zlib';
import { LabelCache } from '../relabel/label-cache.ts';
import { LabelSet } from '../relabel/label-set.ts';
import { Relabeller, type RelabelRule } from '../relabel/rules.ts';
import { compareTexts, decodeText } from '../relabel/texts.ts';
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
    const texts = new LabelCache((slot) => ({
      name: decodeText(dictionary.slotName(slot)),
      value: decodeText(dictionary.slotValue(slot)),
    }));
    const names: string[] = [];
    return (slots, size) => {
      const count = before === undefined ? size : before(slots, size);
      if (count > slots.length) return count;
      const labels = new Map<string, string>();
      for (let i = 0; i < count; i++) {
        const { name, value } = texts.get(slots[i]!);
        names[i] = name;
        labels.set(name, value);
      }
      const set = new LabelSet(labels);
      if (!this.#relabeller.apply(set)) return 0;
      const merged = added.slotsOf(set.added);
      const changed = merged.length > 0;
      let left = 0;
      for (let i = 0; i < count; i++) {
        if (!set.isOriginal(names[i]!)) continue;
        if (changed) merged.push({ name: names[i]!, slot: slots[i]! });
        else slots[left++] = slots[i]!;
      }
      if (!changed) return left;
      if (merged.length > slots.length) return merged.length;
      merged.sort((a, b) => compareTexts(a.name, b.name));
      for (const [i, { slot }] of merged.entries()) slots[i] = slot;
      return merged.length;
    };
  }
}

interface Slot {
  readonly name: string;
  readonly slot: number;
}

/** The slots of labels that rules have set in a dictionary, each made once. */
class AddedSlots {
  readonly #dictionary: SegmentDictionary;
  readonly #slots = new Map<string, Map<string, number>>();

  constructor(dictionary: SegmentDictionary) {
    this.#dictionary = dictionary;
  }

  slotsOf(labels: Iterable<readonly [name: string, value: string]>): Slot[] {
    const slots: Slot[] = [];
    for (const [name, value] of labels) {
      let known = this.#slots.get(name);
      if (known === undefined) {
        known = new Map();
        this.#slots.set(name, known);
      }
      let slot = known.get(value);
      if (slot === undefined) {
        slot = this.#dictionary.addSlot(encoder.encode(name), encoder.encode(value));
        known.set(value, slot);
      }
      slots.push({ name, slot });
    }
    return slots;
  }
}

const encoder = new TextEncoder();
