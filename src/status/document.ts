/**
 * What `GET /api/v1/status` answers, and what `/api/v1/events` sends: the shape that page, terminal and scripts share.
 * Times are ms since the epoch, rates rows per second over the last minute. Null is "not known" or "none".
 * docs/status.md describes it; no types of node, since the browser's code is checked against it.
 */

/** From best to worst. `note`: look when you have time; `warning`: soon; `critical`: now. */
export type Level = 'ok' | 'note' | 'warning' | 'critical';

/** What an endpoint is doing. */
export type EndpointState =
  | 'starting'
  | 'delivering'
  | 'idle'
  | 'draining'
  | 'behind'
  | 'throttled'
  | 'retrying'
  | 'holding'
  | 'restarting'
  | 'stopped'
  | 'paused';

/** A state in words, for somebody who was just woken up. */
export interface Said<State extends string> {
  readonly state: State;
  readonly level: Level;
  /** One sentence: what it is, since when, what follows for the data. */
  readonly says: string;
  /** What to do; empty when there is nothing. */
  readonly advice: string;
}

export interface StatusDocument {
  readonly version: string;
  readonly nowMs: number;
  readonly startedMs: number;
  /** Of all of it. `full`: writes are refused. */
  readonly status: Said<'starting' | 'stopping' | 'ok' | 'late' | 'failing' | 'full'>;
  /** Rows since the start. */
  readonly receivedRows: number;
  readonly refusedRows: number;
  readonly receivedPerSecond: number;
  /** Rows that were given up against the wish of whoever configured it, in the last hour, of all endpoints. */
  readonly lostLastHour: number;
  readonly walBytes: number;
  readonly disk: DiskStatus;
  readonly endpoints: readonly EndpointStatus[];
  readonly removedEndpoints: readonly RemovedEndpoint[];
}

/** What `GET /api/v1/access` answers. */
export interface AccessDocument {
  /** Null for somebody who is known by a certificate, or not at all. */
  readonly user: string | null;
  /** Whether buttons work. */
  readonly mayChange: boolean;
  /** In a sentence; where they do not, what it takes. */
  readonly says: string;
}

export interface DiskStatus {
  readonly usedBytes: number;
  /** What the segments may have together; null without a cap. */
  readonly capBytes: number | null;
  readonly freeBytes: number | null;
  /** How fast the queue grows, by the last minute; negative when it shrinks. */
  readonly bytesPerSecond: number;
  /** Until the cap is reached at this rate; null when it does not grow. */
  readonly secondsUntilFull: number | null;
  /** Age of the oldest row on disk, delivered or not. */
  readonly oldestSeconds: number;
  /** Which cap is reached, in words; null while writes are taken. */
  readonly full: string | null;
}

export interface EndpointStatus extends Said<EndpointState> {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  /** Since the start of the process. */
  readonly deliveredRows: number;
  readonly droppedRows: number;
  readonly waitingRows: number;
  readonly failing: boolean;
  readonly receivedPerSecond: number;
  readonly deliveredPerSecond: number;
  readonly backlog: {
    readonly rows: number;
    readonly bytes: number;
    /** Age of the oldest row that waits: how far it is behind. */
    readonly seconds: number;
  };
  /** How fast the backlog shrinks; negative when it grows. */
  readonly drainPerSecond: number;
  /** Until the backlog is gone at this rate; null when it does not shrink, or there is none to speak of. */
  readonly etaSeconds: number | null;
  readonly loops: LoopsStatus;
  /** Of requests in the last minute; null when there were none. */
  readonly latencySeconds: { readonly p50: number; readonly p99: number } | null;
  /** By status, or code of the network's error; most first. */
  readonly replies: readonly {
    readonly answer: string;
    readonly total: number;
    readonly lastMinute: number;
  }[];
  /** What was not taken, in the receiver's words; the last one first. */
  readonly errors: readonly ErrorStatus[];
  readonly nextTryMs: number | null;
  readonly failingSinceMs: number | null;
  /** Rows that were not delivered, in all the time of the endpoint, by reason; most first. */
  readonly dropped: readonly {
    readonly reason: string;
    readonly rows: number;
    /** What the reason means. */
    readonly means: string;
    /** As configured, so nobody misses them. */
    readonly asked: boolean;
  }[];
  readonly deadLetters: {
    readonly kept: number;
    /** Pushed out by a cap or never written: gone for good. */
    readonly gone: number;
    readonly byReason: readonly LetterStatus[];
    /** When they were last sent again from here; null when that was not since the start. */
    readonly resend: ResendStatus | null;
  };
  readonly messageVersion: '1.0' | '2.0';
}

export interface LoopsStatus {
  readonly running: number;
  readonly failing: number;
  readonly holding: number;
  readonly most: number;
}

export interface ErrorStatus {
  /** `retry` and `hold`: the rows are sent again. `reject`: they are not. */
  readonly action: 'retry' | 'hold' | 'reject';
  readonly answer: string;
  readonly words: string;
  readonly times: number;
  readonly rows: number;
  readonly reason?: string;
  readonly tenant?: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface LetterStatus {
  readonly reason: string;
  readonly cause: string;
  readonly letters: number;
  readonly newestAtMs: number;
}

/** Dead letters that are, or were, sent again by the agent. */
export interface ResendStatus {
  readonly running: boolean;
  readonly startedMs: number;
  readonly endedMs: number | null;
  /** So many there were of those that were asked for. */
  readonly total: number;
  readonly resent: number;
  /** Refused again; they stay, with the new words. */
  readonly refused: number;
  /** In a sentence. */
  readonly says: string;
}

export interface RemovedEndpoint {
  readonly name: string;
  readonly sinceMs: number;
  readonly waitingRows: number;
  readonly bytes: number;
  readonly droppedRows: number;
}

/**
 * The recent past as columns of the same length, a step each `stepMs`, the newest last. Null where nothing is known,
 * as of an endpoint that was not there.
 */
export interface HistoryDocument {
  readonly stepMs: number;
  readonly atMs: readonly number[];
  readonly receivedPerSecond: readonly (number | null)[];
  readonly walBytes: readonly (number | null)[];
  readonly endpoints: Readonly<Record<string, EndpointHistory>>;
}

export interface EndpointHistory {
  readonly deliveredPerSecond: readonly (number | null)[];
  readonly lostPerSecond: readonly (number | null)[];
  readonly backlogRows: readonly (number | null)[];
  readonly lagSeconds: readonly (number | null)[];
}
