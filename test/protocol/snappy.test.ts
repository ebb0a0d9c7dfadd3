import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as snappyjs from 'snappyjs';
import {
  declaredLength,
  putCopy,
  putFarCopy,
  putLiteralTag,
  Scratch,
  SnappyCompressor,
  SnappyError,
  uncompress,
} from '../../src/protocol/snappy.ts';
import { uncompressByBoth } from '../reference/both-kernels.ts';
import { ExactScratch } from '../reference/exact-scratch.ts';
import { repeatingData } from '../reference/repeating-data.ts';
import { block, copy1, copy2, copy4, literal, varint } from '../reference/snappy-elements.ts';
import { Random } from '../support/random.ts';

const LIMIT = 32 * 1024 * 1024;

const packed = new ExactScratch();
const compressor = new SnappyCompressor();

/** By the codec under test, in TypeScript and in WebAssembly. */
function own(body: Uint8Array, limit = LIMIT): Uint8Array {
  return uncompressByBoth(body, limit);
}

function ownCompress(data: Uint8Array): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const end = compressor.compress(data, view, data.length, packed, 0);
  return packed.bytes.slice(0, end);
}

function same(actual: Uint8Array, expected: Uint8Array, message?: string): void {
  assert.ok(Buffer.compare(actual, expected) === 0, message ?? 'the bytes differ');
}

/** Data of a few distinct pieces, repeated near and far: what compresses. */
const repetitive = fc
  .tuple(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { minLength: 1, maxLength: 6 }),
    fc.array(fc.nat(), { maxLength: 60 }),
  )
  .map(([pieces, picks]) => Buffer.concat(picks.map((pick) => pieces[pick % pieces.length]!)));

const anyData = fc.oneof(repetitive, fc.uint8Array({ maxLength: 300 }));

function holdsBothWays(data: Uint8Array): void {
  const theirs = snappyjs.compress(Uint8Array.from(data));
  const ours = ownCompress(data);
  same(own(theirs), data, 'snappyjs -> own');
  same(snappyjs.uncompress(ours), data, 'own -> snappyjs');
  same(own(ours), data, 'own -> own');
}

describe('round trips with snappyjs', () => {
  it('small data', () => {
    fc.assert(fc.property(anyData, holdsBothWays), { numRuns: 500 });
  });

  it('data of several blocks', () => {
    const length = fc.oneof(fc.integer({ min: 65_500, max: 65_600 }), fc.integer({ min: 1, max: 400_000 }));
    fc.assert(
      fc.property(fc.nat(), length, (seed, size) => holdsBothWays(repeatingData(seed, size))),
      { numRuns: 40 },
    );
  });

  it('every short length, of one byte and of all different ones', () => {
    for (let length = 0; length < 200; length++) {
      holdsBothWays(new Uint8Array(length).fill(7));
      holdsBothWays(Uint8Array.from({ length }, (_, i) => i));
    }
  });

  it('a body that stands in the middle of its buffer', () => {
    const data = repeatingData(1, 5000);
    const body = ownCompress(data);
    const around = new Uint8Array(body.length + 20).fill(0xff);
    around.set(body, 7);
    same(own(around.subarray(7, 7 + body.length)), data);
  });

  it('what does not compress grows by a sixth at most', () => {
    const random = new Random(5);
    const noise = Uint8Array.from({ length: 200_000 }, () => random.int(0, 256));
    assert.ok(ownCompress(noise).length < noise.length * (7 / 6) + 32);
  });

  it('more than 16 MiB without a repetition: a literal with four length bytes', () => {
    const noise = new Uint32Array((1 << 22) + 100);
    // Every word is another: nothing repeats.
    for (let i = 0; i < noise.length; i++) noise[i] = Math.imul(i, 0x9e3779b1);
    const data = new Uint8Array(noise.buffer);
    same(own(ownCompress(data)), data);
  });

  it('finds what stood up to 64 KiB before, also across multiples of 64 KiB', () => {
    const random = new Random(6);
    const noise = Uint8Array.from({ length: 40_000 }, () => random.int(0, 256));
    const data = Buffer.concat([noise, noise, noise, noise]);
    const body = ownCompress(data);
    same(own(body), data);
    assert.ok(body.length < 60_000, `${body.length} bytes`);
  });

  it('compresses behind what already stands in the buffer', () => {
    const data = repeatingData(2, 1000);
    const out = new Scratch();
    out.ensure(5000);
    const end = compressor.compress(
      data,
      new DataView(data.buffer, data.byteOffset, data.length),
      1000,
      out,
      100,
    );
    same(own(out.bytes.subarray(100, end)), data);
    const full = new Scratch();
    full.ensure(10);
    full.bytes = full.bytes.subarray(0, 10);
    assert.throws(
      () => compressor.compress(data, new DataView(data.buffer, data.byteOffset, data.length), 1000, full, 1),
      RangeError,
    );
  });
});

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff);

describe('elements', () => {
  const text = Buffer.from('0123456789abcdef');
  const repeated = (pattern: Uint8Array, length: number) =>
    Uint8Array.from({ length }, (_, i) => pattern[i % pattern.length]!);

  for (const lengthBytes of [0, 1, 2, 3, 4] as const) {
    it(`a literal with ${lengthBytes} length bytes`, () => {
      for (const length of lengthBytes === 0 ? [1, 2, 3, 4, 5, 60] : [1, 60, 61, 97, 256]) {
        same(own(block(length, literal(bytes(length), lengthBytes))), bytes(length), `of ${length}`);
      }
    });
  }

  it('a literal of more than 64 KiB and of more than 16 MiB', () => {
    for (const length of [65_537, 16_777_217]) {
      const data = Buffer.alloc(length, 'abc');
      same(own(block(length, literal(data, length > 16_777_216 ? 4 : 3))), data);
    }
  });

  it('copy-1: every length and offsets to 2047', () => {
    const data = bytes(2047);
    for (let length = 4; length <= 11; length++) {
      for (const offset of [1, 2, 3, 4, 5, 7, 8, 255, 256, 2047]) {
        const tail = repeated(data.subarray(2047 - offset), length);
        same(own(block(2047 + length, literal(data, 2), copy1(offset, length))), Buffer.concat([data, tail]));
      }
    }
  });

  it('copy-2 and copy-4: every length, overlapping and not', () => {
    for (const copy of [copy2, copy4]) {
      for (let length = 1; length <= 64; length++) {
        for (let offset = 1; offset <= 16; offset++) {
          const tail = repeated(text.subarray(16 - offset), length);
          const body = block(16 + length, literal(text), copy(offset, length));
          same(own(body), Buffer.concat([text, tail]), `length ${length}, offset ${offset}`);
        }
      }
    }
  });

  it('a run of copies with one offset: overlapping and not, and where it ends', () => {
    const data = repeatingData(4, 400);
    for (const [offset, lengths] of [1, 3, 4, 63, 64, 65, 127, 128, 139, 140, 141, 400].flatMap((offset) =>
      [[64], [64, 64], [64, 64, 12], [64, 12, 64], [63, 64, 64]].map((lengths) => [offset, lengths] as const),
    )) {
      const length = lengths.reduce((sum, each) => sum + each, 0);
      const copies = Buffer.concat(lengths.map((each) => copy2(offset, each)));
      const whole = Buffer.concat([data, repeated(data.subarray(400 - offset), length)]);
      const what = `offset ${offset}, lengths ${lengths}`;
      same(own(block(400 + length, literal(data, 2), copies)), whole, what);
      // What goes on from elsewhere is no part of the run.
      const other = whole.subarray(length, length + 64);
      const more = Buffer.concat([whole, other]);
      same(own(block(464 + length, literal(data, 2), copies, copy2(400, 64))), more, what);
      same(own(block(464 + length, literal(data, 2), copies, copy4(400, 64))), more, what);
      // One byte more than declared, and cut short within its last element.
      assert.throws(() => own(block(399 + length, literal(data, 2), copies)), SnappyError, what);
      const cut = copies.subarray(0, copies.length - 1);
      assert.throws(() => own(block(400 + length, literal(data, 2), cut)), SnappyError, what);
    }
  });

  it('copies from 65535 and from more than 64 KiB back', () => {
    const data = repeatingData(3, 200_000);
    const body = (copy: Uint8Array) => block(200_064, literal(data, 3), copy);
    for (const [copy, offset] of [
      [copy2(65_535, 64), 65_535],
      [copy4(65_536, 64), 65_536],
      [copy4(199_999, 64), 199_999],
      [copy4(200_000, 64), 200_000],
    ] as const) {
      const tail = data.subarray(200_000 - offset, 200_000 - offset + 64);
      same(own(body(copy)), Buffer.concat([data, tail]), `offset ${offset}`);
    }
  });

  it('a declared length in a varint that is longer than needed', () => {
    same(
      own(Buffer.concat([Uint8Array.of(0x83, 0x80, 0x00), literal(text.subarray(0, 3))])),
      text.subarray(0, 3),
    );
  });
});

describe('what is refused (WIRE-01, WIRE-02)', () => {
  const abc = Buffer.from('abc');
  const cases: Record<string, Uint8Array> = {
    'nothing at all': new Uint8Array(0),
    'the framed format': Buffer.from('ff060000734e61507059 00 04 0000 00000000'.replaceAll(' ', ''), 'hex'),
    'a length that is cut short': Uint8Array.of(0x80),
    'a length of more than 32 bits': Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x10),
    'a length of more than five bytes': Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x00),
    'a length without data': block(1),
    'data without a length': block(0, literal(abc)),
    'less data than declared': block(4, literal(abc)),
    'more data than declared': block(2, literal(abc)),
    'a literal that is cut short': block(3, literal(abc).subarray(0, 3)),
    'a literal without its length bytes': block(3, Uint8Array.of(61 << 2, 0)),
    'a literal that says to be of 4 GiB': block(3, Uint8Array.of(63 << 2, 0xff, 0xff, 0xff, 0xff, 1)),
    'copy-1 cut short': block(7, literal(abc), copy1(1, 4).subarray(0, 1)),
    'copy-2 cut short': block(7, literal(abc), copy2(1, 4).subarray(0, 2)),
    'copy-4 cut short': block(7, literal(abc), copy4(1, 4).subarray(0, 4)),
    'a copy with the offset 0': block(7, literal(abc), copy2(0, 4)),
    'a copy from before the start': block(7, literal(abc), copy2(4, 4)),
    'a copy from 4 GiB before the start': block(7, literal(abc), copy4(0xffffffff, 4)),
    'a copy as the first element': block(4, copy1(1, 4)),
    'a copy over the declared length': block(6, literal(abc), copy2(1, 4)),
  };
  for (const [what, body] of Object.entries(cases)) {
    it(what, () => {
      assert.throws(() => own(body), SnappyError);
    });
  }

  it('says that the framed format is one', () => {
    assert.throws(() => own(cases['the framed format']!), /framed/);
    // A block may share the first bytes with it.
    const data = Buffer.concat([Buffer.from('\nsNaPpY'), bytes(888)]);
    same(own(block(895, literal(data.subarray(0, 7)), literal(data.subarray(7), 2))), data);
  });

  it('a declared length over the limit, before anything is allocated for it', () => {
    const out = new Scratch();
    const body = block(1001, literal(bytes(1001), 2));
    assert.throws(
      () => uncompress(body, out, 1000),
      (error) => {
        assert.ok(error instanceof SnappyError);
        assert.deepEqual(error.facts, { declared: 1001, limit: 1000 });
        return true;
      },
    );
    assert.throws(() => uncompress(block(0xffffffff, literal(abc)), out, LIMIT), SnappyError);
    assert.equal(out.bytes.length, 0);
    assert.equal(uncompress(body, out, 1001), 1001);
  });

  it('a declared length that so small a body cannot hold, before anything is allocated for it', () => {
    const out = new Scratch();
    assert.throws(() => uncompress(block(LIMIT, literal(abc)), out, LIMIT), SnappyError);
    assert.equal(out.bytes.length, 0);
  });

  it('declaredLength reads the length alone', () => {
    for (const length of [0, 1, 127, 128, 16_383, 16_384, 0x7fffffff, 0x80000000, 0xffffffff]) {
      assert.equal(declaredLength(varint(length)), length);
    }
    assert.throws(() => declaredLength(varint(2 ** 32)), SnappyError);
  });
});

describe('elements as they are written', () => {
  const room = new Uint8Array(2000);

  it('copies of every length from near and far', () => {
    const start = repeatingData(4, 70_000);
    for (const [put, offset] of [
      [putCopy, 1],
      [putCopy, 2047],
      [putCopy, 2048],
      [putCopy, 65_535],
      [putFarCopy, 5],
      [putFarCopy, 65_536],
      [putFarCopy, 70_000],
    ] as const) {
      for (let length = 1; length <= 200; length++) {
        const end = put(new DataView(room.buffer), 0, offset, length);
        const decoded = own(block(70_000 + length, literal(start, 3), room.slice(0, end)));
        const tail = Uint8Array.from({ length }, (_, i) => start[70_000 - offset + (i % offset)]!);
        same(decoded.subarray(70_000), tail, `${put.name} ${offset} ${length}`);
        assert.ok(end <= (put === putCopy ? 3 : 5) * Math.ceil(length / 60));
      }
    }
  });

  it('tags of literals of every size', () => {
    for (const length of [1, 60, 61, 256, 257, 65_536, 65_537, 1 << 24, (1 << 24) + 1]) {
      const end = putLiteralTag(room, 0, length);
      same(own(block(length, room.slice(0, end), new Uint8Array(length))), new Uint8Array(length));
    }
  });
});
