import assert from 'node:assert/strict';

/** Short, but only in the tests of a timeout does it pass. */
export const shortMs = 60;

/**
 * Tries something with a short timeout, and with longer ones while it says that this one passed before what was to be
 * seen had come: on a busy machine that may be the very connection.
 */
export async function patiently(attempt: (timeoutMs: number) => Promise<boolean>): Promise<void> {
  let timeoutMs = shortMs;
  while (!(await attempt(timeoutMs))) {
    timeoutMs *= 2;
    assert.ok(timeoutMs < 10_000, 'all of it times out');
  }
}
