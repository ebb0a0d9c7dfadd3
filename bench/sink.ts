/**
 * The endpoint behind the contenders: a remote-write 1.0 receiver that answers 204 and checks every row.
 *
 * A program of its own, so that its CPU and memory are not the contender's; its parent (sink-process.ts)
 * speaks to it over IPC. It keeps the bodies as they come and checks them when it is asked to, which takes no
 * time from a contender that is being measured. Down means that nobody listens: connections are refused and
 * open ones cut.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SnappyDecompressor } from './snappy-uncompress.ts';
import { Verifier } from './verifier.ts';
import { type Shape, Workload } from './workload.ts';

/** `check` is answered when all that has come is checked, the others at once. */
export type Command = 'up' | 'down' | 'tell' | 'check';

/** How a sink behaves. */
export interface SinkOptions {
  readonly shape: Shape;
  /** Between a request and its answer; 0 unless it is said. */
  readonly answerMs?: number;
}

/** What the sink tells, once after each command. Times are ms since the epoch, 0 for never. */
export interface SinkReport {
  readonly port: number;
  readonly requests: number;
  /** Of request bodies, as they came. */
  readonly bytes: number;
  /** The first since it was last told to be up. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** From here on: of what is checked. */
  readonly rows: number;
  readonly delivered: number;
  readonly duplicates: number;
  readonly inversions: number;
  readonly wrong: number;
  /** By request body of the workload: when its last row came. Empty but in the answer to `check`. */
  readonly arrivedAt: Float64Array;
}

/** More than a run of ten million samples; beyond it, bodies are checked as they come. */
const MAX_UNCHECKED_BYTES = 1 << 30;

const { shape, answerMs = 0 } = JSON.parse(process.argv[2]!) as SinkOptions;
const verifier = new Verifier(new Workload(shape));
const decompressor = new SnappyDecompressor();
const unchecked: { readonly body: Buffer; readonly arrivedMs: number }[] = [];
let uncheckedBytes = 0;
let port = 0;
let requests = 0;
let bytes = 0;
let firstMs = 0;
let lastMs = 0;

// A sender that keeps a connection for long must not find it closed under its next request.
const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, receive);

function receive(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (answerMs === 0) response.writeHead(204).end();
    else setTimeout(() => response.writeHead(204).end(), answerMs);
    const body = Buffer.concat(chunks);
    lastMs = Date.now();
    firstMs ||= lastMs;
    requests++;
    bytes += body.length;
    unchecked.push({ body, arrivedMs: lastMs });
    uncheckedBytes += body.length;
    while (uncheckedBytes > MAX_UNCHECKED_BYTES) checkOldest();
  });
}

/** A body that cannot be read ends this process, and with it the trial. */
function checkOldest(): void {
  const { body, arrivedMs } = unchecked.shift()!;
  uncheckedBytes -= body.length;
  verifier.accept(decompressor.uncompress(body), arrivedMs);
}

async function obey(command: Command): Promise<void> {
  switch (command) {
    case 'up':
      firstMs = 0;
      await once(server.listen(port, '127.0.0.1'), 'listening');
      port = (server.address() as AddressInfo).port;
      break;
    case 'down':
      server.close();
      server.closeAllConnections();
      break;
    case 'check':
      while (unchecked.length > 0) {
        checkOldest();
        await nextTurn(); // to go on answering
      }
      break;
    case 'tell':
      break;
  }
  const { rows, delivered, duplicates, inversions, wrong } = verifier;
  const arrivedAt = command === 'check' ? verifier.arrivedAt : new Float64Array(0);
  const report: SinkReport = {
    ...{ port, requests, bytes, firstMs, lastMs },
    ...{ rows, delivered, duplicates, inversions, wrong, arrivedAt },
  };
  process.send!(report);
}

process.on('message', obey);
process.on('disconnect', () => process.exit());
