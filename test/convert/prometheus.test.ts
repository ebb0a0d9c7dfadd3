import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { type Conversion, ConvertError } from '../../src/convert/conversion.ts';
import { convertPrometheus } from '../../src/convert/prometheus.ts';

const source = { file: 'prometheus.yml', baseDir: '/etc/prometheus', exact: false };
const beside = { folder: '/etc/prometheus', env: {} };

function body({ text }: Conversion): string {
  return text.slice(text.indexOf('\n\n') + 2);
}

const file = `global:
  scrape_interval: 15s
  external_labels:
    cluster: "eu-1" # which one
    replica: p-$POD\${N}$$x
    gone: $NOWHERE
x-common: &queue
  capacity: 2500
scrape_configs:
  - job_name: a
rule_files: [rules.yml]
what: 1
remote_write:
  # the first
  - url: https://mimir.example/push
    queue_config: *queue
    basic_auth: {username: 123, password_file: secrets/pw}
    write_relabel_configs:
      - source_labels: [__name__]
        regex: 'go_.*' # noisy
        action: drop
    tls_config:
      ca_file: ca.crt
    http_headers: {X-A: {files: [a, /b]}}
  - url: https://mimir.example/push?x=1
    oauth2: {client_id: a, token_url: "https://x/", tls_config: {cert: c, key_file: k}}
    queue_config:
      <<: *queue
      max_shards: 1000
  - name: my own
    url: http://other.example/
`;

test('remote_write moves as it stands, with its comments and quotes; what is left out is said', () => {
  const conversion = convertPrometheus(file, source, { ...beside, env: { POD: '7', N: '8' } });
  assert.equal(
    body(conversion),
    `external_labels:
  cluster: "eu-1" # which one
  replica: "p-78$x"
remote_write:
  # the first
  - url: https://mimir.example/push
    queue_config:
      capacity: 2500
    basic_auth: { username: 123, password_file: secrets/pw }
    write_relabel_configs:
      - source_labels: [ __name__ ]
        regex: 'go_.*' # noisy
        action: drop
    tls_config:
      ca_file: ca.crt
    http_headers: { X-A: { files: [ a, /b ] } }
  - url: https://mimir.example/push?x=1
    oauth2: { client_id: a, token_url: "https://x/", tls_config: { cert: c, key_file: k } }
    queue_config:
      max_shards: 256
      capacity: 2500
    name: endpoint-2
  - name: my-own
    url: http://other.example/
`,
  );
  const notes = conversion.notes.join('\n');
  for (const said of [
    '`scrape_configs` (1) is left out: scraping stays with Prometheus.',
    '`rule_files` (1) is left out: rules stay with Prometheus.',
    '`what` is left out: Spillway does not know it.',
    'Of `global`, `scrape_interval` is left out: for scraping and rules.',
    'The external label `replica` was expanded with `POD`, `N`',
    'The external label `gone` is left out: it is empty, since the environment of this run has no `NOWHERE`.',
    '`max_shards: 1000` is above what Spillway takes: it became 256.',
    'Endpoint 2 got the name `endpoint-2`: another one has the same URL.',
    'The name of endpoint 3 became `my-own`',
  ]) {
    assert.ok(notes.includes(said), said);
    assert.ok(conversion.text.includes(`# - ${said}`), said);
  }
  const origin = { file: 'converted', baseDir: '/etc/prometheus' };
  const endpoints = parseConfig(conversion.text, origin).remoteWrite;
  assert.deepEqual(endpoints.map(({ name }) => name).slice(1), ['endpoint-2', 'my-own']);
});

test('paths mean the same where the result lies, and are absolute where that is not known', () => {
  const paths = (folder: string | undefined): string[] =>
    [
      ...convertPrometheus(file, source, { folder, env: {} }).text.matchAll(
        /(?:_file: |\[ )([\w./-]*[\w/-])(?:, (\/b))?/g,
      ),
    ]
      .flatMap(([, one, two]) => [one!, two ?? ''])
      .filter((path) => path !== '' && path !== '__name__');
  assert.deepEqual(paths('/etc/prometheus'), ['secrets/pw', 'ca.crt', 'a', '/b', 'k']);
  assert.deepEqual(paths('/etc/spillway'), [
    '../prometheus/secrets/pw',
    '../prometheus/ca.crt',
    '../prometheus/a',
    '/b',
    '../prometheus/k',
  ]);
  assert.deepEqual(paths(undefined), [
    '/etc/prometheus/secrets/pw',
    '/etc/prometheus/ca.crt',
    '/etc/prometheus/a',
    '/b',
    '/etc/prometheus/k',
  ]);
});

test('exact: gives up what Prometheus gives up, but for what the file says itself', () => {
  const text = 'remote_write: [{url: "http://a/", queue_config: {retry_on_http_429: true}}]';
  const exact = convertPrometheus(text, { ...source, exact: true }, beside);
  const [endpoint] = parseConfig(exact.text, { file: 'x', baseDir: '/' }).remoteWrite;
  assert.deepEqual(endpoint!.replies, { retryOn408: false, holdOn4xx: false, splitRefused: false });
  assert.equal(endpoint!.queueConfig.batchSendDeadlineMs, 5000);
  assert.equal(endpoint!.queueConfig.retryOnHttp429, true);
  assert.ok(!exact.notes.some((note) => note.includes('--exact')));
  const plain = convertPrometheus(text, source, beside);
  assert.ok(plain.notes.some((note) => note.includes('`--exact`')));
});

test('what has nothing to convert, or contains itself, is refused', () => {
  for (const text of ['', 'remote_write: []', 'scrape_configs: []', 'a', 'remote_write: {url: x}']) {
    assert.throws(() => convertPrometheus(text, source, beside), /prometheus\.yml has no `remote_write`/);
  }
  const bomb = 'remote_write:\n  - &a\n    url: http://x/\n    headers: *a\n';
  assert.throws(() => convertPrometheus(bomb, source, beside), ConvertError);
  assert.throws(() => convertPrometheus('remote_write: [', source, beside), /prometheus\.yml:1:/);
});
