/**
 * The relabelling files of vmagent: the rules of Prometheus and some more. Those that can be said in rules of
 * Prometheus are; one that cannot is a problem, since without it other data would be delivered.
 */
import { parseDocument } from 'yaml';
import { options } from '../config/options.ts';

/** A rule, by the keys of the options table. */
export type ConvertedRule = Readonly<Record<string, unknown>>;

const keys = options.relabel_configs.options;
const actions: ReadonlySet<string> = new Set(keys.action.values);

/** The rules in `text`; `file` is for `problems`, to which is added what cannot be converted. */
export function convertVmRelabel(text: string, file: string, problems: string[]): readonly ConvertedRule[] {
  const document = parseDocument(text, { schema: 'failsafe' });
  if (document.errors.length > 0) {
    problems.push(`${file} is not YAML`);
    return [];
  }
  const rules: unknown = document.toJS() ?? [];
  if (!Array.isArray(rules)) {
    problems.push(`${file} is not a list of rules`);
    return [];
  }
  return rules.flatMap((rule: unknown, i) => {
    const where = `${file}: rule ${i + 1}`;
    if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) {
      problems.push(`${where} is not a section of keys`);
      return [];
    }
    const converted = convertRule(rule as Record<string, unknown>, where, problems);
    return converted === undefined ? [] : [converted];
  });
}

function convertRule(
  rule: Readonly<Record<string, unknown>>,
  where: string,
  problems: string[],
): ConvertedRule | undefined {
  const refuse = (why: string): undefined => {
    problems.push(`${where} ${why}`);
    return undefined;
  };
  const unknown = Object.keys(rule).find((key) => !Object.hasOwn(keys, key));
  if (unknown !== undefined) return refuse(`has \`${unknown}\`, which Spillway does not know`);
  const action = String(rule.action ?? 'replace').toLowerCase();
  // A list of expressions stands for any of them.
  const regex = Array.isArray(rule.regex) ? rule.regex.map((part) => `(?:${part})`).join('|') : rule.regex;
  const labels = Array.isArray(rule.source_labels) ? rule.source_labels.map(String) : [];
  switch (action) {
    case 'keep_metrics':
      return { source_labels: ['__name__'], regex, action: 'keep' };
    case 'drop_metrics':
      return { source_labels: ['__name__'], regex, action: 'drop' };
    case 'keep_if_equal':
    case 'drop_if_equal':
      if (labels.length !== 2) return refuse(`has \`${action}\` of other than two labels`);
      return {
        source_labels: [labels[0]],
        target_label: labels[1],
        action: action === 'keep_if_equal' ? 'keepequal' : 'dropequal',
      };
    default:
      if (!actions.has(action)) return refuse(`has the action \`${action}\`, which Spillway does not know`);
      return {
        ...rule,
        ...(regex === undefined ? {} : { regex }),
        ...(rule.modulus === undefined ? {} : { modulus: Number(rule.modulus) }),
      };
  }
}
