/** In a thread of its own: publishes one number after the other, each in all places, until it is ended. */
import { workerData } from 'node:worker_threads';
import { SharedWatermark } from '../../src/endpoint/shared-watermark.ts';

const watermark = new SharedWatermark(workerData as SharedArrayBuffer);
for (let n = 1; ; n++) watermark.publish({ segment: n, offset: n, rows: n }, n);
