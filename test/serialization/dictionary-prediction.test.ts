import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Label } from '../../src/protocol/schema.ts';
import { Dictionary } from '../../src/serialization/dictionary.ts';
import { labelBlock } from '../reference/label-block.ts';
import { canonical } from '../reference/verdicts.ts';
import { labels } from '../support/messages.ts';

/*
 * Prediction may fail to know a series, but must never take one for another. Model: a map from the labels as
 * text to the id. The series are chosen to be easily confused: prefixes of one another, one label more, one
 * byte different, values that look like encoded labels.
 */
const confusable: readonly Label[][] = [
  labels({ __name__: 'x' }),
  labels({ __name__: 'xy' }),
  labels({ __name__: 'y' }),
  labels({ __name__: 'x', a: '1' }),
  labels({ __name__: 'x', a: '2' }),
  labels({ __name__: 'x', a: '12' }),
  labels({ __name__: 'x', a: '1', b: '1' }),
  labels({ __name__: 'x', a: '1', b: '1', c: 'long enough to have a second word' }),
  labels({ __name__: 'x', a: '1', b: '1', c: 'long enough to have a second worD' }),
  labels({ __name__: 'x', a: '1', b: '1', c: 'long enough to have a second word.' }),
  labels({ __name__: 'x', ab: '1' }),
  labels({ __name__: 'x', b: '1' }),
  // The value of `a` ends in what would be the label `b="1"`.
  labels({ __name__: 'x', a: '1\n\x06\n\x01b\x12\x011' }),
  labels({ a: '1', __name__: 'x' }),
  labels({ __name__: 'x', a: '1', empty: '' }),
];

/** What may stand behind the labels of a series. */
const tails = [
  Buffer.alloc(0),
  Buffer.from('1202100a', 'hex'),
  Buffer.from('220278050a', 'hex'),
  Buffer.from([0x12]),
];

interface Step {
  readonly series: number;
  readonly tail: number;
  readonly newRequest: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  series: fc.nat(confusable.length - 1),
  tail: fc.nat(tails.length - 1),
  newRequest: fc.boolean(),
});

class Model {
  readonly dictionary: Dictionary = new Dictionary(42);
  readonly #ids = new Map<string, number>();
  predicted = 0;

  /** Looks a series up as `ingestV1` does, within other bytes, and checks what it gets. */
  take(of: readonly Label[], tail: Uint8Array): void {
    const block = labelBlock(of);
    const raw = Buffer.concat([Buffer.from('0a7f', 'hex'), block, tail, labelBlock(confusable[7]!)]);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    const key = JSON.stringify(canonical(of));
    let id = this.dictionary.predict(raw, view, 2, 2 + block.length + tail.length);
    if (id < 0) id = this.dictionary.intern(raw, view, 2, 2 + block.length);
    else {
      this.predicted++;
      assert.equal(this.dictionary.matchedTo, 2 + block.length);
    }
    if (!this.#ids.has(key)) this.#ids.set(key, this.#ids.size);
    assert.equal(id, this.#ids.get(key), `${key} is taken for another series`);
  }
}

describe('prediction', () => {
  it('is right or silent, in any sequence of series', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model = new Model();
        for (let round = 0; round < 3; round++) {
          for (const { series, tail, newRequest } of steps) {
            if (newRequest) model.dictionary.startRequest();
            model.take(confusable[series]!, tails[tail]!);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('from every series to every other, and back', () => {
    const model = new Model();
    for (const a of confusable) {
      for (const b of confusable) {
        for (const c of [a, b]) {
          model.dictionary.startRequest();
          for (const one of [a, b, c, a]) model.take(one, tails[1]!);
        }
      }
    }
  });

  it('knows every series of a request that comes again', () => {
    const model = new Model();
    const canonicalOnes = confusable.slice(0, 13);
    for (let round = 0; round < 3; round++) {
      model.dictionary.startRequest();
      for (const one of canonicalOnes) model.take(one, tails[1]!);
    }
    assert.equal(model.predicted, 2 * canonicalOnes.length);
  });

  it('goes on behind a series that is new, and behind one that is gone', () => {
    const model = new Model();
    const of = (i: number) => labels({ __name__: 'x', i: `${i}` });
    const run = (ids: readonly number[]) => {
      const before = model.predicted;
      model.dictionary.startRequest();
      for (const i of ids) model.take(of(i), tails[1]!);
      return ids.length - (model.predicted - before);
    };
    assert.equal(run([1, 2, 3, 4, 5, 6]), 6);
    assert.equal(run([1, 2, 3, 4, 5, 6]), 0);
    // The new one is a miss, and so is the one behind it.
    assert.equal(run([1, 2, 9, 3, 4, 5, 6]), 2);
    assert.equal(run([1, 2, 9, 3, 4, 5, 6]), 0);
    assert.equal(run([1, 2, 9, 3, 5, 6]), 1);
  });

  it('tells 0 from -0 and knows a NaN, as which eight bytes of labels may be read', () => {
    const zeros = labelBlock(labels({ __name__: 'x', cc: `${'\0'.repeat(16)}behind it` }));
    const minus = Uint8Array.from(zeros);
    const value = Buffer.from(zeros).indexOf('\0');
    minus[value + 7] = 0x80;
    // The two bytes of this length stand at the end of a word: f0 7f.
    const nan = labelBlock(labels({ __name__: 'x', eightlen: 'v'.repeat(0x3ff0) }));
    const dictionary = new Dictionary(1);
    const viewOf = ({ buffer, byteOffset, length }: Uint8Array) => new DataView(buffer, byteOffset, length);
    const predict = (block: Uint8Array) => {
      dictionary.startRequest();
      return dictionary.predict(block, viewOf(block), 0, block.length);
    };
    for (const block of [zeros, nan]) {
      dictionary.startRequest();
      const series = dictionary.intern(block, viewOf(block), 0, block.length);
      assert.equal(predict(block), series);
      if (block === zeros) assert.equal(predict(minus), -1);
      // Once more, label by label: the pairs are found again.
      assert.equal(dictionary.internLabels(block, viewOf(block), 0, block.length), series);
    }
    assert.equal(dictionary.pairCount, 3);
  });

  it('does not look behind the end of the series', () => {
    const dictionary = new Dictionary(1);
    const block = labelBlock(confusable[7]!);
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    dictionary.intern(block, view, 0, block.length);
    for (let end = 0; end < block.length; end++) {
      dictionary.startRequest();
      assert.equal(dictionary.predict(block, view, 0, end), -1, `end ${end}`);
    }
    assert.equal(dictionary.predict(block, view, 0, block.length), 0);
  });

  it('is silent about the series of a dictionary that was reset', () => {
    const model = new Model();
    for (const one of confusable) model.take(one, tails[0]!);
    model.dictionary.reset(7);
    const block = labelBlock(confusable[0]!);
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    model.dictionary.startRequest();
    assert.equal(model.dictionary.predict(block, view, 0, block.length), -1);
  });

  it('one byte changed anywhere in the labels: silent', () => {
    const dictionary = new Dictionary(1);
    const block = labelBlock(confusable[7]!);
    const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    dictionary.intern(block, view(block), 0, block.length);
    for (let at = 0; at < block.length; at++) {
      const changed = Uint8Array.from(block);
      changed[at]! ^= 0x20;
      dictionary.startRequest();
      assert.equal(dictionary.predict(changed, view(changed), 0, changed.length), -1, `byte ${at}`);
    }
  });
});
