import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { LetterLimits, LetterOrder, StoredLetter } from '../../src/ledger/dead-letters.ts';
import { type DeadLetterStore, DeadLettersDamagedError } from '../../src/ledger/dead-letters.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { openSqlite } from '../../src/runtime/sqlite.ts';
import { atEnd } from '../support/cleanup.ts';
import { refusal, sampleLetter } from '../support/letters.ts';
import { tempDir } from '../support/temp.ts';

const noon = 1_700_000_000_000;
const day = 86_400_000;

async function store(t: TestContext, limits?: Partial<LetterLimits>): Promise<DeadLetterStore> {
  const dir = await tempDir(t, 'letters');
  const ledger = Ledger.open(dir, noon, () => assert.fail('the ledger is whole'), {
    maxRows: 100_000,
    maxAgeMs: 30 * day,
    ...limits,
  });
  atEnd(t, () => ledger.close());
  return ledger.deadLetters;
}

const up = (instance: string) => ({ __name__: 'up', instance });
const rows = (letters: readonly StoredLetter[]): number[] => letters.map(({ row }) => row);
const all = (letters: DeadLetterStore): StoredLetter[] => letters.page({}, 'arrival', undefined, 1_000_000);

test('what is kept is read as it was, also after the file was closed and opened', async (t) => {
  const dir = await tempDir(t, 'letters');
  const open = (): Ledger => Ledger.open(dir, noon, () => assert.fail('it is whole'));
  const first = open();
  const letter = { ...sampleLetter(7, up('a'), noon - 5, 0x7ff0000000000002n), segment: 3, tenant: 't' };
  first.deadLetters.keep('mimir', refusal([letter], { atMs: noon, words: 'nö\n', cause: '422' }));
  first.close();
  const again = open();
  atEnd(t, () => again.close());
  const [found, ...more] = all(again.deadLetters);
  assert.deepEqual(more, []);
  const { labels, content, ...facts } = found!;
  assert.deepEqual([new Uint8Array(labels), new Uint8Array(content)], [letter.labels, letter.content]);
  assert.deepEqual(facts, {
    id: 1,
    endpoint: 'mimir',
    segment: 3,
    row: 7,
    kind: 0,
    timeMs: noon - 5,
    atMs: noon,
    series: 1,
    tenant: 't',
    reason: 'rejected',
    cause: '422',
    words: 'nö\n',
  });
});

test('letters of two tenants with the same labels keep their tenants', async (t) => {
  const letters = await store(t);
  const batch = ['', 'a', 'b', 'a'].map((tenant, i) => ({ ...sampleLetter(i, up('x'), noon), tenant }));
  letters.keep('mimir', refusal(batch, { atMs: noon }));
  assert.deepEqual(
    all(letters).map(({ tenant, series }) => [tenant, series]),
    [
      ['', 1],
      ['a', 2],
      ['b', 3],
      ['a', 2],
    ],
  );
});

test('a row that is refused again replaces its letter; the same row of another endpoint does not', async (t) => {
  const letters = await store(t);
  const batch = [sampleLetter(1, up('a'), noon), sampleLetter(2, up('a'), noon)];
  letters.keep('a', refusal(batch, { atMs: noon }));
  letters.keep('b', refusal(batch, { atMs: noon }));
  letters.keep('a', refusal(batch, { atMs: noon + 1, words: 'still not' }));
  assert.deepEqual(
    all(letters).map(({ endpoint, row, words, atMs }) => [endpoint, row, words, atMs]),
    [
      ['a', 1, 'still not', noon + 1],
      ['a', 2, 'still not', noon + 1],
      ['b', 1, 'out of bounds', noon],
      ['b', 2, 'out of bounds', noon],
    ],
  );
  assert.deepEqual(
    letters.totals().map(({ endpoint, letters: count }) => [endpoint, count]),
    [
      ['a', 2],
      ['b', 2],
    ],
  );
});

test('over max_rows the ones that were refused first go, and are counted for their endpoint', async (t) => {
  const letters = await store(t, { maxRows: 3 });
  const keep = (endpoint: string, row: number, atMs: number) =>
    letters.keep(endpoint, refusal([sampleLetter(row, up('a'), noon)], { atMs }));
  for (const row of [1, 2, 3]) assert.deepEqual(keep('a', row, noon + row), { maxRows: 0, maxAge: 0 });
  assert.deepEqual(keep('b', 4, noon + 4), { maxRows: 1, maxAge: 0 });
  // Refused again: not the oldest any more.
  keep('a', 2, noon + 5);
  keep('b', 5, noon + 6);
  assert.deepEqual(rows(all(letters)).sort(), [2, 4, 5]);
  const [a, b] = letters.totals();
  assert.deepEqual([a?.letters, a?.maxRows, b?.letters, b?.maxRows], [1, 2, 2, 0]);
});

test('letters over max_age go when others come, and when nobody comes', async (t) => {
  const letters = await store(t, { maxAgeMs: 10 });
  const keep = (row: number, atMs: number) =>
    letters.keep('a', refusal([sampleLetter(row, up('a'), noon)], { atMs }));
  keep(1, noon);
  assert.deepEqual(keep(2, noon + 10), { maxRows: 0, maxAge: 0 });
  assert.deepEqual(keep(3, noon + 11), { maxRows: 0, maxAge: 1 });
  assert.deepEqual(letters.trim(noon + 21), { maxRows: 0, maxAge: 1 });
  assert.deepEqual(rows(all(letters)), [3]);
  assert.deepEqual(letters.totals()[0]?.maxAge, 2);
});

test('with max_rows 0 nothing is kept, and all of it is counted', async (t) => {
  const letters = await store(t, { maxRows: 0 });
  const dropped = letters.keep('a', refusal([sampleLetter(1, up('a'), noon)]));
  assert.deepEqual([dropped.maxRows, all(letters).length, letters.totals()[0]?.maxRows], [1, 0, 1]);
});

test('ids are never used again, so that who removes by them removes what was read', async (t) => {
  const letters = await store(t);
  letters.keep('a', refusal([sampleLetter(1, up('a'), noon)]));
  assert.equal(letters.remove([1], 'purged'), 1);
  letters.keep('a', refusal([sampleLetter(2, up('a'), noon)]));
  assert.equal(letters.remove([1], 'resent'), 0);
  assert.deepEqual(rows(all(letters)), [2]);
  const [a] = letters.totals();
  assert.deepEqual([a?.letters, a?.purged, a?.resent], [1, 1, 0]);
});

test('what is refused again has the new answer, and stays', async (t) => {
  const letters = await store(t);
  letters.keep(
    'a',
    refusal(
      [1, 2].map((row) => sampleLetter(row, up('a'), noon)),
      { atMs: noon },
    ),
  );
  const answer = { reason: 'rejected', cause: '409', words: 'never', atMs: noon + 9 } as const;
  assert.equal(letters.refusedAgain([2, 3], answer), 1);
  assert.deepEqual(
    letters.counts().map(({ cause, letters: count, oldestAtMs }) => [cause, count, oldestAtMs]),
    [
      ['400', 1, noon],
      ['409', 1, noon + 9],
    ],
  );
});

test('pages come in the order asked for, and only with what the filter lets through', async (t) => {
  const letters = await store(t);
  const batch = [5, 3, 3, 9, -1].map((time, row) => sampleLetter(row, up(`${row % 2}`), noon + time));
  letters.keep('a', refusal(batch, { atMs: noon }));
  letters.keep('b', refusal(batch, { atMs: noon + 1 }));
  letters.keep('a', {
    ...refusal([sampleLetter(9, up('c'), noon)], { atMs: noon + 2 }),
    reason: 'duplicate',
  });

  const read = (
    filter: Parameters<DeadLetterStore['page']>[0],
    order: LetterOrder,
    limit: number,
  ): string => {
    const found: StoredLetter[] = [];
    for (;;) {
      const page = letters.page(filter, order, found.at(-1), limit);
      found.push(...page);
      assert.ok(page.length <= limit);
      if (page.length < limit) return found.map(({ endpoint, row }) => endpoint + row).join(' ');
    }
  };
  for (const limit of [1, 2, 3, 100]) {
    assert.equal(read({}, 'arrival', limit), 'a0 a1 a2 a3 a4 b0 b1 b2 b3 b4 a9');
    assert.equal(read({}, 'newest', limit), 'a9 b4 b3 b2 b1 b0 a4 a3 a2 a1 a0');
    assert.equal(read({ endpoint: 'b', sinceMs: noon + 1 }, 'newest', limit), 'b4 b3 b2 b1 b0');
    assert.equal(read({ endpoint: 'a' }, 'time', limit), 'a4 a9 a1 a2 a0 a3');
    assert.equal(read({ endpoint: 'b' }, 'arrival', limit), 'b0 b1 b2 b3 b4');
    assert.equal(read({ reason: 'duplicate' }, 'arrival', limit), 'a9');
    assert.equal(read({ sinceMs: noon + 1 }, 'arrival', limit), 'b0 b1 b2 b3 b4 a9');
    assert.equal(read({ beforeMs: noon + 1, endpoint: 'a' }, 'time', limit), 'a4 a1 a2 a0 a3');
    assert.equal(read({ endpoint: 'c' }, 'time', limit), '');
  }
});

test('times beyond what SQLite and JavaScript both can say are kept all the same', async (t) => {
  const letters = await store(t);
  const times = [-(2 ** 63), 2 ** 63, 2 ** 53 + 2];
  letters.keep('a', refusal(times.map((time, row) => ({ ...sampleLetter(row, up('a'), 0), timeMs: time }))));
  assert.deepEqual(rows(letters.page({ endpoint: 'a' }, 'time', undefined, 10)), [0, 1, 2]);
});

test('100 000 letters of 1000 series stay small, are read in pages, and take their labels with them', async (t) => {
  const dir = await tempDir(t, 'letters');
  const ledger = Ledger.open(dir, noon, () => assert.fail('it is whole'), {
    maxRows: 100_000,
    maxAgeMs: day,
  });
  atEnd(t, () => ledger.close());
  const { deadLetters } = ledger;
  const series = Array.from({ length: 1000 }, (_, i) =>
    sampleLetter(0, { ...up(`host-${i}`), pad: 'x'.repeat(300) }, noon),
  );
  for (let row = 0; row < 102_000; row += 2000) {
    const batch = Array.from({ length: 2000 }, (_, i) => ({
      ...series[(row + i) % 1000]!,
      row: row + i,
      timeMs: noon + row + i,
    }));
    deadLetters.keep('a', refusal(batch, { atMs: noon + row }));
  }
  let read = 0;
  for (let last: StoredLetter | undefined; ; ) {
    const page = deadLetters.page({ endpoint: 'a' }, 'time', last, 1000);
    for (const letter of page) assert.equal(letter.row, 2000 + read++);
    if (page.length < 1000) break;
    last = page.at(-1);
  }
  assert.equal(read, 100_000);
  assert.equal(deadLetters.totals()[0]?.maxRows, 2000);

  for (let page = all(deadLetters); page.length > 0; page = all(deadLetters)) {
    deadLetters.remove(
      page.map(({ id }) => id),
      'purged',
    );
  }
  ledger.close();
  const file = path.join(dir, 'state.db');
  assert.ok(fs.statSync(file).size < 20e6, `${fs.statSync(file).size} bytes for 100 000 letters`);
  const database = openSqlite(file, { readonly: true });
  atEnd(t, () => void database.close());
  for (const table of ['dead_letter', 'dead_letter_series', 'dead_letter_answer']) {
    assert.deepEqual(database.prepare(`SELECT count(*) AS n FROM ${table}`).get(), { n: 0 }, table);
  }
});

/** A ledger with a position and enough letters for pages of their own, and letters overwritten by garbage. */
async function damaged(t: TestContext): Promise<{ dir: string; file: string }> {
  const dir = await tempDir(t, 'letters');
  const file = path.join(dir, 'state.db');
  const ledger = Ledger.open(dir, noon, () => assert.fail('it is whole'));
  ledger.saveProgress('a', new Uint8Array(6444).fill(7), { segment: 5, row: 6 }, 9, noon);
  const batch = Array.from({ length: 3000 }, (_, row) => sampleLetter(row, up(`${row}`), noon + row));
  ledger.deadLetters.keep('a', refusal(batch, { atMs: noon }));
  ledger.close();
  const database = openSqlite(file, { readonly: true });
  const pages = database
    .prepare<[], { pageno: number }>(
      `SELECT rootpage AS pageno FROM sqlite_schema WHERE name = 'dead_letter'`,
    )
    .all();
  database.close();
  const bytes = fs.readFileSync(file);
  bytes.fill(0xa5, (pages[0]!.pageno - 1) * 4096, pages[0]!.pageno * 4096);
  fs.writeFileSync(file, bytes);
  return { dir, file };
}

test('damage to letters sets the file aside and costs no position', async (t) => {
  const { dir, file } = await damaged(t);
  const bytes = fs.readFileSync(file);
  const aside: unknown[] = [];
  const ledger = Ledger.open(dir, noon, (name, cause, remains) => {
    assert.ok(cause instanceof Error);
    aside.push(name, remains);
  });
  atEnd(t, () => ledger.close());
  assert.deepEqual(aside, [`${file}.damaged-${noon}`, 'positions']);
  assert.ok(fs.readFileSync(`${file}.damaged-${noon}`).equals(bytes), 'nothing of it is lost');
  assert.deepEqual(new Uint8Array(ledger.progress('a')!), new Uint8Array(6444).fill(7));
  assert.equal(ledger.minNextSegment, 9);
  assert.deepEqual(all(ledger.deadLetters), []);
  ledger.deadLetters.keep('a', refusal([sampleLetter(1, up('a'), noon)]));
  assert.equal(all(ledger.deadLetters).length, 1);
});

test('a file too large to be checked is opened; damage that a query comes upon is mended at the next start', async (t) => {
  const { dir, file } = await damaged(t);
  // Only its length counts; SQLite knows how many pages are its own.
  fs.truncateSync(file, 65 * 1024 * 1024);
  const first = Ledger.open(dir, noon, () => assert.fail('its letters are not looked at'));
  atEnd(t, () => first.close());
  assert.equal(first.minNextSegment, 9);
  assert.throws(() => all(first.deadLetters), DeadLettersDamagedError);
  first.close();
  const remains: unknown[] = [];
  const second = Ledger.open(dir, noon, (_aside, _cause, what) => remains.push(what));
  atEnd(t, () => second.close());
  assert.deepEqual([remains, second.minNextSegment, all(second.deadLetters)], [['positions'], 9, []]);
});
