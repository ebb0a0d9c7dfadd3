import type { EndpointStatus, StatusDocument } from '../status/document.ts';
import { durationText, samplesText } from '../status/words.ts';
import { ask } from './ask.ts';
import { type Dialog, opener, type Plan } from './dialog.ts';
import { make, show } from './dom.ts';
import { openMove } from './move.ts';

/** What can be done with an endpoint. */
export class Actions {
  readonly element: HTMLElement;
  readonly #name: string;
  readonly #pause: HTMLButtonElement;
  readonly #resume: HTMLButtonElement;
  #status: EndpointStatus | undefined;
  #disk: StatusDocument['disk'] | undefined;

  constructor(name: string, dialog: Dialog) {
    this.#name = name;
    this.#pause = opener('Pause', () => dialog.open(`Pause ${name}?`, async () => this.#pausePlan()));
    this.#resume = opener('Resume', () => dialog.open(`Resume ${name}?`, async () => this.#resumePlan()));
    const move = opener('Move', () => openMove(name, dialog));
    for (const button of [this.#pause, this.#resume, move]) {
      button.setAttribute('aria-label', `${button.textContent.replace('…', '')} ${name}`);
    }
    this.element = make(
      'div',
      { class: 'actions', role: 'group', 'aria-label': `What can be done with ${name}` },
      this.#resume,
      this.#pause,
      move,
    );
  }

  set(status: EndpointStatus, disk: StatusDocument['disk']): void {
    this.#status = status;
    this.#disk = disk;
    show(this.#pause, status.state !== 'paused');
    show(this.#resume, status.state === 'paused');
  }

  #pausePlan(): Plan {
    const seconds = this.#disk?.secondsUntilFull ?? null;
    const lasts = seconds === null ? '' : ` The disk lasts ${durationText(seconds)} at the rate of now.`;
    return {
      says: [
        `${this.#name} is sent nothing until somebody resumes it, also after a restart. What comes in for it ` +
          `waits on disk and nothing is lost, as long as there is room.${lasts}`,
      ],
      button: 'Pause it',
      act: async () => {
        await ask('POST', 'api/v1/endpoints/pause', { name: this.#name });
        return `${this.#name} is paused: it is sent nothing until somebody resumes it.`;
      },
    };
  }

  #resumePlan(): Plan {
    const rows = this.#status?.backlog.rows ?? 0;
    const waits = rows === 0 ? 'Nothing waits for it.' : `${samplesText(rows)} wait; the oldest go first.`;
    return {
      says: [`${this.#name} is sent again what waits for it, from where it stood. ${waits}`],
      button: 'Resume it',
      act: async () => {
        await ask('POST', 'api/v1/endpoints/resume', { name: this.#name });
        return `${this.#name} delivers again.`;
      },
    };
  }
}
