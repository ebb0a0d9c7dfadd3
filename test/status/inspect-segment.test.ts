import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { inspectSegment } from '../../src/status/inspect-segment.ts';
import { projectDir } from '../support/paths.ts';

const golden = join(projectDir, 'test/fixtures/segments');

interface Expected {
  readonly header: Record<string, unknown>;
  readonly frames: readonly Record<string, unknown>[];
  readonly rows: readonly { readonly kind: string }[];
}

interface Line {
  readonly offset: number;
  readonly type: string;
  readonly [field: string]: unknown;
}

const inspect = (bytes: Uint8Array): Line[] =>
  [...inspectSegment(bytes)].map((line) => JSON.parse(line) as Line);

const tiny = (): Buffer => readFileSync(join(golden, 'v1-tiny', '00000000000000000001.committed'));

describe('inspectSegment', () => {
  for (const folder of readdirSync(golden)) {
    it(`shows the records of ${folder}`, () => {
      const expected = JSON.parse(readFileSync(join(golden, folder, 'rows.json'), 'utf8')) as Record<
        string,
        Expected
      >;
      for (const [file, { header, frames, rows }] of Object.entries(expected)) {
        const [first, ...rest] = inspect(readFileSync(join(golden, folder, file)));
        const end = rest.pop();
        assert.deepEqual(first, { offset: 0, type: 'header', ...header });
        assert.deepEqual(
          rest.map(({ type, row, rows, at }) => ({ type, row, rows, at })),
          frames.map(({ row, rows, at }) => ({ type: 'frame', row, rows, at })),
        );
        assert.deepEqual([end?.type, end?.rows, end?.frames], ['end', rows.length, frames.length]);
        // Bytes are for msgpack readers; people get to know how many there are.
        for (const { body } of rest) assert.match(String(body), /^\d+ bytes$/);
      }
    });
  }

  it('shows damage between records, and what lies behind the last of them', () => {
    const bytes = tiny();
    const [header, frame, end] = inspect(bytes);
    const damaged = Buffer.from(bytes);
    damaged[frame!.offset + 40]! ^= 1;
    assert.deepEqual(inspect(damaged), [
      header,
      { offset: frame!.offset, type: 'damage', bytes: end!.offset - frame!.offset },
      end,
    ]);
    const torn = bytes.subarray(0, end!.offset - 1);
    assert.deepEqual(inspect(torn), [
      header,
      { offset: frame!.offset, type: 'tail', bytes: torn.length - frame!.offset },
    ]);
    assert.deepEqual(inspect(Buffer.concat([bytes, Buffer.alloc(9)])), [
      header,
      frame,
      end,
      { offset: bytes.length, type: 'tail', bytes: 9 },
    ]);
    assert.deepEqual(inspect(new Uint8Array(0)), []);
    assert.deepEqual(inspect(Buffer.from('SPW')), [{ offset: 0, type: 'tail', bytes: 3 }]);
  });

  it('reads any view of the bytes alike', () => {
    const bytes = tiny();
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 10);
    assert.deepEqual(inspect(larger.subarray(10, 10 + bytes.length)), inspect(bytes));
  });
});
