import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RecentLookupResult } from '../../src/status/recent-lookup.ts';
import { Child } from '../support/child.ts';
import { poll } from '../support/deadline.ts';
import { request, series } from '../support/messages.ts';
import { spillway } from '../support/paths.ts';
import { Sender } from '../support/sender.ts';
import { tempDir } from '../support/temp.ts';

test('without a configuration, what is written can be looked up, and the terminal says how to go on', async (t) => {
  const cwd = await tempDir(t, 'quickstart');
  const child = Child.spawn(t, 'agent', process.execPath, [spillway, 'run', '--listen', '127.0.0.1:0'], {
    cwd,
  });
  const [, url] = await child.line(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
  await child.line(/remote_write:/);
  await child.line(new RegExp(`url: .*${url}/api/v1/write`));

  const sender = new Sender(t, url!);
  const now = Date.now();
  const reply = await sender.write(request(series({ __name__: 'up', job: 'mine' }, [now - 1, 0], [now, 1])));
  assert.equal(reply?.status, 204);
  const found = await poll(
    () => 'the written samples cannot be looked up',
    async () => {
      const response = await fetch(`${url}/api/v1/recent?match=up`);
      const { series } = (await response.json()) as RecentLookupResult;
      return series[0];
    },
  );
  assert.deepEqual(found.labels, { __name__: 'up', job: 'mine' });
  assert.deepEqual(found.samples, [
    { timestampMs: now - 1, value: '0', kind: 'float' },
    { timestampMs: now, value: '1', kind: 'float' },
  ]);

  assert.deepEqual(await child.kill('SIGTERM'), { code: 0, signal: null });
  await access(join(cwd, 'data', 'wal'));
});
