/**
 * What a request body costs: `npm run bench:emit`.
 *
 * The series of the workload in the dictionary of a segment, their samples in the rings of 1, 4 and 16 shards, and
 * bodies of 2000 rows made of them by each kernel in each compression, taking turns. CPU time of the emission alone,
 * the best of some rounds; bytes beside those of plain snappy (snappyjs) for the same messages. Every message is held
 * against the others.
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { compress, uncompress } from 'snappyjs';
import { createEmitter } from '../src/protocol/emit-wasm.ts';
import { Scratch } from '../src/protocol/snappy.ts';
import { Ring, Road } from '../test/reference/road.ts';
import { SeriesSet } from './series.ts';
import { Workload } from './workload.ts';

const SERIES = 50_000;
const ROWS = 2000;
const ROUNDS = 10;

/** One kernel with one compression, and what was measured of it. */
class Contender {
  readonly name: string;
  readonly emit: (use: (body: Uint8Array) => void) => void;
  /** The best so far, of CPU for a sample. */
  ns: number = Number.POSITIVE_INFINITY;

  constructor(
    kernel: 'typescript' | 'wasm',
    compression: 'fast' | 'small',
    workload: Workload,
    shards: number,
  ) {
    this.name = `${kernel} ${compression}`;
    const road = new Road('none', undefined, kernel);
    for (let i = 0; i < workload.requests; i++) road.take(uncompress(workload.body(i)));
    const rings = ringsOf(road.read(road.commit()), road, shards);
    const emitter = createEmitter(kernel, fail, compression);
    const out = new Scratch();
    this.emit = (use) => {
      for (const ring of rings) {
        for (let first = 0; first < ring.length; first += ROWS) {
          use(emitter.emit(ring, first, Math.min(ROWS, ring.length - first), road.reader, out).bytes);
        }
      }
    };
  }

  measure(): void {
    const before = process.cpuUsage();
    this.emit(() => undefined);
    const { user, system } = process.cpuUsage(before);
    this.ns = Math.min(this.ns, ((user + system) * 1000) / SERIES);
  }

  /** Bytes of the bodies, those of plain snappy, and a digest of the messages. */
  check(): { bytes: number; plain: number; digest: string } {
    const messages = createHash('sha256');
    let [bytes, plain] = [0, 0];
    this.emit((body) => {
      bytes += body.length;
      const message = uncompress(body.slice());
      plain += compress(message).length;
      messages.update(message);
    });
    return { bytes, plain, digest: messages.digest('hex') };
  }
}

function fail(error: unknown): never {
  throw error;
}

/** The rows of all series, in a ring for each shard. */
function ringsOf(rows: Ring, road: Road, shards: number): Ring[] {
  const { series, time, value, kind } = rows;
  const rings = Array.from({ length: shards }, () => new Ring(rows.length));
  for (let i = 0; i < rows.length; i++) {
    const ring = rings[road.reader.seriesHash[2 * series[i]!]! % shards]!;
    ring.push(kind[i]!, series[i]!, [time[2 * i]!, time[2 * i + 1]!], [value[2 * i]!, value[2 * i + 1]!]);
  }
  return rings;
}

const workload = Workload.fresh({ series: new SeriesSet(SERIES), rounds: 1, perRequest: 10_000 });
console.log(`node ${process.version}, ${cpus()[0]?.model}, ${SERIES} series, ${ROWS} rows a body`);
for (const shards of [1, 4, 16]) {
  const contenders = (['fast', 'small'] as const).flatMap((compression) =>
    (['typescript', 'wasm'] as const).map((kernel) => new Contender(kernel, compression, workload, shards)),
  );
  for (let round = 0; round < ROUNDS; round++) for (const contender of contenders) contender.measure();
  const digests = new Set<string>();
  for (const contender of contenders) {
    const { bytes, plain, digest } = contender.check();
    digests.add(digest);
    console.log(
      `${shards} shards, ${contender.name.padEnd(16)} ${contender.ns.toFixed(0).padStart(5)} ns a sample ` +
        `(${(contenders[0]!.ns / contender.ns).toFixed(2)} times typescript fast), ` +
        `${(bytes / SERIES).toFixed(1)} B, ${(bytes / plain).toFixed(2)} of plain snappy`,
    );
  }
  if (digests.size !== 1) throw new Error('the messages differ');
}
