import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MalformedError, ProtoReader } from '../../src/protocol/proto-reader.ts';
import { int64, int64Edges } from '../reference/requests.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const over = (text: string): ProtoReader => new ProtoReader(hex(text), 0, hex(text).length);

/** A varint of at least `size` bytes. */
function varint(value: bigint, size = 1): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, value); rest > 0n || bytes.length < size; rest >>= 7n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
  bytes[bytes.length - 1]! &= 0x7f;
  return Buffer.from(bytes);
}

function read64(bytes: Uint8Array): bigint {
  const reader = new ProtoReader(bytes, 0, bytes.length);
  const low = reader.varint64();
  assert.ok(reader.done);
  return BigInt.asIntN(64, (BigInt(reader.high) << 32n) | BigInt(low >>> 0));
}

describe('varint64', () => {
  it('reads every int64, also in more bytes than it needs (WIRE-10)', () => {
    for (const value of int64Edges) assert.equal(read64(varint(value)), value);
    fc.assert(
      fc.property(int64, fc.integer({ min: 1, max: 10 }), (value, size) => {
        assert.equal(read64(varint(value, size)), value);
      }),
    );
  });

  it('leaves out what is above the 64th bit, as other decoders do', () => {
    assert.equal(read64(hex('ffffffffffffffffff7f')), -1n);
  });

  it('ends within ten bytes and within its end', () => {
    assert.throws(() => over('80808080808080808080 00').varint64(), MalformedError);
    assert.throws(() => over('8080').varint64(), MalformedError);
    assert.throws(() => new ProtoReader(hex('8000'), 0, 1).varint64(), MalformedError);
    assert.throws(() => over('').varint64(), MalformedError);
  });
});

describe('tags and lengths', () => {
  it('of up to 32 bits in up to five bytes', () => {
    assert.equal(over('0a').tag(), 0x0a);
    assert.equal(over('8a80808000').tag(), 0x0a);
    assert.equal(over('ffffffff0f').tag(), 0xffffffff);
    assert.equal(over('8180808000 00').length(), 1);
    for (const bad of ['ffffffff10', '8a8080808000', '8a', '07', '8000']) {
      assert.throws(() => over(bad).tag(), MalformedError, bad);
    }
    for (const bad of ['02 00', 'ffffffff0f', '8080808008', '8180808080 00 00']) {
      assert.throws(() => over(bad).length(), MalformedError, bad);
    }
  });
});

describe('skip', () => {
  const cases: [tag: number, value: string][] = [
    [0x78, '8080808080808080 8001'],
    [0x79, '0102030405060708'],
    [0x7a, '03 010203'],
    [0x7d, '01020304'],
  ];
  for (const [tag, value] of cases) {
    it(`wire type ${tag & 7}: its bytes, no more, no less`, () => {
      const reader = over(value);
      reader.skip(tag);
      assert.ok(reader.done);
      assert.throws(() => over(value.slice(0, -2)).skip(tag), MalformedError);
    });
  }

  it('refuses groups and wire types 6 and 7', () => {
    for (const wireType of [3, 4, 6, 7]) {
      assert.throws(() => over('00000000').skip(0x78 | wireType), MalformedError);
    }
  });
});
