import { seriesText } from '../promql/series-text.ts';
import type { LetterStatus } from '../status/document.ts';
import { clockText, countText, lettersText } from '../status/words.ts';
import { ask, NoAnswerError, PartlyDoneError, wordsOf } from './ask.ts';
import { type Dialog, opener, type Plan } from './dialog.ts';
import { make, setRows, setText, show } from './dom.ts';

/** So many letters are looked at, and so many different ones shown; `spillway dead-letters list` has them all. */
const LOOKED_AT = 300;
const SHOWN = 20;

interface Letter {
  readonly kind?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly family?: string;
  readonly words?: string;
}

interface Count {
  readonly endpoint: string;
  readonly reason: string;
  readonly cause: string;
  readonly letters: number;
  readonly newestAtMs: number;
}

/** Dead letters of one endpoint that got the same answer: which series, what the receiver said, and what to do. */
export class LetterGroup {
  readonly element: HTMLElement;
  readonly #endpoint: string;
  readonly #reason: string;
  readonly #cause: string;
  readonly #summary = make('summary');
  readonly #details: HTMLDetailsElement;
  readonly #series = make('ul', { class: 'plain series' });
  readonly #said = make('p', { class: 'more' });
  readonly #actions: HTMLElement;
  #looked = -1;
  #letters = 0;

  constructor(endpoint: string, { reason, cause }: LetterStatus, dialog: Dialog) {
    this.#endpoint = endpoint;
    this.#reason = reason;
    this.#cause = cause;
    const resend = opener('Send again', () =>
      dialog.open(`Send dead letters to ${endpoint} again?`, () => this.#resendPlan()),
    );
    const purge = opener('Delete', () =>
      dialog.open(`Delete dead letters of ${endpoint}?`, () => this.#purgePlan()),
    );
    // Of rows that nobody knows there is nothing to send.
    show(resend, reason !== 'not_written');
    this.#actions = make('div', { class: 'actions' }, resend, purge);
    this.#details = make('details', {}, this.#summary, this.#said, this.#series, this.#actions);
    this.#details.addEventListener('toggle', () => void this.#look());
    this.element = make('li', {}, this.#details);
  }

  set({ letters, newestAtMs }: LetterStatus, nowMs: number, mayChange: boolean): void {
    setText(
      this.#summary,
      `${countText(letters)} × ${this.#reason} (${this.#cause}), the last at ${clockText(newestAtMs, nowMs)}`,
    );
    show(this.#actions, mayChange);
    this.#letters = letters;
    if (this.#details.open) void this.#look();
  }

  async #look(): Promise<void> {
    if (!this.#details.open || this.#looked === this.#letters) return;
    this.#looked = this.#letters;
    try {
      const { letters } = await ask<{ readonly letters: readonly Letter[] }>(
        'GET',
        `api/v1/dead_letters?${this.#query()}&order=newest&limit=${LOOKED_AT}`,
      );
      this.#show(letters);
    } catch (error) {
      this.#looked = -1;
      setText(this.#said, `They cannot be looked at: ${wordsOf(error)}`);
    }
  }

  #show(letters: readonly Letter[]): void {
    const groups = new Map<string, { readonly what: string; readonly words: string; count: number }>();
    for (const letter of letters) {
      const [what, words] = [whatOf(letter), letter.words ?? ''];
      const key = JSON.stringify([what, words]);
      const group = groups.get(key) ?? { what, words, count: 0 };
      group.count++;
      groups.set(key, group);
    }
    setRows(
      this.#series,
      [...groups].slice(0, SHOWN),
      ([key]) => key,
      () => make('li', {}, make('code'), ' ', make('span', { class: 'more' }), make('q')),
      (row, [, { what, words, count }]) => {
        const [code, times, said] = row.children;
        setText(code!, what);
        setText(times!, count === 1 ? '' : `× ${countText(count)}`);
        setText(said!, words === '' ? '(no words)' : words);
      },
    );
    const rest = groups.size - SHOWN;
    const first = this.#letters > letters.length ? `Of the newest ${countText(letters.length)}. ` : '';
    const more = rest > 0 ? `${countText(rest)} more are not shown. ` : '';
    setText(
      this.#said,
      `${first}${more}All of them: spillway dead-letters list --endpoint ${this.#endpoint}`,
    );
  }

  #query(): URLSearchParams {
    return new URLSearchParams({ endpoint: this.#endpoint, reason: this.#reason, cause: this.#cause });
  }

  /** How many there are now; what the card says may be half a minute old. */
  async #count(): Promise<Count> {
    const { counts } = await ask<{ readonly counts: readonly Count[] }>('GET', 'api/v1/dead_letters/counts');
    const own = counts.find(
      ({ endpoint, reason, cause }) =>
        endpoint === this.#endpoint && reason === this.#reason && cause === this.#cause,
    );
    if (own === undefined) throw new Error('there are none any more');
    return own;
  }

  async #resendPlan(): Promise<Plan> {
    const { letters } = await this.#count();
    return {
      says: [
        `${lettersText(letters)} (${this.#reason}, ${this.#cause}) ${letters === 1 ? 'goes' : 'go'} to ` +
          `${this.#endpoint} again, the oldest sample first. What it takes is no dead letter any more; what it ` +
          'refuses again stays, with the new words.',
        'They are older than what it has got since: a receiver that wants the samples of a series in order ' +
          'refuses them, unless its out-of-order window is open.',
      ],
      button: letters === 1 ? 'Send it again' : `Send ${countText(letters)} again`,
      act: async () => {
        await ask('POST', 'api/v1/dead_letters/resend', {
          endpoint: this.#endpoint,
          reason: this.#reason,
          cause: this.#cause,
        });
        return `Begun. How far it is, and how it ends, stands at the dead letters of ${this.#endpoint}.`;
      },
    };
  }

  async #purgePlan(): Promise<Plan> {
    const { letters, newestAtMs } = await this.#count();
    return {
      says: [
        `${lettersText(letters)} (${this.#reason}, ${this.#cause}) ${letters === 1 ? 'is' : 'are'} deleted: ` +
          `${this.#endpoint} never gets ${letters === 1 ? 'its sample' : 'their samples'}, and there is no other copy here.`,
      ],
      button: letters === 1 ? 'Delete it' : `Delete ${countText(letters)}`,
      typed: letters,
      act: async () => {
        let removed = 0;
        try {
          for (let after: string | null = ''; after !== null; ) {
            const query = this.#query();
            // What came later is not what was agreed to; by the clock of the agent, whatever that of the browser says.
            query.set('before', String(newestAtMs + 1));
            if (after !== '') query.set('after', after);
            const page: { readonly removed: number; readonly next: string | null } = await ask(
              'DELETE',
              `api/v1/dead_letters?${query}`,
            );
            removed += page.removed;
            after = page.next;
          }
        } catch (error) {
          if (removed === 0) throw error;
          const more = error instanceof NoAnswerError ? ' Whether more of them are is not known.' : '';
          throw new PartlyDoneError(
            `Only ${lettersText(removed)} of ${countText(letters)} ${removed === 1 ? 'is' : 'are'} deleted: ${wordsOf(error)}.${more}`,
          );
        }
        return `${lettersText(removed)} deleted.`;
      },
    };
  }
}

function whatOf({ kind, labels, family }: Letter): string {
  if (labels !== undefined) return seriesText(labels);
  if (family !== undefined) return `metadata of ${family}`;
  return kind === 'partial_write' ? 'rows of a request; it did not say which' : (kind ?? '');
}
