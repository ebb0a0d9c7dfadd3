import type { IncomingMessage } from 'node:http';
import type { Label, WriteRequestV1, WriteRequestV2 } from '../../src/protocol/schema.ts';
import { labelsOf } from './rows-v2.ts';

/** What a remote-write 1.0 sender must not do, as found in one request (RW1-S-01 to RW1-S-11). */
export function faultsOf(request: IncomingMessage, message: WriteRequestV1): string[] {
  const faults: string[] = [];
  faults.push(...faultsOfHead(request, headers));
  for (const { labels } of message.timeseries) {
    const fault = faultOfLabels(labels);
    if (fault !== undefined) faults.push(`${fault}: ${labels.map(({ name, value }) => `${name}=${value}`)}`);
  }
  return faults;
}

/** The same of a 2.0 sender (RW2-S-02 to RW2-S-08, RW2-S-22 to RW2-S-25). */
export function faultsOfV2(request: IncomingMessage, message: WriteRequestV2): string[] {
  const faults = faultsOfHead(request, headersV2);
  const { symbols } = message;
  if (symbols[0] !== '') faults.push('symbols[0] is not empty');
  if (new Set(symbols).size !== symbols.length) faults.push('a symbol twice');
  for (const { labelsRefs, samples, histograms, exemplars, metadata } of message.timeseries) {
    const refs = [labelsRefs, ...exemplars.map((exemplar) => exemplar.labelsRefs)];
    if (refs.some((list) => list.length % 2 !== 0)) faults.push('an odd number of refs');
    const texts = metadata === null ? [] : [metadata.helpRef, metadata.unitRef];
    if ([...refs.flat(), ...texts].some((ref) => ref >= symbols.length))
      faults.push('a ref beyond the symbols');
    if ((samples.length === 0) === (histograms.length === 0)) {
      faults.push(`${samples.length} samples and ${histograms.length} histograms in a TimeSeries`);
    }
    const times = [...samples, ...histograms].map(({ timestamp }) => timestamp);
    if (times.some((at, i) => i > 0 && at < times[i - 1]!)) faults.push('rows out of order in a TimeSeries');
    const fault = faultOfLabels(labelsOf(labelsRefs, symbols));
    if (fault !== undefined) faults.push(fault);
  }
  return faults;
}

function faultsOfHead(request: IncomingMessage, wanted: Readonly<Record<string, RegExp>>): string[] {
  const faults: string[] = [];
  if (request.method !== 'POST') faults.push(`method ${request.method}`);
  for (const [name, pattern] of Object.entries(wanted)) {
    const value = String(request.headers[name]);
    if (!pattern.test(value)) faults.push(`${name}: ${value}`);
  }
  return faults;
}

const headers = {
  'content-encoding': /^snappy$/,
  'content-type': /^application\/x-protobuf$/,
  'user-agent': /^[\w.-]+(\/\S+)?$/,
  'x-prometheus-remote-write-version': /^0\.1\.0$/,
};

const headersV2 = {
  ...headers,
  'content-type': /^application\/x-protobuf;proto=io\.prometheus\.write\.v2\.Request$/,
  'x-prometheus-remote-write-version': /^2\.0\.0$/,
};

function faultOfLabels(labels: readonly Label[]): string | undefined {
  if (labels.some(({ name }) => name === '')) return 'an empty label name';
  if (labels.some(({ value }) => value === '')) return 'an empty label value';
  for (let i = 1; i < labels.length; i++) {
    // By bytes: UTF-16 order, which `<` compares, differs above U+FFFF (RW1-S-10).
    const order = Buffer.compare(Buffer.from(labels[i - 1]!.name), Buffer.from(labels[i]!.name));
    if (order === 0) return 'a label name twice';
    if (order > 0) return 'labels not sorted';
  }
  return labels.some(({ name }) => name === '__name__') ? undefined : 'no metric name';
}
