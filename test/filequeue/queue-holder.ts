/**
 * A process that has a queue: `node queue-holder.js <dir>`. It says `open`, `committed`, and then does nothing
 * until it is killed.
 */
import { openQueue, put, row } from './queue.ts';

const { queue } = await openQueue(process.argv[2]!);
console.log('open');
await put(queue, row('held', 1));
console.log('committed');
setInterval(() => undefined, 2 ** 30);
