import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { WebUser } from '../config/web-config.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { programFile } from '../runtime/program-files.ts';
import type { PasswordAnswer, PasswordQuestion } from './password-worker.ts';

/** Too many passwords wait to be compared: the client shall come again. */
export class PasswordsBusyError extends SpillwayError {
  readonly code = 'PASSWORDS_BUSY';
  override readonly retryable = true;
}

/** The thread that compares passwords ended by itself; the next password starts another. */
export class PasswordWorkerError extends SpillwayError {
  readonly code = 'PASSWORD_WORKER';
  override readonly retryable = true;
}

/** What a client gave for a user name and a password, and from which address. */
export interface PasswordAttempt {
  readonly user: string;
  readonly password: string;
  readonly from: string;
}

interface Comparison {
  readonly from: string;
  readonly settle: (matches: boolean) => void;
  readonly fail: (error: Error) => void;
}

/** At a tenth of a second each, the last of them is answered long before a sender gives up. */
const MOST_WAITING = 32;
/** One address that guesses leaves room for the others. */
const MOST_WAITING_FROM_ONE = 4;
/** Wrong passwords that are remembered. */
const MOST_WRONG = 1024;

/**
 * Compares passwords with bcrypt hashes, which is slow on purpose.
 *
 * - A password that matched is remembered, as a keyed hash, one for each user: a sender pays once. A wrong one is
 *   remembered too, so that a sender with an old password does not pay for each of its retries.
 * - Comparisons run one by one in a thread of their own (the library yields only every tenth of a second), at
 *   most `MOST_WAITING` wait, and the same password is compared once however many connections bring it: whoever
 *   guesses neither stalls the receiver nor crowds out the others.
 * - A user who does not exist is compared with the hash of one who does, always the same one, and refused: it
 *   takes as long, whatever the costs of the hashes are.
 *
 * Made anew when the users change, so nothing outlives them.
 */
export class Passwords {
  readonly #users: ReadonlyMap<string, WebUser>;
  readonly #hashes: readonly string[];
  readonly #key: Buffer = randomBytes(32);
  readonly #right = new Map<string, Buffer>();
  readonly #wrong = new Set<string>();
  readonly #waiting = new Map<string, Promise<boolean>>();
  readonly #comparisons = new Map<number, Comparison>();
  #worker: Worker | undefined;
  #lastId = 0;
  #closed = false;

  constructor(users: ReadonlyMap<string, WebUser>) {
    this.#users = users;
    this.#hashes = [...users.values()].map(({ hash }) => hash);
  }

  /**
   * The user, when the password is theirs. Throws `PasswordsBusyError` when it cannot be compared now, and
   * `PasswordWorkerError`.
   */
  async verify(attempt: PasswordAttempt): Promise<WebUser | undefined> {
    const user = this.#users.get(attempt.user);
    const digest = this.#digest(`${attempt.user.length}:${attempt.user}${attempt.password}`);
    const right = this.#right.get(attempt.user);
    if (right !== undefined && timingSafeEqual(right, digest)) return user;
    const name = digest.toString('base64');
    if (this.#wrong.has(name) || this.#hashes.length === 0) return undefined;

    const waiting = this.#waiting.get(name);
    const matches = await (waiting ?? this.#compareOnce(name, attempt, user?.hash));
    if (!matches || user === undefined) {
      if (this.#wrong.size >= MOST_WRONG) this.#wrong.delete(this.#wrong.values().next().value!);
      this.#wrong.add(name);
      return undefined;
    }
    this.#right.set(attempt.user, digest);
    return user;
  }

  /** Ends the thread; comparisons that wait fail. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#fail(new PasswordsBusyError('the credentials have changed, or the agent is stopping; come again'));
    await worker?.terminate();
  }

  async #compareOnce(name: string, attempt: PasswordAttempt, hash: string | undefined): Promise<boolean> {
    const comparison = this.#compare(attempt, hash ?? this.#decoy(attempt.user));
    this.#waiting.set(name, comparison);
    try {
      return await comparison;
    } finally {
      this.#waiting.delete(name);
    }
  }

  #compare({ password, from }: PasswordAttempt, hash: string): Promise<boolean> {
    let ofOne = 0;
    for (const comparison of this.#comparisons.values()) if (comparison.from === from) ofOne++;
    if (this.#closed || this.#comparisons.size >= MOST_WAITING || ofOne >= MOST_WAITING_FROM_ONE) {
      return Promise.reject(new PasswordsBusyError('too many passwords wait to be checked; come again'));
    }
    const id = ++this.#lastId;
    return new Promise((settle, fail) => {
      this.#comparisons.set(id, { from, settle, fail });
      this.#worker ??= this.#start();
      this.#worker.postMessage({ id, password, hash } satisfies PasswordQuestion);
    });
  }

  #start(): Worker {
    const worker = new Worker(programFile('receiver/password-worker.js'), { name: 'passwords' });
    worker.on('message', ({ id, matches }: PasswordAnswer) => {
      this.#comparisons.get(id)?.settle(matches);
      this.#comparisons.delete(id);
    });
    const ended = (cause: unknown): void => {
      if (this.#worker !== worker) return;
      this.#fail(new PasswordWorkerError('the thread that compares passwords ended by itself', {}, cause));
    };
    worker.on('error', ended);
    worker.on('exit', (code) => ended(new Error(`exit code ${code}`)));
    return worker;
  }

  #fail(error: Error): void {
    this.#worker = undefined;
    for (const comparison of this.#comparisons.values()) comparison.fail(error);
    this.#comparisons.clear();
  }

  /** The hash that a user who does not exist is compared with: nobody outside can tell which. */
  #decoy(user: string): string {
    return this.#hashes[this.#digest(user).readUInt32LE() % this.#hashes.length]!;
  }

  #digest(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}
