import { LabelSet } from '../../src/relabel/label-set.ts';
import { Relabeller, type RelabelRule } from '../../src/relabel/rules.ts';

/** A rule as one would write it, with the names of its properties and the defaults of Prometheus. */
export type WrittenRule = Partial<RelabelRule>;

export function ruleOf(written: WrittenRule): RelabelRule {
  return {
    action: 'replace',
    sourceLabels: [],
    separator: ';',
    regex: '(.*)',
    modulus: undefined,
    targetLabel: undefined,
    replacement: '$1',
    ...written,
  };
}

/** What the rules make of the labels, given in their order; undefined when they drop the series. */
export function relabel(
  labels: Readonly<Record<string, string>>,
  ...rules: readonly WrittenRule[]
): Record<string, string> | undefined {
  const set = new LabelSet(new Map(Object.entries(labels)));
  if (!new Relabeller(rules.map(ruleOf)).apply(set)) return undefined;
  return Object.fromEntries(set.entries());
}
