/**
 * What an endpoint costs between the queue and the socket: `npm run bench:deliver`.
 *
 * A queue on disk with some scrapes of the workload, and the parts of an endpoint (reader, feeder, loops, table,
 * progress block) put together as its thread does, in front of a destination that takes everything at once. CPU time
 * of this process for a sample, for 1 loop, 4 and 16: the best of some rounds and their median. With `-- --write-docs`
 * they go to docs/performance.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uncompress } from 'snappyjs';
import type { FileQueue } from '../src/filequeue/file-queue.ts';
import type { Destination, Outcome } from '../src/network/destination.ts';
import { Delivery, unsynced } from '../test/endpoint/delivery.ts';
import { fillWithRaw, openQueue } from '../test/filequeue/queue.ts';
import { describeMachine } from './machine.ts';
import { writePart } from './page.ts';
import { SeriesSet } from './series.ts';
import { Workload } from './workload.ts';

const SERIES = 100_000;
const SCRAPES = 10;
const PER_REQUEST = 2000;
/** Requests that are committed together. */
const REQUESTS_A_FRAME = 4;
const ROUNDS = 8;
const HEADER = ['loops', 'ns a sample, best', 'ns a sample, median', 'samples/s of one core'];

const taken: Outcome = { kind: 'response', status: 204, retryAfter: undefined, words: '' };
const sink: Destination = { post: async () => taken, close: async () => undefined };

async function fill(queue: FileQueue, workload: Workload): Promise<void> {
  for (let i = 0; i < workload.requests; i += REQUESTS_A_FRAME) {
    const bodies = Array.from({ length: Math.min(REQUESTS_A_FRAME, workload.requests - i) }, (_, k) =>
      uncompress(workload.body(i + k)),
    );
    const appended = bodies.map((body) => queue.append(fillWithRaw(body)).durable);
    await Promise.all(appended);
  }
}

/** CPU time to deliver the whole queue, ns a sample. */
async function deliver(queue: FileQueue, loops: number, samples: number): Promise<number> {
  const before = process.cpuUsage();
  const delivery = new Delivery(undefined, queue, sink, {
    loops,
    settings: { capacity: 10_000, maxSamplesPerSend: 2000, maxMetadataPerSend: 2000 },
  });
  await delivery.done();
  const { user, system } = process.cpuUsage(before);
  if (delivery.stats.deliveredRows !== samples) throw new Error('not everything was delivered');
  await delivery.stop();
  return ((user + system) * 1000) / samples;
}

const workload = Workload.fresh({
  series: new SeriesSet(SERIES),
  rounds: SCRAPES,
  perRequest: PER_REQUEST,
});
const dir = mkdtempSync(join(tmpdir(), 'spillway-bench-'));
try {
  const { queue } = await openQueue(dir, { files: unsynced });
  await fill(queue, workload);
  console.log(
    `${describeMachine()}; ${SERIES} series, ${SCRAPES} scrapes, ${queue.segments.length} segments`,
  );
  console.log(HEADER.join('  '));
  const lines: string[][] = [];
  const costs = new Map<number, number[]>([1, 4, 16].map((loops) => [loops, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [loops, ns] of costs) ns.push(await deliver(queue, loops, workload.samples));
  }
  for (const [loops, ns] of costs) {
    ns.sort((a, b) => a - b);
    const [best, median] = [ns[0]!, ns[ROUNDS >> 1]!];
    const rate = Math.round(1e9 / median).toLocaleString('en-US');
    lines.push([String(loops), best.toFixed(0), median.toFixed(0), rate]);
    console.log(lines.at(-1)!.join('  '));
  }
  if (process.argv.includes('--write-docs')) writePart('deliver', HEADER, lines);
  await queue.close();
} finally {
  rmSync(dir, { recursive: true });
}
