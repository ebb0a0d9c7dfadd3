/**
 * The labels of a series while rules change them. An empty value is the same as no label.
 *
 * The order of `entries` is that of Prometheus: the labels as they came, then those that were set, in the order in
 * which they were first set. It decides which of two labels wins when `labelmap` gives them one name.
 */
export class LabelSet {
  readonly #original: Map<string, string>;
  readonly #set = new Map<string, string>();

  /** Takes `labels` over, sorted by name; what is not changed stays in it. */
  constructor(labels: Map<string, string>) {
    this.#original = labels;
  }

  /** The value, or the empty text. */
  get(name: string): string {
    return this.#set.get(name) ?? this.#original.get(name) ?? '';
  }

  set(name: string, value: string): void {
    if (value === '') {
      this.delete(name);
      return;
    }
    this.#original.delete(name);
    this.#set.set(name, value);
  }

  delete(name: string): void {
    this.#original.delete(name);
    this.#set.delete(name);
  }

  /** The labels as they are now; what is changed afterwards does not change the list. */
  entries(): readonly (readonly [name: string, value: string])[] {
    return [...this.#original, ...this.#set];
  }

  /** Whether a label is there as it came. */
  isOriginal(name: string): boolean {
    return this.#original.has(name);
  }

  /** The labels that were set, in the order in which they first were. */
  get added(): Iterable<readonly [name: string, value: string]> {
    return this.#set;
  }
}
