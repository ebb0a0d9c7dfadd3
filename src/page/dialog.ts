import { NoAnswerError, PartlyDoneError, wordsOf } from './ask.ts';
import { make, setSentence, setText, show } from './dom.ts';

/** What is done when somebody agrees. */
export interface Plan {
  /** What follows, in whole sentences. */
  readonly says: readonly string[];
  /** On the button that does it. */
  readonly button: string;
  /** What cannot be undone takes more than a press: this number has to be typed. */
  readonly typed?: number;
  /**
   * Does it; gives what has become of it, in sentences. Rejects with `NoAnswerError` or `PartlyDoneError` where it is
   * not so that nothing was done.
   */
  act(): Promise<string>;
}

/**
 * The one dialog of the page. Everything that changes something goes through it: it says beforehand what follows, the
 * button that is in focus when it opens is the one that does nothing, and it stays open to say what has become of it.
 */
export class Dialog {
  readonly element: HTMLDialogElement;
  readonly #title = make('h2', { id: 'dialog-title' });
  readonly #form = make('form', {});
  readonly #choice = make('div', { class: 'choice' });
  readonly #says = make('div', { id: 'dialog-says', class: 'plan', role: 'status' });
  readonly #typed = make('input', { inputmode: 'numeric', autocomplete: 'off', size: '12' });
  readonly #typedText = make('span');
  readonly #typedLabel = make('label', { class: 'typed' }, this.#typedText, ' ', this.#typed);
  readonly #failed = make('p', { class: 'failed', role: 'alert' });
  readonly #cancel = make('button', { type: 'button' }, 'Cancel');
  readonly #do = make('button', { type: 'submit', class: 'do' });
  #plan: Plan | undefined;
  /** What was asked for an older choice does not count any more. */
  #turn = 0;
  #busy = false;

  constructor() {
    this.#form.append(
      this.#title,
      this.#choice,
      this.#says,
      this.#typedLabel,
      this.#failed,
      make('div', { class: 'buttons' }, this.#cancel, this.#do),
    );
    this.element = make(
      'dialog',
      { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-says', tabindex: '-1' },
      this.#form,
    );
    // While something is done the dialog stays, to say what has become of it. Chromium closes at a second Escape
    // whatever `cancel` says.
    const stay = (event: Event): void => {
      if (this.#busy) event.preventDefault();
    };
    this.element.addEventListener('cancel', stay);
    this.element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') stay(event);
    });
    this.#cancel.addEventListener('click', () => this.element.close());
    this.#typed.addEventListener('input', () => this.#enable());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#act();
    });
    this.element.addEventListener('close', () => {
      this.#turn++;
      this.#choice.replaceChildren();
    });
  }

  /** Opens with what has to be chosen first, if anything; `plan` says what follows. */
  open(title: string, plan?: () => Promise<Plan>, choice?: HTMLElement): void {
    setText(this.#title, title);
    this.#choice.replaceChildren(...(choice === undefined ? [] : [choice]));
    setText(this.#cancel, 'Cancel');
    this.#show(undefined);
    this.element.showModal();
    this.#cancel.focus();
    if (plan !== undefined) void this.consider(plan);
  }

  /**
   * Shows what `plan` finds out, in place of what was shown: that one cannot be agreed to any more. It is asked after
   * `waitMs`, unless something else is considered by then, or the dialog is closed.
   */
  async consider(plan: () => Promise<Plan>, waitMs = 0): Promise<void> {
    const turn = ++this.#turn;
    this.#show(undefined);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (turn !== this.#turn) return;
    try {
      const found = await plan();
      if (turn === this.#turn) this.#show(found);
    } catch (error) {
      if (turn === this.#turn) setText(this.#failed, notDone(error));
    }
  }

  #show(plan: Plan | undefined): void {
    this.#plan = plan;
    this.#says.replaceChildren(...(plan?.says ?? []).map(sentence));
    const typed = plan?.typed;
    show(this.#typedLabel, typed !== undefined);
    setText(this.#typedText, `This cannot be undone. Type ${typed ?? ''} to go on:`);
    this.#typed.value = '';
    show(this.#do, plan !== undefined);
    setText(this.#do, plan?.button ?? '');
    this.#do.classList.toggle('grave', typed !== undefined);
    setText(this.#failed, '');
    this.#enable();
  }

  #enable(): void {
    const typed = this.#plan?.typed;
    const agreed = typed === undefined || this.#typed.value.replace(/[\s,.]/g, '') === String(typed);
    this.#do.disabled = this.#busy || !agreed;
    this.#cancel.disabled = this.#busy;
    this.#choice.inert = this.#busy;
    this.#typed.disabled = this.#busy;
  }

  async #act(): Promise<void> {
    const plan = this.#plan;
    if (plan === undefined || this.#do.disabled) return;
    this.#busy = true;
    this.element.focus();
    this.#enable();
    setText(this.#failed, '');
    try {
      const done = await plan.act();
      this.#end();
      this.#says.replaceChildren(sentence(done));
    } catch (error) {
      // What may be done, or is done in part, is not what was agreed to any more.
      if (error instanceof NoAnswerError || error instanceof PartlyDoneError) this.#end();
      setText(this.#failed, notDone(error));
    } finally {
      this.#busy = false;
      this.#enable();
      this.#cancel.focus();
    }
  }

  /** Nothing is to be agreed to any more. */
  #end(): void {
    this.#choice.replaceChildren();
    this.#show(undefined);
    setText(this.#cancel, 'Close');
  }
}

function notDone(error: unknown): string {
  if (error instanceof PartlyDoneError) return error.message;
  const words = wordsOf(error).replace(/\.$/, '');
  if (error instanceof NoAnswerError) {
    return `It is not known whether it was done: ${words}. See what the page says when it does.`;
  }
  return `Not done: ${words}.`;
}

function sentence(text: string): HTMLElement {
  const p = make('p');
  setSentence(p, text);
  return p;
}

/** A button that opens something; the dots say that it does nothing yet. */
export function opener(text: string, onPress: () => void): HTMLButtonElement {
  const button = make('button', { type: 'button' }, `${text}…`);
  button.addEventListener('click', onPress);
  return button;
}
