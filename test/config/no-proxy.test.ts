import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bypassesProxy, targetOf } from '../../src/config/no-proxy.ts';

// As Go's golang.org/x/net/http/httpproxy decides.
for (const [noProxy, url, bypassed] of [
  ['', 'http://mimir.example', false],
  ['', 'http://localhost', true],
  ['', 'http://127.8.9.1', true],
  ['', 'http://[::1]:9009', true],
  ['', 'http://localhost.example', false],
  ['*', 'http://mimir.example', true],
  ['a.example, *', 'http://mimir.example', true],
  ['mimir.example', 'http://mimir.example', true],
  ['mimir.example', 'http://MIMIR.example:9009', true],
  ['MIMIR.Example', 'https://mimir.example', true],
  ['mimir.example', 'http://eu.mimir.example', true],
  ['mimir.example', 'http://notmimir.example', false],
  ['.mimir.example', 'http://mimir.example', false],
  ['.mimir.example', 'http://eu.mimir.example', true],
  ['*.mimir.example', 'http://mimir.example', false],
  ['*.mimir.example', 'http://eu.mimir.example', true],
  ['*mimir.example', 'http://eu.mimir.example', false],
  ['mimir.example:443', 'https://mimir.example', true],
  ['mimir.example:80', 'https://mimir.example', false],
  ['.example:9009', 'http://mimir.example:9009', true],
  ['bücher.example', 'http://bücher.example', true],
  ['10.0.0.1', 'http://10.0.0.1', true],
  ['10.0.0.1', 'http://10.0.0.10', false],
  ['10.0.0.1:81', 'http://10.0.0.1', false],
  ['10.0.0.1:81', 'http://10.0.0.1:81', true],
  ['10.0.0.0/8', 'http://10.200.3.4', true],
  ['10.0.0.0/8', 'http://11.0.0.0', false],
  ['10.0.0.0/8', 'http://ten.example', false],
  ['10.0.0.0/99, 10.0.0.0/', 'http://10.0.0.0', false],
  ['2001:db8::1', 'http://[2001:db8::1]', true],
  ['[2001:db8::1]:80', 'http://[2001:db8::1]', true],
  ['[2001:db8::1]:81', 'http://[2001:db8::1]', false],
  ['2001:db8::/32', 'http://[2001:db8:5::9]:81', true],
  ['2001:db8::/32', 'http://[2001:db9::9]', false],
  [' ,, :80, /, .', 'http://mimir.example', false],
] as const) {
  test(`${noProxy || 'nothing'} ${bypassed ? 'spares' : 'does not spare'} ${url} the proxy`, () => {
    assert.equal(bypassesProxy(noProxy, targetOf(new URL(url))), bypassed);
  });
}
