import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problems.ts';

/** Those that Prometheus reserves, and those of a connection. */
const reserved = [
  'Authorization',
  'Host',
  'Content-Encoding',
  'Content-Length',
  'Content-Type',
  'X-Prometheus-Remote-Write-Version',
  'X-Prometheus-Remote-Read-Version',
  'User-Agent',
  'Connection',
  'Keep-Alive',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'WWW-Authenticate',
  'Accept-Encoding',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'X-Amz-Date',
  'X-Amz-Security-Token',
  'X-Amz-Content-Sha256',
];

for (const name of reserved) {
  test(`${name} cannot be configured, however it is spelt (RW1-S-03, RW2-S-03, RLY-11)`, () => {
    for (const spelt of [name, name.toLowerCase(), name.toUpperCase()]) {
      for (const endpoint of [
        { headers: { [spelt]: 'x' } },
        { http_headers: { [spelt]: { values: ['x'] } } },
      ]) {
        const text = JSON.stringify({ remote_write: [{ url: 'http://mimir/push', ...endpoint }] });
        assert.throws(
          () => parseConfig(text, { file: 'test', baseDir: '/' }),
          (error) => error instanceof ConfigError && /is reserved/.test(error.message),
        );
      }
    }
  });
}
