/** In a thread of its own: writes every number of the stats in `workerData` once, counting up from 1. */
import { isMainThread, workerData } from 'node:worker_threads';
import { KINDS } from '../../src/serialization/rows.ts';
import { type EndpointScalar, EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import { endpointReasonNames } from '../../src/telemetry/reasons.ts';

const scalars: Readonly<Record<EndpointScalar, true>> = {
  shards: true,
  shardsDesired: true,
  pendingRows: true,
  highestSentMs: true,
  oldestWaitingMs: true,
  segment: true,
  bytesSent: true,
  metadataBytesSent: true,
  requests: true,
  retries: true,
  holds: true,
  failingLoops: true,
  holdingLoops: true,
  resentRows: true,
  splits: true,
  throttles: true,
  returnedRows: true,
  startsDropped: true,
  messageVersion: true,
  metadataRepeated: true,
  metadataRepeatsFailed: true,
};

/** All of them: the type sees to it. */
export const scalarNames: readonly EndpointScalar[] = Object.keys(scalars) as EndpointScalar[];

if (!isMainThread) {
  const stats = new EndpointStats(workerData as SharedArrayBuffer);
  let next = 1;
  for (const [i, name] of scalarNames.entries()) {
    if (i % 2 === 0) stats.set(name, next++);
    else stats.add(name, next++);
  }
  for (let kind = 0; kind < KINDS; kind++) {
    stats.addDelivered(kind, next++);
    stats.addRetried(kind, next++);
    for (const reason of endpointReasonNames) stats.addLost(reason, kind, next++);
  }
  stats.observeRequest(0.01);
  stats.observeRequest(1000);
  stats.observeDelay(1, 5);
}
