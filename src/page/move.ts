import { ask } from './ask.ts';
import type { Dialog, Plan } from './dialog.ts';
import { make } from './dom.ts';

type Target =
  | 'oldest'
  | 'now'
  | { readonly atMs: number }
  | { readonly before: number }
  | { readonly from: number };

interface Seek {
  readonly direction: 'backwards' | 'forwards';
  readonly segment: number;
  readonly rows: number;
  readonly says: string;
}

const HOUR_MS = 3_600_000;
/** Typing goes on; not each key is asked about. */
const PAUSE_MS = 300;

/** Asks where an endpoint shall go on; what that does is asked of the agent before anybody can agree to it. */
export function openMove(name: string, dialog: Dialog): void {
  const time = make('input', {
    type: 'datetime-local',
    'aria-label': 'Time, UTC',
    value: new Date(Date.now() - HOUR_MS).toISOString().slice(0, 16),
  });
  const radio = (value: string): HTMLInputElement => make('input', { type: 'radio', name: 'to', value });
  const [at, oldest, newest] = [radio('time'), radio('oldest'), radio('now')];
  const choice = make(
    'fieldset',
    {},
    make('legend', {}, `Where shall ${name} go on?`),
    make('label', {}, at, ' With what came at'),
    make('span', { class: 'time' }, time, ' UTC'),
    make('label', {}, oldest, ' With the oldest that is still in the queue'),
    make('label', {}, newest, ' With what comes from now on'),
  );
  const look = (waitMs: number): void => {
    const target = oldest.checked ? 'oldest' : newest.checked ? 'now' : timeOf(time.value);
    void dialog.consider(() => planOf(name, target), waitMs);
  };
  time.addEventListener('input', () => {
    at.checked = true;
    look(PAUSE_MS);
  });
  for (const one of [at, oldest, newest]) one.addEventListener('change', () => look(0));
  dialog.open(`Move ${name}`, undefined, choice);
}

function timeOf(text: string): Target | undefined {
  const atMs = Date.parse(`${text}Z`);
  return Number.isNaN(atMs) ? undefined : { atMs };
}

async function planOf(name: string, to: Target | undefined): Promise<Plan> {
  if (to === undefined) throw new Error('say the whole time, in UTC');
  const seek = (target: Target, dryRun: boolean): Promise<Seek> =>
    ask<Seek>('POST', 'api/v1/endpoints/seek', { name, to: target, dryRun });
  const { direction, segment, rows, says } = await seek(to, true);
  const loses = direction === 'forwards' && rows > 0;
  return {
    says: says.split(/(?<=\.) (?=[A-Z])/),
    button: loses ? 'Pass over them' : rows > 0 ? 'Send them again' : 'Move it',
    ...(loses ? { typed: rows } : {}),
    // What has come since, or been done by others, is not what was agreed to.
    act: async () =>
      (await seek(direction === 'forwards' ? { before: segment } : { from: segment }, false)).says,
  };
}
