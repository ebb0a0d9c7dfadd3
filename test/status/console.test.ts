import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { progressText, startText } from '../../src/status/console.ts';

const config = (remoteWrite: object[]) =>
  parseConfig(JSON.stringify({ data_dir: '/var/lib/spillway', remote_write: remoteWrite }), {
    file: 'test',
    baseDir: '/',
  });

describe('startText', () => {
  it('says where it listens, what to paste, and where the data goes', () => {
    const text = startText(
      config([
        { name: 'far', url: 'https://user:secret@far.example/push' },
        { name: 'near', url: 'sqlite:recent.db' },
      ]),
      'http://127.0.0.1:9201',
    );
    assert.match(text, /^Spillway is listening on http:\/\/127\.0\.0\.1:9201\n/);
    assert.ok(text.includes('\n  remote_write:\n    - url: http://127.0.0.1:9201/api/v1/write\n'));
    assert.ok(text.includes('/var/lib/spillway'));
    assert.ok(text.includes('\n  far: https://far.example/push\n  near: sqlite:recent.db\n'));
    assert.ok(text.includes("curl 'http://127.0.0.1:9201/api/v1/recent?match=up'"));
    assert.ok(!text.includes('secret'));
    assert.ok(text.endsWith('\n'));
  });

  it('names no lookup where nothing is kept', () => {
    assert.ok(!startText(config([{ url: 'http://far/' }]), 'http://localhost:1').includes('/api/v1/recent'));
  });
});

describe('progressText', () => {
  const endpoint = { name: 'a', deliveredRows: 0, droppedRows: 0, waitingRows: 0, failing: false };

  it('says on one line what arrives and what is delivered', () => {
    for (const [summary, text] of [
      [
        { receivedRows: 0, refusedRows: 0, endpoints: [endpoint] },
        'received 0 rows | a: delivered 0, waiting 0',
      ],
      [
        {
          receivedRows: 1_234_567,
          refusedRows: 1000,
          endpoints: [
            { ...endpoint, deliveredRows: 1_234_000, waitingRows: 567 },
            { name: 'b', deliveredRows: 1, droppedRows: 2, waitingRows: 3, failing: true },
          ],
        },
        'received 1,234,567 rows (refused 1,000) | a: delivered 1,234,000, waiting 567 | ' +
          'b: delivered 1, waiting 3, dropped 2, failing: see the log',
      ],
    ] as const) {
      assert.equal(progressText(summary), text);
    }
  });
});
