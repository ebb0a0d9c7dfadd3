/** The keys of a rule of `relabel_configs` and `write_relabel_configs`: those of Prometheus, with its defaults. */
export const relabelOptions = {
  source_labels: {
    type: 'texts',
    of: 'a label name',
    about:
      'Labels whose values, joined by `separator`, are what the rule looks at. A label that is not there counts as empty.',
  },
  separator: {
    type: 'string',
    blank: true,
    default: ';',
    why: 'The default of Prometheus.',
    about: 'What stands between the values of the source labels.',
  },
  regex: {
    type: 'string',
    blank: true,
    allowed: 'a regular expression of RE2',
    default: '(.*)',
    why: 'The default of Prometheus.',
    about:
      'Must match the whole text: for `labelmap`, `labeldrop` and `labelkeep` the name of a label, else the joined values.',
  },
  modulus: {
    type: 'integer',
    unit: 'shards',
    default: null,
    example: 8,
    min: 0,
    max: 9_007_199_254_740_991,
    about: 'For `hashmod`: what the hash of the joined values is taken modulo of; above 0.',
  },
  target_label: {
    type: 'string',
    blank: true,
    default: null,
    example: 'cluster',
    about:
      'The label that is set or compared. With `replace`, `$1` or `$name` in it, also in braces, stand for groups of the match.',
  },
  replacement: {
    type: 'string',
    blank: true,
    default: '$1',
    why: 'The default of Prometheus.',
    about:
      'For `replace` the new value, for `labelmap` the new name; `$1` or `$name`, also in braces, stand for groups of the match, `$$` for a `$`. A label that is set to an empty value is removed.',
  },
  action: {
    type: 'enum',
    anyCase: true,
    values: [
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
    ],
    default: 'replace',
    why: 'The default of Prometheus.',
    about: 'What the rule does; see [relabelling.md](relabelling.md).',
  },
} as const;
