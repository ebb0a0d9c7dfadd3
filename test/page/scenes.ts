import type { Full } from '../../src/filequeue/retention.ts';
import { SAMPLE } from '../../src/serialization/rows.ts';
import { type StatusBoard, TICK_MS } from '../../src/status/board.ts';
import type { EndpointDetail } from '../../src/status/endpoint-detail.ts';
import { EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import { quietBoard } from '../status/quiet-board.ts';

/**
 * An hour at an agent, played through the real board by a clock of its own: what the page looks like in the middle of
 * things that take an hour. For pictures; the tests of the page have the real agent.
 */

const START_MS = Date.UTC(2026, 10, 21, 2, 21, 14);
const BYTES_A_ROW = 3.1;
const GIB = 2 ** 30;

type Outage = 'up' | '401' | '503';

interface Played {
  readonly name: string;
  readonly url: string;
  /** What it is like, `minute` minutes after the beginning. */
  readonly at: (minute: number) => Outage;
  /** Rows per second that it takes at most. */
  readonly most: number;
  /** Rows that it refuses for good, a second. */
  readonly refuses?: number;
}

export interface Scene {
  readonly minutes: number;
  readonly perSecond: number;
  readonly capBytes: number;
  readonly endpoints: readonly Played[];
}

const near: Played = {
  name: 'mimir-eu',
  url: 'https://mimir.eu.example.com/api/v1/push',
  at: () => 'up',
  most: 90_000,
};
const far: Played = { ...near, name: 'archive', url: 'https://archive.example.com/api/v1/write' };
const usual = { minutes: 58, perSecond: 21_000, capBytes: 20 * GIB };

export const scenes: Readonly<Record<string, Scene>> = {
  healthy: { ...usual, endpoints: [near, far] },
  holding: { ...usual, endpoints: [near, { ...far, at: (minute) => (minute > 46 ? '401' : 'up') }] },
  draining: {
    ...usual,
    endpoints: [near, { ...far, most: 46_000, at: (minute) => (minute > 12 && minute < 45 ? '503' : 'up') }],
  },
  poison: { ...usual, endpoints: [{ ...near, refuses: 0.4 }, far] },
  full: {
    ...usual,
    capBytes: 0.17 * GIB,
    endpoints: [near, { ...far, at: (minute) => (minute > 8 ? '503' : 'up') }],
  },
};

const words = {
  401: 'invalid scope: token expired at 03:07:02Z',
  503: 'upstream connect error or disconnect',
};

/** The board at the end of the scene. */
export function play(scene: Scene): StatusBoard {
  let nowMs = START_MS;
  let receivedRows = 0;
  const players = scene.endpoints.map((played) => new Player(played));
  const bytes = (): number => 2 ** 24 + BYTES_A_ROW * Math.max(...players.map(({ waiting }) => waiting));
  const isFull = (): boolean => bytes() >= scene.capBytes;
  const full = (): Full | undefined => {
    if (!isFull()) return undefined;
    const waitsFor = players.filter(({ waiting }) => waiting > 1e6).map(({ played }) => played.name);
    return { limit: 'max_bytes', endpoint: '', usedBytes: bytes(), limitBytes: scene.capBytes, waitsFor };
  };
  const board = quietBoard({
    version: '0.1.0',
    now: () => nowMs,
    receivedRows: () => receivedRows,
    queue: () => ({
      bytes: bytes(),
      segments: 12,
      segment: 40,
      openSeries: 64_000,
      inFlightBytes: 0,
      connections: 3,
      newestMs: nowMs,
      full: isFull(),
      oldestMs: nowMs - 60_000,
      capBytes: scene.capBytes,
      freeBytes: 61 * GIB,
    }),
    full,
    endpoints: () => players.map((player) => player.detail(nowMs)),
    letters: () =>
      players.map(({ played, letters }) => {
        const none = { resent: 0, purged: 0, maxRows: 0, maxAge: 0, failed: 0 };
        return { endpoint: played.name, letters: Math.floor(letters), ...none };
      }),
    letterCounts: () =>
      players
        .filter(({ letters }) => letters >= 1)
        .map(({ played: { name: endpoint }, letters }) => {
          const told = { oldestAtMs: START_MS, newestAtMs: nowMs - 900 };
          return { endpoint, reason: 'rejected', cause: '400', letters: Math.floor(letters), ...told };
        }),
  });
  for (let second = 0; second <= 60 * scene.minutes; second += TICK_MS / 1000) {
    nowMs = START_MS + 1000 * second;
    // Scrapes come in waves.
    const wave = 1 + 0.03 * Math.sin(second / 37) + 0.02 * Math.sin(second / 11);
    const come = isFull() ? 0 : (scene.perSecond * wave * TICK_MS) / 1000;
    receivedRows += come;
    for (const player of players) player.step(second / 60, nowMs, come);
    board.tick();
  }
  return board;
}

export class Player {
  readonly played: Played;
  waiting = 400;
  letters = 0;
  readonly #stats = new EndpointStats();
  readonly #arrivals: { readonly atMs: number; rows: number }[] = [];
  #received = 0;
  #state: Outage = 'up';
  #sinceMs = 0;
  #replies: Record<string, number> = {};

  constructor(played: Played) {
    this.played = played;
  }

  step(minute: number, nowMs: number, come: number): void {
    const { at, most, refuses = 0 } = this.played;
    const state = at(minute);
    if (state !== this.#state) this.#sinceMs = nowMs;
    this.#state = state;
    this.#received += come;
    this.waiting += come;
    this.#arrivals.push({ atMs: nowMs, rows: come });
    const goes = state === 'up' ? Math.min(this.waiting - 400, (most * TICK_MS) / 1000) : 0;
    this.waiting -= goes;
    for (let left = goes; left > 0 && this.#arrivals.length > 0; ) {
      const first = this.#arrivals[0]!;
      const took = Math.min(left, first.rows);
      first.rows -= took;
      left -= took;
      if (first.rows <= 0) this.#arrivals.shift();
    }
    const lost = goes > 0 ? (refuses * TICK_MS) / 1000 : 0;
    this.letters += lost;
    this.#stats.addDelivered(SAMPLE, goes - lost);
    if (lost > 0) this.#stats.addLost('rejected', SAMPLE, lost);
    const requests = state === 'up' ? Math.ceil(goes / 2000) : 2;
    this.#replies = {
      ...this.#replies,
      [state === 'up' ? '204' : state]: (this.#replies[state === 'up' ? '204' : state] ?? 0) + requests,
    };
    if (lost > 0) this.#replies[400] = (this.#replies[400] ?? 0) + 1;
    for (let i = 0; i < requests; i++) this.#stats.observeRequest(i % 17 === 0 ? 0.2 : 0.03);
    this.#stats.set('shards', 4);
    this.#stats.set('failingLoops', state === 'up' ? 0 : 4);
    this.#stats.set('holdingLoops', state === '401' ? 4 : 0);
    this.#stats.set('messageVersion', 2);
  }

  detail(nowMs: number): EndpointDetail {
    const state = this.#state;
    const first = this.#arrivals[0];
    const said = { times: 240, rows: 0, firstMs: this.#sinceMs, lastMs: nowMs - 4000 };
    const refused = {
      answer: '400',
      action: 'reject',
      reason: 'rejected',
      times: Math.round(this.letters),
    } as const;
    const tells = 'err: label value too long: label "query", limit 2048 (err-mimir-label-value-too-long)';
    return {
      name: this.played.name,
      url: this.played.url,
      capacity: 10_000,
      minShards: 1,
      maxShards: 50,
      maxSamplesPerSend: 2000,
      stats: this.#stats,
      received: this.#received,
      unaccounted: 0,
      backlog: {
        rows: Math.round(this.waiting),
        bytes: BYTES_A_ROW * this.waiting,
        seconds: first === undefined ? 0.3 : Math.max(0.3, (nowMs - first.atMs) / 1000),
      },
      thread: 'running',
      paused: false,
      pausedSinceMs: undefined,
      delivery: {
        replies: this.#replies,
        errors: [
          ...(this.#sinceMs === 0
            ? []
            : [
                {
                  ...said,
                  action: state === '401' ? ('hold' as const) : ('retry' as const),
                  answer: state === '401' ? '401' : '503',
                  words: words[state === '401' ? 401 : 503],
                  ...(state === 'up'
                    ? { lastMs: this.#sinceMs - 3000, firstMs: this.#sinceMs - 1_980_000 }
                    : {}),
                },
              ]),
          ...(this.letters >= 1
            ? [{ ...said, ...refused, words: tells, rows: Math.round(this.letters), firstMs: START_MS }]
            : []),
        ],
        trouble:
          state === 'up'
            ? undefined
            : {
                action: state === '401' ? 'hold' : 'retry',
                cause: state === '401' ? '401' : '5xx',
                answer: state,
                words: words[state],
                sinceMs: this.#sinceMs,
                nextTryMs: nowMs + 18_000,
                asked: false,
              },
      },
      limits: { whenFull: 'reject', maxBytes: Number.POSITIVE_INFINITY, maxAgeMs: Number.POSITIVE_INFINITY },
      ttlMs: 0,
      settledNow: { delivered: this.#stats.deliveredRows, lost: this.#stats.lostRows },
    };
  }
}
