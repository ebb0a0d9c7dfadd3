/**
 * The base of every error that Spillway throws on purpose.
 *
 * `code` is stable and derived from the class, so a caller never decides by message text; `retryable` says
 * whether the same call may succeed later; `facts` carry what a log line or a caller needs (file, offset,
 * key, status, ...). Errors are wrapped when they cross a stage, with the original as `cause`.
 */
export abstract class SpillwayError extends Error {
  /** Stable identifier, for example `WAL_LOCKED`. */
  abstract readonly code: string;
  /** True when the same call may succeed later without a change of its input. */
  readonly retryable: boolean = false;
  /** What a log line should show beside the message. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;

  constructor(message: string, facts: Record<string, string | number | boolean> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.facts = facts;
  }
}

/** The text of any thrown value, with its chain of causes, on one line. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (
    let e: unknown = error;
    e !== undefined && parts.length < 5;
    e = e instanceof Error ? e.cause : undefined
  ) {
    parts.push(e instanceof Error ? e.message : String(e));
  }
  return parts.join(': ');
}
