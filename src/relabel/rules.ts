import { hash } from 'node:crypto';
import type { LabelSet } from './label-set.ts';
import { lowerCase, upperCase } from './letter-case.ts';
import { Regex } from './regex.ts';
import { Template } from './template.ts';

/** All that a rule can do. */
export const relabelActions = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const;

export type RelabelAction = (typeof relabelActions)[number];

/** A rule as it is written, with the defaults of Prometheus filled in. */
export interface RelabelRule {
  readonly action: RelabelAction;
  readonly sourceLabels: readonly string[];
  readonly separator: string;
  readonly regex: string;
  /** Above 0; for `hashmod` alone. */
  readonly modulus: number | undefined;
  readonly targetLabel: string | undefined;
  readonly replacement: string;
}

/** Changes the labels; false when the series is to be dropped. */
type Step = (labels: LabelSet) => boolean;

/**
 * Relabelling as Prometheus does it: rule after rule, each on what the one before left.
 *
 * It stands beside the stages and knows none of them, since both ends of the queue use it: the appending side once
 * for each series of a segment (`relabel_configs`), an endpoint once for each series of a segment that it reads
 * (`write_relabel_configs`). Names are those of today's Prometheus: any text but the empty one.
 */
export class Relabeller {
  readonly #steps: readonly Step[];

  /** Throws `RegexError`. */
  constructor(rules: readonly RelabelRule[]) {
    this.#steps = rules.map(stepOf);
  }

  /** Changes `labels` by all rules; false when the series is to be dropped, and then they mean nothing. */
  apply(labels: LabelSet): boolean {
    for (const step of this.#steps) if (!step(labels)) return false;
    return true;
  }
}

function stepOf(rule: RelabelRule): Step {
  const { sourceLabels, separator } = rule;
  const target = rule.targetLabel ?? '';
  const regex = new Regex(rule.regex);
  const template = (text: string): Template => new Template(text, regex.groupCount, regex.groups);
  const source = (labels: LabelSet): string => sourceLabels.map((name) => labels.get(name)).join(separator);
  switch (rule.action) {
    case 'replace': {
      const name = template(target);
      const value = template(rule.replacement);
      return always((labels) => {
        const match = regex.match(source(labels));
        if (match === undefined) return;
        const to = name.expand(match);
        if (to !== '') labels.set(to, value.expand(match));
      });
    }
    case 'keep':
      return (labels) => regex.test(source(labels));
    case 'drop':
      return (labels) => !regex.test(source(labels));
    case 'keepequal':
      return (labels) => labels.get(target) === source(labels);
    case 'dropequal':
      return (labels) => labels.get(target) !== source(labels);
    case 'hashmod': {
      const modulus = BigInt(rule.modulus ?? 1);
      return always((labels) => labels.set(target, String(hashOf(source(labels)) % modulus)));
    }
    case 'lowercase':
      return always((labels) => labels.set(target, lowerCase(source(labels))));
    case 'uppercase':
      return always((labels) => labels.set(target, upperCase(source(labels))));
    case 'labelmap': {
      const to = template(rule.replacement);
      return always((labels) => {
        for (const [name, value] of labels.entries()) {
          const match = regex.match(name);
          if (match === undefined) continue;
          const mapped = to.expand(match);
          // Prometheus would send a label without a name, and the receiver refuse all of the request.
          if (mapped !== '') labels.set(mapped, value);
        }
      });
    }
    case 'labeldrop':
      return always((labels) => {
        for (const [name] of labels.entries()) if (regex.test(name)) labels.delete(name);
      });
    case 'labelkeep':
      return always((labels) => {
        for (const [name] of labels.entries()) if (!regex.test(name)) labels.delete(name);
      });
  }
}

function always(change: (labels: LabelSet) => void): Step {
  return (labels) => {
    change(labels);
    return true;
  };
}

/** The last eight bytes of the MD5, as Prometheus has it: shards of several agents must agree. */
function hashOf(text: string): bigint {
  return hash('md5', text, 'buffer').readBigUInt64BE(8);
}
