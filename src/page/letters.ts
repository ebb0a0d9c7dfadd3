import type { EndpointStatus } from '../status/document.ts';
import { clockText, countText } from '../status/words.ts';
import { make, setRows, setText, show } from './dom.ts';

/** As many as one looks at; `spillway dead-letters list` has them all. */
const LIMIT = 20;

interface Letter {
  readonly id?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly reason?: string;
  readonly cause?: string;
  readonly words?: string;
}

/** The dead letters of an endpoint: how many and why; the series when somebody wants to see them. */
export class Letters {
  readonly element: HTMLElement;
  readonly #name: string;
  readonly #count = make('span');
  readonly #reasons = make('ul', { class: 'plain' });
  readonly #details: HTMLDetailsElement;
  readonly #series = make('ul', { class: 'plain series' });
  readonly #said = make('p', { class: 'more' });
  #shown = -1;
  #kept = 0;

  constructor(name: string) {
    this.#name = name;
    this.#details = make('details', {}, make('summary', {}, 'Which series'), this.#said, this.#series);
    this.#details.addEventListener('toggle', () => void this.#look());
    this.element = make('section', {}, make('h3', {}, 'Dead letters '), this.#reasons, this.#details);
    this.element.firstElementChild!.append(this.#count);
  }

  set({ kept, gone, byReason }: EndpointStatus['deadLetters'], nowMs: number): void {
    show(this.element, kept > 0 || gone > 0);
    const pushed = gone > 0 ? `, ${countText(gone)} gone for good` : '';
    setText(this.#count, `${countText(kept)} kept${pushed}`);
    setRows(
      this.#reasons,
      byReason,
      ({ reason, cause }) => `${reason} ${cause}`,
      () => make('li'),
      (row, { reason, cause, letters, newestAtMs }) =>
        setText(
          row,
          `${countText(letters)} × ${reason} (${cause}), the last at ${clockText(newestAtMs, nowMs)}`,
        ),
    );
    show(this.#details, kept > 0);
    this.#kept = kept;
    if (this.#details.open) void this.#look();
  }

  async #look(): Promise<void> {
    if (!this.#details.open || this.#shown === this.#kept) return;
    this.#shown = this.#kept;
    try {
      const query = new URLSearchParams({ endpoint: this.#name, limit: String(LIMIT) });
      const response = await fetch(`api/v1/dead_letters?${query}`);
      const body = (await response.json()) as { letters?: readonly Letter[]; error?: string };
      if (!response.ok) throw new Error(body.error ?? `the agent answered ${response.status}`);
      const letters = body.letters ?? [];
      setRows(
        this.#series,
        letters,
        ({ id }) => String(id),
        () => make('li', {}, make('code'), make('q')),
        (row, letter) => {
          setText(row.firstElementChild!, seriesText(letter.labels ?? {}));
          setText(row.lastElementChild!, letter.words ?? '');
        },
      );
      const more =
        this.#kept > letters.length ? `The first ${letters.length} of ${countText(this.#kept)}. ` : '';
      setText(this.#said, `${more}All of them, to send again or delete: spillway dead-letters --help`);
    } catch (error) {
      this.#shown = -1;
      setText(
        this.#said,
        `They cannot be looked at: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

function seriesText({ __name__: name = '', ...labels }: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `${name}${pairs.length === 0 && name !== '' ? '' : `{${pairs.join(', ')}}`}`;
}
