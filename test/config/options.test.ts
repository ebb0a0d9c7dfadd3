import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { options } from '../../src/config/options.ts';
import { propertyName, type ScalarRow, type Section } from '../../src/config/rows.ts';
import { parseScalar } from '../../src/config/values.ts';
import { webOptions } from '../../src/config/web-options.ts';

function* scalars(section: Section, path = ''): Generator<[path: string, row: ScalarRow]> {
  for (const [key, row] of Object.entries(section)) {
    if ('options' in row) yield* scalars(row.options, `${path}${key}.`);
    else if ('default' in row) yield [path + key, row];
  }
}

describe('the options table', () => {
  for (const [path, row] of [...scalars(options), ...scalars(webOptions)]) {
    it(`accepts the default or example of ${path}`, () => {
      const text = String(row.default ?? ('example' in row ? row.example : undefined));
      assert.notEqual(parseScalar(row, { text, quoted: false }, '/'), undefined);
    });

    it(`accepts the bounds of ${path}`, () => {
      for (const bound of 'min' in row ? [row.min, row.max] : []) {
        assert.notEqual(parseScalar(row, { text: String(bound), quoted: false }, '/'), undefined);
      }
    });

    it(`explains ${path} in whole sentences`, () => {
      for (const text of [row.about, row.why ?? 'None.']) assert.match(text, /^[A-Z`0-9].*\.$/);
    });
  }

  it('names properties with their units', () => {
    const { receiver, remote_write: remoteWrite } = options;
    const queue = remoteWrite.options.queue_config.options;
    assert.equal(propertyName('batch_send_deadline', queue.batch_send_deadline), 'batchSendDeadlineMs');
    assert.equal(propertyName('retry_on_http_429', queue.retry_on_http_429), 'retryOnHttp429');
    assert.equal(propertyName('max_request_bytes', receiver.options.max_request_bytes), 'maxRequestBytes');
    assert.equal(propertyName('limit', receiver.options.max_request_bytes), 'limitBytes');
    assert.equal(propertyName('remote_write', remoteWrite), 'remoteWrite');
  });
});
