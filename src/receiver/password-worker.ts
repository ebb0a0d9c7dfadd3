import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

/** A comparison that the thread is asked for. */
export interface PasswordQuestion {
  readonly id: number;
  readonly password: string;
  readonly hash: string;
}

export interface PasswordAnswer {
  readonly id: number;
  readonly matches: boolean;
}

/** The thread of `Passwords`: one comparison after the other, a tenth of a second each, far from the receiver. */
const port = parentPort;
if (port === null) throw new Error('receiver/password-worker.ts runs in a worker thread');
port.on('message', ({ id, password, hash }: PasswordQuestion) => {
  port.postMessage({ id, matches: compareSync(password, hash) } satisfies PasswordAnswer);
});
