/**
 * What a request body costs: `npm run bench:emit`; with `-- --write-docs` the rows of the default kernel go to
 * docs/performance.md.
 *
 * The series of the workload in the dictionary of a segment, their samples in the rings of 1, 4 and 16 shards, and
 * bodies of 2000 rows made of them by each kernel in each version and compression, taking turns; and the same of the
 * requests of real senders, all rows of a capture in one ring. CPU time of the emission alone, the best of some rounds;
 * bytes beside those of plain snappy (snappyjs) for the same messages. Every message is held against the others.
 */
import { createHash } from 'node:crypto';
import { compress, uncompress } from 'snappyjs';
import { createEmitterV2 } from '../src/protocol/emit-v2-wasm.ts';
import { createEmitter } from '../src/protocol/emit-wasm.ts';
import type { MetadataOf, SeriesMetadata } from '../src/protocol/emitter-v2.ts';
import { Scratch } from '../src/protocol/snappy.ts';
import { SAMPLE } from '../src/serialization/rows.ts';
import type { SegmentDictionary } from '../src/serialization/segment-dictionary.ts';
import { Ring, Road } from '../test/reference/road.ts';
import { loadCaptures, v1Captures } from '../test/support/captures.ts';
import { describeMachine } from './machine.ts';
import { writePart } from './page.ts';
import { SeriesSet } from './series.ts';
import { Workload } from './workload.ts';

const SERIES = 50_000;
const ROWS = 2000;
const ROUNDS = 10;

/** What is emitted: 1.0, 2.0 of series that nothing more is known of, or 2.0 with a metadata text for each name. */
const versions = ['1.0', '2.0', '2.0 + metadata'] as const;

/** One kernel with one version and compression, and what was measured of it. */
class Contender {
  readonly version: (typeof versions)[number];
  readonly kernel: 'typescript' | 'wasm';
  readonly compression: 'fast' | 'small';
  readonly emit: (use: (body: Uint8Array) => void) => void;
  readonly rows: number;
  /** The best so far, of CPU for a row. */
  ns: number = Number.POSITIVE_INFINITY;

  constructor(
    version: (typeof versions)[number],
    kernel: 'typescript' | 'wasm',
    compression: 'fast' | 'small',
    requests: readonly Uint8Array[],
    shards: number,
  ) {
    this.version = version;
    this.kernel = kernel;
    this.compression = compression;
    const road = new Road('none', undefined, kernel);
    for (const request of requests) road.take(request);
    const rings = ringsOf(road.read(road.commit()), road, shards);
    this.rows = rings.reduce((rows, { length }) => rows + length, 0);
    const bodyOf = bodiesOf(version, kernel, compression, road.reader);
    this.emit = (use) => {
      for (const ring of rings) {
        for (let first = 0; first < ring.length; first += ROWS)
          use(bodyOf(ring, first, Math.min(ROWS, ring.length - first)));
      }
    };
  }

  measure(): void {
    const before = process.cpuUsage();
    this.emit(() => undefined);
    const { user, system } = process.cpuUsage(before);
    this.ns = Math.min(this.ns, ((user + system) * 1000) / this.rows);
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

/** Makes the body of some rows of a ring. */
function bodiesOf(
  version: (typeof versions)[number],
  kernel: 'typescript' | 'wasm',
  compression: 'fast' | 'small',
  dictionary: SegmentDictionary,
): (ring: Ring, first: number, count: number) => Uint8Array {
  const out = new Scratch();
  if (version === '1.0') {
    const emitter = createEmitter(kernel, fail, compression);
    return (ring, first, count) => emitter.emit(ring, first, count, dictionary, out).bytes;
  }
  const emitter = createEmitterV2(kernel, fail, compression);
  const metadataOf = version === '2.0' ? () => undefined : familiesOf(dictionary);
  return (ring, first, count) => emitter.emitV2(ring, first, count, dictionary, metadataOf, out).bytes;
}

/** Metadata for the name of each series. */
function familiesOf(dictionary: SegmentDictionary): MetadataOf {
  const families = new Map<string, SeriesMetadata>();
  const { seriesAt, seriesSlots } = dictionary.columns;
  const ofSeries = Array.from({ length: dictionary.series }, (_, series) => {
    const slots = Array.from(seriesSlots.subarray(seriesAt[series], seriesAt[series + 1]));
    const named = slots.find((slot) => Buffer.from(dictionary.slotName(slot)).toString() === '__name__')!;
    const name = Buffer.from(dictionary.slotValue(named)).toString();
    let family = families.get(name);
    if (family === undefined) {
      const help = `What ${name.replaceAll('_', ' ')} counts since the start of the process.`;
      family = { type: 1, help: Buffer.from(help), unit: new Uint8Array(0) };
      families.set(name, family);
    }
    return family;
  });
  return (series) => ofSeries[series];
}

function fail(error: unknown): never {
  throw error;
}

/** The samples of all series, in a ring for each shard. */
function ringsOf(rows: Ring, road: Road, shards: number): Ring[] {
  const { series, time, value, kind } = rows;
  const rings = Array.from({ length: shards }, () => new Ring(rows.length));
  for (let i = 0; i < rows.length; i++) {
    if (kind[i] !== SAMPLE) continue;
    const ring = rings[road.reader.seriesHash[2 * series[i]!]! % shards]!;
    ring.push(SAMPLE, series[i]!, [time[2 * i]!, time[2 * i + 1]!], [value[2 * i]!, value[2 * i + 1]!]);
  }
  return rings;
}

/** A line for each version, compression and kernel. */
function compare(what: string, requests: readonly Uint8Array[], shards: number): Line[] {
  const contenders = versions.flatMap((version) =>
    (['fast', 'small'] as const).flatMap((compression) =>
      (['typescript', 'wasm'] as const).map(
        (kernel) => new Contender(version, kernel, compression, requests, shards),
      ),
    ),
  );
  for (let round = 0; round < ROUNDS; round++) for (const contender of contenders) contender.measure();
  const digests = new Map<string, string>();
  const lines: Line[] = [];
  for (const contender of contenders) {
    const { version, kernel, compression, ns, rows } = contender;
    const { bytes, plain, digest } = contender.check();
    if ((digests.get(version) ?? digest) !== digest) throw new Error(`the messages of ${version} differ`);
    digests.set(version, digest);
    const fast = lines.find(
      (one) => one.version === version && one.kernel === kernel && one.compression === 'fast',
    );
    const line = {
      what,
      version,
      kernel,
      compression,
      ns,
      bytes: bytes / rows,
      ofPlain: bytes / plain,
      fast,
    };
    lines.push(line);
    console.log(cellsOf(line).join('  '));
  }
  return lines;
}

interface Line {
  readonly what: string;
  readonly version: string;
  readonly kernel: 'typescript' | 'wasm';
  readonly compression: 'fast' | 'small';
  /** CPU for a row. */
  readonly ns: number;
  /** For a row. */
  readonly bytes: number;
  /** The ratio to plain snappy. */
  readonly ofPlain: number;
  /** What `small` is measured by. */
  readonly fast: Line | undefined;
}

/** Of the bytes: below it nothing is saved that anybody would pay for. */
const LEAST_SAVED = 0.02;

const HEADER = [
  'rows of',
  'message',
  'kernel',
  'wire_compression',
  'ns a row',
  'bytes a row',
  'of plain snappy',
  'CPU-s for a GB saved',
];

function cellsOf({ what, version, kernel, compression, ns, bytes, ofPlain, fast }: Line): string[] {
  const saved = fast === undefined ? 0 : fast.bytes - bytes;
  const price =
    fast === undefined || saved < LEAST_SAVED * fast.bytes ? '' : ((ns - fast.ns) / saved).toFixed(0);
  return [what, version, kernel, compression, ns.toFixed(0), bytes.toFixed(1), ofPlain.toFixed(2), price];
}

const workload = Workload.fresh({ series: new SeriesSet(SERIES), rounds: 1, perRequest: 10_000 });
const bodies = Array.from({ length: workload.requests }, (_, i) => uncompress(workload.body(i)));
console.log(`${describeMachine()}; ${SERIES} series, ${ROWS} rows a body\n${HEADER.join('  ')}`);
const lines = [1, 4, 16].flatMap((shards) =>
  compare(`${shards === 1 ? 'one shard' : `one of ${shards} shards`}`, bodies, shards),
);
if (process.argv.includes('--write-docs')) {
  writePart('emit', HEADER, lines.filter(({ kernel }) => kernel === 'wasm').map(cellsOf));
}
for (const folder of v1Captures) {
  const captures = await loadCaptures(folder);
  compare(
    folder,
    captures.map(({ raw }) => raw),
    1,
  );
}
