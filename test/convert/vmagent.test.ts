import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import type { Conversion } from '../../src/convert/conversion.ts';
import { ConvertError } from '../../src/convert/conversion.ts';
import { convertVmagent } from '../../src/convert/vmagent.ts';
import { type convertedFlags, leftOut } from '../../src/convert/vmagent-flags.ts';
import { tempDir } from '../support/temp.ts';

const here = { folder: '/etc/vmagent', env: {} };

function converted(args: readonly string[], target = here): Conversion {
  const conversion = convertVmagent(args, '/etc/vmagent', target);
  parseConfig(conversion.text, { file: 'converted', baseDir: '/etc/vmagent' }); // throws when it is not valid
  return conversion;
}

function settings(...args: string[]): Record<string, unknown> {
  return parse(converted(args).text) as Record<string, unknown>;
}

const url = '-remoteWrite.url=http://a:8428/api/v1/write';
const plain = { url: 'http://a:8428/api/v1/write', proxy_from_environment: true };

/** For each flag that becomes a setting: an example, and the endpoint or the agent that comes of it. */
const examples: Readonly<Record<keyof typeof convertedFlags, readonly [readonly string[], object, object?]>> =
  {
    enableMetadata: [['-enableMetadata=false'], { metadata_config: { send: false } }],
    httpListenAddr: [['-httpListenAddr=:8429'], {}, { listen: ':8429' }],
    loggerFormat: [['-loggerFormat=json'], {}, { log_format: 'json' }],
    loggerLevel: [['-loggerLevel=WARN'], {}, { log_level: 'warn' }],
    maxInsertRequestSize: [
      ['-maxInsertRequestSize=64MiB'],
      {},
      { receiver: { max_request_bytes: 67_108_864, max_decoded_bytes: 67_108_864 } },
    ],
    maxLabelNameLen: [['-maxLabelNameLen=256'], {}, { receiver: { max_label_name_bytes: 256 } }],
    maxLabelValueLen: [['-maxLabelValueLen=4096'], {}, { receiver: { max_label_value_bytes: 4096 } }],
    maxLabelsPerTimeseries: [['-maxLabelsPerTimeseries=40'], {}, { receiver: { max_labels_per_series: 40 } }],
    ...signing(),
    'remoteWrite.basicAuth.username': [
      ['-remoteWrite.basicAuth.username=me'],
      { basic_auth: { username: 'me' } },
    ],
    'remoteWrite.basicAuth.usernameFile': [
      ['-remoteWrite.basicAuth.usernameFile=./u'],
      { basic_auth: { username_file: './u' } },
    ],
    'remoteWrite.basicAuth.password': [
      ['-remoteWrite.basicAuth.username=me', '-remoteWrite.basicAuth.password="a,b"'],
      { basic_auth: { username: 'me', password: 'a,b' } },
    ],
    'remoteWrite.basicAuth.passwordFile': [
      ['-remoteWrite.basicAuth.username=me', '-remoteWrite.basicAuth.passwordFile=pw'],
      { basic_auth: { username: 'me', password_file: 'pw' } },
    ],
    'remoteWrite.bearerToken': [['-remoteWrite.bearerToken=t'], { authorization: { credentials: 't' } }],
    'remoteWrite.bearerTokenFile': [
      ['-remoteWrite.bearerTokenFile=/run/t'],
      { authorization: { credentials_file: '/run/t' } },
    ],
    'remoteWrite.disableMetadata': [['-remoteWrite.disableMetadata'], { metadata_config: { send: false } }],
    'remoteWrite.flushInterval': [
      ['-remoteWrite.flushInterval=2s'],
      { queue_config: { batch_send_deadline: '2s' } },
    ],
    'remoteWrite.headers': [
      ['-remoteWrite.headers=X-A: b^^X-C:d:e^^Authorization: Token x y'],
      { headers: { 'X-A': 'b', 'X-C': 'd:e' }, authorization: { type: 'Token', credentials: 'x y' } },
    ],
    'remoteWrite.label': [
      ['-remoteWrite.label=dc=$1', '-remoteWrite.label=env=prod'],
      {
        write_relabel_configs: [
          { target_label: 'dc', replacement: '$$1' },
          { target_label: 'env', replacement: 'prod' },
        ],
      },
    ],
    'remoteWrite.maxDiskUsagePerURL': [
      ['-remoteWrite.maxDiskUsagePerURL=1.5GiB'],
      { max_backlog_bytes: '1536MiB', when_full: 'drop_oldest' },
    ],
    'remoteWrite.maxMetadataPerBlock': [
      ['-remoteWrite.maxMetadataPerBlock=5000'],
      { metadata_config: { max_samples_per_send: 5000 } },
    ],
    'remoteWrite.maxRowsPerBlock': [
      ['-remoteWrite.maxRowsPerBlock=20000'],
      { queue_config: { capacity: 20_000, max_samples_per_send: 20_000 } },
    ],
    ...oauth2(),
    'remoteWrite.proxyURL': [
      ['-remoteWrite.proxyURL=http://proxy:3128'],
      { proxy_from_environment: undefined, proxy_url: 'http://proxy:3128' },
    ],
    'remoteWrite.queues': [['-remoteWrite.queues=8'], { queue_config: { max_shards: 8 } }],
    'remoteWrite.rateLimit': [['-remoteWrite.rateLimit=1000000'], { rate_limit: { bytes: 1_000_000 } }],
    'remoteWrite.relabelConfig': [[], {}], // see below
    'remoteWrite.urlRelabelConfig': [[], {}],
    'remoteWrite.retryMinInterval': [
      ['-remoteWrite.retryMinInterval=500ms'],
      { queue_config: { min_backoff: '500ms' } },
    ],
    'remoteWrite.retryMaxInterval': [
      ['-remoteWrite.retryMaxInterval=2m', '-remoteWrite.retryMaxTime=3m'],
      { queue_config: { max_backoff: '2m' } },
    ],
    'remoteWrite.retryMaxTime': [
      ['-remoteWrite.retryMaxTime=90s'],
      { queue_config: { max_backoff: '1m30s' } },
    ],
    'remoteWrite.sendTimeout': [['-remoteWrite.sendTimeout=1.5m'], { remote_timeout: '1m30s' }],
    'remoteWrite.tlsCAFile': [['-remoteWrite.tlsCAFile=ca.crt'], { tls_config: { ca_file: 'ca.crt' } }],
    'remoteWrite.tlsCertFile': [
      ['-remoteWrite.tlsCertFile=c.crt', '-remoteWrite.tlsKeyFile=c.key'],
      { tls_config: { cert_file: 'c.crt', key_file: 'c.key' } },
    ],
    'remoteWrite.tlsKeyFile': [
      ['-remoteWrite.tlsKeyFile=c.key', '-remoteWrite.tlsCertFile=c.crt'],
      { tls_config: { cert_file: 'c.crt', key_file: 'c.key' } },
    ],
    'remoteWrite.tlsInsecureSkipVerify': [
      ['-remoteWrite.tlsInsecureSkipVerify'],
      { tls_config: { insecure_skip_verify: true } },
    ],
    'remoteWrite.tlsServerName': [['-remoteWrite.tlsServerName=vm'], { tls_config: { server_name: 'vm' } }],
    'remoteWrite.tmpDataPath': [['-remoteWrite.tmpDataPath=/var/lib/vm'], {}, { data_dir: '/var/lib/vm' }],
    'remoteWrite.url': [[], {}],
  };

function signing() {
  const args = [
    'useSigv4=true',
    'region=eu-west-1',
    'accessKey=AK',
    'secretKey=s',
    'roleARN=arn:1',
    'service=x',
  ];
  const example = [
    args.map((arg) => `-remoteWrite.aws.${arg}`),
    {
      sigv4: { region: 'eu-west-1', access_key: 'AK', secret_key: 's', role_arn: 'arn:1', service_name: 'x' },
    },
  ] as const;
  return {
    'remoteWrite.aws.accessKey': example,
    'remoteWrite.aws.region': example,
    'remoteWrite.aws.roleARN': example,
    'remoteWrite.aws.secretKey': example,
    'remoteWrite.aws.service': example,
    'remoteWrite.aws.useSigv4': example,
  };
}

function oauth2() {
  const common = [
    'clientID=me',
    'tokenUrl=https://login/token',
    'scopes=a;b',
    'endpointParams={"p":"q","r":"s"}',
  ];
  const example = (secret: string, key: object) =>
    [
      [...common, secret].map((arg) => `-remoteWrite.oauth2.${arg}`),
      {
        oauth2: {
          client_id: 'me',
          token_url: 'https://login/token',
          scopes: ['a', 'b'],
          endpoint_params: { p: 'q', r: 's' },
          ...key,
        },
      },
    ] as const;
  const inline = example('clientSecret=x', { client_secret: 'x' });
  return {
    'remoteWrite.oauth2.clientID': inline,
    'remoteWrite.oauth2.clientSecret': inline,
    'remoteWrite.oauth2.clientSecretFile': example('clientSecretFile=f', { client_secret_file: 'f' }),
    'remoteWrite.oauth2.endpointParams': inline,
    'remoteWrite.oauth2.scopes': inline,
    'remoteWrite.oauth2.tokenUrl': inline,
  };
}

for (const [flag, [args, endpoint, agent = {}]] of Object.entries(examples)) {
  test(`-${flag} becomes its setting`, () => {
    const { proxy_from_environment, ...other } = { ...plain, ...endpoint };
    assert.deepEqual(settings(url, ...args), {
      ...agent,
      remote_write: [proxy_from_environment === undefined ? other : { ...other, proxy_from_environment }],
    });
  });
}

test('values belong to URLs by their position, a single one to all', () => {
  const { remote_write } = settings(
    '-remoteWrite.url=http://a/w,http://b/w',
    '-remoteWrite.url=http://a/w',
    '-remoteWrite.bearerToken=,t2,',
    '-remoteWrite.basicAuth.username=u1,,u3',
    '-remoteWrite.tlsInsecureSkipVerify=false,true,false',
    '-remoteWrite.sendTimeout=10s',
    '-remoteWrite.queues=1,2',
  );
  const common = { remote_timeout: '10s', proxy_from_environment: true };
  assert.deepEqual(remote_write, [
    { ...common, url: 'http://a/w', basic_auth: { username: 'u1' }, queue_config: { max_shards: 1 } },
    {
      ...common,
      url: 'http://b/w',
      authorization: { credentials: 't2' },
      tls_config: { insecure_skip_verify: true },
      queue_config: { max_shards: 2 },
    },
    { ...common, name: 'endpoint-3', url: 'http://a/w', basic_auth: { username: 'u3' } },
  ]);
});

test('each flag that becomes nothing is named in a note with what that means, without its value', () => {
  for (const [flag, { kind, about }] of leftOut) {
    const { notes, text } = converted([url, kind === 'switch' ? `-${flag}` : `-${flag}=s3cret`]);
    assert.ok(notes.includes(`-${flag}: ${about}.`), flag);
    assert.ok(text.includes(`# - -${flag}: `), flag);
    assert.doesNotMatch(text, /s3cret/);
  }
});

test('unknown flags, values that cannot be read and a missing URL are all said, without values', () => {
  const args = [
    '-remoteWrite.urls=s3cret',
    '-remoteWrite.sendTimeout=s3cret',
    '-remoteWrite.label=s3cret',
    '-remoteWrite.headers=s3cret',
    '-loggerLevel=s3cret',
    '-remoteWrite.bearerToken=%{S3}',
    '-remoteWrite.urlRelabelConfig=https://s3cret/',
  ];
  assert.throws(
    () => convertVmagent(args, '/', here),
    (error) => {
      assert.ok(error instanceof ConvertError);
      assert.deepEqual(error.message.split('\n'), [
        'vmagent has no flag -remoteWrite.urls (as of 1.145)',
        '-remoteWrite.bearerToken names S3, which is not in the environment',
        '-remoteWrite.url is missing',
        '-remoteWrite.label has one that is not name=value',
        '-loggerLevel is not one of INFO, WARN, ERROR, FATAL, PANIC',
      ]);
      return true;
    },
  );
  assert.throws(
    () => convertVmagent([url, '-remoteWrite.url=http://b/w', ...args.slice(1, 4), args[6]!], '/', here),
    {
      message: [
        '-remoteWrite.label has one that is not name=value',
        '-remoteWrite.urlRelabelConfig names a URL: fetch it, and name the file',
        '-remoteWrite.headers has one that is not Name:value',
        '-remoteWrite.sendTimeout is not a duration',
      ].join('\n'),
    },
  );
});

test('the environment: %{NAME}, and flags with -envflag.enable, of which the command line wins', () => {
  const env = {
    HOST: 'vm',
    VM_remoteWrite_bearerToken: 't',
    VM_remoteWrite_url: 'http://no/',
    remoteWrite_queues: '9',
  };
  const { text, notes } = converted(
    ['-envflag.enable', '-envflag.prefix=VM_', '-remoteWrite.url=http://%{HOST}/w'],
    { ...here, env },
  );
  assert.deepEqual(parse(text), {
    remote_write: [{ url: 'http://vm/w', authorization: { credentials: 't' }, proxy_from_environment: true }],
  });
  assert.ok(notes.some((note) => note.startsWith('%{HOST}: taken from the environment')));
});

test('relabelling files: the rules of Prometheus, and of those beyond it what can be said in them', async (t) => {
  const dir = await tempDir(t, 'vmagent');
  const rules = `
- {action: drop_metrics, regex: [foo, "bar.*"]}
- {action: KEEP_METRICS, regex: up}
- {action: keep_if_equal, source_labels: [a, b]}
- {action: hashmod, source_labels: [x], target_label: t, modulus: 8}
- {source_labels: [x], regex: "1", target_label: y, replacement: 2}
`;
  writeFileSync(join(dir, 'rules.yml'), rules);
  const target = { folder: dir, env: {} };
  const args = [
    url,
    '-remoteWrite.label=x=y',
    '-remoteWrite.urlRelabelConfig=rules.yml',
    '-remoteWrite.relabelConfig=rules.yml',
  ];
  const made = parse(convertVmagent(args, dir, target).text) as Record<string, unknown>;
  const expected = [
    { source_labels: ['__name__'], regex: '(?:foo)|(?:bar.*)', action: 'drop' },
    { source_labels: ['__name__'], regex: 'up', action: 'keep' },
    { source_labels: ['a'], target_label: 'b', action: 'keepequal' },
    { action: 'hashmod', source_labels: ['x'], target_label: 't', modulus: 8 },
    { source_labels: ['x'], regex: '1', target_label: 'y', replacement: '2' },
  ];
  assert.deepEqual(made.relabel_configs, expected);
  const [endpoint] = made.remote_write as [Record<string, unknown>];
  assert.deepEqual(endpoint.write_relabel_configs, [...expected, { target_label: 'x', replacement: 'y' }]);
  parseConfig(convertVmagent(args, dir, target).text, { file: 'converted', baseDir: dir });

  writeFileSync(
    join(dir, 'rules.yml'),
    '- {if: up, action: drop}\n- {action: graphite}\n- {action: drop_if_equal, source_labels: [a, b, c]}\n- x\n',
  );
  assert.throws(() => convertVmagent(args.slice(0, 3), dir, target), {
    message: [
      'rules.yml: rule 1 has `if`, which Spillway does not know',
      'rules.yml: rule 2 has the action `graphite`, which Spillway does not know',
      'rules.yml: rule 3 has `drop_if_equal` of other than two labels',
      'rules.yml: rule 4 is not a section of keys',
    ].join('\n'),
  });
});

test('relative paths mean the same where the result lies, and are absolute where that is not known', () => {
  const args = [url, '-remoteWrite.tlsCAFile=tls/ca.crt', '-remoteWrite.tmpDataPath=data'];
  const elsewhere = convertVmagent(args, '/etc/vmagent', { folder: '/etc/spillway', env: {} }).text;
  assert.match(elsewhere, /ca_file: \.\.\/vmagent\/tls\/ca\.crt/);
  const anywhere = convertVmagent(args, '/etc/vmagent', { folder: undefined, env: {} }).text;
  assert.match(anywhere, /ca_file: \/etc\/vmagent\/tls\/ca\.crt/);
  assert.match(anywhere, /data_dir: \/etc\/vmagent\/data/);
});
