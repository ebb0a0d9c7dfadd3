import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenCache } from '../../src/network/token-cache.ts';

const never = new AbortController().signal;

function cacheOf(lifeMs: number) {
  const state = { now: 1_000_000, fetches: 0, fail: false, cache: undefined as unknown as TokenCache };
  state.cache = new TokenCache({
    now: () => state.now,
    fetch: async () => {
      state.fetches++;
      if (state.fail) throw new Error(`failure ${state.fetches}`);
      return { authorization: `t${state.fetches}`, expiresAtMs: state.now + lifeMs };
    },
  });
  return state;
}

test('a token is kept until shortly before it expires', async () => {
  for (const [lifeMs, staleMs] of [
    [3_600_000, 3_590_000],
    [20_000, 16_000],
    [1000, 800],
  ] as const) {
    const state = cacheOf(lifeMs);
    assert.equal(await state.cache.authorization(never), 't1');
    state.now += staleMs - 1;
    assert.equal(await state.cache.authorization(never), 't1');
    state.now += 1;
    assert.equal(await state.cache.authorization(never), 't2');
  }
  const forever = cacheOf(Number.POSITIVE_INFINITY);
  await forever.cache.authorization(never);
  forever.now += 1e12;
  assert.equal(await forever.cache.authorization(never), 't1');
});

test('all who ask meanwhile wait for one token', async () => {
  const { cache } = cacheOf(60_000);
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => cache.authorization(never))), ['t1', 't1', 't1']);
});

test('the old token is used up while there is no new one', async () => {
  const state = cacheOf(60_000);
  await state.cache.authorization(never);
  state.now += 55_000;
  state.fail = true;
  assert.equal(await state.cache.authorization(never), 't1');
  state.now += 5000;
  await assert.rejects(state.cache.authorization(never), /failure 3/);
});

test('a failure stands for a second', async () => {
  const state = cacheOf(60_000);
  state.fail = true;
  await assert.rejects(state.cache.authorization(never), /failure 1/);
  state.now += 999;
  await assert.rejects(state.cache.authorization(never), /failure 1/);
  assert.equal(state.fetches, 1);
  state.now += 1;
  state.fail = false;
  assert.equal(await state.cache.authorization(never), 't2');
});

test('a refused token is replaced, not more often than every ten seconds', async () => {
  const state = cacheOf(60_000);
  assert.equal(await state.cache.authorization(never), 't1');
  assert.ok(state.cache.refused('t1'));
  assert.equal(await state.cache.authorization(never), 't2');
  // A late answer to the token before: there is a new one already.
  assert.ok(state.cache.refused('t1'));
  assert.equal(await state.cache.authorization(never), 't2');
  state.now += 9999;
  assert.ok(!state.cache.refused('t2'));
  state.now += 1;
  assert.ok(state.cache.refused('t2'));
  assert.equal(await state.cache.authorization(never), 't3');
});

test('who stops waiting leaves the others their token; the last one ends the fetch', async () => {
  let fetching: AbortSignal | undefined;
  const given: ((authorization: string) => void)[] = [];
  const cache = new TokenCache({
    now: () => 0,
    fetch: (signal) => {
      fetching = signal;
      return new Promise((resolve, reject) => {
        given.push((authorization) => resolve({ authorization, expiresAtMs: 60_000 }));
        signal.addEventListener('abort', () => reject(new Error('cut')));
      });
    },
  });
  const [one, two] = [new AbortController(), new AbortController()];
  const waits = [one, two].map(({ signal }) => cache.authorization(signal));
  one.abort(new Error('stopped'));
  await assert.rejects(waits[0]!, /stopped/);
  assert.equal(fetching!.aborted, false);
  two.abort(new Error('stopped too'));
  await assert.rejects(waits[1]!, /stopped too/);
  assert.ok(fetching!.aborted);
  // That was no failure of the endpoint.
  const next = cache.authorization(never);
  given.at(-1)!('fresh');
  assert.equal(await next, 'fresh');
});
