// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are templates of Prometheus, not of JavaScript.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';
import { listenAnywhere } from '../support/ports.ts';
import { find, needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { Sink } from '../support/sink.ts';

/** What is scraped, under one name. Each line is there for some of the rules below. */
const page = [
  '{case="plain",a="foo",b="bar",c="baz"}',
  '{case="upper",a="FOO",b="Bar",c="BAZ"}',
  '{case="letters",a="aßÉΑΣİ ᾳᾀᾧ ŉ ǅ 𐐨",b="ÀÖΑΣİẞ ᾼ ǅ 𐐀"}',
  '{case="equal",a="same",b="same"}',
  '{case="separators",a="x;y",b="y",c=";"}',
  '{case="dollar",a="$1",b="${1}",c="$$"}',
  '{case="spaces",a=" foo ",b="  ",c="foo bar"}',
  '{case="digits",a="10.0.0.1:9100",b="007",c="1e3"}',
  '{case="meta",__meta_kubernetes_pod="p",__meta_kubernetes_node="n",__tmp_x="t"}',
  '{case="empty",a="",c="baz"}',
  '{case="unicode",a="né",b="日本",c="👍🏽"}',
  `{case="long",a="${'ab'.repeat(500)}"}`,
  ...Array.from({ length: 60 }, (_, i) => `{case="many",a="v${i}",b="${i % 7}",c="${i % 5}"}`),
];

/** Each writes a label of its own, so that all of them are seen. */
const transforming = [
  { source_labels: ['a', 'b', 'c'], target_label: 'joined' },
  { source_labels: ['a', 'none', 'c'], separator: '-', target_label: 'joined_2' },
  { source_labels: ['a', 'b'], separator: '', target_label: 'joined_3' },
  { source_labels: ['a'], regex: 'fo', target_label: 'anchored', replacement: 'no' },
  { source_labels: ['a'], regex: 'f|foo|x', target_label: 'anchored_2', replacement: 'yes' },
  { source_labels: ['a'], regex: 'fo+?', target_label: 'lazy', replacement: 'yes' },
  { source_labels: ['a'], regex: '(?i)FOO', target_label: 'no_case', replacement: 'yes' },
  { source_labels: ['a'], regex: '(?i:(f)O*)', target_label: 'no_case_2', replacement: '$1' },
  { source_labels: ['a'], regex: '([^:]+)(?::(\\d+))?', target_label: 'host', replacement: '${1}/$2' },
  { source_labels: ['a'], regex: '(?P<first>.).*', target_label: 'named', replacement: '${first}$first' },
  {
    source_labels: ['a'],
    regex: '(.)(.*)',
    target_label: 'templates',
    replacement: '$$|$1x|${1}x|$2|${3}|$|${|$-|$01',
  },
  { source_labels: ['a'], regex: '.*(\\pL)', target_label: 'class', replacement: '<$1>' },
  { source_labels: ['a'], regex: '[[:alpha:]]+', target_label: 'posix', replacement: 'yes' },
  { source_labels: ['a'], regex: '\\w+\\b', target_label: 'word', replacement: 'yes' },
  { source_labels: ['a'], regex: '(a|b)*', target_label: 'repeated', replacement: '$1' },
  { source_labels: ['a'], regex: '(a*)*', target_label: 'repeated_2', replacement: 'yes' },
  { source_labels: ['a'], regex: '\\Q$1\\E|\\x66oo', target_label: 'quoted', replacement: 'yes' },
  { source_labels: ['none'], target_label: 'b' },
  { source_labels: ['a'], regex: '', target_label: 'was_empty', replacement: 'yes' },
  { source_labels: ['case'], regex: 'equal', target_label: 'a', replacement: '' },
  { source_labels: ['case', 'a'], regex: '(m)any;(v\\d)', target_label: '${1}_$2', replacement: '$2' },
  { source_labels: ['none'], regex: '(x)?', target_label: '$1', replacement: 'never' },
  { target_label: 'constant', replacement: 'set' },
  // Keys without a value are empty texts.
  { source_labels: ['a'], regex: null, target_label: 'null_regex', replacement: 'yes' },
  { source_labels: ['a', 'b'], separator: null, target_label: 'null_separator' },
  { source_labels: ['c'], target_label: 'constant_2', replacement: null },
  { source_labels: ['cluster', 'case'], target_label: 'external' },
  ...[1, 2, 3, 8, 1000, 2 ** 32, Number.MAX_SAFE_INTEGER].map((modulus, i) => ({
    action: 'hashmod',
    source_labels: ['a', 'c'],
    modulus,
    target_label: `hash_${i}`,
  })),
  { action: 'hashmod', source_labels: ['none'], modulus: 1000, target_label: 'hash_of_nothing' },
  { action: 'lowercase', source_labels: ['a', 'b'], target_label: 'low' },
  { action: 'uppercase', source_labels: ['a', 'b'], target_label: 'up' },
  { action: 'Uppercase', source_labels: ['none'], target_label: 'c' },
  { action: 'labelmap', regex: 'hash_(.)', replacement: 'mapped_$1' },
  { action: 'labelmap', regex: '__meta_(?:kubernetes_)?(.+)' },
  { action: 'labelmap', regex: 'joined(_.)?', replacement: 'last_of_some' },
  { action: 'labelmap', regex: 'anchored_2|low|up', replacement: 'last_that_was_set' },
  { action: 'labeldrop', regex: '__meta_kubernetes_no.*|joined_2' },
];

/** Each drops some series. */
const dropping = [
  { action: 'keep', source_labels: ['job'], regex: 'page' },
  { action: 'drop', source_labels: ['a', 'c'], regex: 'foo;baz' },
  { action: 'dropequal', source_labels: ['a'], target_label: 'b' },
  { action: 'hashmod', source_labels: ['a'], modulus: 3, target_label: '__tmp_hash' },
  { action: 'drop', source_labels: ['case', '__tmp_hash'], regex: 'many;[01]' },
  { source_labels: ['b'], regex: '(\\d+)', target_label: 'same_as_c', replacement: '$1' },
  { source_labels: ['b'], regex: '[^\\d]*', target_label: 'same_as_c', replacement: 'no number' },
  { source_labels: ['c'], target_label: 'copy_of_c' },
  { source_labels: ['c'], regex: '[^\\d]*', target_label: 'copy_of_c', replacement: 'no number' },
  { action: 'keepequal', source_labels: ['same_as_c'], target_label: 'copy_of_c' },
  // Series become one here.
  { action: 'labelkeep', regex: '__name__|job|case|a|b' },
  { source_labels: ['case'], regex: 'many', target_label: 'a', replacement: 'one' },
];

/** What Prometheus has come to only in version 3: any name is a name, and `.` is a line break, too. */
const modernPage = [
  '{case="lines",a="x\\ny",b="\\n"}',
  '{case="names","a.b"="dotted","日本 -"="of Unicode","a\\"b"="quoted"}',
  '{case="more names","a.b"="x","0"="digit"}',
];
const modernRules = [
  { source_labels: ['a'], regex: 'x.y', target_label: 'lines', replacement: 'yes' },
  { source_labels: ['a', 'b'], target_label: 'é. -', replacement: '<$1>' },
  { source_labels: ['a'], regex: '(.).*', target_label: '1 ${1}', replacement: 'x' },
  { source_labels: ['a.b', '日本 -', 'a"b'], separator: '', target_label: 'from odd names' },
  { action: 'hashmod', source_labels: ['日本 -'], modulus: 1000, target_label: 'hash.of.it' },
  { action: 'uppercase', source_labels: ['a.b'], target_label: 'up.' },
  { action: 'labelmap', regex: '(.)\\.(.)', replacement: '$2.$1' },
  { action: 'labelmap', regex: '([^a-z_]{2}) ?.*', replacement: '${1}é' },
  { action: 'labeldrop', regex: 'a\\W+b' },
];
/** Each of the last two drops a series, the others stay by what is set first. */
const modernDropping = [
  { source_labels: ['a.b'], regex: '', target_label: 'c.d', replacement: 'none' },
  { source_labels: ['a.b'], regex: 'dotted', target_label: 'c.d' },
  { action: 'dropequal', source_labels: ['a.b'], target_label: 'c.d' },
  { action: 'keepequal', source_labels: ['0'], target_label: 'no such' },
];

// Most of their time they wait for scrapes.
describe('what leaves is what leaves a real Prometheus by the same rules', { concurrency: 2 }, () => {
  for (const program of ['prometheus', 'prometheus-3'] as const)
    it(program, needs(program), (t) => compare(t, program));
});

async function compare(t: TestContext, program: 'prometheus' | 'prometheus-3'): Promise<void> {
  const version = execFileSync(find(program)!, ['--version'], { encoding: 'utf8' });
  const modern = !/version 2\./.test(version);
  t.diagnostic(version.split('\n')[0]!);
  const lines = modern ? [...page, ...modernPage] : page;
  const sinks = { a: await Sink.start(t), b: await Sink.start(t), c: await Sink.start(t) };
  const theirs = { a: await Sink.start(t), b: await Sink.start(t) };
  const rules = modern
    ? { a: [...transforming, ...modernRules], b: [...modernDropping, ...dropping] }
    : { a: transforming, b: dropping };
  const agent = await Agent.start(t, {
    external_labels: { cluster: 'eu', case: 'never' },
    remote_write: [
      remote(sinks.a.url, { name: 'a', write_relabel_configs: rules.a }),
      remote(sinks.b.url, { name: 'b', write_relabel_configs: rules.b }),
      remote(sinks.c.url, { name: 'c' }),
    ],
  });
  await Prometheus.start(t, {
    program,
    scrape: { page: await serve(t, lines) },
    externalLabels: { cluster: 'eu', case: 'never' },
    remoteWrite: `${agent.url}/api/v1/write`,
    // They come to the agent without one of their external labels, which adds its own.
    remoteWriteWith: { write_relabel_configs: [{ regex: 'cluster', action: 'labeldrop' }] },
    moreRemoteWrites: [
      { name: 'a', url: theirs.a.url, write_relabel_configs: rules.a },
      { name: 'b', url: theirs.b.url, write_relabel_configs: rules.b },
    ],
  });
  const all = [sinks.a, sinks.b, sinks.c, theirs.a, theirs.b];
  // Beside the page there is what Prometheus says about the scrape.
  await poll(
    () => `sinks have ${all.map((sink) => sink.arrivals.sequences().size)} series`,
    async () => (sinks.c.arrivals.sequences().size >= lines.length + 5 && all.every(isSteady)) || undefined,
  );
  for (const of of ['a', 'b'] as const) {
    const [ours, wanted] = [seriesOf(sinks[of]), seriesOf(theirs[of])];
    assert.ok(wanted.length > (of === 'a' ? 70 : 5), `${wanted.length} series`);
    assert.deepEqual(
      { of, missing: without(wanted, ours), unexpected: without(ours, wanted) },
      { of, missing: [], unexpected: [] },
    );
  }
  const dropped = await agent.metric('spillway_endpoint_dropped_rows_total', {
    endpoint: 'b',
    reason: 'dropped_by_relabel',
  });
  assert.ok(dropped! > 0);
  const unaccounted = await agent.metric('spillway_endpoint_unaccounted_rows', { endpoint: 'b' });
  assert.equal(unaccounted, 0);
}

/** Each of its series has come by three scrapes. */
function isSteady(sink: Sink): boolean {
  const sequences = [...sink.arrivals.sequences().values()];
  return sequences.length > 0 && sequences.every((rows) => rows.length >= 3);
}

function seriesOf(sink: Sink): string[] {
  return [...sink.arrivals.sequences().keys()].sort();
}

function without(all: readonly string[], some: readonly string[]): string[] {
  return all.filter((series) => !some.includes(series));
}

async function serve(t: TestContext, lines: readonly string[]): Promise<string> {
  const text = lines.map((labels) => `m${labels} 1\n`).join('');
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    response.end(text);
  });
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}/metrics`;
}
