import type { IncomingMessage } from 'node:http';
import type { Label, WriteRequestV1 } from '../../src/protocol/schema.ts';

/** What a remote-write 1.0 sender must not do, as found in one request (RW1-S-01 to RW1-S-11). */
export function faultsOf(request: IncomingMessage, message: WriteRequestV1): string[] {
  const faults: string[] = [];
  if (request.method !== 'POST') faults.push(`method ${request.method}`);
  for (const [name, pattern] of Object.entries(headers)) {
    const value = String(request.headers[name]);
    if (!pattern.test(value)) faults.push(`${name}: ${value}`);
  }
  for (const { labels } of message.timeseries) {
    const fault = faultOfLabels(labels);
    if (fault !== undefined) faults.push(`${fault}: ${labels.map(({ name, value }) => `${name}=${value}`)}`);
  }
  return faults;
}

const headers = {
  'content-encoding': /^snappy$/,
  'content-type': /^application\/x-protobuf$/,
  'user-agent': /^[\w.-]+(\/\S+)?$/,
  'x-prometheus-remote-write-version': /^0\.1\.0$/,
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
