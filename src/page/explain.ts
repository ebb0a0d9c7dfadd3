import type {
  ExplainedEndpoint,
  Labels,
  LiveExplanation,
  LiveFacts,
  RuleStep,
} from '../explain/explanation.ts';
import { seriesText } from '../promql/series-text.ts';
import { clockText, lettersText } from '../status/words.ts';
import { ask, wordsOf } from './ask.ts';
import { make, setSentence, setText } from './dom.ts';

/** A box to ask what happens to a series, and its road from the door to each endpoint. */
export class Explain {
  readonly element: HTMLElement;
  readonly #series = make('input', {
    name: 'series',
    type: 'text',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    placeholder: 'up{job="node", instance="a:9100"}',
    required: '',
  });
  readonly #tenant = make('input', { name: 'tenant', type: 'text', autocomplete: 'off', size: '10' });
  readonly #answer = make('div', { class: 'answer', role: 'status' });

  constructor() {
    const form = make(
      'form',
      { class: 'ask', role: 'search' },
      make('label', { class: 'wide' }, 'A series, with all of its labels', this.#series),
      make('label', {}, 'Tenant, if any', this.#tenant),
      make('button', { type: 'submit' }, 'Explain'),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#explain();
    });
    this.element = make(
      'section',
      { class: 'card explain', 'aria-labelledby': 'explain-title' },
      make('h2', { id: 'explain-title' }, 'What happens to a series?'),
      form,
      this.#answer,
    );
  }

  async #explain(): Promise<void> {
    const tenant = this.#tenant.value.trim();
    const query = new URLSearchParams({
      match: this.#series.value.trim(),
      ...(tenant === '' ? {} : { tenant }),
    });
    try {
      const explanation = await ask<LiveExplanation>('GET', `api/v1/explain?${query}`);
      this.#answer.replaceChildren(...rows(explanation));
    } catch (error) {
      const failed = make('p', { class: 'failed' });
      setText(failed, wordsOf(error));
      this.#answer.replaceChildren(failed);
    }
  }
}

function rows({ labels, tenant, door, endpoints }: LiveExplanation): HTMLElement[] {
  const whose = tenant === '' ? '' : ` of tenant ${tenant}`;
  const stored =
    seriesText(door.labels) === seriesText(labels) ? '' : `, kept as \`${seriesText(door.labels)}\``;
  const verdict =
    door.verdict === 'taken'
      ? `Received${stored}.`
      : `${door.verdict === 'refused' ? 'Refused' : 'Dropped'}, counted as \`${door.reason}\`: ${door.means}`;
  const list = [
    part(`${seriesText(labels)}${whose}`, door.verdict === 'taken', [
      ...door.steps.map((step) => stepText('relabel_configs', step)),
      verdict,
    ]),
  ];
  for (const endpoint of endpoints) {
    list.push(part(endpoint.name, endpoint.verdict === 'sent', endpointLines(endpoint)));
  }
  return list;
}

function part(title: string, good: boolean, lines: readonly string[]): HTMLElement {
  const list = make('ul', { class: 'plain' });
  for (const line of lines) {
    const item = make('li');
    setSentence(item, line);
    list.append(item);
  }
  return make('section', { class: 'part', 'data-good': String(good) }, make('h3', {}, title), list);
}

function endpointLines(endpoint: ExplainedEndpoint & { readonly live?: LiveFacts }): string[] {
  const { verdict, externalLabels, steps, labels, tenant, shard, live } = endpoint;
  const lines: string[] = [];
  const external = Object.entries(externalLabels);
  if (external.length > 0) lines.push(`\`external_labels\` add ${pairs(externalLabels)}.`);
  for (const step of steps) lines.push(stepText('write_relabel_configs', step));
  if (verdict === 'dropped') {
    lines.push('Dropped, counted as `dropped_by_relabel`: it is not sent here.');
    return lines;
  }
  const under = tenant === '' ? '' : ` to tenant ${tenant}`;
  const loop = live === undefined ? '' : `, by loop ${live.loop} of ${live.loops}`;
  lines.push(`Sent as \`${seriesText(labels)}\`${under}; part ${shard} of the hash space${loop}.`);
  if (live !== undefined) lines.push(...liveLines(live));
  return lines;
}

function liveLines({ paused, failing, deadLetters, lastDelivered }: LiveFacts): string[] {
  const { count, more, words } = deadLetters;
  const letters =
    count > 0
      ? `${more ? 'At least ' : ''}${lettersText(count)} of it: “${words ?? ''}”.`
      : `No dead letters of it${more ? ' among the newest' : ''}.`;
  return [
    ...(paused ? ['The endpoint is paused: it waits on disk.'] : []),
    ...(failing ? ['Requests to the endpoint fail and are tried again: it waits on disk.'] : []),
    letters,
    ...(lastDelivered === undefined
      ? []
      : [
          lastDelivered === null
            ? 'Nothing of it is there.'
            : `Last delivered: ${lastDelivered.value} at ${clockText(lastDelivered.timestampMs, Date.now())}.`,
        ]),
  ];
}

function stepText(key: string, { rule, action, at, dropped, set, removed }: RuleStep): string {
  const does = dropped
    ? 'drops it'
    : [
        ...(Object.keys(set).length > 0 ? [`sets ${pairs(set)}`] : []),
        ...(removed.length > 0 ? [`takes away \`${removed.join('`, `')}\``] : []),
      ].join(' and ');
  return `\`${key}\` rule ${rule} (${action}${at === undefined ? '' : `, ${at}`}) ${does}.`;
}

function pairs(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `\`${name}=${JSON.stringify(value)}\``)
    .join(', ');
}
