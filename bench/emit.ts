/**
 * What a request body costs: `npm run bench:emit`.
 *
 * The series of the workload in the dictionary of a segment, their samples in the rings of 1, 4 and 16 shards, and
 * bodies of 2000 rows made of them by either kernel, taking turns. CPU time of the emission alone, the best of some
 * rounds; bytes beside those of plain snappy (snappyjs) for the same messages, and the two kernels' bodies compared.
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
const ROUNDS = 8;
const kernels = ['typescript', 'wasm'] as const;

interface Result {
  ns: number;
  bytes: number;
  sum: string;
}

function fail(error: unknown): never {
  throw error;
}

/** The rows of all series, in a ring for each shard. */
function ringsOf(rows: Ring, road: Road, shards: number): Ring[] {
  const of = (series: number) => road.reader.seriesHash[2 * series]! % shards;
  const sizes = new Uint32Array(shards);
  for (let i = 0; i < rows.length; i++) sizes[of(rows.series[i]!)]!++;
  const rings = Array.from(sizes, (size) => new Ring(size));
  for (let i = 0; i < rows.length; i++) {
    const { time, value } = rows;
    rings[of(rows.series[i]!)]!.push(
      rows.kind[i]!,
      rows.series[i]!,
      [time[2 * i]!, time[2 * i + 1]!],
      [value[2 * i]!, value[2 * i + 1]!],
    );
  }
  return rings;
}

const workload = Workload.fresh({ series: new SeriesSet(SERIES), rounds: 1, perRequest: 10_000 });
console.log(`node ${process.version}, ${cpus()[0]?.model}, ${SERIES} series, ${ROWS} rows a body`);
for (const shards of [1, 4, 16]) {
  const best = new Map<string, Result>();
  const runs = kernels.map((kernel) => {
    const road = new Road('none', undefined, kernel);
    for (let i = 0; i < workload.requests; i++) road.take(uncompress(workload.body(i)));
    const rings = ringsOf(road.read(road.commit()), road, shards);
    return { kernel, road, rings, emitter: createEmitter(kernel, fail), out: new Scratch() };
  });
  let plain = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const { kernel, road, rings, emitter, out } of runs) {
      const each = (use: (bytes: Uint8Array) => void) => {
        for (const ring of rings) {
          for (let first = 0; first < ring.length; first += ROWS) {
            use(emitter.emit(ring, first, Math.min(ROWS, ring.length - first), road.reader, out).bytes);
          }
        }
      };
      let bytes = 0;
      const before = process.cpuUsage();
      for (let i = 0; i < 4; i++) each((body) => (bytes += body.length));
      const { user, system } = process.cpuUsage(before);
      const ns = ((user + system) * 1000) / (4 * SERIES);
      const known = best.get(kernel);
      if (known !== undefined) known.ns = Math.min(known.ns, ns);
      else {
        const hash = createHash('sha256');
        each((body) => hash.update(body));
        if (kernel === 'wasm') each((body) => (plain += compress(uncompress(body.slice())).length));
        best.set(kernel, { ns, bytes: bytes / (4 * SERIES), sum: hash.digest('hex') });
      }
    }
  }
  const [typescript, wasm] = kernels.map((kernel) => best.get(kernel)!) as [Result, Result];
  console.log(
    `${shards} shards: typescript ${typescript.ns.toFixed(0)} ns and ${typescript.bytes.toFixed(1)} B a sample, ` +
      `wasm ${wasm.ns.toFixed(0)} ns and ${wasm.bytes.toFixed(1)} B: ${(typescript.ns / wasm.ns).toFixed(2)}x; ` +
      `plain snappy ${(plain / SERIES).toFixed(1)} B: ${((wasm.bytes * SERIES) / plain).toFixed(2)}x` +
      `${typescript.sum === wasm.sum ? '' : '; THE BODIES DIFFER'}`,
  );
}
