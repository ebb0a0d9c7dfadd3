/**
 * What an endpoint costs between the queue and the socket: `npm run bench:deliver`.
 *
 * A queue on disk with some scrapes of the workload, and the parts of an endpoint (reader, feeder, loops, table,
 * progress block) put together as its thread does, in front of a destination that takes everything at once. CPU time
 * of this process for a sample, for 1 loop and for 4: the best of some rounds and their median.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { uncompress } from 'snappyjs';
import type { FileQueue } from '../src/filequeue/file-queue.ts';
import type { Destination, Outcome } from '../src/network/destination.ts';
import { Delivery, unsynced } from '../test/endpoint/delivery.ts';
import { fillWithRaw, openQueue } from '../test/filequeue/queue.ts';
import { SeriesSet } from './series.ts';
import { Workload } from './workload.ts';

const SERIES = 100_000;
const SCRAPES = 10;
const PER_REQUEST = 2000;
/** Requests that are committed together. */
const REQUESTS_A_FRAME = 4;
const ROUNDS = 8;

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
    `node ${process.version}, ${cpus()[0]?.model}, ${SERIES} series, ${SCRAPES} scrapes, ${queue.segments.length} segments`,
  );
  const costs = new Map<number, number[]>([1, 4].map((loops) => [loops, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [loops, ns] of costs) ns.push(await deliver(queue, loops, workload.samples));
  }
  for (const [loops, ns] of costs) {
    ns.sort((a, b) => a - b);
    console.log(
      `${loops} loops: best ${ns[0]!.toFixed(0)} ns a sample, median ${ns[ROUNDS >> 1]!.toFixed(0)}`,
    );
  }
  await queue.close();
} finally {
  rmSync(dir, { recursive: true });
}
