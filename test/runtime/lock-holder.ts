/**
 * A process that holds the lock of a directory until it is killed: `node --expose-gc lock-holder.js <dir>`. It
 * does not keep what it got, and says `collected` when the garbage collector has been.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { lockDirectory } from '../../src/runtime/directory-lock.ts';

lockDirectory(process.argv[2]!);
for (let i = 0; i < 5; i++) {
  gc!();
  await turn();
}
console.log('collected');
setInterval(() => undefined, 2 ** 30);
