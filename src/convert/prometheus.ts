/**
 * From a configuration file of Prometheus: its `remote_write` as it stands, comments too, and the external labels.
 * Scalars are moved as they are written, quotes and all; only relative paths are put right.
 */
import {
  Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  Scalar,
  visit,
  YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { options } from '../config/options.ts';
import { Problems } from '../config/problems.ts';
import type { Row, Section } from '../config/rows.ts';
import { parseYaml } from '../config/syntax.ts';
import { type Conversion, type ConversionTarget, ConvertError, headComment } from './conversion.ts';
import { expandGo } from './expand.ts';
import { movedPath } from './paths.ts';

export interface PrometheusSource {
  /** For errors and for the head of the result. */
  readonly file: string;
  /** Where relative paths start; absolute. */
  readonly baseDir: string;
  /** Give up data where Prometheus gives it up, though it could be kept. */
  readonly exact: boolean;
}

/** What the rest of the file is for, and what becomes of it. */
const elsewhere: Readonly<Record<string, string>> = {
  scrape_configs: 'scraping stays with Prometheus',
  scrape_config_files: 'scraping stays with Prometheus',
  rule_files: 'rules stay with Prometheus',
  alerting: 'alerts stay with Prometheus',
  remote_read: 'Spillway is not read from',
  storage: 'it is about the database of Prometheus; the disk of Spillway has `wal`',
  tracing: 'Spillway sends no traces',
  otlp: 'Spillway receives remote write, not OTLP',
  runtime: 'it is about the Go runtime',
};

/** Throws `ConfigError` when `text` is not YAML, and `ConvertError` when there is nothing in it to convert. */
export function convertPrometheus(
  text: string,
  { file, baseDir, exact }: PrometheusSource,
  { folder, env }: ConversionTarget,
): Conversion {
  const lines = new LineCounter();
  const parsed = parseYaml(text, lines, new Problems(file, lines));
  resolveAliases(parsed);
  const root = parsed.contents as Node | null;
  const list = isMap(root) ? (root.get('remote_write', true) as Node | undefined) : undefined;
  if (!isSeq(list) || list.items.length === 0) {
    throw new ConvertError(`${file} has no \`remote_write\`: there is nothing to convert`, { file });
  }
  const notes = leftOutOf(root as YAMLMap);
  const labels = externalLabels(root as YAMLMap, env, notes);
  for (const endpoint of list.items) {
    if (!isMap(endpoint)) continue; // said by the check of the result
    alongTable(endpoint, options.remote_write.options, (row, scalar, key) => {
      if (row.type === 'path' || row.type === 'paths') {
        scalar.value = movedPath(String(scalar.value), baseDir, folder);
      } else if (row.type === 'integer' && Number(scalar.value) > row.max) {
        notes.push(`\`${key}: ${scalar.value}\` is above what Spillway takes: it became ${row.max}.`);
        scalar.value = String(row.max);
      }
    });
    if (exact) givesUpLikePrometheus(endpoint);
  }
  nameApart(list, notes);
  noteDifferences(list, exact, notes);

  const made = new Document({}, { schema: 'failsafe' });
  if (labels !== undefined) made.set('external_labels', labels);
  made.set('remote_write', list);
  return {
    text: `${headComment(file, notes)}\n${made.toString({ lineWidth: 0 })}`,
    notes,
  };
}

/** More of them, when each is replaced by its content, are a bomb. */
const mostAliases = 10_000;

/** An anchor may be in a part of the file that is left out, so that its content takes the place of each alias. */
function resolveAliases(document: Document.Parsed): void {
  let aliases = 0;
  visit(document, {
    Alias: (_, alias, path) => {
      const target = alias.resolve(document);
      if (target === undefined) return undefined; // said by the check of the result
      if (path.includes(target) || ++aliases > mostAliases) {
        throw new ConvertError(
          `the anchor \`${alias.source}\` contains itself, or there are too many aliases`,
        );
      }
      const copy = target.clone() as Node;
      delete (copy as { anchor?: string }).anchor;
      return copy;
    },
  });
  visit(document, {
    Node: (_, node) => {
      delete (node as { anchor?: string }).anchor;
    },
    Map: (_, map) => {
      mergeInto(map);
    },
  });
}

/** `<<`, as YAML 1.1 has it: keys of other maps, which do not replace those that are here. */
function mergeInto(map: YAMLMap): void {
  const merges = map.items.filter(({ key }) => isScalar(key) && key.value === '<<' && key.type === 'PLAIN');
  if (merges.length === 0) return;
  map.items = map.items.filter((item) => !merges.includes(item));
  for (const { value } of merges) {
    for (const source of isSeq(value) ? value.items : [value]) {
      if (!isMap(source)) continue;
      mergeInto(source);
      for (const item of source.items) {
        if (!map.has(item.key)) map.items.push(item as Pair<unknown, unknown>);
      }
    }
  }
}

function leftOutOf(root: YAMLMap): string[] {
  const notes: string[] = [];
  for (const { key, value } of root.items) {
    const name = textOf(key);
    if (name === 'remote_write' || name === 'global') continue;
    const count = isSeq(value) ? ` (${value.items.length})` : '';
    notes.push(`\`${name}\`${count} is left out: ${elsewhere[name] ?? 'Spillway does not know it'}.`);
  }
  const global = root.get('global', true);
  const others = isMap(global) ? global.items.map(({ key }) => textOf(key)) : [];
  const rest = others.filter((name) => name !== 'external_labels');
  if (rest.length > 0) {
    notes.push(
      `Of \`global\`, ${rest.map((name) => `\`${name}\``).join(', ')} is left out: for scraping and rules.`,
    );
  }
  return notes;
}

/** Prometheus 3 expands variables of its environment in the values; those of this run stand in for them. */
function externalLabels(root: YAMLMap, env: ConversionTarget['env'], notes: string[]): YAMLMap | undefined {
  const labels = root.getIn(['global', 'external_labels'], true);
  if (!isMap(labels) || labels.items.length === 0) return undefined;
  const made = new YAMLMap<unknown, unknown>();
  for (const pair of labels.items) {
    const { key, value } = pair;
    const written = isScalar(value) ? String(value.value) : '';
    const { text, names } = expandGo(written, env);
    if (text === '') {
      const why = names.length > 0 ? `, since the environment of this run has no ${names.join(', ')}` : '';
      notes.push(`The external label \`${textOf(key)}\` is left out: it is empty${why}.`);
      continue;
    }
    if (names.length > 0) {
      notes.push(
        `The external label \`${textOf(key)}\` was expanded with ${names.join(', ')} of the environment of this run: Spillway takes labels as they are.`,
      );
    }
    if (text !== written) {
      pair.value = new Scalar(text);
      (pair.value as Scalar).type = 'QUOTE_DOUBLE';
    }
    made.items.push(pair);
  }
  if (made.items.length === 0) return undefined;
  notes.push(
    'External labels: when Prometheus writes to Spillway with its own, they are there already, and these change nothing.',
  );
  return made;
}

/** Visits every scalar that a row of the table stands for. */
function alongTable(
  map: YAMLMap,
  section: Section,
  change: (row: Row, scalar: Scalar, key: string) => void,
): void {
  for (const { key, value } of map.items) {
    const name = textOf(key);
    const row = Object.hasOwn(section, name) ? section[name] : undefined;
    if (row !== undefined) alongRow(row, value, name, change);
  }
}

function alongRow(
  row: Row,
  value: unknown,
  key: string,
  change: (row: Row, scalar: Scalar, key: string) => void,
): void {
  if (isScalar(value)) change(row, value, key);
  else if (row.type === 'section' && isMap(value)) alongTable(value, row.options, change);
  else if (row.type === 'named' && isMap(value)) {
    for (const item of value.items) alongRow(row.each, item.value, textOf(item.key), change);
  } else if (isSeq(value)) {
    for (const item of value.items) {
      if (row.type === 'list' && isMap(item)) alongTable(item, row.options, change);
      else if (isScalar(item)) change(row, item, key);
    }
  }
}

/** What Prometheus drops, is dropped. */
function givesUpLikePrometheus(endpoint: YAMLMap): void {
  const section = (name: string): YAMLMap => {
    const present = endpoint.get(name, true);
    if (isMap(present)) return present;
    const made = new YAMLMap();
    endpoint.set(name, made);
    return made;
  };
  const queue = section('queue_config');
  for (const [key, value] of [
    ['batch_send_deadline', '5s'],
    ['retry_on_http_429', 'false'],
  ] as const) {
    if (!queue.has(key)) queue.set(key, new Scalar(value));
  }
  section('replies').set('profile', new Scalar('strict'));
}

/** Endpoints that have no name are known by their URL, so that two to the same URL need names. */
function nameApart(list: YAMLSeq, notes: string[]): void {
  const { pattern } = options.remote_write.options.name;
  const seen = new Map<string, number>();
  for (const [i, endpoint] of list.items.entries()) {
    if (!isMap(endpoint)) continue;
    const name = endpoint.get('name', true);
    if (isScalar(name) && textOf(name) !== '') {
      const given = textOf(name);
      if (new RegExp(pattern).test(given)) continue;
      const taken = given.replace(/[^a-zA-Z0-9_.-]+/g, '-').slice(0, 60);
      name.value = /^-*$/.test(taken) ? `endpoint-${i + 1}` : taken;
      notes.push(
        `The name of endpoint ${i + 1} became \`${name.value}\`: letters, digits, \`_\`, \`.\` and \`-\`.`,
      );
      continue;
    }
    const url = textOf(endpoint.get('url', true)).replace(/[?#].*$/, '');
    const before = seen.get(url) ?? 0;
    seen.set(url, before + 1);
    if (before === 0) continue;
    endpoint.set('name', new Scalar(`endpoint-${i + 1}`));
    notes.push(`Endpoint ${i + 1} got the name \`endpoint-${i + 1}\`: another one has the same URL.`);
  }
}

function noteDifferences(list: YAMLSeq, exact: boolean, notes: string[]): void {
  const endpoints = list.items.filter((item) => isMap(item));
  if (!exact) {
    notes.push(
      'Where Prometheus drops data that can be kept (429, 401, 403, 404, one bad series in a request, an outage over two hours), Spillway keeps it: `--exact` gives up what Prometheus does.',
    );
  }
  const unverified = endpoints.some(
    (endpoint) =>
      /^https:/.test(textOf(endpoint.get('url', true))) &&
      !endpoint.hasIn(['tls_config', 'ca_file']) &&
      !endpoint.hasIn(['tls_config', 'ca']),
  );
  if (unverified) {
    notes.push(
      'Certificates of servers are verified against the roots that Node comes with, not those of the system: for an authority of your own, give `tls_config.ca_file`.',
    );
  }
}

function textOf(node: unknown): string {
  return isNode(node) && isScalar(node) ? String(node.value) : '';
}
