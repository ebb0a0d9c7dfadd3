import type { EndpointStatus, HistoryDocument, StatusDocument } from '../status/document.ts';
import { bytesText, clockText, countText, durationText, rateText, samplesText } from '../status/words.ts';
import { Actions } from './actions.ts';
import type { Dialog } from './dialog.ts';
import { make, Numbers, setAttribute, setRows, setSentence, setText, show } from './dom.ts';
import { Letters } from './letters.ts';
import { durationSteps, Plot } from './plot.ts';
import { Sign } from './sign.ts';

const NONE: readonly never[] = [];
/** A backlog of so much is nothing to see. */
const LEAST_SECONDS = 30;

/** An endpoint: its sentence, numbers, the last hour, what it says, what it did not get. */
export class Card {
  readonly element: HTMLElement;
  readonly #sign = new Sign();
  readonly #url = make('span', { class: 'url' });
  readonly #says = make('p', { class: 'says' });
  readonly #advice = make('p', { class: 'advice' });
  readonly #numbers = new Numbers();
  readonly #rates = new Plot({
    title: 'Rate',
    left: { text: rateText },
    lines: [
      { name: 'received', colour: 'received', axis: 'left', dashed: true },
      { name: 'delivered', colour: 'delivered', axis: 'left', filled: true },
    ],
  });
  readonly #backlog = new Plot({
    title: 'Backlog',
    left: { text: shortCount },
    right: { text: durationText, steps: durationSteps },
    lines: [
      { name: 'samples', colour: 'backlog', axis: 'left', filled: true },
      { name: 'behind', colour: 'lag', axis: 'right', dashed: true },
    ],
  });
  readonly #replies = make('ul', { class: 'plain replies' });
  readonly #errors = make('ul', { class: 'plain errors' });
  readonly #errorSection = make('section', {}, make('h3', {}, 'What it said'), this.#errors);
  readonly #dropped = make('ul', { class: 'plain' });
  readonly #droppedSection = make('section', {}, make('h3', {}, 'Not delivered, ever'), this.#dropped);
  readonly #letters: Letters;
  readonly #actions: Actions;
  readonly #name: string;

  constructor(name: string, dialog: Dialog) {
    this.#name = name;
    this.#letters = new Letters(name, dialog);
    this.#actions = new Actions(name, dialog);
    const title = make('h2', { id: `endpoint-${name}` }, name);
    this.element = make(
      'article',
      { class: 'card', 'aria-labelledby': title.id },
      make('div', { class: 'head' }, title, this.#sign.element, this.#url, this.#actions.element),
      this.#says,
      this.#advice,
      this.#numbers.element,
      make('div', { class: 'plots' }, this.#rates.element, this.#backlog.element),
      make('section', {}, make('h3', {}, 'Answers'), this.#replies),
      make('div', { class: 'columns' }, this.#errorSection, this.#droppedSection, this.#letters.element),
    );
  }

  /** `mayChange`: there are buttons. */
  set(status: EndpointStatus, { nowMs, disk }: StatusDocument, mayChange: boolean): void {
    const { backlog, loops, latencySeconds, etaSeconds, drainPerSecond, deadLetters } = status;
    setAttribute(this.element, 'data-level', status.level);
    setAttribute(this.element, 'data-state', status.state);
    this.#sign.set(status.level);
    setText(this.#url, `${status.url} · remote write ${status.messageVersion}`);
    setSentence(this.#says, status.says);
    setSentence(this.#advice, status.advice);
    show(this.#advice, status.advice !== '');

    const numbers = this.#numbers;
    numbers.set(
      'Delivered',
      rateText(status.deliveredPerSecond),
      `of ${rateText(status.receivedPerSecond)} received`,
    );
    const bytes = backlog.rows > 0 ? `, ${bytesText(backlog.bytes)} on disk` : '';
    numbers.set('Waiting', countText(backlog.rows), `samples${bytes}`);
    numbers.set('Behind', backlog.rows > 0 ? durationText(backlog.seconds) : '0 s');
    const shrinks = drainPerSecond > 0 ? `drains by ${rateText(drainPerSecond)}` : '';
    numbers.set('Caught up in', etaSeconds === null ? undefined : durationText(etaSeconds), shrinks);
    const failing = loops.failing > 0 ? `, ${loops.failing} not getting through` : '';
    numbers.set('Loops', String(loops.running), `of at most ${loops.most}${failing}`);
    numbers.set(
      'Latency',
      latencySeconds === null ? '–' : durationMs(latencySeconds.p50),
      latencySeconds === null ? 'no request in the last minute' : `p99 ${durationMs(latencySeconds.p99)}`,
    );

    setRows(
      this.#replies,
      status.replies,
      ({ answer }) => answer,
      () => make('li', {}, make('b'), ' ', make('span')),
      (row, { answer, total, lastMinute }) => {
        setText(row.firstElementChild!, answer);
        setText(
          row.lastElementChild!,
          `${countText(lastMinute)} in the last minute, ${countText(total)} in all`,
        );
        setAttribute(row, 'data-good', String(/^2\d\d$/.test(answer)));
      },
    );
    show(this.#replies.parentElement!, status.replies.length > 0);

    setRows(
      this.#errors,
      status.errors,
      (error) => JSON.stringify([error.action, error.answer, error.reason, error.tenant, error.firstMs]),
      () => make('li', {}, make('b'), ' ', make('q'), make('span', { class: 'more' })),
      (row, { action, answer, words, times, rows, reason, tenant, firstMs, lastMs }) => {
        const [code, said, more] = row.children;
        setText(code!, answer);
        setText(said!, words === '' ? '(no words)' : words);
        const often = times === 1 ? 'once' : `${countText(times)} times since ${clockText(firstMs, nowMs)}`;
        const became = action === 'reject' ? `; ${samplesText(rows)} ${reason}` : '; sent again';
        const whose = tenant === undefined ? '' : ` of tenant ${tenant || '(none)'}`;
        setText(more!, `${often}, last at ${clockText(lastMs, nowMs)}${became}${whose}`);
      },
    );
    show(this.#errorSection, status.errors.length > 0);

    setRows(
      this.#dropped,
      status.dropped,
      ({ reason }) => reason,
      () => make('li', {}, make('b'), ' ', make('span', { class: 'more' })),
      (row, { reason, rows, means }) => {
        setText(row.firstElementChild!, `${countText(rows)} ${reason}`);
        setSentence(row.lastElementChild!, means);
      },
    );
    show(this.#droppedSection, status.dropped.length > 0);
    this.#letters.set(deadLetters, nowMs, mayChange);
    this.#actions.set(status, disk);
    show(this.#actions.element, mayChange);
  }

  setHistory({ atMs, receivedPerSecond, endpoints }: HistoryDocument): void {
    const seconds = atMs.map((at) => at / 1000);
    const own = endpoints[this.#name];
    this.#rates.set(seconds, [receivedPerSecond, own?.deliveredPerSecond ?? NONE]);
    const most = Math.max(...receivedPerSecond.map((rate) => rate ?? 0), 0);
    const backlog = [own?.backlogRows ?? NONE, own?.lagSeconds ?? NONE];
    this.#backlog.set(seconds, backlog, [Math.max(100, LEAST_SECONDS * most), LEAST_SECONDS]);
  }
}

function durationMs(seconds: number): string {
  return seconds < 1 ? `${Math.max(1, Math.round(1000 * seconds))} ms` : durationText(seconds);
}

/** For the side of a plot, which is narrow. */
function shortCount(count: number): string {
  if (count >= 1e6) return `${Number((count / 1e6).toFixed(1))} M`;
  return count >= 1e4 ? `${Math.round(count / 1e3)} k` : countText(count);
}
