import type { TestContext } from 'node:test';

type Release = () => void | Promise<void>;

const pending = new WeakMap<TestContext, Release[]>();

/**
 * Releases what a helper acquired for `t`, last acquired first: an agent is gone before its directory.
 * (Hooks given to `t.after` directly run in the order in which they were given.)
 * Every release runs; what they throw fails the test.
 */
export function atEnd(t: TestContext, release: Release): void {
  const known = pending.get(t);
  if (known !== undefined) {
    known.push(release);
    return;
  }
  const releases = [release];
  pending.set(t, releases);
  t.after(async () => {
    const errors: unknown[] = [];
    for (const next of releases.reverse()) {
      try {
        await next();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('\n'));
  });
}

/** Whether the test has failed so far (Node has `t.passed` since 20.12; its types don't). */
export function hasFailed(t: TestContext): boolean {
  return (t as TestContext & { passed?: boolean }).passed === false;
}
