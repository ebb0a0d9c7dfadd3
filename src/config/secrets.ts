import { readFile, stat } from 'node:fs/promises';
import { inspect } from 'node:util';
import { SpillwayError } from '../runtime/errors.ts';

/** Where a secret comes from: the configuration itself, or a file with an absolute path. */
export type SecretSource = { readonly text: string } | { readonly file: string };

/** The file of a secret cannot be read now. A mounted secret may still appear, so trying again makes sense. */
export class SecretError extends SpillwayError {
  override readonly code: string = 'SECRET_UNREADABLE';
  override readonly retryable: boolean = true;

  constructor(file: string, cause: unknown) {
    super(`cannot read the secret in ${file}`, { file }, cause);
  }
}

/**
 * A value that must not be seen: as text, as JSON and under `util.inspect` it is `<secret>`.
 *
 * A file is looked at on every use and read again when it has changed, so a rotated credential works without
 * a restart. The value lives in private fields, which `structuredClone` drops: a secret does not travel to
 * another thread, which parses the configuration for itself.
 */
export class Secret {
  readonly #source: SecretSource;
  #read: { readonly version: string; readonly value: string } | undefined;

  constructor(source: SecretSource) {
    this.#source = source;
  }

  /** The value itself; of a file, its text without the white space around it. Throws `SecretError`. */
  async reveal(): Promise<string> {
    if ('text' in this.#source) return this.#source.text;
    const { file } = this.#source;
    try {
      const { ino, size, mtimeNs } = await stat(file, { bigint: true });
      const version = `${ino} ${size} ${mtimeNs}`;
      if (this.#read?.version !== version) {
        this.#read = { version, value: (await readFile(file, 'utf8')).trim() };
      }
      return this.#read.value;
    } catch (error) {
      throw new SecretError(file, error);
    }
  }

  toString(): string {
    return '<secret>';
  }

  toJSON(): string {
    return '<secret>';
  }

  static {
    // Not a method: isolated declarations allow no computed names.
    Object.defineProperty(Secret.prototype, inspect.custom, { value: () => '<secret>' });
  }
}
