import type { Scratch } from '../protocol/snappy.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { DeadLetters } from './dead-letter.ts';
import type { DecisionSettings, HoldCause, RetryCause } from './decisions.ts';
import type { Destination } from './destination.ts';
import type { Evidence } from './evidence.ts';
import type { Loop } from './loop.ts';
import type { RateLimit } from './rate-limit.ts';
import type { SpeaksV2 } from './request-version.ts';
import type { RowTally } from './row-tally.ts';

export interface LoopSettings extends DecisionSettings {
  /** Rows that a loop holds. */
  readonly capacity: number;
  readonly maxSamplesPerSend: number;
  readonly maxMetadataPerSend: number;
  /** How long a row may wait for a fuller request, ms. */
  readonly batchSendDeadlineMs: number;
  /**
   * From when on that is counted: `row`, the first that waits, unless it is said; or `request`, the one before. Then
   * what comes after a pause leaves at once, and there are as few requests.
   */
  readonly deadlineFrom?: 'row' | 'request';
  /** While nothing gets through, one loop tries at least so often, ms; 0 is as the backoff says. */
  readonly probeMs: number;
  /** Rows older than this are not sent, ms; 0 is no limit. */
  readonly ttlMs: number;
  /** A request is of one tenant; otherwise nothing is said about tenants. */
  readonly tenants?: boolean;
}

/** What a loop needs of its surroundings. */
export interface LoopHost {
  readonly settings: LoopSettings;
  readonly destination: Destination;
  readonly stats: EndpointStats;
  /** What may be sent in a second; undefined for as much as is taken. */
  readonly limit?: RateLimit | undefined;
  /** For endpoints that may be sent remote write 2.0. */
  readonly v2?: SpeaksV2 | undefined;
  now(): number;
  random(): number;
  /** Where bodies are put together; shared, since that is done in one go. */
  readonly scratch: Scratch;
  /** That the endpoint has shown that it takes something, to all loops. */
  readonly evidence: Evidence;
  /** `rows` rows of one segment, from row `from` of the loop on, are about to leave: to be noted before they do. */
  leaving(loop: Loop, from: number, rows: number, tally: RowTally): void;
  /** These rows are settled, and marked so or forgotten on return. What is `SETTLED` among them was so before. */
  settled(loop: Loop, from: number, rows: number, tally: RowTally): void;
  /** Resolves when rows that are to be given up are kept where people find them, or that has failed. */
  kept(letters: DeadLetters): Promise<void>;
  /** The loop has room, or has nothing more to do. */
  moved(loop: Loop): void;
  /** When the row at the head of the loop was committed, ms since the epoch. */
  committedMs(loop: Loop): number;
  /** A request did not succeed; `answer` is what came of it. For the log. */
  failed(loop: Loop, failure: LoopFailure): void;
  /** A request succeeded after failures. */
  recovered(loop: Loop): void;
  /** Whether this loop is the one that finds out for all others whether the endpoint answers again. */
  probes(loop: Loop): boolean;
}

/** Why a request was not taken, with the receiver's own words, or the network's. */
export type LoopFailure =
  | {
      readonly action: 'retry' | 'hold';
      readonly cause: RetryCause | HoldCause;
      /** The status, or the code of the network's error. */
      readonly answer: string;
      readonly words: string;
      readonly waitMs: number;
      /** The endpoint has asked for this wait. */
      readonly asked: boolean;
      /** It goes for the rows of this tenant alone. */
      readonly tenant?: string;
    }
  | {
      readonly action: 'reject';
      /** The status. */
      readonly cause: string;
      readonly words: string;
      /** Rows that were given up, and as what they are counted. */
      readonly rows: number;
      readonly reason: EndpointReason;
    };
