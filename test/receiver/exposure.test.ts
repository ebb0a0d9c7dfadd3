import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListenAddress } from '../../src/config/addresses.ts';
import { parseWebConfig } from '../../src/config/web-config.ts';
import { exposureWarnings } from '../../src/receiver/exposure.ts';
import { subjectAltNames } from '../../src/receiver/listener-tls.ts';

const web = (text: string) =>
  parseWebConfig(text, { file: 'web.yaml', baseDir: '/', read: () => Buffer.alloc(0) });
const token = web(`bearer_tokens: [{name: a, token_sha256: ${'0'.repeat(64)}}]`);

for (const [address, doors, warning] of [
  ['127.0.0.1:1', undefined, undefined],
  ['127.9.9.9:1', undefined, undefined],
  ['localhost:1', undefined, undefined],
  ['[::1]:1', undefined, undefined],
  [':1', undefined, /every interface, port 1, may write and look/],
  ['0.0.0.0:1', undefined, /may write/],
  ['[::]:1', undefined, /may write/],
  ['127.example:1', undefined, /127\.example, port 1, may write/],
  ['10.0.0.1:1', web(''), /may write/],
  ['10.0.0.1:1', token, /travel in clear to 10\.0\.0\.1/],
] as const) {
  test(`${address} ${doors === undefined ? 'without doors' : 'with doors'} ${warning ?? 'is not warned of'}`, () => {
    const warnings = exposureWarnings(parseListenAddress(address)!, doors);
    assert.equal(warnings.length, warning === undefined ? 0 : 1);
    if (warning !== undefined) assert.match(warnings[0]!, warning);
  });
}

test('names are not found within other names', () => {
  assert.deepEqual(
    subjectAltNames(
      'DNS:a.example, IP Address:10.0.0.1, URI:"spiffe://x/a, DNS:evil", email:a@b, othername:<unsupported>',
    ),
    ['a.example', '10.0.0.1', 'spiffe://x/a, DNS:evil', 'a@b'],
  );
});
