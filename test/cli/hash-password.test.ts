import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { compareSync } from 'bcryptjs';
import { CommandError, UsageError } from '../../src/cli/errors.ts';
import { hashPassword } from '../../src/cli/hash-password.ts';
import { parseWebConfig } from '../../src/config/web-config.ts';

function input(text: string, isTTY: boolean): PassThrough & { isTTY: boolean } {
  const stream = Object.assign(new PassThrough(), { isTTY });
  stream.end(text);
  return stream;
}

test('a password that is piped in becomes a hash that the web configuration file takes', async () => {
  const prompts = new PassThrough();
  const hashed = await hashPassword(input('s3cret word\n', false), prompts);
  assert.ok(compareSync('s3cret word', hashed));
  assert.equal(prompts.read(), null);
  const text = JSON.stringify({ basic_auth_users: { a: hashed } });
  const web = parseWebConfig(text, { file: 'web', baseDir: '/', read: () => assert.fail('no file') });
  assert.ok(web.users.has('a'));
});

test('on a terminal it is asked for twice, and not shown', async () => {
  const prompts = new PassThrough();
  assert.ok(compareSync('s3cret', await hashPassword(input('s3cret\ns3cret\n', true), prompts)));
  assert.equal(prompts.read()?.toString(), 'Password: \nAgain: \n');
  const differ = hashPassword(input('s3cret\ns3crte\n', true), new PassThrough());
  await assert.rejects(
    differ,
    (error) => error instanceof CommandError && /two different/.test(error.message),
  );
  await assert.rejects(hashPassword(input('s3cret\n', true), new PassThrough()), CommandError);
});

test('no password, and one that bcrypt would cut, are errors', async () => {
  await assert.rejects(hashPassword(input('\n', false), new PassThrough()), UsageError);
  await assert.rejects(hashPassword(input('ä'.repeat(37), false), new PassThrough()), /longer than 72 bytes/);
  assert.ok(await hashPassword(input('ä'.repeat(36), false), new PassThrough()));
});
