import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../src/ledger/ledger.ts';
import { MetadataStore } from '../../src/ledger/metadata-store.ts';
import { metadataTables } from '../../src/ledger/metadata-tables.ts';
import { openSqlite } from '../../src/runtime/sqlite.ts';
import { atEnd } from '../support/cleanup.ts';
import { tempDir } from '../support/temp.ts';

const text = (words: string) => new TextEncoder().encode(words);
const family = (name: string, help = '') => ({
  family: text(name),
  type: 1,
  help: text(help),
  unit: text(''),
});

function names(store: MetadataStore): string[] {
  return store.all().map(({ family: name, help }) => `${Buffer.from(name)}${Buffer.from(help)}`);
}

test('the last metadata of each family outlives the process', async (t) => {
  const dir = await tempDir(t, 'ledger');
  let ledger = Ledger.open(dir, 1, () => assert.fail('it is whole'));
  ledger.metadata.save([family('a', '1'), family('b')], 1);
  ledger.metadata.save([family('a', '2')], 2);
  ledger.close();
  ledger = Ledger.open(dir, 1, () => assert.fail('it is whole'));
  atEnd(t, () => ledger.close());
  assert.deepEqual(names(ledger.metadata), ['b', 'a2']);
});

test('over the limit the families told of the longest ago go; what is told again as it was is not younger for it', (t) => {
  const database = openSqlite(':memory:');
  atEnd(t, () => {
    database.close();
  });
  database.exec(metadataTables);
  const store = new MetadataStore(database, 2);
  store.save([family('a')], 1);
  store.save([family('b')], 2);
  store.save([family('a')], 3);
  store.save([family('c')], 4);
  assert.deepEqual(names(store), ['b', 'c']);
});

test('of texts without end as many families are given as an endpoint has room for, those told of last', (t) => {
  const database = openSqlite(':memory:');
  atEnd(t, () => {
    database.close();
  });
  database.exec(metadataTables);
  const store = new MetadataStore(database, 100, 20);
  for (const [i, name] of ['a', 'b', 'c', 'd'].entries()) store.save([family(name, 'x'.repeat(8))], i);
  store.save([family('a', 'y'.repeat(8))], 9);
  assert.deepEqual(names(store), ['dxxxxxxxx', 'ayyyyyyyy']);
});

test('a fallback is known by name and URL, until 2.0 is taken', async (t) => {
  const ledger = Ledger.open(await tempDir(t, 'ledger'), 1, () => assert.fail('it is whole'));
  atEnd(t, () => ledger.close());
  const { versions } = ledger;
  assert.equal(versions.fellBackMs('a', 'http://one'), undefined);
  versions.note('a', 'http://one', 7.5);
  versions.note('a', 'http://one', 8);
  assert.equal(versions.fellBackMs('a', 'http://one'), 8);
  assert.equal(versions.fellBackMs('a', 'http://two'), undefined, 'that is another receiver');
  versions.note('a', 'http://one', undefined);
  assert.equal(versions.fellBackMs('a', 'http://one'), undefined);
});
