import type { EndpointStatus, LetterStatus } from '../status/document.ts';
import { countText } from '../status/words.ts';
import { ask } from './ask.ts';
import { type Dialog, opener } from './dialog.ts';
import { make, setSentence, setText, show } from './dom.ts';
import { LetterGroup } from './letter-group.ts';

/** The dead letters of an endpoint: how many and why, and how it goes when they are sent again. */
export class Letters {
  readonly element: HTMLElement;
  readonly #name: string;
  readonly #dialog: Dialog;
  readonly #count = make('span');
  readonly #list = make('ul', { class: 'plain' });
  readonly #groups = new Map<string, LetterGroup>();
  readonly #resend = make('p', { class: 'resend' });
  readonly #stop: HTMLButtonElement;

  constructor(name: string, dialog: Dialog) {
    this.#name = name;
    this.#dialog = dialog;
    this.#stop = opener('Stop sending', () =>
      dialog.open(`Stop sending dead letters to ${name} again?`, async () => ({
        says: ['What was not taken yet stays a dead letter. What is on its way may be sent twice.'],
        button: 'Stop it',
        act: async () => {
          await ask('DELETE', `api/v1/dead_letters/resend?${new URLSearchParams({ endpoint: name })}`);
          return 'Stopped.';
        },
      })),
    );
    this.element = make(
      'section',
      {},
      make('h3', {}, 'Dead letters ', this.#count),
      this.#resend,
      make('div', { class: 'actions' }, this.#stop),
      this.#list,
    );
  }

  set(
    { kept, gone, byReason, resend }: EndpointStatus['deadLetters'],
    nowMs: number,
    mayChange: boolean,
  ): void {
    show(this.element, kept > 0 || gone > 0 || resend !== null);
    const pushed = gone > 0 ? `, ${countText(gone)} gone for good` : '';
    setText(this.#count, `${countText(kept)} kept${pushed}`);
    setSentence(this.#resend, resend?.says ?? '');
    show(this.#resend, resend !== null);
    show(this.#stop.parentElement!, mayChange && resend?.running === true);
    this.#setGroups(kept === 0 ? [] : byReason, nowMs, mayChange);
  }

  #setGroups(byReason: readonly LetterStatus[], nowMs: number, mayChange: boolean): void {
    const before = new Set(this.#groups.keys());
    for (const letters of byReason) {
      const key = `${letters.reason} ${letters.cause}`;
      before.delete(key);
      let group = this.#groups.get(key);
      if (group === undefined) {
        group = new LetterGroup(this.#name, letters, this.#dialog);
        this.#groups.set(key, group);
        this.#list.append(group.element);
      }
      group.set(letters, nowMs, mayChange);
    }
    for (const key of before) {
      this.#groups.get(key)!.element.remove();
      this.#groups.delete(key);
    }
  }
}
