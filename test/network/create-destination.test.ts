import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import { compress } from 'snappyjs';
import { parseConfig } from '../../src/config/load.ts';
import { HttpDestination } from '../../src/network/client.ts';
import { createDestination } from '../../src/network/create-destination.ts';
import type { Destination } from '../../src/network/destination.ts';
import { RecentDestination } from '../../src/network/recent.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { request, series } from '../support/messages.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

const body = compress(encodeWriteRequestV1(request(series({ __name__: 'up' }, [1, 1]))));
const never = new AbortController().signal;

async function created(t: TestContext, baseDir: string, entry: string): Promise<Destination> {
  const config = parseConfig(`remote_write:\n  - ${entry.trim().replaceAll('\n', '\n    ')}\n`, {
    file: 'test',
    baseDir,
  });
  const destination = createDestination(config.remoteWrite[0]!, 'spillway/9.9');
  t.after(() => destination.close());
  return destination;
}

for (const { what, entry, authorization } of [
  { what: 'no credentials', entry: '', authorization: undefined },
  {
    what: 'a user and a password',
    entry: 'basic_auth: {username: me, password: "pass:wörd"}',
    authorization: `Basic ${Buffer.from('me:pass:wörd').toString('base64')}`,
  },
  { what: 'a token', entry: 'authorization: {credentials: abc}', authorization: 'Bearer abc' },
  { what: 'a token by its old name', entry: 'bearer_token: abc', authorization: 'Bearer abc' },
  {
    what: 'a token of another type',
    entry: 'authorization: {type: Custom, credentials: abc}',
    authorization: 'Custom abc',
  },
]) {
  test(`over HTTP with ${what}`, async (t) => {
    const sink = await Sink.start(t);
    const destination = await created(
      t,
      await tempDir(t, 'create'),
      `url: ${sink.url}\nheaders: {X-Own: yes-please}\n${entry}`,
    );
    assert.ok(destination instanceof HttpDestination);
    assert.equal((await destination.post(body, 0, never)).kind, 'response');
    const { headers } = sink.requests[0]!;
    assert.equal(headers.authorization, authorization);
    assert.equal(headers['x-own'], 'yes-please');
    assert.equal(headers['user-agent'], 'spillway/9.9');
    assert.equal(sink.arrivals.count, 1);
  });
}

test('a secret in a file is read for each request', async (t) => {
  const sink = await Sink.start(t);
  const dir = await tempDir(t, 'create');
  const file = path.join(dir, 'token');
  fs.writeFileSync(file, 'first\n');
  const destination = await created(t, dir, `url: ${sink.url}\nauthorization: {credentials_file: token}`);
  await destination.post(body, 0, never);
  fs.writeFileSync(file, 'second\n');
  await destination.post(body, 0, never);
  fs.rmSync(file);
  const outcome = await destination.post(body, 0, never);
  assert.deepEqual(
    sink.requests.map(({ headers }) => headers.authorization),
    ['Bearer first', 'Bearer second'],
  );
  assert.ok(outcome.kind === 'network' && outcome.code === 'NO_CREDENTIALS' && !outcome.maybeDelivered);
});

test('the built-in store of recent samples', async (t) => {
  const dir = await tempDir(t, 'create');
  const destination = await created(t, dir, 'url: sqlite:recent.db');
  assert.ok(destination instanceof RecentDestination);
  const outcome = await destination.post(body, 0, never);
  assert.ok(outcome.kind === 'response' && outcome.status === 204);
});

test('headers with several values, secret ones and ones in files', async (t) => {
  const sink = await Sink.start(t);
  const dir = await tempDir(t, 'create');
  fs.writeFileSync(path.join(dir, 'key'), 'from file\n');
  const destination = await created(
    t,
    dir,
    `url: ${sink.url}\nhttp_headers:\n  X-Many: {values: [one, two], secrets: [three], files: [key]}\n  X-Key: {files: [key]}`,
  );
  await destination.post(body, 0, never);
  fs.writeFileSync(path.join(dir, 'key'), 'changed, and longer\n');
  await destination.post(body, 0, never);
  assert.deepEqual(
    sink.requests.map(({ headers }) => [headers['x-many'], headers['x-key']]),
    [
      ['one, two, three, from file', 'from file'],
      ['one, two, three, changed, and longer', 'changed, and longer'],
    ],
  );
  fs.writeFileSync(path.join(dir, 'key'), 's3cret\nsecond line\n');
  const broken = await destination.post(body, 0, never);
  assert.ok(broken.kind === 'network' && broken.code === 'NO_CREDENTIALS');
  assert.doesNotMatch(broken.words, /s3cret/);
});
