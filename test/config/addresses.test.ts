import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseEndpointUrl, parseListenAddress } from '../../src/config/addresses.ts';

describe('parseListenAddress', () => {
  const table: readonly [text: string, host: string, port: number][] = [
    ['127.0.0.1:9201', '127.0.0.1', 9201],
    ['localhost:0', 'localhost', 0],
    ['my_host-1.example:65535', 'my_host-1.example', 65535],
    ['[::1]:9201', '::1', 9201],
    [':9201', '', 9201],
  ];
  for (const [text, host, port] of table) {
    it(text, () => assert.deepEqual(parseListenAddress(text), { host, port }));
  }

  const refused = ['', ':', '9201', 'localhost', 'localhost:', '::1:9201', '[]:1', '[::1]', '[localhost]:1'];
  for (const text of [...refused, 'a:65536', 'a:-1', 'a:1x', 'a b:1', 'http://a:1', 'a:1/']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseListenAddress(text), undefined));
  }
});

describe('parseEndpointUrl', () => {
  const table: readonly [text: string, href: string][] = [
    ['http://mimir/push', 'http://mimir/push'],
    ['https://mimir:9009/a/b?tenant=a&x=%20', 'https://mimir:9009/a/b?tenant=a&x=%20'],
    ['HTTP://Mimir', 'http://mimir/'],
    ['http://[::1]:9009/push', 'http://[::1]:9009/push'],
  ];
  for (const [text, href] of table) {
    it(text, () => assert.deepEqual(parseEndpointUrl(text), { kind: 'http', href, userinfo: undefined }));
  }

  it('takes userinfo out of the URL', async () => {
    const address = parseEndpointUrl('https://me%40here:p%3Aw@mimir/push');
    assert.ok(address?.kind === 'http' && address.userinfo !== undefined);
    assert.equal(address.href, 'https://mimir/push');
    assert.equal(await address.userinfo.username.reveal(), 'me@here');
    assert.equal(await address.userinfo.password.reveal(), 'p:w');
  });

  it('takes a file after sqlite:', () => {
    assert.deepEqual(parseEndpointUrl('sqlite:a/b.db'), { kind: 'sqlite', file: 'a/b.db' });
    assert.deepEqual(parseEndpointUrl('sqlite:/a/b.db'), { kind: 'sqlite', file: '/a/b.db' });
  });

  for (const text of ['', 'mimir', 'mimir:9009', 'ftp://mimir', 'sqlite:', 'http://', 'http://a%zz@mimir/']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseEndpointUrl(text), undefined));
  }
});
