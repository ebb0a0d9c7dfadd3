import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { Ledger, LedgerVersionError } from '../../src/ledger/ledger.ts';
import { openSqlite } from '../../src/runtime/sqlite.ts';
import { atEnd } from '../support/cleanup.ts';
import { tempDir } from '../support/temp.ts';

const noon = 1_700_000_000_000;
const block = (fill: number): Uint8Array => new Uint8Array(6444).fill(fill);

interface Opened {
  readonly ledger: Ledger;
  /** Files that were set aside. */
  readonly aside: string[];
}

function open(t: TestContext, dir: string, nowMs = noon): Opened {
  const aside: string[] = [];
  const ledger = Ledger.open(dir, nowMs, (file, cause) => {
    assert.ok(cause instanceof Error);
    aside.push(file);
  });
  atEnd(t, () => ledger.close());
  return { ledger, aside };
}

test('what is saved is read, by name, also after the file was closed and opened', async (t) => {
  const dir = await tempDir(t, 'ledger');
  const first = open(t, dir);
  assert.equal(first.ledger.progress('a'), undefined);
  assert.deepEqual(first.ledger.endpoints(), []);
  assert.equal(first.ledger.minNextSegment, 1);
  first.ledger.saveProgress('b', block(2), { segment: 7, row: 8 }, 8, noon);
  first.ledger.saveProgress('a', block(1), { segment: 5, row: 6 }, 9, noon);
  first.ledger.saveProgress('a', block(3), { segment: 6, row: 0 }, 9, noon + 1);
  const check = ({ ledger, aside }: Opened): void => {
    assert.deepEqual(aside, []);
    assert.deepEqual(ledger.endpoints(), ['a', 'b']);
    assert.deepEqual(new Uint8Array(ledger.progress('a')!), block(3));
    assert.deepEqual(new Uint8Array(ledger.progress('b')!), block(2));
    assert.equal(ledger.progress('c'), undefined);
    assert.equal(ledger.minNextSegment, 9);
  };
  check(first);
  first.ledger.close();
  check(open(t, dir));
});

test('what was saved survives a process that does not close the file', async (t) => {
  const dir = await tempDir(t, 'ledger');
  const { ledger } = open(t, dir);
  ledger.saveProgress('a', block(1), { segment: 5, row: 6 }, 9, noon);
  const copy = await tempDir(t, 'ledger');
  for (const name of fs.readdirSync(dir)) fs.copyFileSync(path.join(dir, name), path.join(copy, name));
  assert.ok(fs.readdirSync(copy).length > 1, 'the save is still in the log beside the file');
  const again = open(t, copy);
  assert.deepEqual(again.aside, []);
  assert.deepEqual(new Uint8Array(again.ledger.progress('a')!), block(1));
});

test('the lowest id for a new segment is above every position, and never falls', async (t) => {
  const dir = await tempDir(t, 'ledger');
  const { ledger } = open(t, dir);
  let floor = 1;
  fc.assert(
    fc.property(
      fc.constantFrom('a', 'b', 'c'),
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 1000 }),
      (name, segment, nextSegment) => {
        ledger.saveProgress(name, block(0), { segment, row: 0 }, nextSegment, noon);
        floor = Math.max(floor, nextSegment);
        assert.ok(ledger.minNextSegment > segment);
        assert.ok(ledger.minNextSegment >= floor);
        floor = Math.max(floor, nextSegment);
      },
    ),
    { numRuns: 50 },
  );
  ledger.saveProgress('d', block(0), { segment: 5000, row: 0 }, 1, noon);
  assert.equal(ledger.minNextSegment, 5001, 'a position counts also where the queue says less');
});

test('absences of an endpoint are kept until it has passed them, hold the ids up, and go with it', async (t) => {
  const dir = await tempDir(t, 'ledger');
  const first = open(t, dir).ledger;
  first.leave('a', 5, noon);
  assert.deepEqual(first.absences('a'), [{ sinceMs: noon, from: 5, to: undefined }]);
  assert.equal(first.minNextSegment, 5);
  first.comeBack('a', 9);
  first.leave('a', 12, noon + 1);
  first.comeBack('b', 20);
  first.close();
  const { ledger } = open(t, dir);
  assert.deepEqual(ledger.absences('a'), [
    { sinceMs: noon, from: 5, to: 9 },
    { sinceMs: noon + 1, from: 12, to: undefined },
  ]);
  assert.equal(ledger.minNextSegment, 12);
  ledger.saveProgress('a', block(0), { segment: 8, row: 0 }, 13, noon);
  assert.equal(ledger.absences('a').length, 2);
  ledger.saveProgress('a', block(0), { segment: 9, row: 0 }, 13, noon);
  ledger.saveProgress('b', block(0), { segment: 12, row: 0 }, 13, noon);
  assert.deepEqual(
    ledger.absences('a').map(({ from }) => from),
    [12],
  );
  ledger.forget('a');
  assert.deepEqual([ledger.absences('a'), ledger.endpoints(), ledger.progress('a')], [[], ['b'], undefined]);
});

test('an order to pass over rows stands until they are passed, holds the ids up, and goes with its endpoint', async (t) => {
  const dir = await tempDir(t, 'ledger');
  const first = open(t, dir).ledger;
  first.orders.skip('a', 7);
  first.orders.skip('a', 5);
  first.orders.skip('b', 3);
  first.close();
  const { ledger } = open(t, dir);
  assert.deepEqual([ledger.orders.skipsTo('a'), ledger.orders.skipsTo('b')], [7, 3]);
  assert.equal(ledger.minNextSegment, 7);
  ledger.saveProgress('a', block(0), { segment: 6, row: 9 }, 8, noon);
  assert.equal(ledger.orders.skipsTo('a'), 7);
  ledger.saveProgress('a', block(0), { segment: 7, row: 0 }, 8, noon);
  assert.equal(ledger.orders.skipsTo('a'), undefined);
  assert.equal(ledger.orders.skipsTo('b'), 3);
  ledger.forget('b');
  assert.equal(ledger.orders.skipsTo('b'), undefined);
  ledger.orders.skip('c', 9);
  ledger.orders.dropSkip('c');
  assert.equal(ledger.orders.skipsTo('c'), undefined);
});

test('an endpoint of which a position is kept holds the ids up, whatever the queue said', async (t) => {
  const dir = await tempDir(t, 'ledger');
  const { ledger } = open(t, dir);
  ledger.saveProgress('a', block(0), { segment: 3, row: 0 }, 20, noon);
  ledger.saveProgress('a', block(0), { segment: 4, row: 0 }, 5, noon);
  assert.equal(ledger.minNextSegment, 20);
});

for (const { what, damage } of [
  {
    what: 'garbage',
    damage: (file: string) => fs.writeFileSync(file, Buffer.alloc(9000, 'not a database ')),
  },
  { what: 'cut in its first page', damage: (file: string) => fs.truncateSync(file, 500) },
  { what: 'cut behind its first page', damage: (file: string) => fs.truncateSync(file, 4096) },
  {
    what: 'cut before its last page',
    damage: (file: string) => fs.truncateSync(file, fs.statSync(file).size - 4096),
  },
  {
    what: 'overwritten in its tables',
    damage: (file: string) => {
      const bytes = fs.readFileSync(file);
      bytes.fill(0xa5, 4096);
      fs.writeFileSync(file, bytes);
    },
  },
]) {
  test(`a file that is ${what} is set aside, and an empty one takes its place`, async (t) => {
    const dir = await tempDir(t, 'ledger');
    const file = path.join(dir, 'state.db');
    const first = open(t, dir);
    for (const name of ['a', 'b', 'c', 'd']) {
      first.ledger.saveProgress(name, block(1), { segment: 5, row: 6 }, 9, noon);
    }
    first.ledger.close();
    damage(file);
    const damaged = fs.readFileSync(file);

    const { ledger, aside } = open(t, dir, noon + 5);
    assert.deepEqual(aside, [`${file}.damaged-${noon + 5}`]);
    assert.ok(fs.readFileSync(aside[0]!).equals(damaged), 'nothing of it is lost');
    assert.equal(ledger.progress('a'), undefined);
    assert.deepEqual(ledger.endpoints(), []);
    ledger.saveProgress('a', block(2), { segment: 6, row: 0 }, 9, noon);
    ledger.close();
    const again = open(t, dir, noon + 6);
    assert.deepEqual(again.aside, []);
    assert.deepEqual(new Uint8Array(again.ledger.progress('a')!), block(2));
  });
}

test('a file of a newer version is refused and left as it is', async (t) => {
  const dir = await tempDir(t, 'ledger');
  const file = path.join(dir, 'state.db');
  const { ledger } = open(t, dir);
  ledger.saveProgress('a', block(1), { segment: 5, row: 6 }, 9, noon);
  ledger.close();
  const database = openSqlite(file);
  database.pragma('user_version = 1000');
  database.close();
  const before = fs.readFileSync(file);
  assert.throws(
    () => Ledger.open(dir, noon, () => assert.fail('it is not damaged')),
    (error) =>
      error instanceof LedgerVersionError && error.code === 'LEDGER_VERSION' && error.facts.version === 1000,
  );
  assert.ok(fs.readFileSync(file).equals(before));
  assert.deepEqual(fs.readdirSync(dir), ['state.db'], 'the file is not held open');
});

test('a directory that is not there is an error, not damage', async (t) => {
  const dir = path.join(await tempDir(t, 'ledger'), 'missing');
  assert.throws(() => Ledger.open(dir, noon, () => assert.fail('there is nothing to set aside')));
});

test('closing twice is closing once', async (t) => {
  const { ledger } = open(t, await tempDir(t, 'ledger'));
  ledger.close();
  ledger.close();
});
