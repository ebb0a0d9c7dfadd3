import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import {
  type Config,
  ConfigFileError,
  defaultConfig,
  loadConfig,
  parseConfig,
} from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problems.ts';

function parse(text: string): Config {
  return parseConfig(text, { file: 'spillway.yaml', baseDir: '/etc/spillway' });
}

function parseEndpoint(lines: string): Config['remoteWrite'][number] {
  const item = lines.replaceAll('\n', '\n    ');
  return parse(`data_dir: /var/lib/spillway\nremote_write:\n  - ${item}\n`).remoteWrite[0]!;
}

describe('parseConfig', () => {
  it('reads every key', () => {
    const config = parse(`
listen: "[::1]:0"
web_config_file: web.yaml
data_dir: data
external_labels: {cluster: eu, replica: 0, flag: true, home: $HOME}
relabel_configs: [{action: labeldrop, regex: tmp_.*}]
shutdown_grace: 1m
log_level: debug
log_format: json
kernel: typescript
receiver:
  {max_request_bytes: 1MiB, max_decoded_bytes: 2MB, max_in_flight_bytes: 3000000, max_series_per_request: 1000,
   max_rows_per_request: 2000, max_labels_per_series: 30, max_label_name_bytes: 1KiB, max_label_value_bytes: 2KiB,
   request_timeout: 5s, header_timeout: 1s, body_idle_timeout: 2s, idle_timeout: 1m, max_connections: 100,
   tenant_header: X-Tenant, default_tenant: none-of_them,
   per_sender: {samples_per_second: 500, burst: 3s, in_flight_bytes: 2500000, header: X-Scope-OrgID}}
wal: {segment_bytes: 1MiB, segment_age: 5m, segment_series: 10, segment_dictionary_bytes: 1MiB, codec: none,
  max_bytes: 5MiB, min_free_bytes: 1KiB, max_age: 1d, when_full: drop_oldest}
remote_write:
  - name: mimir
    url: https://mimir/push?tenant=a
    write_relabel_configs:
      - {source_labels: [a, "b.c"], separator: , regex: (?i)x, modulus: 7, target_label: t, action: HashMod, replacement: }
      - {target_label: $1, regex: }
    remote_timeout: 1s
    wire_compression: small
    protobuf_message: auto
    send_exemplars: false
    send_native_histograms: false
    headers: {X-Scope-OrgID: team, X-Number: 1, X-Empty: ""}
    tenant: {header: THANOS-TENANT, from_labels: [team, ns], keep_label: true, default: a}
    tls_config: {ca_file: ca.crt, cert_file: /a.crt, key_file: /a.key, server_name: m, insecure_skip_verify: true}
    queue_config:
      capacity: 100
      min_shards: 2
      max_shards: 2
      max_samples_per_send: 10
      batch_send_deadline: 1s
      min_backoff: 1s
      max_backoff: 1s
      probe_interval: 3s
      sample_age_limit: 2h
      retry_on_http_429: false
    replies: {profile: strict, retry_on_http_408: true}
    metadata_config: {send: false, send_interval: 5m, max_samples_per_send: 7}
    start_at: now
    rate_limit: {samples: 1000, bytes: 1MiB}
    max_backlog_bytes: 2MiB
    max_backlog_age: 1h
    when_full: reject
  - name: local
    url: sqlite:recent.db
    keep: 1d
    keep_samples: 5
`);
    const metadataConfig = { send: true, sendIntervalMs: 60_000, maxSamplesPerSend: 2000 };
    const defaults = defaultConfig('/etc/spillway').remoteWrite[0]!;
    assert.deepEqual(config, {
      listen: { host: '::1', port: 0 },
      webConfigFile: '/etc/spillway/web.yaml',
      dataDir: '/etc/spillway/data',
      externalLabels: { cluster: 'eu', replica: '0', flag: 'true', home: '$HOME' },
      relabelConfigs: [
        {
          action: 'labeldrop',
          regex: 'tmp_.*',
          sourceLabels: [],
          separator: ';',
          modulus: undefined,
          targetLabel: undefined,
          replacement: '$1',
        },
      ],
      shutdownGraceMs: 60_000,
      logLevel: 'debug',
      logFormat: 'json',
      kernel: 'typescript',
      receiver: {
        maxRequestBytes: 1048576,
        maxDecodedBytes: 2_000_000,
        maxInFlightBytes: 3_000_000,
        maxSeriesPerRequest: 1000,
        maxRowsPerRequest: 2000,
        maxLabelsPerSeries: 30,
        maxLabelNameBytes: 1024,
        maxLabelValueBytes: 2048,
        requestTimeoutMs: 5000,
        headerTimeoutMs: 1000,
        bodyIdleTimeoutMs: 2000,
        idleTimeoutMs: 60_000,
        maxConnections: 100,
        tenantHeader: 'X-Tenant',
        defaultTenant: 'none-of_them',
        perSender: {
          samplesPerSecond: 500,
          burstMs: 3000,
          inFlightBytes: 2_500_000,
          header: 'X-Scope-OrgID',
        },
      },
      wal: {
        segmentBytes: 1048576,
        segmentAgeMs: 300_000,
        segmentSeries: 10,
        segmentDictionaryBytes: 1048576,
        codec: 'none',
        maxBytes: 5_242_880,
        minFreeBytes: 1024,
        maxAgeMs: 86_400_000,
        whenFull: 'drop_oldest',
      },
      deadLetters: { maxRows: 100_000, maxAgeMs: 30 * 86_400_000 },
      remoteWrite: [
        {
          name: 'mimir',
          url: { kind: 'http', href: 'https://mimir/push?tenant=a', text: 'https://mimir/push?tenant=a' },
          auth: undefined,
          writeRelabelConfigs: [
            {
              action: 'hashmod',
              sourceLabels: ['a', 'b.c'],
              separator: '',
              regex: '(?i)x',
              modulus: 7,
              targetLabel: 't',
              replacement: '',
            },
            {
              action: 'replace',
              sourceLabels: [],
              separator: ';',
              regex: '',
              modulus: undefined,
              targetLabel: '$1',
              replacement: '$1',
            },
          ],
          enableHttp2: false,
          proxy: undefined,
          httpHeaders: [],
          roundRobinDns: false,
          remoteTimeoutMs: 1000,
          wireCompression: 'small',
          messageVersion: 'auto',
          sendExemplars: false,
          sendNativeHistograms: false,
          headers: { 'X-Scope-OrgID': 'team', 'X-Number': '1', 'X-Empty': '' },
          tenant: { header: 'THANOS-TENANT', fromLabels: ['team', 'ns'], keepLabel: true, default: 'a' },
          tls: {
            ca: { file: '/etc/spillway/ca.crt' },
            cert: { file: '/a.crt' },
            key: { file: '/a.key' },
            serverName: 'm',
            insecureSkipVerify: true,
            minVersion: 'TLS12',
            maxVersion: 'TLS13',
          },
          queueConfig: {
            capacity: 100,
            minShards: 2,
            maxShards: 2,
            maxSamplesPerSend: 10,
            batchSendDeadlineMs: 1000,
            minBackoffMs: 1000,
            maxBackoffMs: 1000,
            probeIntervalMs: 3000,
            retryOnHttp429: false,
          },
          rateLimit: { samples: 1000, bytes: 1_048_576 },
          metadataConfig: { send: false, sendIntervalMs: 300_000, maxSamplesPerSend: 7 },
          replies: { retryOn408: true, holdOn4xx: false, splitRefused: false },
          ttlMs: 7_200_000,
          startAt: 'now',
          maxBacklogBytes: 2_097_152,
          maxBacklogAgeMs: 3_600_000,
          whenFull: 'reject',
          keepMs: 3_600_000,
          keepSamples: 1_000_000,
        },
        {
          name: 'local',
          url: { kind: 'sqlite', file: '/etc/spillway/data/recent.db', text: 'sqlite:recent.db' },
          auth: undefined,
          writeRelabelConfigs: [],
          enableHttp2: false,
          proxy: undefined,
          httpHeaders: [],
          roundRobinDns: false,
          remoteTimeoutMs: 30_000,
          wireCompression: 'fast',
          messageVersion: '1.0',
          sendExemplars: true,
          sendNativeHistograms: true,
          headers: {},
          tenant: undefined,
          tls: undefined,
          queueConfig: defaults.queueConfig,
          rateLimit: { samples: undefined, bytes: undefined },
          metadataConfig,
          replies: { retryOn408: true, holdOn4xx: true, splitRefused: true },
          ttlMs: 0,
          startAt: 'oldest',
          maxBacklogBytes: undefined,
          maxBacklogAgeMs: undefined,
          whenFull: undefined,
          keepMs: 86_400_000,
          keepSamples: 5,
        },
      ],
    });
  });

  it('freezes all of it', () => {
    const config = defaultConfig('/etc/spillway');
    const parts = [config, config.listen, config.externalLabels, config.remoteWrite];
    for (const part of [...parts, config.remoteWrite[0]!.url, config.remoteWrite[0]!.queueConfig]) {
      assert.ok(Object.isFrozen(part));
    }
  });

  it('takes a section without content as its defaults', () => {
    const text = 'receiver:\nwal: ~\nremote_write: [{url: "http://a/", basic_auth: , headers: }]';
    assert.deepEqual(parse(text), parse('remote_write: [{url: "http://a/"}]'));
  });

  it('follows aliases', () => {
    const text = `remote_write:
  - {name: a, url: "http://a/", queue_config: &queue {max_shards: 3}, ttl: &ttl 2h}
  - {name: b, url: "http://b/", queue_config: *queue, ttl: *ttl}`;
    assert.deepEqual(
      parse(text).remoteWrite.map(({ queueConfig, ttlMs }) => [queueConfig.maxShards, ttlMs]),
      [
        [3, 7_200_000],
        [3, 7_200_000],
      ],
    );
  });

  it('takes label names that JavaScript knows', () => {
    const { externalLabels } = parse(
      'external_labels: {__proto__: a, constructor: b}\nremote_write: [{url: "http://a/"}]',
    );
    assert.deepEqual(Object.entries(externalLabels), [
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });

  it('reports everything at once, in the order of the file', () => {
    const text = 'remote_write:\n  - url: http://a/\n    ttl: 1\nlog_level: all\nwal: {codec: gzip}\n';
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.deepEqual(
          error.problems.map(({ file, line, column, path }) => [file, line, column, path]),
          [
            ['spillway.yaml', 3, 5, 'remote_write[0].ttl'],
            ['spillway.yaml', 4, 1, 'log_level'],
            ['spillway.yaml', 5, 7, 'wal.codec'],
          ],
        );
        return true;
      },
    );
  });
});

describe('endpoints', () => {
  it('have a name that does not depend on credentials, query or place', () => {
    const { name } = parseEndpoint('url: http://mimir/push');
    assert.match(name, /^[0-9a-f]{6}$/);
    assert.equal(parseEndpoint('url: http://me:s3cret@MIMIR:80/push?token=s3cret').name, name);
    assert.notEqual(parseEndpoint('url: http://mimir/api').name, name);
    assert.notEqual(parseEndpoint('url: sqlite:push').name, name);
  });

  it('have one ttl, under either name', () => {
    assert.equal(parseEndpoint('url: http://a/').ttlMs, 0);
    assert.equal(parseEndpoint('url: http://a/\nttl: 1h').ttlMs, 3_600_000);
    assert.equal(parseEndpoint('url: http://a/\nttl: 0').ttlMs, 0);
    assert.equal(parseEndpoint('url: http://a/\nqueue_config: {sample_age_limit: 1h}').ttlMs, 3_600_000);
    assert.equal(
      parseEndpoint('url: http://a/\nttl: 60m\nqueue_config: {sample_age_limit: 1h}').ttlMs,
      3_600_000,
    );
  });

  it('fill requests by half of what a loop holds, unless it is said', () => {
    const most = (queue: string): number =>
      parseEndpoint(`url: http://a/\nqueue_config: {${queue}}`).queueConfig.maxSamplesPerSend;
    assert.equal(most(''), 5000);
    assert.equal(most('capacity: 2500'), 1250);
    assert.equal(most('capacity: 1'), 1);
    assert.equal(most('capacity: 1000000'), 10_000);
    assert.equal(most('max_samples_per_send: 2000'), 2000);
  });

  it('keep a SQLite file under the data directory unless its path is absolute', () => {
    const files = ['a/b.db', '/c.db'].map((file) => parseEndpoint(`url: sqlite:${file}`).url);
    assert.deepEqual(files, [
      { kind: 'sqlite', file: '/var/lib/spillway/a/b.db', text: 'sqlite:a/b.db' },
      { kind: 'sqlite', file: '/c.db', text: 'sqlite:/c.db' },
    ]);
  });
});

describe('auth', () => {
  async function revealed(lines: string): Promise<unknown> {
    const { auth } = parseEndpoint(lines);
    if (auth === undefined) return undefined;
    assert.ok(auth.kind === 'basic' || auth.kind === 'token');
    return auth.kind === 'basic'
      ? [auth.kind, await auth.username.reveal(), await auth.password.reveal()]
      : [auth.kind, auth.type, await auth.credentials.reveal()];
  }

  const table: readonly [lines: string, expected: unknown][] = [
    ['url: http://a/', undefined],
    ['url: http://a/\nbasic_auth: {username: me, password: 007}', ['basic', 'me', '007']],
    ['url: http://a/\nbasic_auth: {username: me}', ['basic', 'me', '']],
    ['url: http://me:pw@a/', ['basic', 'me', 'pw']],
    ['url: http://me@a/', ['basic', 'me', '']],
    ['url: http://me:pw@a/\nbasic_auth: {username: you, password: x}', ['basic', 'you', 'x']],
    ['url: http://me:pw@a/\nauthorization: {credentials: x}', ['token', 'Bearer', 'x']],
    ['url: http://a/\nauthorization: {type: Token, credentials: x}', ['token', 'Token', 'x']],
  ];
  for (const [lines, expected] of table) {
    it(lines.replace('\n', ', '), async () => assert.deepEqual(await revealed(lines), expected));
  }

  it('is never seen in the configuration', () => {
    for (const lines of [
      'url: http://me:s3cret@a/',
      'url: http://a/\nauthorization: {credentials: s3cret}',
    ]) {
      const endpoint = parseEndpoint(lines);
      assert.doesNotMatch(
        JSON.stringify(endpoint) + inspect(endpoint, { depth: 9, showHidden: true }),
        /s3cret/,
      );
    }
  });
});

describe('loadConfig', () => {
  it('starts relative paths at the folder of the file', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'spillway-config-'));
    t.after(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, 'secrets'));
    await writeFile(join(folder, 'secrets', 'token'), 's3cret\n');
    const file = join(folder, 'spillway.yaml');
    await writeFile(
      file,
      'remote_write: [{url: "http://a/", authorization: {credentials_file: secrets/token}}]',
    );
    const config = await loadConfig(file);
    assert.equal(config.dataDir, join(folder, 'data'));
    const { auth } = config.remoteWrite[0]!;
    assert.ok(auth?.kind === 'token');
    assert.equal(await auth.credentials.reveal(), 's3cret');
  });

  it('says which file it cannot read', async () => {
    const file = join(tmpdir(), 'spillway-no-such-file.yaml');
    await assert.rejects(loadConfig(file), (error) => {
      assert.ok(error instanceof ConfigFileError);
      assert.equal(error.code, 'CONFIG_UNREADABLE');
      assert.equal(error.facts.file, file);
      return true;
    });
  });
});
