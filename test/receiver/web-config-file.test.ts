import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { ConfigFileError } from '../../src/config/load.ts';
import { WebConfigFile } from '../../src/receiver/web-config-file.ts';
import { tempDir } from '../support/temp.ts';
import { logLines } from './log-lines.ts';

const hash = hashSync('s3cret', 4);

test('a file that is still being written is not taken for a whole one', async (t) => {
  const file = join(await tempDir(t, 'web'), 'web.yaml');
  await writeFile(file, `basic_auth_users:\n  a: ${hash}\n  b: ${hash}\n`);
  const { logger, lines } = logLines();
  const web = new WebConfigFile({ file, logger });
  const users = (): string => [...web.current.users.keys()].join();

  const half = `basic_auth_users:\n  a: ${hash}\n`;
  await writeFile(file, half);
  await web.look();
  await writeFile(file, `${half}  b: ${hash}\n  c: ${hash}\n`);
  await web.look();
  assert.equal(users(), 'a,b');
  await web.look();
  assert.equal(users(), 'a,b,c');
  await web.look();
  assert.equal(lines.length, 1);
});

test('a file that is not there is an error that names it', async (t) => {
  const file = join(await tempDir(t, 'web'), 'web.yaml');
  assert.throws(
    () => new WebConfigFile({ file, logger: logLines().logger }),
    (error) => {
      assert.ok(error instanceof ConfigFileError);
      assert.equal(error.facts.file, file);
      return true;
    },
  );
});
