import type { EndpointHistory, HistoryDocument, StatusDocument } from '../status/document.ts';
import { STEPS } from '../status/history.ts';

export interface StreamListener {
  readonly onStatus: (status: StatusDocument) => void;
  readonly onHistory: (history: HistoryDocument) => void;
  /** Since when nothing has come, ms; undefined when something has. */
  readonly onSilence: (sinceMs: number | undefined) => void;
  /** A stream has begun. */
  readonly onOpen: () => void;
}

/** Events come every two seconds; a gap of a few of them is a connection that is lost, whatever TCP says. */
const SILENCE_MS = 7000;
const AGAIN_MS = 3000;

/** Listens to the agent, and connects again until the page is closed. */
export function listen({ onStatus, onHistory, onSilence, onOpen }: StreamListener): void {
  let history: HistoryDocument | undefined;
  let heardMs = Date.now();
  let silent = false;
  let source: EventSource | undefined;
  let timer: number | undefined;

  const heard = (): void => {
    heardMs = Date.now();
    if (silent) onSilence(undefined);
    silent = false;
  };
  const lost = (): void => {
    silent = true;
    onSilence(heardMs);
  };
  const connect = (): void => {
    source?.close();
    clearTimeout(timer);
    source = new EventSource('api/v1/events');
    source.onopen = onOpen;
    source.addEventListener('status', ({ data }) => {
      heard();
      onStatus(JSON.parse(data as string) as StatusDocument);
    });
    source.addEventListener('history', ({ data }) => {
      history = JSON.parse(data as string) as HistoryDocument;
      onHistory(history);
    });
    source.addEventListener('step', ({ data }) => {
      if (history === undefined) return;
      history = joined(history, JSON.parse(data as string) as HistoryDocument);
      onHistory(history);
    });
    // An answer that is no stream (503, 401) ends it for good; what breaks is connected again by the browser.
    source.onerror = () => {
      lost();
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(connect, AGAIN_MS);
    };
  };
  connect();
  setInterval(() => {
    if (!silent && Date.now() - heardMs > SILENCE_MS) {
      lost();
      connect();
    } else if (silent) {
      onSilence(heardMs);
    }
  }, 1000);
}

function joined(before: HistoryDocument, step: HistoryDocument): HistoryDocument {
  const more = step.atMs.length;
  const join = <T>(a: readonly T[] | undefined, b: readonly T[] | undefined): (T | null)[] =>
    [...(a ?? before.atMs.map(() => null)), ...(b ?? Array<null>(more).fill(null))].slice(-STEPS);
  const endpoints: Record<string, EndpointHistory> = {};
  for (const name of new Set([...Object.keys(before.endpoints), ...Object.keys(step.endpoints)])) {
    const [a, b] = [before.endpoints[name], step.endpoints[name]];
    endpoints[name] = {
      deliveredPerSecond: join(a?.deliveredPerSecond, b?.deliveredPerSecond),
      lostPerSecond: join(a?.lostPerSecond, b?.lostPerSecond),
      backlogRows: join(a?.backlogRows, b?.backlogRows),
      lagSeconds: join(a?.lagSeconds, b?.lagSeconds),
    };
  }
  return {
    stepMs: step.stepMs,
    atMs: [...before.atMs, ...step.atMs].slice(-STEPS),
    receivedPerSecond: join(before.receivedPerSecond, step.receivedPerSecond),
    walBytes: join(before.walBytes, step.walBytes),
    endpoints,
  };
}
