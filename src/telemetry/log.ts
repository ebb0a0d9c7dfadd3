/**
 * Logs for whoever is on call: what happened, where, what follows from it, what to do next.
 *
 * One line an event, as logfmt or JSON, on standard error. A repeated failure is the business of `Repetition`:
 * it is said once, then counted, and said again with the count when it ends or after a while.
 */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFacts = Readonly<Record<string, string | number | boolean>>;

export interface Logger {
  log(level: LogLevel, message: string, facts?: LogFacts): void;
}

/** A logger that writes lines with `write`; `now` gives ms since the epoch. */
export function createLogger(
  level: LogLevel,
  format: 'logfmt' | 'json',
  now: () => number,
  write: (line: string) => void,
): Logger {
  const least = logLevels.indexOf(level);
  return {
    log(at, message, facts = {}) {
      if (logLevels.indexOf(at) < least) return;
      const fields = { time: new Date(now()).toISOString(), level: at, msg: message, ...facts };
      write(format === 'json' ? JSON.stringify(fields) : logfmt(fields));
    },
  };
}

/** The logger of a program whose configuration may change while it runs. */
export class ConfiguredLogger implements Logger {
  readonly #write: (line: string) => void;
  #logger: Logger;

  constructor(level: LogLevel, format: 'logfmt' | 'json', write: (line: string) => void) {
    this.#write = write;
    this.#logger = createLogger(level, format, Date.now, write);
  }

  configure(level: LogLevel, format: 'logfmt' | 'json'): void {
    this.#logger = createLogger(level, format, Date.now, this.#write);
  }

  log(level: LogLevel, message: string, facts?: LogFacts): void {
    this.#logger.log(level, message, facts);
  }
}

function logfmt(fields: LogFacts): string {
  return Object.entries(fields)
    .map(([key, value]) => {
      const text = String(value);
      return `${key}=${/^[^\s\p{C}"=\\]+$/u.test(text) ? text : JSON.stringify(text)}`;
    })
    .join(' ');
}

/** How often something that goes on is said again. */
const REPEAT_MS = 60_000;

/**
 * Keeps a failure that repeats itself from filling the log: `tell` says whether it should be said now, and how
 * often it happened since it was last said.
 */
export class Repetition {
  readonly #now: () => number;
  readonly #last = new Map<string, { saidMs: number; since: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts an event; returns the number of those not said before it when it is time to say it, else undefined. */
  tell(key: string): number | undefined {
    const last = this.#last.get(key);
    const now = this.#now();
    if (last !== undefined && now - last.saidMs < REPEAT_MS) {
      last.since++;
      return undefined;
    }
    // Keys are few and fixed by the code; were they not, memory must still not grow.
    if (this.#last.size > 1000) this.#last.clear();
    this.#last.set(key, { saidMs: now, since: 0 });
    return last?.since ?? 0;
  }

  /** Forgets events with this prefix: the next one is said at once. */
  over(prefix: string): void {
    for (const key of this.#last.keys()) if (key.startsWith(prefix)) this.#last.delete(key);
  }
}
