import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { createDestination } from '../../src/network/create-destination.ts';
import type { Outcome } from '../../src/network/destination.ts';
import { atEnd } from '../support/cleanup.ts';
import { listenAnywhere } from '../support/ports.ts';
import { signatureFault } from '../support/sigv4.ts';
import { tempDir } from '../support/temp.ts';

const body = Uint8Array.of(1, 2, 3, 250);

interface Seen {
  readonly fault: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

async function receive(t: TestContext, secret: string): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const fault = signatureFault(request, Buffer.concat(parts), secret);
    seen.push({ fault, headers: request.headers });
    response.writeHead(fault === undefined ? 204 : 403).end();
  });
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${port}/workspaces/ws-1 a/api/v1/remote_write?x=1&a=b%2Fc`, seen };
}

function environment(t: TestContext, more: NodeJS.ProcessEnv): void {
  const before = process.env;
  process.env = { ...before, AWS_EC2_METADATA_DISABLED: 'true', ...more };
  atEnd(t, () => {
    process.env = before;
  });
}

async function post(t: TestContext, url: string, sigv4: object, times = 1): Promise<Outcome> {
  const text = JSON.stringify({ remote_write: [{ url, sigv4, headers: { 'X-Own': 'any' } }] });
  const config = parseConfig(text, { file: 'test', baseDir: '/' });
  const writer = createDestination(config.remoteWrite[0]!, 'spillway/9.9');
  atEnd(t, () => writer.close());
  for (let i = 1; i < times; i++) await writer.post(body, 0, new AbortController().signal);
  return writer.post(body, 0, new AbortController().signal);
}

test('requests are signed with the key of the configuration', async (t) => {
  const { url, seen } = await receive(t, 's3cret/+');
  const key = { region: 'eu-central-1', access_key: 'AKID', secret_key: 's3cret/+' };
  assert.deepEqual((await post(t, url, key, 2)).kind, 'response');
  assert.deepEqual(
    seen.map(({ fault }) => fault),
    [undefined, undefined],
  );
  const { authorization = '' } = seen[0]!.headers;
  assert.match(authorization, /Credential=AKID\/\d{8}\/eu-central-1\/aps\/aws4_request, /);
  assert.equal(seen[0]!.headers['x-own'], 'any');
  assert.doesNotMatch(JSON.stringify(seen), /s3cret/);
  // Another secret is another signature: the check above can fail.
  await post(t, url, { ...key, secret_key: 'wrong', service_name: 'execute-api' });
  assert.equal(seen.at(-1)!.fault, 'the signature does not match');
  assert.match(seen.at(-1)!.headers.authorization!, /\/execute-api\/aws4_request/);
});

test('credentials of the environment, with their session token', async (t) => {
  const { url, seen } = await receive(t, 'from-env');
  environment(t, {
    AWS_REGION: 'us-east-2',
    AWS_ACCESS_KEY_ID: 'ENV',
    AWS_SECRET_ACCESS_KEY: 'from-env',
    AWS_SESSION_TOKEN: 'session',
  });
  await post(t, url, { service_name: 'aps' });
  assert.equal(seen[0]!.fault, undefined);
  assert.match(seen[0]!.headers.authorization!, /Credential=ENV\/\d{8}\/us-east-2\/.*x-amz-security-token/);
  assert.equal(seen[0]!.headers['x-amz-security-token'], 'session');
});

test('a profile of the AWS files', async (t) => {
  const { url, seen } = await receive(t, 'from-profile');
  const file = join(await tempDir(t, 'aws'), 'credentials');
  await writeFile(file, '[metrics]\naws_access_key_id = PROFILE\naws_secret_access_key = from-profile\n');
  environment(t, { AWS_SHARED_CREDENTIALS_FILE: file, AWS_CONFIG_FILE: `${file}.config` });
  await post(t, url, { region: 'eu-west-1', profile: 'metrics' });
  assert.equal(seen[0]!.fault, undefined);
  assert.match(seen[0]!.headers.authorization!, /Credential=PROFILE\//);
});

test('a role is taken on once for many requests', async (t) => {
  const { url, seen } = await receive(t, 'of-role');
  const asked: URLSearchParams[] = [];
  const sts = createServer(async (request, response) => {
    let text = '';
    for await (const part of request.setEncoding('utf8')) text += part;
    asked.push(new URLSearchParams(text));
    response.writeHead(200, { 'content-type': 'text/xml' }).end(
      `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
       <AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>of-role</SecretAccessKey><SessionToken>role-session</SessionToken>
       <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
    );
  });
  const port = await listenAnywhere(sts);
  atEnd(t, () => {
    sts.closeAllConnections();
    sts.close();
  });
  environment(t, { AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${port}` });
  const role_arn = 'arn:aws:iam::123456789012:role/writer';
  const key = { region: 'eu-west-1', access_key: 'AKID', secret_key: 's3cret' };
  await post(t, url, { ...key, role_arn, external_id: 'known' }, 3);
  assert.deepEqual(
    seen.map(({ fault, headers }) => [fault, headers['x-amz-security-token']]),
    Array(3).fill([undefined, 'role-session']),
  );
  assert.deepEqual(
    asked.map((params) => [params.get('Action'), params.get('RoleArn'), params.get('ExternalId')]),
    [['AssumeRole', role_arn, 'known']],
  );
});

test('without credentials nothing is sent', async (t) => {
  const { url, seen } = await receive(t, '');
  environment(t, {
    AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
    AWS_CONFIG_FILE: '/nowhere',
    AWS_ACCESS_KEY_ID: '',
    AWS_PROFILE: '',
  });
  const result = await post(t, url, { region: 'eu-west-1' });
  assert.ok(result.kind === 'network' && result.code === 'NO_CREDENTIALS' && !result.maybeDelivered);
  assert.match(result.words, /credentials/i);
  assert.equal(seen.length, 0);
});
