import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { parseConfig } from '../../src/config/load.ts';
import { convertPrometheus } from '../../src/convert/prometheus.ts';
import { projectDir } from '../support/paths.ts';

/** What Prometheus 3 takes. */
const block = `
remote_write:
  - name: oauth
    url: https://mimir.example/api/v1/push
    remote_timeout: 30s
    protobuf_message: io.prometheus.write.v2.Request
    send_exemplars: true
    send_native_histograms: true
    headers: {X-Scope-OrgID: team}
    oauth2:
      client_id: me
      client_secret: s3cret
      scopes: [metrics]
      token_url: https://login.example/token
      endpoint_params: {audience: mimir}
      tls_config: {ca_file: ca.crt, min_version: TLS13}
      proxy_url: http://me:s3cret@proxy.example:3128
      no_proxy: .internal
      proxy_connect_header: {X-Key: [s3cret]}
    tls_config:
      ca: |
        -----BEGIN CERTIFICATE-----
        -----END CERTIFICATE-----
      cert_file: client.crt
      key: s3cret
      server_name: mimir
      insecure_skip_verify: false
      min_version: TLS10
      max_version: TLS13
    proxy_from_environment: true
    follow_redirects: true
    enable_http2: true
    round_robin_dns: true
    http_headers:
      X-Many: {values: [one], secrets: [s3cret], files: [key]}
    queue_config:
      capacity: 10000
      max_shards: 50
      min_shards: 1
      max_samples_per_send: 2000
      batch_send_deadline: 5s
      min_backoff: 30ms
      max_backoff: 5s
      retry_on_http_429: true
      sample_age_limit: 0s
    metadata_config: {send: true, send_interval: 1m, max_samples_per_send: 2000}
  - url: https://aps.example/a
    sigv4:
      region: eu-west-1
      access_key: AKID
      secret_key: s3cret
      role_arn: arn:aws:iam::1:role/a
      external_id: b
      use_fips_sts_endpoint: true
  - url: https://azure.example/a
    azuread: {cloud: AzurePublic, oauth: {client_id: a, client_secret: s3cret, tenant_id: b}}
  - url: https://azure.example/b
    azuread: {managed_identity: {client_id: a}}
  - url: https://azure.example/c
    azuread: {sdk: {tenant_id: a}}
  - url: https://google.example/a
    google_iam: {credentials_file: google.json}
  - url: https://bearer.example/a
    bearer_token_file: token
`;

test('a block of Prometheus moves over as it is, and shows none of its secrets', () => {
  const config = parseConfig(block, { file: 'prometheus.yml', baseDir: '/etc/prometheus' });
  assert.deepEqual(
    config.remoteWrite.map(({ auth }) => auth?.kind),
    ['oauth2', 'sigv4', 'azuread', 'azuread', 'azuread', 'google_iam', 'token'],
  );
  assert.doesNotMatch(inspect(config, { depth: null }), /s3cret/);
  assert.doesNotMatch(JSON.stringify(config), /s3cret/);
});

/** As the documentation of receivers has them. */
const real = join(projectDir, 'test/fixtures/remote-write');
const origin = { file: 'prometheus.yml', baseDir: '/etc/prometheus' };

for (const name of readdirSync(real)) {
  test(`moves over unchanged, and through a conversion: ${name}`, () => {
    const text = readFileSync(join(real, name), 'utf8');
    const moved = parseConfig(text, origin);
    const target = { folder: origin.baseDir, env: {} };
    const converted = convertPrometheus(text, { ...origin, exact: false }, target);
    assert.deepEqual(
      inspect(parseConfig(converted.text, origin), { depth: null }),
      inspect(moved, { depth: null }),
    );
  });
}

test('merges and booleans are those of Prometheus: own keys win, and yes is true', () => {
  const [eu, us] = parseConfig(readFileSync(join(real, 'merged.yml'), 'utf8'), origin).remoteWrite;
  assert.equal(us!.url.text, 'https://us.example/api/v1/push');
  assert.equal(us!.auth?.kind, 'basic');
  assert.deepEqual(us!.queueConfig, { ...eu!.queueConfig, maxShards: 10 });
  assert.equal(eu!.queueConfig.capacity, 15_000);
  assert.deepEqual([eu!.metadataConfig.send, us!.metadataConfig.send], [true, false]);
  const list = `remote_write:
  - url: http://a/
    queue_config:
      <<: [{max_shards: 3, capacity: 9000}, {max_shards: 4, min_shards: 2}]
      capacity: 8000
`;
  const { maxShards, minShards, capacity } = parseConfig(list, origin).remoteWrite[0]!.queueConfig;
  assert.deepEqual([maxShards, minShards, capacity], [3, 2, 8000]);
  const target = { folder: undefined, env: {} };
  const { text } = convertPrometheus(list, { ...origin, exact: false }, target);
  assert.deepEqual(
    parseConfig(text, origin).remoteWrite[0]!.queueConfig,
    parseConfig(list, origin).remoteWrite[0]!.queueConfig,
  );
});
