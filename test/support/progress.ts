import { within } from './deadline.ts';

/** Something that makes progress in this process, and those who wait for it to reach a point. */
export class Progress {
  readonly #checks = new Set<() => void>();

  /** Says that something has happened: every waiter looks again. */
  made(): void {
    for (const check of this.#checks) check();
  }

  /** Resolves as soon as `reached` holds. `describe` says what is missing when the deadline passes. */
  async until(describe: () => string, reached: () => boolean): Promise<void> {
    if (reached()) return;
    let check = (): void => {};
    const done = new Promise<void>((resolve, reject) => {
      check = () => {
        try {
          if (reached()) resolve();
        } catch (error) {
          reject(error);
        }
      };
    });
    this.#checks.add(check);
    try {
      await within(describe, done);
    } finally {
      this.#checks.delete(check);
    }
  }
}
