import type { ConfigText } from '../config/load.ts';
import type { SegmentRange } from '../filequeue/file-queue.ts';
import type { PassedSegment } from '../filequeue/keeper.ts';
import type { DeadLetters } from '../network/dead-letter.ts';
import type { FamilyMetadata } from '../protocol/family-metadata.ts';
import type { LogLevel } from '../telemetry/log.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { DeliveryReport } from './delivery-watch.ts';

/** What a worker is started with. Everything in it can be cloned; secrets come by the file that names them. */
export interface WorkerStart {
  readonly endpoint: string;
  readonly dataDir: string;
  /** Where its segments are; with `readOnly` nothing is written there, not even copies of what is damaged. */
  readonly walDir: string;
  readonly readOnly: boolean;
  /** The configuration as text: read again here, since secrets are not cloned. */
  readonly config: ConfigText;
  readonly stats: SharedArrayBuffer;
  readonly watermark: SharedArrayBuffer;
  /** The newest progress block, or undefined for an endpoint that is new. */
  readonly progress: Uint8Array | undefined;
  /** Where a new endpoint starts. */
  readonly start: { readonly segment: number; readonly row: number };
  /** Rows that the queue had for this endpoint since it is there, when this agent had committed `committedRows`. */
  readonly received: number;
  readonly committedRows: number;
  /** Rows that were received and are neither settled nor in the queue any more: they count as damaged. */
  readonly missing: number;
  /** Rows that were settled and wait again, beyond those that `progress` counts. */
  readonly returned: number;
  /** Rows behind the first cursor that do not wait. */
  readonly settledAhead: number;
  /** Segments that came while it was not configured. */
  readonly gaps: readonly SegmentRange[];
  readonly userAgent: string;
  /** It sends nothing: rows wait on disk, and caps are kept. */
  readonly paused: boolean;
  /** What is known of metric families, for endpoints that may be sent remote write 2.0. */
  readonly metadata: readonly FamilyMetadata[];
  /** When the endpoint was last found not to take 2.0, ms since the epoch. */
  readonly fellBackMs: number | undefined;
}

export type ToWorker =
  /** There is more to read. */
  | { readonly type: 'wake' }
  /** Give up what is not delivered of the segments below `before`; it may be said again. */
  | {
      readonly type: 'drop';
      readonly before: number;
      readonly reason: EndpointReason;
      readonly passed: readonly PassedSegment[];
    }
  /** Deliver in this time what can be delivered of all that there is, or of what was read, then stop. */
  | { readonly type: 'stop'; readonly graceMs: number; readonly deliver: 'all' | 'read' }
  /** The letters with this number are kept, or cannot be. */
  | { readonly type: 'kept'; readonly id: number };

export type FromWorker =
  | { readonly type: 'ready' }
  /** About once a second, and last of all before it ends. `block` is a progress block (network/progress.ts). */
  | { readonly type: 'progress'; readonly block: Uint8Array }
  /** At most once a second, when it has changed. */
  | { readonly type: 'delivery'; readonly report: DeliveryReport }
  /** What was last said of some metric families: to be kept. */
  | { readonly type: 'metadata'; readonly families: readonly FamilyMetadata[] }
  /** `auto`: the endpoint does not take remote write 2.0 since then, or does. */
  | { readonly type: 'version'; readonly fellBackMs: number | undefined }
  /** Rows that are about to be given up: `kept` answers. */
  | { readonly type: 'letters'; readonly id: number; readonly letters: DeadLetters }
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly message: string;
      readonly facts: Readonly<Record<string, string | number | boolean>>;
    }
  | { readonly type: 'stopped' };
