import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compress } from 'snappyjs';
import { parseConfig } from '../../src/config/load.ts';
import { createDestination } from '../../src/network/create-destination.ts';
import type { Outcome } from '../../src/network/destination.ts';
import { optionalPackage } from '../../src/network/optional-package.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { atEnd } from '../support/cleanup.ts';
import { request, series } from '../support/messages.ts';
import { listenAnywhere } from '../support/ports.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

const body = compress(encodeWriteRequestV1(request(series({ __name__: 'up' }, [1, 1]))));

interface Asked {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly params: Readonly<Record<string, string>>;
}

/** A server that hands out tokens, or what `answer` says. */
async function tokens(
  t: TestContext,
  answer: object,
  status = 200,
): Promise<{ origin: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer(async (incoming, response) => {
    let text = '';
    for await (const part of incoming.setEncoding('utf8')) text += part;
    const { url = '', headers } = incoming;
    asked.push({ url, headers, params: Object.fromEntries(new URLSearchParams(text)) });
    response
      .writeHead(status, { 'content-type': 'application/json', 'metadata-flavor': 'Google' })
      .end(JSON.stringify(answer));
  });
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${port}`, asked };
}

function environment(t: TestContext, more: NodeJS.ProcessEnv): void {
  const before = process.env;
  process.env = { ...before, ...more };
  atEnd(t, () => {
    process.env = before;
  });
}

async function post(t: TestContext, auth: object, times = 1): Promise<{ outcome: Outcome; sink: Sink }> {
  const sink = await Sink.start(t);
  const text = JSON.stringify({ remote_write: [{ url: sink.url, ...auth }] });
  const writer = createDestination(
    parseConfig(text, { file: 'test', baseDir: '/' }).remoteWrite[0]!,
    'spillway/9.9',
  );
  atEnd(t, () => writer.close());
  for (let i = 1; i < times; i++) await writer.post(body, 0, new AbortController().signal);
  return { outcome: await writer.post(body, 0, new AbortController().signal), sink };
}

function sent(sink: Sink): (string | undefined)[] {
  return sink.requests.map(({ headers }) => headers.authorization);
}

test('azuread: an application', async (t) => {
  const { origin, asked } = await tokens(t, { access_token: 'abc', token_type: 'Bearer', expires_in: 3600 });
  environment(t, { AZURE_AUTHORITY_HOST: `${origin}/` });
  const oauth = { client_id: 'app', client_secret: 's3cret', tenant_id: 'tenant-1' };
  const { sink } = await post(t, { azuread: { cloud: 'AzureChina', oauth } }, 3);
  assert.deepEqual(sent(sink), Array(3).fill('Bearer abc'));
  assert.equal(asked.length, 1);
  assert.equal(asked[0]!.url, '/tenant-1/oauth2/v2.0/token');
  assert.deepEqual(asked[0]!.params, {
    grant_type: 'client_credentials',
    scope: 'https://monitor.azure.cn//.default',
  });
});

test('azuread: a cloud of ones own says where tokens are had and for what, whatever the environment', async (t) => {
  const { origin, asked } = await tokens(t, { access_token: 'abc', expires_in: 3600 });
  environment(t, { AZURE_AUTHORITY_HOST: 'http://127.0.0.1:1' });
  const cloud = {
    name: 'AzureCustom',
    aad_endpoint: `${origin}/aad/`,
    token_audience: 'https://own/.default',
  };
  const oauth = { client_id: 'app', client_secret: 's3cret', tenant_id: 'tenant-1' };
  const { sink } = await post(t, { azuread: { cloud, oauth } });
  assert.deepEqual(sent(sink), ['Bearer abc']);
  assert.equal(asked[0]!.url, '/aad/tenant-1/oauth2/v2.0/token');
  assert.equal(asked[0]!.params.scope, 'https://own/.default');
});

test('azuread: a workload, by the token that Kubernetes has put into its file', async (t) => {
  const { origin, asked } = await tokens(t, { access_token: 'abc', expires_in: 3600 });
  environment(t, { AZURE_AUTHORITY_HOST: origin });
  const token_file_path = join(await tempDir(t, 'azure'), 'token');
  await writeFile(token_file_path, 'signed.by.kubernetes\n');
  const workload_identity = { client_id: 'app', tenant_id: 'tenant-1', token_file_path };
  const { sink } = await post(t, { azuread: { workload_identity } }, 2);
  assert.deepEqual(sent(sink), ['Bearer abc', 'Bearer abc']);
  assert.equal(asked.length, 1);
  assert.equal(asked[0]!.url, '/tenant-1/oauth2/v2.0/token');
  assert.equal(asked[0]!.headers.authorization, undefined);
  assert.deepEqual(asked[0]!.params, {
    grant_type: 'client_credentials',
    client_id: 'app',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: 'signed.by.kubernetes',
    scope: 'https://monitor.azure.com//.default',
  });
});

test('azuread: the identity of the machine, and of an app', async (t) => {
  const { origin, asked } = await tokens(t, { access_token: 'abc', expires_on: '4000000000' });
  environment(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin });
  const machine = await post(t, { azuread: { managed_identity: { client_id: 'one' } } }, 2);
  assert.deepEqual(sent(machine.sink), ['Bearer abc', 'Bearer abc']);
  environment(t, { IDENTITY_ENDPOINT: `${origin}/msi`, IDENTITY_HEADER: 'proof' });
  const app = await post(t, {
    azuread: { managed_identity: { client_id: 'two' }, scope: 'https://own/.default' },
  });
  assert.deepEqual(sent(app.sink), ['Bearer abc']);
  assert.deepEqual(
    asked.map(({ url, headers }) => {
      const { pathname, searchParams } = new URL(url, origin);
      return [pathname, Object.fromEntries(searchParams), headers.metadata, headers['x-identity-header']];
    }),
    [
      [
        '/metadata/identity/oauth2/token',
        { 'api-version': '2018-02-01', resource: 'https://monitor.azure.com/', client_id: 'one' },
        'true',
        undefined,
      ],
      [
        '/msi',
        { 'api-version': '2019-08-01', resource: 'https://own', client_id: 'two' },
        undefined,
        'proof',
      ],
    ],
  );
});

test('azuread: a machine that gives no token holds the endpoint, with its words', async (t) => {
  const { origin } = await tokens(
    t,
    { error: 'invalid_request', error_description: 'Identity not found' },
    400,
  );
  environment(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: origin });
  const { outcome, sink } = await post(t, { azuread: { managed_identity: { client_id: 'one' } } });
  assert.ok(outcome.kind === 'network' && outcome.code === 'NO_CREDENTIALS');
  assert.match(outcome.words, /gave no token: 400: invalid_request: Identity not found$/);
  assert.equal(sink.requests.length, 0);
});

test('google_iam: the account of the instance', async (t) => {
  const { origin, asked } = await tokens(t, { access_token: 'abc', token_type: 'Bearer', expires_in: 3600 });
  environment(t, {
    GCE_METADATA_HOST: new URL(origin).host,
    GOOGLE_APPLICATION_CREDENTIALS: '',
    HOME: await tempDir(t, 'google'),
  });
  const { outcome, sink } = await post(t, { google_iam: {} }, 2);
  assert.deepEqual(sent(sink), ['Bearer abc', 'Bearer abc'], JSON.stringify(outcome));
  const token = asked.find(({ url }) => url.includes('/token'));
  assert.match(
    decodeURIComponent(token!.url),
    /scopes=https:\/\/www\.googleapis\.com\/auth\/monitoring\.write/,
  );
});

test('google_iam: a file with credentials', async (t) => {
  const { origin, asked } = await tokens(t, {
    access_token: 'abc',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: 3600,
  });
  const dir = await tempDir(t, 'google');
  const [credentials_file, subject] = [join(dir, 'google.json'), join(dir, 'subject')];
  await writeFile(subject, 'subject-token');
  await writeFile(
    credentials_file,
    JSON.stringify({
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${origin}/v1/token`,
      credential_source: { file: subject },
    }),
  );
  const { outcome, sink } = await post(t, { google_iam: { credentials_file } });
  assert.deepEqual(sent(sink), ['Bearer abc'], JSON.stringify(outcome));
  assert.equal(asked[0]!.params.subject_token, 'subject-token');
  const missing = await post(t, { google_iam: { credentials_file: join(dir, 'none.json') } });
  assert.ok(missing.outcome.kind === 'network' && missing.outcome.code === 'NO_CREDENTIALS');
});

test('a package that is not there: the endpoint is held, with the name and the command', async (t) => {
  await assert.rejects(optionalPackage('some', '@spillway/no-such-package', 'one two'), {
    code: 'PACKAGE_MISSING',
    message:
      '`some` needs packages that are not installed: run `npm install one two` in the folder of Spillway, and start it again',
  });
  const { outcome, sink } = await post(t, { azuread: { sdk: { tenant_id: 'a' } } });
  assert.ok(outcome.kind === 'network' && outcome.code === 'NO_CREDENTIALS');
  assert.match(outcome.words, /^`azuread\.sdk` needs .* `npm install @azure\/identity`/);
  assert.equal(sink.requests.length, 0);
});

test('a machine that never answers ends the call in its time', async (t) => {
  const server = createServer(() => {});
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  environment(t, { AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://127.0.0.1:${port}` });
  const { outcome } = await post(t, { azuread: { managed_identity: {} }, remote_timeout: '60ms' });
  assert.ok(outcome.kind === 'network' && outcome.code === 'NO_CREDENTIALS');
  assert.equal(outcome.words, 'a token of Azure: no answer within 60 ms');
});
