import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as snappyjs from 'snappyjs';
import { Scratch, SnappyCompressor, SnappyError } from '../../src/protocol/snappy.ts';
import { uncompressByBoth } from '../reference/both-kernels.ts';
import { plainUncompress } from '../reference/plain-snappy.ts';
import { block, copy1, copy2, copy4, literal } from '../reference/snappy-elements.ts';

/**
 * Broken bodies: the same verdict as a plain decoder written from the format, and the output of snappyjs for
 * each body that is right. snappyjs 0.7 is no judge of broken ones. It
 * - fills up with zeros, or cuts off, when the data is shorter or longer than declared (WIRE-02);
 * - takes lengths and offsets of 2^31 and more for negative ones: such a literal can make it run for ever;
 * - takes a copy-1 without its offset for zeros;
 * - refuses a literal with length bytes at the very end when fewer than four bytes follow its tag, which is
 *   right, though nobody writes it.
 */
const LIMIT = 1 << 20;

function own(body: Uint8Array): Uint8Array | undefined {
  try {
    return Uint8Array.from(uncompressByBoth(body, LIMIT));
  } catch (error) {
    assert.ok(error instanceof SnappyError, `${error}`);
    return undefined;
  }
}

function theirs(body: Uint8Array): Uint8Array | undefined {
  try {
    return snappyjs.uncompress(Uint8Array.from(body), LIMIT);
  } catch {
    return undefined;
  }
}

const plain = (body: Uint8Array): Uint8Array | undefined => plainUncompress(body, LIMIT);

function agree(body: Uint8Array): void {
  const expected = plain(body);
  assert.deepEqual(own(body), expected);
  if (expected !== undefined) assert.deepEqual(theirs(body) ?? expected, expected);
}

const element = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => literal(bytes)),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 90 }), fc.constantFrom(1, 2, 3, 4))
    .map(([bytes, lengthBytes]) => literal(bytes, lengthBytes as 1)),
  fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 4, max: 11 })).map(([o, n]) => copy1(o, n)),
  fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 64 })).map(([o, n]) => copy2(o, n)),
  fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 64 })).map(([o, n]) => copy4(o, n)),
);

/** Bodies of elements that may reach too far, with a declared length that is nearly always right. */
const body = fc
  .tuple(fc.uint8Array({ minLength: 20, maxLength: 60 }), fc.array(element, { maxLength: 12 }), fc.nat(19))
  .map(([start, elements, off]) => {
    const whole = [literal(start), ...elements];
    let length = 0;
    for (const one of whole) {
      const tag = one[0]!;
      if ((tag & 3) === 1) length += ((tag >>> 2) & 7) + 4;
      else if ((tag & 3) !== 0) length += (tag >>> 2) + 1;
      else length += tag >>> 2 < 60 ? (tag >>> 2) + 1 : one.length - 1 - ((tag >>> 2) - 59);
    }
    return block(off === 0 ? length + 1 : off === 1 ? length - 1 : length, ...whole);
  });

describe('broken bodies', () => {
  it('elements that fit or do not', () => {
    let right = 0;
    fc.assert(
      fc.property(body, (bytes) => {
        if (plain(bytes) !== undefined) right++;
        agree(bytes);
      }),
      { numRuns: 2000 },
    );
    assert.ok(right > 200, `only ${right} bodies were right`);
  });

  it('random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), agree), { numRuns: 5000 });
  });

  it('every truncation and every flipped byte of a body with all elements', () => {
    const text = Buffer.from('the quick brown fox jumps over the lazy dog');
    const whole = block(
      text.length + 100 + 8 + 64 + 30,
      literal(text),
      literal(new Uint8Array(100).fill(9), 2),
      copy1(3, 8),
      copy2(100, 64),
      copy4(150, 30),
    );
    assert.ok(plain(whole));
    agree(whole);
    for (let length = 0; length < whole.length; length++) {
      agree(whole.subarray(0, length));
      assert.equal(own(whole.subarray(0, length)), undefined, `cut at ${length}`);
    }
    for (let at = 0; at < whole.length; at++) {
      for (const flip of [0x01, 0x02, 0x03, 0x04, 0x80, 0xff]) {
        const damaged = Uint8Array.from(whole);
        damaged[at]! ^= flip;
        agree(damaged);
      }
    }
  });

  it('truncations and flips of what snappyjs and our compressor make', () => {
    const data = Buffer.from('{"__name__":"up","job":"a"},'.repeat(30));
    const out = new Scratch();
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const end = new SnappyCompressor().compress(data, view, data.length, out, 0);
    for (const whole of [snappyjs.compress(Uint8Array.from(data)), out.bytes.slice(0, end)]) {
      for (let at = 0; at < whole.length; at++) {
        assert.equal(own(whole.subarray(0, at)), undefined);
        for (let bit = 0; bit < 8; bit++) {
          const damaged = Uint8Array.from(whole);
          damaged[at]! ^= 1 << bit;
          agree(damaged);
        }
      }
    }
  });

  it('a good body after a bad one: nothing of the bad one is left', () => {
    const good = block(5, literal(Buffer.from('hello')));
    assert.equal(own(block(200, literal(new Uint8Array(60).fill(1)))), undefined);
    assert.deepEqual(own(good), Uint8Array.from(Buffer.from('hello')));
  });
});

describe('where snappyjs is lax or wrong, and we are not', () => {
  const abc = Buffer.from('abc');
  const cases: [what: string, body: Uint8Array, ours: string | undefined, snappyjs: string | undefined][] = [
    ['less data than declared', block(5, literal(abc)), undefined, 'abc\0\0'],
    ['more data than declared', block(2, literal(abc)), undefined, 'ab'],
    ['a long literal of two bytes at the end', block(2, literal(abc.subarray(0, 2), 1)), 'ab', undefined],
    [
      'copy-1 without its offset',
      block(7, literal(abc), copy1(1, 4).subarray(0, 1)),
      undefined,
      'abc\0\0\0\0',
    ],
  ];
  for (const [what, bytes, ours, other] of cases) {
    it(what, () => {
      const text = (output: Uint8Array | undefined) => output && Buffer.from(output).toString();
      assert.equal(text(own(bytes)), ours);
      assert.equal(text(theirs(bytes)), other);
    });
  }
});
