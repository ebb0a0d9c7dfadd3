import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HideValues } from '../../examples/handler.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { Road } from '../reference/road.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { request, series } from '../support/messages.ts';

/** Labels as they leave, through queue, handler and emission. */
function leave(handler: HideValues, ...sets: Record<string, string>[]): Record<string, string>[] {
  const road = new Road('snappy', handler);
  road.take(encodeWriteRequestV1(request(...sets.map((set) => series({ __name__: 'm', ...set }, [1, 1])))));
  return road
    .deliver()
    .timeseries.map(({ labels }) => Object.fromEntries(labels.map(({ name, value }) => [name, value])));
}

test('a handler changes the labels that it is for, and no others', () => {
  const handler = new HideValues(['user'], 'a key');
  const [first, second, third] = leave(
    handler,
    { job: 'web', user: 'ann' },
    { job: 'api', user: 'ann' },
    { user: 'bob' },
  );
  assert.match(first!.user!, /^[0-9a-f]{16}$/);
  assert.deepEqual(first, { __name__: 'm', job: 'web', user: first!.user });
  assert.equal(second!.user, first!.user);
  assert.notEqual(third!.user, first!.user);
});

test('the hash that routing goes by is that of the series as it leaves', () => {
  const road = new Road('none', new HideValues(['user'], 'a key'));
  road.take(encodeWriteRequestV1(request(series({ __name__: 'm', user: 'ann' }, [1, 1]))));
  const rows = road.read(road.commit());
  const id = rows.series[rows.at(0)]!;
  const [labels] = leave(new HideValues(['user'], 'a key'), { user: 'ann' });
  const expected = seriesHash(Object.entries(labels!).map(([name, value]) => ({ name, value })));
  assert.deepEqual([road.reader.seriesHash[2 * id], road.reader.seriesHash[2 * id + 1]], expected);
});

test('its routing is another when it does something else', () => {
  const routing = (names: string[], key: string): number => new HideValues(names, key).routing;
  assert.equal(routing(['a', 'b'], 'k'), routing(['b', 'a'], 'k'));
  assert.equal(new Set([routing(['a'], 'k'), routing(['b'], 'k'), routing(['a'], 'l')]).size, 3);
});
