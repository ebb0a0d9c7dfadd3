import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { Secret, SecretError } from '../../src/config/secrets.ts';

async function temporaryFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-secret-'));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, 'password');
}

describe('Secret', () => {
  it('is not seen unless it is revealed', async () => {
    const secret = new Secret({ text: 's3cret' });
    const seen = [
      `${secret}`,
      JSON.stringify({ secret }),
      inspect({ secret }, { showHidden: true, depth: 9 }),
    ];
    for (const text of seen) {
      assert.match(text, /<secret>/);
      assert.doesNotMatch(text, /s3cret/);
    }
    assert.equal(await secret.reveal(), 's3cret');
  });

  it('keeps the white space of a text', async () => {
    assert.equal(await new Secret({ text: ' a\n' }).reveal(), ' a\n');
  });

  it('follows its file, also when the file is replaced', async (t) => {
    const file = await temporaryFile(t);
    const secret = Object.freeze(new Secret({ file }));
    await writeFile(file, '  first\n');
    assert.equal(await secret.reveal(), 'first');
    assert.equal(await secret.reveal(), 'first');
    await writeFile(file, 'the second\n');
    assert.equal(await secret.reveal(), 'the second');
    await writeFile(`${file}.new`, 'the third!\n');
    await rename(`${file}.new`, file);
    assert.equal(await secret.reveal(), 'the third!');
  });

  it('says which file is missing, and finds it when it is there', async (t) => {
    const file = await temporaryFile(t);
    const secret = new Secret({ file });
    await assert.rejects(secret.reveal(), (error) => {
      assert.ok(error instanceof SecretError);
      assert.equal(error.code, 'SECRET_UNREADABLE');
      assert.equal(error.retryable, true);
      assert.equal(error.facts.file, file);
      return true;
    });
    await writeFile(file, 'late');
    assert.equal(await secret.reveal(), 'late');
    assert.doesNotMatch(inspect(secret, { showHidden: true }), /late/);
  });
});
