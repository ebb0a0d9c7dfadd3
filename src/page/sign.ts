import type { Level } from '../status/document.ts';
import { make, setAttribute, setText } from './dom.ts';

const words: Readonly<Record<Level, string>> = {
  ok: 'OK',
  note: 'Note',
  warning: 'Warning',
  critical: 'Critical',
};

/** A level as shape, colour and word: any one of them is enough to read it. */
export class Sign {
  readonly element: HTMLElement;
  readonly #word = make('span');

  constructor() {
    this.element = make('span', { class: 'sign' }, make('i', { 'aria-hidden': 'true' }), this.#word);
  }

  set(level: Level): void {
    setAttribute(this.element, 'data-level', level);
    setText(this.#word, words[level]);
  }
}
