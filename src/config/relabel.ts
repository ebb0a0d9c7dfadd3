import { Regex, RegexError } from '../relabel/regex.ts';
import type { RelabelAction, RelabelRule } from '../relabel/rules.ts';
import type { Problems } from './problems.ts';
import { relabelOptions as defaults } from './relabel-options.ts';

/** Which keys an action cannot do without, and which it has no use for; Prometheus refuses those of the last three. */
const needsTarget: ReadonlySet<RelabelAction> = new Set([
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
]);
const idleKeys: Partial<Record<RelabelAction, readonly (keyof typeof defaults)[]>> = {
  lowercase: ['replacement'],
  uppercase: ['replacement'],
  keepequal: ['regex', 'modulus', 'separator', 'replacement'],
  dropequal: ['regex', 'modulus', 'separator', 'replacement'],
  labeldrop: ['source_labels', 'target_label', 'modulus', 'separator', 'replacement'],
  labelkeep: ['source_labels', 'target_label', 'modulus', 'separator', 'replacement'],
};

/** Checks the rules at `path` as Prometheus does when it loads them, under UTF-8 names. */
export function checkRelabelRules(rules: readonly RelabelRule[], path: string, problems: Problems): void {
  for (const [i, rule] of rules.entries()) checkRule(rule, `${path}[${i}]`, problems);
}

function checkRule(rule: RelabelRule, path: string, problems: Problems): void {
  const { action, targetLabel = '', replacement } = rule;
  const missing = (key: string, why: string): void =>
    problems.addAcross([`${path}.${key}`, `${path}.action`, path], `\`${action}\` needs ${why}`);
  try {
    new Regex(rule.regex);
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    problems.addAcross([`${path}.regex`], `not a regular expression of RE2: ${error.message}`);
  }
  if (needsTarget.has(action) && targetLabel === '') missing('target_label', 'a `target_label`');
  if (action === 'hashmod' && !rule.modulus) missing('modulus', 'a `modulus` above 0');
  if (action === 'labelmap' && replacement === '')
    missing('replacement', 'a `replacement`: the name of the label');
  for (const key of idleKeys[action] ?? []) {
    if (!problems.isWritten(`${path}.${key}`) || saysDefault(key, rule)) continue;
    problems.addAcross(
      [`${path}.${key}`, `${path}.action`],
      `without effect: \`${action}\` has no \`${key}\``,
    );
  }
}

/** Whether a key that is written says what holds without it. Of a regex and of labels Prometheus does not ask. */
function saysDefault(key: keyof typeof defaults, rule: RelabelRule): boolean {
  switch (key) {
    case 'separator':
      return rule.separator === defaults.separator.default;
    case 'replacement':
      return rule.replacement === defaults.replacement.default;
    case 'modulus':
      return !rule.modulus;
    case 'target_label':
      return !rule.targetLabel;
    default:
      return false;
  }
}
