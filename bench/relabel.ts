/**
 * What relabelling costs at either end of the queue: once for each new series, and for its samples. The second must
 * be what it is without rules. See README.md.
 */
import { parseArgs } from 'node:util';
import { RelabelIncoming } from '../src/appender/relabel-incoming.ts';
import { RelabelSeries } from '../src/endpoint/relabel-series.ts';
import { BodyOpener, decodeFrameHead } from '../src/serialization/frame.ts';
import { RECORD_HEAD } from '../src/serialization/record.ts';
import { SegmentDictionary } from '../src/serialization/segment-dictionary.ts';
import { Road } from '../test/reference/road.ts';
import { ruleOf } from '../test/relabel/rules.ts';
import { SeriesSet } from './series.ts';

/** What a fleet might have: one drop, one keep, a copy, a constant, a label less, a shard. */
const rules = [
  ruleOf({ action: 'drop', sourceLabels: ['__name__'], regex: 'go_(gc|memstats)_.*' }),
  ruleOf({ action: 'keep', sourceLabels: ['namespace'], regex: '[a-z]+' }),
  ruleOf({ sourceLabels: ['pod'], regex: '(.+)-[^-]+-[^-]+', targetLabel: 'workload' }),
  ruleOf({ targetLabel: 'cluster', replacement: 'eu-1' }),
  ruleOf({ action: 'labeldrop', regex: 'pod_template_hash|uid' }),
  ruleOf({ action: 'hashmod', sourceLabels: ['__name__', 'pod'], targetLabel: 'shard', modulus: 8 }),
];

const { values } = parseArgs({
  options: { series: { type: 'string', default: '20000' }, rounds: { type: 'string', default: '40' } },
});
const set = new SeriesSet(Number(values.series));
const rounds = Number(values.rounds);
const PER_REQUEST = 2000;

/** One sample of every series at time `at`, in requests of 2000. */
function requestsAt(at: number): Uint8Array[] {
  const requests: Uint8Array[] = [];
  for (let from = 0; from < set.count; from += PER_REQUEST) {
    const parts: Uint8Array[] = [];
    for (let i = from; i < Math.min(set.count, from + PER_REQUEST); i++) {
      const labels = set.bytes.subarray(set.starts[i], set.starts[i + 1]);
      const sample = Buffer.from([0x12, 0x0b, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, at]);
      const size = labels.length + sample.length;
      parts.push(Uint8Array.of(0x0a, (size & 0x7f) | 0x80, size >>> 7), labels, sample);
    }
    requests.push(Buffer.concat(parts));
  }
  return requests;
}

/** Nanoseconds a row: of the first round, and the median of the others. */
function report(what: string, seconds: readonly number[]): void {
  const each = seconds.map((s) => (s * 1e9) / set.count);
  const later = each.slice(1).sort((a, b) => a - b);
  const [first, median] = [each[0]!, later[later.length >>> 1]!];
  console.log(
    `${what.padEnd(34)} new series ${first.toFixed(0).padStart(6)} ns   known ${median.toFixed(1)} ns`,
  );
}

function timed(run: () => void): number {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

const all = Array.from({ length: rounds }, (_, at) => requestsAt(at + 1));
const records: Uint8Array[][] = [];
for (const [what, gated] of [
  ['door, warm-up', false],
  ['door, no rules', false],
  ['door, relabel_configs', true],
] as const) {
  const road = new Road(
    'none',
    undefined,
    'wasm',
    undefined,
    gated ? () => new RelabelIncoming(rules, 1) : undefined,
  );
  const seconds: number[] = [];
  for (const requests of all) {
    let round = 0;
    const frames: Uint8Array[] = [];
    for (const raw of requests) {
      round += timed(() => road.take(raw));
      frames.push(road.commit());
    }
    seconds.push(round);
    if (what === 'door, no rules') records.push(frames);
  }
  report(what, seconds);
}
for (const [what, rewrite] of [
  ['endpoint, warm-up', undefined],
  ['endpoint, no rules', undefined],
  ['endpoint, write_relabel_configs', new RelabelSeries(rules)],
] as const) {
  const dictionary = new SegmentDictionary(rewrite);
  const opener = new BodyOpener();
  const seconds = records.map((frames) =>
    frames.reduce((sum, record) => {
      const body = opener.open(decodeFrameHead(record.subarray(RECORD_HEAD)), 'none');
      return sum + timed(() => dictionary.add(body));
    }, 0),
  );
  report(what, seconds);
}
