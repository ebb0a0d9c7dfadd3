import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  encodeWriteRequestV1,
  encodeWriteRequestV2,
  type WriteRequestV1,
  type WriteRequestV2,
} from '../../src/protocol/schema.ts';
import { SnappyCompressor, SnappyError } from '../../src/protocol/snappy.ts';
import { SpillwayError } from '../../src/runtime/errors.ts';
import { codecs } from '../../src/serialization/codec.ts';
import { FRAME, nextRecord, RECORD_HEAD, recordAt, sealRecord } from '../../src/serialization/record.ts';
import { mark } from '../filequeue/records.ts';
import { uncompressByBoth } from '../reference/both-kernels.ts';
import { ExactScratch } from '../reference/exact-scratch.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { plainUncompress } from '../reference/plain-snappy.ts';
import { anyRequest } from '../reference/requests.ts';
import { anyRequestV2 } from '../reference/requests-v2.ts';
import { Road } from '../reference/road.ts';
import { assertSameVerdict } from '../reference/same-verdict.ts';
import { assertSameVerdictV2 } from '../reference/same-verdict-v2.ts';
import { loadCaptures, v1Captures, v2Captures } from '../support/captures.ts';
import { Random } from '../support/random.ts';
import { mutated, topLevelFields } from './mutation.ts';
import { type Fuzz, runFuzz } from './script.ts';

/*
 * Fuzzes the kernel: mutated captures and messages through snappy, ingest, frames and emission, each held
 * against its oracle; snappy and ingest in TypeScript and in WebAssembly, which are held against one another.
 *
 *     SECONDS=60 node build/test/fuzz/kernel.js             new seed, printed; stops at the first failure
 *     SEED=7 ROUND=123 node build/test/fuzz/kernel.js       that round alone
 *
 * A round depends on its seed and number alone.
 */
const LIMIT = 1 << 22;

export class KernelFuzz implements Fuzz {
  readonly #seed: number;
  /** Top-level fields of the captures: series, for the most part. */
  readonly #series: readonly Uint8Array[];
  readonly #messages: readonly WriteRequestV1[];
  readonly #fieldsV2: readonly Uint8Array[];
  readonly #messagesV2: readonly WriteRequestV2[];
  readonly #compressor: SnappyCompressor = new SnappyCompressor();

  private constructor(seed: number, series: readonly Uint8Array[], fieldsV2: readonly Uint8Array[]) {
    this.#seed = seed;
    this.#series = series;
    this.#messages = fc.sample(anyRequest, { seed, numRuns: 200 });
    this.#fieldsV2 = fieldsV2;
    this.#messagesV2 = fc.sample(anyRequestV2, { seed, numRuns: 200 });
  }

  static async open(seed: number): Promise<KernelFuzz> {
    const captures = await Promise.all(v1Captures.map(loadCaptures));
    const [first] = await loadCaptures(v2Captures[0]);
    return new KernelFuzz(
      seed,
      captures.flat().flatMap(({ raw }) => topLevelFields(raw)),
      topLevelFields(first!.raw),
    );
  }

  /** Throws when the kernel and an oracle differ. */
  round(number: number): void {
    const random = new Random(this.#seed + Math.imul(number, 0x9e3779b1));
    const what = random.int(0, 4);
    if (what === 0) this.#fuzzRecord(random);
    else if (what === 1) this.#fuzzBody(random);
    else if (what === 2) this.#fuzzRequestV2(random);
    else assertSameVerdict(mutated(random, this.#message(random)));
  }

  close(): void {
    // It holds nothing but memory.
  }

  /** A request of some series of the captures, or a made one in an odd encoding. */
  #message(random: Random): Uint8Array {
    if (random.next() < 0.5) {
      const from = random.int(0, this.#series.length);
      return Buffer.concat(this.#series.slice(from, from + random.int(1, 8)));
    }
    const message = this.#messages[random.int(0, this.#messages.length)]!;
    return random.next() < 0.7 ? new OddWriter(random).request(message) : encodeWriteRequestV1(message);
  }

  /** A 2.0 request of some fields of a capture, or a made one in an odd encoding. */
  #messageV2(random: Random): Uint8Array {
    if (random.next() < 0.3) {
      const fields = this.#fieldsV2;
      const from = random.int(0, fields.length);
      return Buffer.concat([
        ...fields.slice(0, random.int(0, 20)),
        ...fields.slice(from, from + random.int(1, 8)),
      ]);
    }
    const message = this.#messagesV2[random.int(0, this.#messagesV2.length)]!;
    return random.next() < 0.7 ? new OddWriter(random).requestV2(message) : encodeWriteRequestV2(message);
  }

  /** A mutated request of remote write 2.0, behind the one that it was, or behind none. */
  #fuzzRequestV2(random: Random): void {
    const raw = this.#messageV2(random);
    assertSameVerdictV2(mutated(random, raw), random.next() < 0.7 ? raw : undefined);
  }

  /** A mutated body: uncompressed as the plain decoder does, or refused. */
  #fuzzBody(random: Random): void {
    const raw = this.#message(random);
    const packed = new ExactScratch();
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    const end = this.#compressor.compress(raw, view, raw.length, packed, 0);
    const body = mutated(random, packed.bytes.slice(0, end));
    const expected = plainUncompress(body, LIMIT);
    try {
      const out = uncompressByBoth(body, LIMIT);
      assert.ok(expected !== undefined, 'taken, and broken');
      assert.equal(Buffer.compare(out, expected), 0);
    } catch (error) {
      assert.ok(error instanceof SnappyError);
      assert.equal(expected, undefined, 'refused, and right');
    }
  }

  /** A mutated record: not found, or not read, or read; and one behind it is found. */
  #fuzzRecord(random: Random): void {
    const codec = codecs[random.int(0, codecs.length)]!;
    const road = new Road(codec);
    try {
      road.take(this.#message(random));
    } catch (error) {
      assert.ok(error instanceof SpillwayError);
    }
    const good = road.commit();
    const bad = mutated(random, good);
    const behind = good.slice();
    sealRecord(behind, 0, FRAME, good.length - RECORD_HEAD, mark, bad.length);
    const both = Buffer.concat([bad, behind]);
    const found = nextRecord(both, 0, mark, 0);
    assert.ok(found !== undefined && found.at <= bad.length);
    assert.equal(typeof recordAt(good, 0, mark, 0), 'object');
    if (bad.length < RECORD_HEAD) return;
    // With its checksum put right, what is inside has to hold up by itself.
    sealRecord(bad, 0, FRAME, bad.length - RECORD_HEAD, mark, 0);
    try {
      new Road(codec).read(bad);
    } catch (error) {
      assert.ok(error instanceof SpillwayError, `${(error as Error).stack}`);
    }
  }
}

if (process.argv[1] === import.meta.filename) await runFuzz(KernelFuzz.open);
