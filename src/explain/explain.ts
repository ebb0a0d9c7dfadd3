import { LineCounter, parseDocument } from 'yaml';
import type { Config } from '../config/load.ts';
import { leavingOf } from '../endpoint/rewrite.ts';
import { SHARDS } from '../network/progress.ts';
import { parseSelector } from '../promql/selector.ts';
import { ingestV1 } from '../protocol/ingest-v1.ts';
import { encodeWriteRequestV1 } from '../protocol/schema.ts';
import { compareTexts } from '../relabel/texts.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { Dictionary } from '../serialization/dictionary.ts';
import { BodyOpener, decodeFrameHead, type FrameBody, FrameEncoder } from '../serialization/frame.ts';
import { RECORD_HEAD } from '../serialization/record.ts';
import { RowBatch } from '../serialization/rows.ts';
import { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { gateOf, ingestLimits } from '../settings.ts';
import { doorDrops, doorReasons } from '../telemetry/reasons.ts';
import type { ExplainedEndpoint, Explanation, Labels } from './explanation.ts';
import { traceRules } from './trace-rules.ts';

/** The selector does not name one series. */
export class NotOneSeriesError extends SpillwayError {
  readonly code = 'NOT_ONE_SERIES';
}

/** The labels that a selector names. Throws `SelectorError` and `NotOneSeriesError`. */
export function labelsOfSelector(text: string): Labels {
  const matchers = parseSelector(text);
  const labels: Record<string, string> = {};
  for (const { label, operator, value } of matchers) {
    if (operator !== '=') {
      throw new NotOneSeriesError(`name one series by all of its labels: ${label}${operator}... fits many`);
    }
    if (Object.hasOwn(labels, label) && labels[label] !== value) {
      throw new NotOneSeriesError(`no series has two values of ${label}`);
    }
    labels[label] = value;
  }
  return labels;
}

/** Where keys stand in the text of a configuration: file, line and column. */
export function placesIn(
  text: string,
  file: string,
): (path: readonly (string | number)[]) => string | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  return (path) => {
    const node = document.getIn(path, true) as
      | { readonly range?: readonly [number, ...unknown[]] }
      | undefined;
    if (node?.range === undefined) return undefined;
    const { line, col } = lines.linePos(node.range[0]);
    return `${file}:${line}:${col}`;
  };
}

/**
 * What happens to a series: it is taken through the code that receives, relabels and routes, as a sample of it would
 * be. The steps of the rules are told apart by the same rules, one by one. `places` says where keys of the
 * configuration stand.
 */
export function explainSeries(
  config: Config,
  places: (path: readonly (string | number)[]) => string | undefined,
  labels: Labels,
  tenant: string = config.receiver.defaultTenant ?? '',
): Explanation {
  const dictionary = new Dictionary(1, gateOf(config));
  const batch = new RowBatch();
  dictionary.useTenant(encoder.encode(tenant));
  const raw = encodeWriteRequestV1({
    timeseries: [
      {
        labels: Object.entries(labels)
          .map(([name, value]) => ({ name, value }))
          .sort((a, b) => compareTexts(a.name, b.name)),
        samples: [{ timestamp: 1n, valueBits: 0n }],
      },
    ],
  });
  // The decoder reads whole words, a little beyond the end.
  const padded = new Uint8Array(raw.length + 16);
  padded.set(raw);
  const report = ingestV1(
    padded,
    new DataView(padded.buffer),
    raw.length,
    dictionary,
    batch,
    ingestLimits(config),
  );
  const traced = traceRules(config.relabelConfigs, labels, (i) => places(['relabel_configs', i]));
  const [refused] = report.refused.keys();
  if (refused !== undefined) {
    const door = {
      verdict: 'refused',
      reason: refused,
      means: doorReasons[refused],
      steps: [],
      labels: {},
    } as const;
    return { labels, tenant, door, endpoints: [] };
  }
  if (report.dropped > 0) {
    const reason = 'dropped_by_relabel_configs';
    const door = {
      verdict: 'dropped',
      reason,
      means: doorDrops[reason],
      steps: traced.steps,
      labels: {},
    } as const;
    return { labels, tenant, door, endpoints: [] };
  }
  const body = frameBody(batch, dictionary);
  const stored = seriesIn(body, undefined, undefined).labels;
  const endpoints = config.remoteWrite.map((endpoint, i): ExplainedEndpoint => {
    const { rewrite, tenants } = leavingOf(config.externalLabels, endpoint);
    const left = seriesIn(body, rewrite, tenants);
    const external = Object.fromEntries(
      Object.entries(config.externalLabels).filter(([name]) => !Object.hasOwn(stored, name)),
    );
    const { steps } = traceRules(endpoint.writeRelabelConfigs, { ...external, ...stored }, (rule) =>
      places(['remote_write', i, 'write_relabel_configs', rule]),
    );
    return {
      name: endpoint.name,
      url: endpoint.url.text,
      verdict: left.dropped ? 'dropped' : 'sent',
      externalLabels: external,
      steps,
      labels: left.labels,
      tenant: left.tenant,
      shard: left.shard,
    };
  });
  return { labels, tenant, door: { verdict: 'taken', steps: traced.steps, labels: stored }, endpoints };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The body of a frame with these rows, as an endpoint would read it. */
function frameBody(batch: RowBatch, dictionary: Dictionary): FrameBody {
  const written = { strings: 0, pairs: 0, series: 0 };
  const record = new FrameEncoder().encode(batch, dictionary, written, 0, 1, 'none');
  return new BodyOpener().open(decodeFrameHead(record.subarray(RECORD_HEAD)), 'none');
}

/** The one series of a frame as it leaves. */
function seriesIn(
  body: FrameBody,
  rewrite: ReturnType<typeof leavingOf>['rewrite'],
  tenants: ReturnType<typeof leavingOf>['tenants'],
): { readonly labels: Labels; readonly tenant: string; readonly dropped: boolean; readonly shard: number } {
  const dictionary = new SegmentDictionary(rewrite, undefined, tenants);
  dictionary.add(body);
  const { seriesAt, seriesSlots } = dictionary.columns;
  const labels: [string, string][] = [];
  for (let i = seriesAt[0]!; i < seriesAt[1]!; i++) {
    const slot = seriesSlots[i]!;
    labels.push([decoder.decode(dictionary.slotName(slot)), decoder.decode(dictionary.slotValue(slot))]);
  }
  return {
    labels: Object.fromEntries(labels),
    tenant: dictionary.tenants.names[dictionary.tenantOf(0)] ?? '',
    dropped: dictionary.isDropped(0),
    shard: dictionary.seriesHash[0]! & (SHARDS - 1),
  };
}
