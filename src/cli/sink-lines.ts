import { seriesText } from '../promql/series-text.ts';
import { histogramLine, integersAsJson } from '../status/inspect.ts';
import { histogramText, valueText } from '../status/value-text.ts';
import type { AnsweredRequest, ReceivedRow } from '../traffic/sink.ts';
import { bytesText } from './text.ts';

/** `up{job="node"} 1 1700000000000`: a row for people; an exemplar stands behind `#`, as in OpenMetrics. */
export function rowText({ labels, timestamp, value }: ReceivedRow): string {
  const series = seriesText(labels);
  switch (value.kind) {
    case 'sample':
      return `${series} ${valueText(value.bits)} ${timestamp}`;
    case 'histogram':
      return `${series} ${histogramText(value.histogram)} ${timestamp}`;
    case 'exemplar':
      return `${series} # ${seriesText(value.labels)} ${valueText(value.bits)} ${timestamp}`;
    default:
      return value satisfies never;
  }
}

/** A row as a line of JSON, with the names of `queue cat --format ndjson`. */
export function rowJson({ labels, timestamp, startTimestamp, value }: ReceivedRow): string {
  const facts = {
    kind: value.kind,
    labels,
    timestampMs: timestamp,
    ...(startTimestamp !== 0n && { startTimestampMs: startTimestamp }),
  };
  const content =
    value.kind === 'histogram'
      ? { histogram: histogramLine(value.histogram) }
      : { value: valueText(value.bits), ...(value.kind === 'exemplar' && { exemplarLabels: value.labels }) };
  return JSON.stringify({ ...facts, ...content }, integersAsJson);
}

/** How a request was answered, for people: a comment, so that what is around it can be read by programs. */
export function requestText({ version, bytes, status, written }: AnsweredRequest): string {
  const counts =
    written === undefined
      ? ''
      : `; X-Prometheus-Remote-Write-Samples-Written: ${written.samples}, Histograms: ${written.histograms}, Exemplars: ${written.exemplars}`;
  return `# ${version} request of ${bytesText(bytes)}, answered ${status}${counts}`;
}

export function requestJson(request: AnsweredRequest): string {
  return JSON.stringify({ kind: 'request', ...request });
}
