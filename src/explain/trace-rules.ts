import { LabelSet } from '../relabel/label-set.ts';
import { Relabeller, type RelabelRule } from '../relabel/rules.ts';
import { compareTexts } from '../relabel/texts.ts';
import type { Labels, RuleStep } from './explanation.ts';

/**
 * Takes labels through rules, one after the other, by the code that relabels. Returns the rules that did something; the
 * last one, if it dropped the series, ends it. `placeOf` says where rule `i`, from 0, is written.
 */
export function traceRules(
  rules: readonly RelabelRule[],
  labels: Labels,
  placeOf: (i: number) => string | undefined,
): { readonly steps: readonly RuleStep[]; readonly labels: Labels; readonly dropped: boolean } {
  const sorted = Object.entries(labels).sort(([a], [b]) => compareTexts(a, b));
  const set = new LabelSet(new Map(sorted));
  const steps: RuleStep[] = [];
  let before = Object.fromEntries(set.entries());
  for (const [i, rule] of rules.entries()) {
    const kept = new Relabeller([rule]).apply(set);
    const after = Object.fromEntries(set.entries());
    const changed = Object.entries(after).filter(([name, value]) => before[name] !== value);
    const removed = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
    if (!kept || changed.length > 0 || removed.length > 0) {
      steps.push({
        rule: i + 1,
        action: rule.action,
        at: placeOf(i),
        dropped: !kept,
        set: kept ? Object.fromEntries(changed) : {},
        removed: kept ? removed : [],
      });
    }
    if (!kept) return { steps, labels: after, dropped: true };
    before = after;
  }
  return { steps, labels: before, dropped: false };
}
