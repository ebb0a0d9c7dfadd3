import type { Seek } from '../endpoint/control.ts';
import { clockText, samplesText } from './words.ts';

/**
 * What moving an endpoint does, in whole sentences for somebody who has to decide: first what becomes of samples, then
 * from where it goes on. `done`: it was done.
 */
export function seekText(name: string, seek: Seek, nowMs: number, done: boolean): string {
  const { direction, rows, atMs } = seek;
  const from =
    atMs === undefined
      ? 'what comes from now on'
      : `what came at ${clockText(atMs, nowMs)}, where a segment begins`;
  const goes = `${name} ${done ? 'goes' : 'then goes'} on with ${from}.`;
  if (direction === 'backwards') {
    return rows === 0
      ? `It stands there already: nothing is sent again. ${goes}`
      : `${samplesText(rows)} that it was sent before ${rows === 1 ? 'is' : 'are'} sent again; nothing is lost. ` +
          `A receiver that has them still counts them as duplicates, or refuses them as too old. ${goes}`;
  }
  return rows === 0
    ? `Nothing waits before that: nothing is passed over. ${goes}`
    : `At most ${samplesText(rows)} that ${rows === 1 ? 'waits' : 'wait'} for it ${rows === 1 ? 'is' : 'are'} ` +
        `passed over: ${name} never gets ${rows === 1 ? 'it' : 'them'}, counted as \`skipped\`. ${goes}`;
}
