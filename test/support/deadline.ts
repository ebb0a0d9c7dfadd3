import { setTimeout as sleep } from 'node:timers/promises';

/**
 * How long a test waits for what must happen. No test measures time: this only ends a wait that is hopeless,
 * so it is generous.
 */
export const deadlineMs = 60_000;

/** The value of `promise`, or an error that says what was waited for. `describe` runs only when it is late. */
export async function within<T>(describe: () => string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`after ${deadlineMs / 1000} s: ${describe()}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks another process until it answers with something: the first value of `ask` that is not undefined.
 * For state that can only be polled (a metric, a query, readiness); what happens in this process has events.
 */
export async function poll<T>(describe: () => string, ask: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`after ${deadlineMs / 1000} s: ${describe()}`);
    await sleep(20);
  }
}
