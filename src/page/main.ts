/*
 * The status page: shows what `/api/v1/events` says. What is said (states, sentences, advice) is decided by the agent,
 * so that page, terminal and scripts tell the same story; here it is only laid out.
 */
import type { AccessDocument, HistoryDocument, StatusDocument } from '../status/document.ts';
import { clockText, durationText } from '../status/words.ts';
import { ask, wordsOf } from './ask.ts';
import { Card } from './card.ts';
import { Dialog } from './dialog.ts';
import { make, setAttribute, setSentence, setText, show } from './dom.ts';
import { Explain } from './explain.ts';
import { listen } from './stream.ts';
import { Whole } from './whole.ts';

const byId = (id: string): HTMLElement => document.getElementById(id)!;
const [main, facts, connection, announcer] = ['main', 'facts', 'connection', 'announcer'].map(byId) as [
  HTMLElement,
  HTMLElement,
  HTMLElement,
  HTMLElement,
];

const whole = new Whole();
const list = make('section', { class: 'endpoints', 'aria-label': 'Endpoints' });
const explain = new Explain();
const dialog = new Dialog();
const access = make('p', { class: 'hint access' });
document.body.append(dialog.element);
const cards = new Map<string, Card>();
let mayChange = false;
let newest: StatusDocument | undefined;
let history: HistoryDocument | undefined;
let announced = '';
/** A note comes and goes: nothing is moved for it. */
const urgency = { ok: 0, note: 0, warning: 1, critical: 2 } as const;

function showStatus(status: StatusDocument): void {
  newest = status;
  if (!whole.element.isConnected) main.replaceChildren(whole.element, list, access, explain.element);
  setAttribute(main, 'aria-busy', 'false');
  const up = durationText((status.nowMs - status.startedMs) / 1000);
  setText(facts, `${status.version} · up ${up} · ${clockText(status.nowMs, status.nowMs)}`);
  document.title = status.status.level === 'ok' ? 'Spillway' : `${status.status.state} – Spillway`;
  whole.set(status);
  const names = status.endpoints.map(({ name }) => name);
  for (const [name, card] of cards) {
    if (names.includes(name)) continue;
    card.element.remove();
    cards.delete(name);
  }
  // Who needs somebody comes first; else in the order of the configuration.
  const urgent = status.endpoints.toSorted((a, b) => urgency[b.level] - urgency[a.level]);
  for (const [i, endpoint] of urgent.entries()) {
    let card = cards.get(endpoint.name);
    if (card === undefined) {
      card = new Card(endpoint.name, dialog);
      cards.set(endpoint.name, card);
      if (history !== undefined) card.setHistory(history);
    }
    if (list.children[i] !== card.element) list.insertBefore(card.element, list.children[i] ?? null);
    card.set(endpoint, status, mayChange);
  }
  announce(status);
}

/** Asks what may be done here: with each stream, since credentials are looked at then. */
async function askAccess(): Promise<void> {
  try {
    const { mayChange: may, says } = await ask<AccessDocument>('GET', 'api/v1/access');
    mayChange = may;
    setSentence(access, says);
  } catch (error) {
    mayChange = false;
    setText(access, `Whether there are buttons for you is not known: ${wordsOf(error)}.`);
  }
  if (newest !== undefined) showStatus(newest);
}

/** For those who listen to the page: when something has changed, and not each time a number has. */
function announce({ status, endpoints }: StatusDocument): void {
  const states = [status.state, ...endpoints.map(({ name, state }) => `${name} ${state}`)].join();
  if (states === announced) return;
  announced = states;
  setText(announcer, [status.says, ...endpoints.map(({ name, says }) => `${name}: ${says}`)].join(' '));
}

function showHistory(hour: HistoryDocument): void {
  history = hour;
  whole.setHistory(hour);
  for (const card of cards.values()) card.setHistory(hour);
}

function showSilence(sinceMs: number | undefined): void {
  document.body.classList.toggle('stale', sinceMs !== undefined);
  show(connection, sinceMs !== undefined);
  if (sinceMs === undefined) return;
  const now = Date.now();
  const time = new Date(sinceMs).toISOString().slice(11, 19);
  setText(
    connection,
    `No word from the agent since ${time} UTC (${durationText((now - sinceMs) / 1000)}). What is shown is of then; trying again.`,
  );
}

listen({
  onStatus: showStatus,
  onHistory: showHistory,
  onSilence: showSilence,
  onOpen: () => void askAccess(),
});
