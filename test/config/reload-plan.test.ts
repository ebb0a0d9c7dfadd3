import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { ConfigError } from '../../src/config/problems.ts';
import { planReload, type ReloadPlan, readForReload } from '../../src/config/reload-plan.ts';

const origin = { file: 'spillway.yaml', baseDir: '/etc' };
const url = 'http://receiver/write';

/** What leads from one text to another. */
function plan(before: string | object, after: string | object): ReloadPlan {
  const read = (text: string | object) =>
    readForReload(typeof text === 'string' ? text : stringify(text), origin);
  const { config, endpoints } = read(before);
  return planReload(config, endpoints, read(after));
}

const one = { name: 'one', url, basic_auth: { username: 'me', password: 'a' } };
const two = { name: 'two', url };

test('endpoints are told apart by name, and compared by all that is written of them', () => {
  for (const [what, before, after, expected] of [
    ['nothing', [one, two], [one, two], {}],
    ['their order', [one, two], [two, one], {}],
    ['a secret', [one], [{ ...one, basic_auth: { username: 'me', password: 'b' } }], { changed: ['one'] }],
    ['a URL', [one, two], [one, { ...two, url: `${url}/x` }], { changed: ['two'] }],
    ['another name', [one], [{ ...one, name: 'three' }], { added: ['three'], removed: ['one'] }],
    ['another URL without a name', [{ url }], [{ url: `${url}/x` }], { added: ['?'], removed: ['?'] }],
    ['what main looks at', [two], [{ ...two, when_full: 'drop_oldest', max_backlog_bytes: '1GiB' }], {}],
    ['one more', [one], [one, two], { added: ['two'] }],
  ] as const) {
    const { added, changed, removed } = plan({ remote_write: before }, { remote_write: after });
    const found = { added, changed, removed };
    const named = { added: [], changed: [], removed: [], ...expected };
    if (what.endsWith('without a name')) {
      assert.deepEqual([added.length, changed.length, removed.length], [1, 0, 1], what);
    } else assert.deepEqual(found, named, what);
  }
});

test('the form of the file is no change: comments, order of keys, anchors', () => {
  const before = `remote_write:\n  - name: one\n    url: ${url}\n    headers: {a: b, c: d}\n`;
  const after = `# moved\nx: 1\nremote_write:\n  - &o\n    headers:\n      c: "d"\n      a: b\n    url: ${url}\n    name: one # here\n`;
  const { changed, kept, settings } = plan(before, after.replace('x: 1\n', ''));
  assert.deepEqual([changed, kept, settings], [[], ['one'], []]);
});

test('external labels change every endpoint', () => {
  const remote_write = [one, two];
  const { changed, settings } = plan({ remote_write }, { external_labels: { dc: 'a' }, remote_write });
  assert.deepEqual([changed, settings], [['one', 'two'], ['external_labels']]);
});

test('keys that take a restart are named where they stand, and stay as they were; the rest is taken', () => {
  const remote_write = [two];
  const after = `log_level: debug\nlisten: 127.0.0.1:1\nwal:\n  max_bytes: 1GiB\n  codec: none\nremote_write:\n  - {name: two, url: "${url}"}\n`;
  const { config, settings, needsRestart } = plan({ remote_write, kernel: 'typescript' }, after);
  assert.deepEqual(settings, ['log_level', 'wal.max_bytes']);
  assert.deepEqual(needsRestart, [
    'spillway.yaml:2:9: listen',
    'spillway.yaml: kernel',
    'spillway.yaml:5:10: wal.codec',
  ]);
  assert.deepEqual(
    [config.logLevel, config.wal.maxBytes, config.listen.port, config.wal.codec, config.kernel],
    ['debug', 2 ** 30, 9201, 'snappy', 'typescript'],
  );
  // Until it is done, it is named by each reload.
  const again = planReload(config, new Map(), readForReload(after, origin));
  assert.deepEqual([again.settings, again.needsRestart.length, again.added], [[], 3, ['two']]);
});

test('a text that is wrong is no plan', () => {
  assert.throws(() => readForReload('remote_write: []', origin), ConfigError);
});
