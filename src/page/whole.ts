import type { HistoryDocument, StatusDocument } from '../status/document.ts';
import { bytesText, clockText, countText, durationText, rateText, samplesText } from '../status/words.ts';
import { make, Numbers, setAttribute, setRows, setSentence, show } from './dom.ts';
import { byteSteps, Plot } from './plot.ts';
import { Sign } from './sign.ts';

/** A queue of so much is nothing to see. */
const LEAST_BYTES = 64 * 2 ** 20;

/** How it stands with all of it: what one has to know before anything else. */
export class Whole {
  readonly element: HTMLElement;
  readonly #sign = new Sign();
  readonly #says = make('p', { class: 'says' });
  readonly #advice = make('p', { class: 'advice' });
  readonly #hint = make('p', { class: 'hint' });
  readonly #numbers = new Numbers();
  readonly #meter = make('meter', { min: '0', max: '1', high: '0.8', 'aria-label': 'Queue against its cap' });
  readonly #plot = new Plot({
    title: 'Queue',
    left: { text: rateText },
    right: { text: bytesText, steps: byteSteps },
    lines: [
      { name: 'received', colour: 'received', axis: 'left', dashed: true },
      { name: 'on disk', colour: 'disk', axis: 'right', filled: true },
    ],
  });
  readonly #removed = make('ul', { class: 'plain' });
  readonly #removedSection = make(
    'section',
    {},
    make('h3', {}, 'Kept for endpoints that are not configured any more'),
    this.#removed,
  );

  constructor() {
    this.element = make(
      'section',
      { class: 'card whole', 'aria-label': 'The whole' },
      make('div', { class: 'head' }, this.#sign.element),
      this.#says,
      this.#advice,
      this.#hint,
      this.#numbers.element,
      this.#meter,
      make('div', { class: 'plots' }, this.#plot.element),
      this.#removedSection,
    );
  }

  set(status: StatusDocument): void {
    const { status: said, disk, endpoints, removedEndpoints, nowMs, lostLastHour } = status;
    setAttribute(this.element, 'data-level', said.level);
    setAttribute(this.element, 'data-state', said.state);
    this.#sign.set(said.level);
    setSentence(this.#says, said.says);
    setSentence(this.#advice, said.advice);
    show(this.#advice, said.advice !== '');
    const fresh = status.receivedRows === 0 && said.state === 'ok';
    const url = new URL('api/v1/write', location.href).href;
    setSentence(this.#hint, `Nothing has come in since the start. Send remote write to \`${url}\`.`);
    show(this.#hint, fresh);

    const numbers = this.#numbers;
    const refused = status.refusedRows > 0 ? `, ${countText(status.refusedRows)} refused as invalid` : '';
    numbers.set(
      'Received',
      rateText(status.receivedPerSecond),
      `${countText(status.receivedRows)} since the start${refused}`,
    );
    const waiting = endpoints.reduce((most, { backlog }) => Math.max(most, backlog.rows), 0);
    numbers.set('Waiting', countText(waiting), `samples${endpoints.length > 1 ? ', for the slowest' : ''}`);
    numbers.set(
      'Given up in the last hour',
      countText(lostLastHour),
      lostLastHour === 1 ? 'sample' : 'samples',
    );
    const cap = disk.capBytes === null ? '' : `of ${bytesText(disk.capBytes)}`;
    numbers.set('Queue on disk', bytesText(disk.usedBytes), cap);
    numbers.set(
      'Full in',
      disk.secondsUntilFull === null ? undefined : durationText(disk.secondsUntilFull),
      'at this rate',
    );
    numbers.set('Disk free', disk.freeBytes === null ? undefined : bytesText(disk.freeBytes));
    show(this.#meter, disk.capBytes !== null);
    if (disk.capBytes !== null) this.#meter.value = disk.usedBytes / Math.max(1, disk.capBytes);

    setRows(
      this.#removed,
      removedEndpoints,
      ({ name }) => name,
      () => make('li'),
      (row, { name, sinceMs, waitingRows, bytes }) =>
        setSentence(
          row,
          `${name}: ${samplesText(waitingRows)}, ${bytesText(bytes)}, since ${clockText(sinceMs, nowMs)}. ` +
            `Configured again it gets them; \`spillway endpoint forget ${name}\` lets them go.`,
        ),
    );
    show(this.#removedSection, removedEndpoints.length > 0);
  }

  setHistory({ atMs, receivedPerSecond, walBytes }: HistoryDocument): void {
    this.#plot.set(
      atMs.map((at) => at / 1000),
      [receivedPerSecond, walBytes],
      [0, LEAST_BYTES],
    );
  }
}
