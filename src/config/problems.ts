import type { LineCounter } from 'yaml';
import { SpillwayError } from '../runtime/errors.ts';

/** One thing that is wrong in a configuration file. */
export interface Problem {
  /** As the caller named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** `remote_write[0].queue_config.capacity`; empty for what is wrong with the YAML itself. */
  readonly path: string;
  /** What was expected and what was found. Never holds a secret. */
  readonly message: string;
}

/** The configuration cannot be used. `problems` holds all that is wrong with it, in the order of the file. */
export class ConfigError extends SpillwayError {
  override readonly code: string = 'CONFIG_INVALID';
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'), { file, problems: problems.length });
    this.problems = problems;
  }
}

/** A problem as one line: `file:line:column: path: message`. */
export function describeProblem({ file, line, column, path, message }: Problem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}

/**
 * Collects what is wrong with one file. Whoever walks the file says once where each path stands (`place`);
 * from then on a path is enough to report a problem with its line and column.
 */
export class Problems {
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #offsets = new Map<string, number>();
  readonly #found: Problem[] = [];
  readonly #warnings: Problem[] = [];

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  /** `path` is written in the file, at `offset`. */
  place(path: string, offset: number): void {
    this.#offsets.set(path, offset);
  }

  /** Whether the file has this path; otherwise its default holds. */
  isWritten(path: string): boolean {
    return this.#offsets.has(path);
  }

  /** `file:line:column` of a path that is written. */
  where(path: string): string {
    const { line, col } = this.#position(path);
    return `${this.#file}:${line}:${col}`;
  }

  /** `message` says what was expected and what was found, without secrets. */
  add(path: string, message: string): void {
    this.#found.push(this.#problem(path, message));
  }

  /** What works, and is not what is meant or not for long. As with `add`, without secrets. */
  warn(path: string, message: string): void {
    this.#warnings.push(this.#problem(path, message));
  }

  /** What was added, in the order of the file. */
  get errors(): readonly Problem[] {
    return inOrder(this.#found);
  }

  /** What was warned of, in the order of the file. */
  get warnings(): readonly Problem[] {
    return inOrder(this.#warnings);
  }

  /**
   * A problem between these paths, said where the first of them is written, and not at all when one of them
   * is wrong already: its value is not the one that was meant.
   */
  addAcross(paths: readonly [string, ...string[]], message: string): void {
    if (paths.some((path) => this.#found.some((problem) => problem.path === path))) return;
    this.add(paths.find((path) => this.isWritten(path)) ?? paths[0], message);
  }

  /** The key at `path` cannot be there together with the one at `other`. */
  excludes(path: string, other: string): void {
    this.addAcross([path, other], `excludes \`${keyOf(other)}\` (${this.where(other)}): give one of the two`);
  }

  /** Throws a `ConfigError` when anything was added. */
  throwIfAny(): void {
    if (this.#found.length === 0) return;
    throw new ConfigError(this.#file, this.errors);
  }

  #problem(path: string, message: string): Problem {
    const { line, col } = this.#position(path);
    return { file: this.#file, line, column: col, path, message };
  }

  #position(path: string): { line: number; col: number } {
    return this.#lines.linePos(this.#offsets.get(path) ?? 0);
  }
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function keyOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
