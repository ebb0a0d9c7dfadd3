import { SpillwayError } from '../runtime/errors.ts';

/** What was asked of an endpoint cannot be done. */
export class EndpointControlError extends SpillwayError {
  override readonly code: string = 'ENDPOINT_CONTROL';
}

/** No endpoint of this name is configured. */
export class UnknownEndpointError extends EndpointControlError {
  override readonly code = 'ENDPOINT_UNKNOWN';
}

/**
 * Where an endpoint shall go on: at the oldest data that there is, behind all of it, or where a segment begins. With
 * `atMs` that is the segment which was written at this time, so that nothing that came later is passed over.
 *
 * The last two do what somebody has agreed to and no more, wherever the endpoint stands by now: `before` passes over what
 * waits before a segment, and never goes back; `from` delivers once more from a segment on, or from the oldest that is
 * left, and never passes over anything.
 */
export type SeekTarget =
  | 'oldest'
  | 'now'
  | number
  | { readonly atMs: number }
  | { readonly before: number }
  | { readonly from: number };

/** What moving an endpoint does, or would do. */
export interface Seek {
  /** `backwards` sends rows once more, `forwards` passes over rows that wait. */
  readonly direction: 'backwards' | 'forwards';
  /** Where it goes on: where it stands already, when there is nothing to do. */
  readonly segment: number;
  /** When the first row came that it goes on with, ms; undefined when that is still to come. */
  readonly atMs?: number;
  /** Rows that wait again, or at most so many that are given up. */
  readonly rows: number;
}

/** An endpoint, for a person. */
export interface ListedEndpoint {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  /** When somebody paused it, ms; absent while it delivers. */
  readonly pausedSinceMs?: number;
  /** Requests fail and are tried again. */
  readonly failing: boolean;
  /** It needs nothing of the segments before this one any more. */
  readonly segment: number;
  readonly waitingRows: number;
  readonly waitingBytes: number;
  /** Age of the oldest row that waits; 0 when none does. */
  readonly oldestSeconds: number;
}
