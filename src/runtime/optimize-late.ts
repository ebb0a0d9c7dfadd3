import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 wait four times as long before it optimises a function: what is hot here is hot for days, and there is
 * little of it. Left alone, Node 20 spends more of the first minute on optimising functions, for each thread, than
 * those functions save (`npm run bench:up`). Later versions have no such flag, and a cheaper compiler in between.
 *
 * To be called early, for all threads.
 */
export function optimizeLate(): void {
  if (process.versions.v8.startsWith('11.3.')) setFlagsFromString('--interrupt-budget=270000');
}
