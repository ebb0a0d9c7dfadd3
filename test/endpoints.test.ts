import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../src/config/load.ts';
import { Endpoints, type EndpointsSource } from '../src/endpoints.ts';
import { walDirectory } from '../src/filequeue/file-queue.ts';
import { Ledger } from '../src/ledger/ledger.ts';
import { openQueue, put } from './filequeue/queue.ts';
import { logLines } from './receiver/log-lines.ts';
import { remote } from './support/agent.ts';
import { atEnd } from './support/cleanup.ts';
import { request, series } from './support/messages.ts';
import { Sink } from './support/sink.ts';
import { tempDir } from './support/temp.ts';

test('a ledger that fails in a reload costs nobody: who was to leave goes on, the others are as asked', async (t) => {
  const [a, b] = [await Sink.start(t), await Sink.start(t)];
  const dataDir = await tempDir(t, 'endpoints');
  const source = (...entries: object[]): EndpointsSource => {
    const text = { text: JSON.stringify({ remote_write: entries }), file: 'test', baseDir: dataDir, dataDir };
    return { config: parseConfig(text.text, text), text };
  };
  const one = remote(a.url, { name: 'a' });
  const other = remote(b.url, { name: 'b' });
  const { logger, lines } = logLines();
  const { queue } = await openQueue(walDirectory(dataDir), {
    onCommit: ({ watermark, rows }) => endpoints.publish(watermark, rows),
  });
  atEnd(t, () => queue.close());
  const ledger = Ledger.open(dataDir, 0, () => assert.fail('the ledger is whole'));
  atEnd(t, () => ledger.close());
  const endpoints: Endpoints = new Endpoints({
    dataDir,
    queue,
    ledger,
    logger,
    userAgent: 'spillway/0',
    now: Date.now,
    onReleased: () => undefined,
    onSaveFailed: (error) => assert.fail(String(error)),
  });
  endpoints.open(source(one, other));
  await endpoints.start();
  atEnd(t, () => endpoints.stop(0));

  const { leave, comeBack } = ledger;
  const fails = (): never => {
    throw new Error('disk I/O error');
  };
  Object.assign(ledger, { leave: fails, comeBack: fails });
  const renamed = source({ ...one, headers: { 'X-New': 'yes' } });
  const failed = await endpoints.reload(renamed, { added: [], changed: ['a'], removed: ['b'] }, 1000);
  assert.deepEqual([...failed.keys()], ['b']);
  assert.ok(lines.some((line) => line.includes('could not be removed and goes on as before')));
  assert.ok(lines.some((line) => line.includes('the ledger may say that the endpoint is not configured')));
  await put(queue, request(series({ __name__: 'up' }, [1, 1])));
  await Promise.all([a, b].map((sink) => sink.waitFor('the row', () => sink.arrivals.count === 1)));
  assert.equal(a.requests.at(-1)!.headers['x-new'], 'yes');

  Object.assign(ledger, { leave, comeBack });
  assert.equal((await endpoints.reload(renamed, { added: [], changed: [], removed: ['b'] }, 1000)).size, 0);
  assert.deepEqual(
    endpoints.list.map(({ name }) => name),
    ['a'],
  );
});
