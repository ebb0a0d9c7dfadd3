import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { SegmentContext } from '../../src/endpoint/segment-context.ts';
import { SegmentStore, WalReader } from '../../src/endpoint/wal-reader.ts';
import { segmentPath } from '../../src/filequeue/segment-file.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { nodeFileSystem } from '../../src/runtime/fs.ts';
import type { Codec } from '../../src/serialization/codec.ts';
import { fillWithRaw, openQueue } from '../filequeue/queue.ts';
import { readSegment, textsOf } from '../filequeue/read-back.ts';
import { chain, recordsOf } from '../filequeue/records.ts';
import { anyRequest } from '../reference/requests.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { Random } from '../support/random.ts';
import { mutated, topLevelFields } from './mutation.ts';
import { type Fuzz, runFuzz } from './script.ts';

/*
 * Fuzzes the reader of segments: a real segment is damaged (bits, bytes, cuts; records doubled, dropped, moved), and
 * read as an endpoint reads it. It never throws, and whatever row it hands out is the one that was written there.
 * At times the checksum of a damaged record is put right: then what is inside has to hold up by itself.
 *
 *     SECONDS=3600 node build/test/fuzz/reader.js          new seed, printed; stops at the first failure
 *     SEED=7 ROUND=123 node build/test/fuzz/reader.js      that round alone
 */
interface Segment {
  readonly bytes: Uint8Array;
  readonly rows: readonly string[];
  /** Where each record starts, and the end of the last. */
  readonly edges: readonly number[];
}

export class ReaderFuzz implements Fuzz {
  readonly #seed: number;
  readonly #dir: string;
  readonly #segments: readonly Segment[];

  private constructor(seed: number, dir: string, segments: readonly Segment[]) {
    this.#seed = seed;
    this.#dir = dir;
    this.#segments = segments;
  }

  static async open(seed: number): Promise<ReaderFuzz> {
    const dir = mkdtempSync(join(tmpdir(), 'spillway-fuzz-reader-'));
    const captures = await Promise.all(v1Captures.map(loadCaptures));
    const fields = captures.flat().flatMap(({ raw }) => topLevelFields(raw));
    const made = fc
      .sample(anyRequest, { seed, numRuns: 100 })
      .map((message) => encodeWriteRequestV1(message));
    const random = new Random(seed);
    const segments: Segment[] = [];
    for (let i = 0; i < 8; i++) {
      segments.push(
        await writeSegment(join(dir, `good-${i}`), i % 2 === 0 ? 'snappy' : 'none', random, fields, made),
      );
    }
    return new ReaderFuzz(seed, dir, segments);
  }

  async round(number: number): Promise<void> {
    const random = new Random(this.#seed + Math.imul(number, 0x9e3779b1));
    const segment = this.#segments[random.int(0, this.#segments.length)]!;
    const resealed = random.next() < 0.3;
    const bytes = resealed ? withForgedRecord(random, segment) : damaged(random, segment);
    writeFileSync(segmentPath(this.#dir, 1, 'committed'), bytes);
    const store = new SegmentStore(nodeFileSystem, this.#dir, (id, onIdle) =>
      SegmentContext.open(nodeFileSystem, this.#dir, id, undefined, onIdle),
    );
    const from = random.next() < 0.8 ? 0 : random.int(0, segment.rows.length + 1);
    const reader = new WalReader(store, { segment: 1, row: from }, () => undefined);
    try {
      // As if a later segment were being written: all of this one counts.
      while (await reader.advance({ segment: 2, offset: 0 })) {
        const { head, rows, context } = reader;
        let row = head.row;
        // A forged record may say anything, also what is no text.
        for (const text of resealed ? [] : textsOf(rows, context.dictionary)) {
          if (text !== undefined) assert.equal(text, segment.rows[row], `row ${row}`);
          row++;
        }
        reader.passed(head.row + head.rows - 1);
      }
    } finally {
      reader.close();
    }
  }

  close(): void {
    rmSync(this.#dir, { recursive: true });
  }
}

async function writeSegment(
  dir: string,
  codec: Codec,
  random: Random,
  fields: readonly Uint8Array[],
  made: readonly Uint8Array[],
): Promise<Segment> {
  const { queue } = await openQueue(dir, { codec });
  for (let frame = 0; frame < 12; frame++) {
    const from = random.int(0, fields.length);
    const raw =
      random.next() < 0.5 ? Buffer.concat(fields.slice(from, from + 5)) : made[random.int(0, made.length)]!;
    await queue.append(fillWithRaw(raw)).durable;
  }
  await queue.close();
  const file = segmentPath(dir, queue.segments[0]!.id, 'committed');
  const bytes = readFileSync(file);
  const edges = [...recordsOf(bytes).map(({ at }) => at), bytes.length];
  return { bytes, rows: readSegment(file).rows, edges };
}

/** The segment with up to three damages. */
function damaged(random: Random, { bytes, edges }: Segment): Uint8Array {
  const records = edges.slice(0, -1).map((at, i) => bytes.subarray(at, edges[i + 1]));
  for (let n = random.int(0, 4); n > 0; n--) {
    const i = random.int(0, records.length);
    const one = records[i]!;
    switch (random.int(0, 5)) {
      case 0:
        records.splice(i, 1);
        break;
      case 1:
        records.splice(random.int(0, records.length + 1), 0, one);
        break;
      case 2:
        records.splice(i, 1);
        records.splice(random.int(0, records.length + 1), 0, one);
        break;
      default:
        records[i] = mutated(random, one);
    }
    if (records.length === 0) break;
  }
  const out = Buffer.concat(records);
  return random.next() < 0.1 ? out.subarray(0, random.int(0, out.length + 1)) : out;
}

/** The segment with one record whose payload was changed, under checksums that say it was not. */
function withForgedRecord(random: Random, { bytes }: Segment): Uint8Array {
  const parts = recordsOf(bytes).map(({ type, payload }): [typeof type, Uint8Array] => [type, payload]);
  const forged = parts[random.int(0, parts.length)]!;
  forged[1] = mutated(random, forged[1]);
  return chain(parts);
}

if (process.argv[1] === import.meta.filename) await runFuzz(ReaderFuzz.open);
