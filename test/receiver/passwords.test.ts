import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { hashSync } from 'bcryptjs';
import type { Access } from '../../src/config/entries.ts';
import { Passwords, PasswordsBusyError } from '../../src/receiver/passwords.ts';
import { atEnd } from '../support/cleanup.ts';

/** The cheapest hash, and one whose comparison takes longer than any test: several seconds. */
const cheap = hashSync('right', 4);
const endless = cheap.replace('$04$', '$16$');

function passwords(t: TestContext, hashes: Record<string, string>): Passwords {
  const created = new Passwords(
    new Map(Object.entries(hashes).map(([name, hash]) => [name, { hash, access: 'all' as Access }])),
  );
  atEnd(t, () => created.close());
  return created;
}

const attempt = (user: string, password: string, from = 'a') => ({ user, password, from });

/** Comparisons that go on until the end of the test. */
function occupy(created: Passwords, count: number, from?: string): void {
  for (let i = 0; i < count; i++) {
    // They end when it is closed.
    void assert.rejects(created.verify(attempt('slow', `guess ${from} ${i}`, from)), PasswordsBusyError);
  }
}

describe('Passwords', () => {
  it('knows the users and their passwords', async (t) => {
    const created = passwords(t, { a: cheap, b: hashSync('pässword', 4) });
    for (const [user, password, expected] of [
      ['a', 'right', true],
      ['a', 'right', true],
      ['a', 'wrong', false],
      ['a', 'wrong', false],
      ['a', '', false],
      ['b', 'right', false],
      ['b', 'pässword', true],
      ['nobody', 'right', false],
      ['nobody', 'pässword', false],
      ['', '', false],
      ['__proto__', 'right', false],
    ] as const) {
      const found = await created.verify(attempt(user, password));
      assert.equal(found !== undefined, expected, `${user}:${password}`);
    }
  });

  it('takes hashes of every age', async (t) => {
    const hashes = { a: cheap.replace('$2b$', '$2a$'), b: cheap, y: cheap.replace('$2b$', '$2y$') };
    const created = passwords(t, hashes);
    for (const user of Object.keys(hashes)) assert.ok(await created.verify(attempt(user, 'right')), user);
  });

  it('has nobody without users', async (t) => {
    assert.equal(await passwords(t, {}).verify(attempt('a', 'right')), undefined);
  });

  it('compares a password once, however many bring it at once, and remembers what came of it', async (t) => {
    const created = passwords(t, { a: cheap, slow: endless });
    const found = await Promise.all(Array.from({ length: 50 }, () => created.verify(attempt('a', 'right'))));
    assert.ok(found.every((user) => user?.hash === cheap));
    assert.equal(await created.verify(attempt('a', 'wrong')), undefined);
    occupy(created, 4);
    // No comparison is to be had any more, so these are remembered.
    assert.ok(await created.verify(attempt('a', 'right')));
    assert.equal(await created.verify(attempt('a', 'wrong')), undefined);
  });

  it('lets no address take all the comparisons', async (t) => {
    const created = passwords(t, { a: cheap, slow: endless });
    // From one address four wait, and a fifth is told to come again.
    occupy(created, 4, 'guesser');
    await assert.rejects(created.verify(attempt('slow', 'one more', 'guesser')), PasswordsBusyError);
    // From others there is room, until there are 32.
    for (let i = 0; i < 7; i++) occupy(created, 4, `guesser ${i}`);
    await assert.rejects(created.verify(attempt('slow', 'one more', 'another')), PasswordsBusyError);
  });

  it('compares for a user who does not exist, too', async (t) => {
    const created = passwords(t, { slow: endless });
    occupy(created, 3);
    void assert.rejects(created.verify(attempt('nobody', 'guess')), PasswordsBusyError);
    await assert.rejects(created.verify(attempt('slow', 'one more')), PasswordsBusyError);
  });

  it('does not take the password of the user whom it compares a stranger with', async (t) => {
    const created = passwords(t, { a: cheap });
    assert.equal(await created.verify(attempt('nobody', 'right')), undefined);
    assert.equal(await created.verify(attempt('nobody', 'right')), undefined);
    assert.ok(await created.verify(attempt('a', 'right')));
  });
});
