import type { IncomingHttpHeaders } from 'node:http';
import type { Label, WriteRequestV2 } from '../protocol/schema.ts';

/** What the headers of a request must say, by version (RW1-S-02, RW2-S-02 to RW2-S-05). */
const wanted: Readonly<Record<'1.0' | '2.0', Readonly<Record<string, RegExp>>>> = {
  '1.0': {
    'content-encoding': /^snappy$/,
    'content-type': /^application\/x-protobuf(;proto=prometheus\.WriteRequest)?$/,
    'user-agent': /./,
    'x-prometheus-remote-write-version': /^0\.1\.0$/,
  },
  '2.0': {
    'content-encoding': /^snappy$/,
    'content-type': /^application\/x-protobuf;proto=io\.prometheus\.write\.v2\.Request$/,
    'user-agent': /./,
    'x-prometheus-remote-write-version': /^2\.0\.\d+$/,
  },
};

/** What is wrong with the headers of a request of a version, in words; nothing when they are as they must be. */
export function headerFaults(headers: IncomingHttpHeaders, version: '1.0' | '2.0'): string[] {
  return Object.entries(wanted[version]).flatMap(([name, pattern]) => {
    const value = headers[name];
    const text = Array.isArray(value) ? value.join(', ') : value;
    if (text === undefined) return [`${name} is not there`];
    return pattern.test(text) ? [] : [`${name}: ${text}`];
  });
}

/** What is wrong with the labels of a series (RW1-S-08 to RW1-S-11); undefined when nothing is. */
export function labelFault(labels: readonly Label[]): string | undefined {
  for (const [i, { name, value }] of labels.entries()) {
    if (name === '') return 'an empty label name';
    if (value === '') return 'an empty label value';
    if (i === 0) continue;
    // By bytes: UTF-16 order, which `<` compares, differs above U+FFFF (RW1-S-10).
    const order = Buffer.compare(Buffer.from(labels[i - 1]!.name), Buffer.from(name));
    if (order === 0) return 'a label name twice';
    if (order > 0) return 'labels that are not sorted';
  }
  return labels.some(({ name }) => name === '__name__') ? undefined : 'no metric name';
}

/** What is wrong with the symbols and references of a 2.0 request (RW2-S-22 to RW2-S-25). */
export function symbolFaults({ symbols, timeseries }: WriteRequestV2): string[] {
  const faults: string[] = [];
  if (symbols[0] !== '') faults.push('symbols[0] is not empty');
  for (const { labelsRefs, samples, histograms, exemplars, metadata } of timeseries) {
    const lists = [labelsRefs, ...exemplars.map((one) => one.labelsRefs)];
    if (lists.some((refs) => refs.length % 2 !== 0)) faults.push('an odd number of label refs');
    const texts = metadata === null ? [] : [metadata.helpRef, metadata.unitRef];
    if ([...lists.flat(), ...texts].some((ref) => ref >= symbols.length))
      faults.push('a ref outside of the symbols');
    if (samples.length === 0 && histograms.length === 0) faults.push('a series without sample or histogram');
  }
  return faults;
}
