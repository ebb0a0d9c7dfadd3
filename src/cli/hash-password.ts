import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { CommandError, UsageError } from './errors.ts';

/** Each step doubles the work: about a tenth of a second here, once for each user (receiver/passwords.ts). */
const COST = 10;

/** bcrypt looks at no more of a password, in bytes. */
const MOST_BYTES = 72;

/** Where a password comes from: a terminal, or anything else whole. */
export type PasswordInput = Readable & { readonly isTTY?: boolean };

/**
 * `spillway hash-password`: the bcrypt hash of a password, for `basic_auth_users` of the web configuration file. On a
 * terminal it is asked for twice and not shown; else it is the input without the end of its line. Never an argument:
 * those are seen by everybody on the machine, and stay in the history of the shell. Throws `UsageError` and
 * `CommandError`.
 */
export async function hashPassword(input: PasswordInput, prompts: Writable): Promise<string> {
  const password = input.isTTY === true ? await askTwice(input, prompts) : await readAll(input);
  if (password === '') throw new UsageError('there is no password on the standard input');
  if (Buffer.byteLength(password) > MOST_BYTES) {
    throw new CommandError(
      `the password is longer than ${MOST_BYTES} bytes, and bcrypt would not look at the rest`,
    );
  }
  const { hash } = await import('bcryptjs');
  return hash(password, COST);
}

async function readAll(input: Readable): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of input as AsyncIterable<Buffer | string>) parts.push(Buffer.from(part as Buffer));
  return Buffer.concat(parts)
    .toString()
    .replace(/\r?\n$/, '');
}

async function askTwice(input: Readable, prompts: Writable): Promise<string> {
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: unseen, terminal: true });
  const ended = new Promise<never>((_resolve, reject) => {
    lines.once('close', () => reject(new CommandError('no password was given')));
  });
  const typed = lines[Symbol.asyncIterator]();
  const ask = async (prompt: string): Promise<string> => {
    prompts.write(prompt);
    const line = await Promise.race([typed.next(), ended]);
    prompts.write('\n');
    return line.done === true ? '' : line.value;
  };
  try {
    const password = await ask('Password: ');
    if ((await ask('Again: ')) !== password) throw new CommandError('these are two different passwords');
    return password;
  } finally {
    ended.catch(() => undefined);
    lines.close();
  }
}
