/**
 * Which family a series belongs to, by its name and a type (RLY-07). A suffix is stripped only when the type says that
 * it is one: `requests_count` may be a gauge of that name.
 */

/** As in `MetricMetadata` of 1.0 and `Metadata` of 2.0. */
const COUNTER = 1;
const HISTOGRAM = 3;
const GAUGE_HISTOGRAM = 4;
const SUMMARY = 5;
const INFO = 6;

/** The types that have series of that suffix. */
const suffixes: readonly (readonly [suffix: string, types: readonly number[]])[] = [
  ['_total', [COUNTER]],
  ['_created', [COUNTER, HISTOGRAM, SUMMARY]],
  ['_bucket', [HISTOGRAM, GAUGE_HISTOGRAM]],
  ['_sum', [HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY]],
  ['_count', [HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY]],
  ['_gsum', [GAUGE_HISTOGRAM]],
  ['_gcount', [GAUGE_HISTOGRAM]],
  ['_info', [INFO]],
];

/**
 * The metadata of the family that the series `name` belongs to, by what `lookup` knows of families. A family of the
 * very name comes first: the classic text format calls a counter by all of its name.
 */
export function familyOf<T extends { readonly type: number }>(
  name: string,
  lookup: (family: string) => T | undefined,
): T | undefined {
  const exact = lookup(name);
  if (exact !== undefined) return exact;
  for (const [suffix, types] of suffixes) {
    if (!name.endsWith(suffix) || name.length === suffix.length) continue;
    const family = lookup(name.slice(0, -suffix.length));
    if (family !== undefined && types.includes(family.type)) return family;
  }
  return undefined;
}

/**
 * The family name of a series whose type is known, as 2.0 senders tell it. `_total` stays: in the classic text
 * format, which nearly all counters come from, it is part of the family's name, and that is what people look up.
 */
export function familyName(name: string, type: number): string {
  for (const [suffix, types] of suffixes) {
    if (suffix === '_total' || name.length === suffix.length) continue;
    if (name.endsWith(suffix) && types.includes(type)) return name.slice(0, -suffix.length);
  }
  return name;
}
