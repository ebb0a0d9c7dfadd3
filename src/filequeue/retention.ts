import { comparePositions, type Position } from '../serialization/position.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { SegmentInfo } from './segment-file.ts';

/** What happens at a cap: senders are told to come again, or the oldest rows go. */
export type WhenFull = 'reject' | 'drop_oldest';

/** Caps of the whole directory. `Infinity` is no cap. */
export interface QueueLimits {
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** What a segment usually grows to: the room that dropping has before writes would be refused. */
  readonly segmentBytes: number;
}

/** What one endpoint may hold back. `Infinity` is no cap. */
export interface EndpointLimits {
  readonly whenFull: WhenFull;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

/** What a decision is made from. */
export interface RetentionState {
  /** By ascending id, the open one last. */
  readonly segments: readonly SegmentInfo[];
  /** The last of `segments` is being written. */
  readonly open: boolean;
  readonly endpoints: readonly {
    readonly name: string;
    /** It needs nothing before this, as saved. */
    readonly low: Position;
    readonly limits: EndpointLimits;
  }[];
  readonly limits: QueueLimits;
  /** What the file system has left, and what of it is not ours to use; undefined when it cannot be asked. */
  readonly space: { readonly freeBytes: number; readonly minFreeBytes: number } | undefined;
  /** The file system has refused to store something, and nothing has shown yet that it would again. */
  readonly noSpace: boolean;
  /** What the last decision said. */
  readonly full: Full | undefined;
  readonly nowMs: number;
}

/** A cap that is reached: no more is taken until there is room. */
export interface Full {
  readonly limit: 'disk' | 'max_bytes' | 'max_backlog_bytes';
  /** The endpoint whose share is used up, for `max_backlog_bytes`. */
  readonly endpoint: string;
  readonly usedBytes: number;
  readonly limitBytes: number;
  /** Endpoints that stand at the oldest data. */
  readonly waitsFor: readonly string[];
}

/** The endpoint shall give up what it has not delivered of the segments below `before`. */
export interface Drop {
  readonly endpoint: string;
  readonly before: number;
  readonly reason: EndpointReason;
}

export interface Decision {
  readonly full: Full | undefined;
  readonly drops: readonly Drop[];
  /** The open segment is in the way: what is in it can only go when it is ended. */
  readonly endSegment: boolean;
  /** Bytes that the segments may have at this moment: `max_bytes`, or less when the disk has less. */
  readonly capBytes: number;
  /** From this many bytes on the oldest rows are given up, where that is allowed. */
  readonly dropBytes: number;
}

/** Once full, writes are taken again below this share of a cap, so that they are not let in a request at a time. */
const OPEN_AGAIN = 0.95;
/** No segment may be more of the cap than this, or dropping the oldest would be dropping nearly all. */
const SEGMENT_SHARE = 1 / 4;

/**
 * What the caps ask for. A function of values: who tells the endpoints, deletes and refuses is Keeper.
 *
 * - Age goes first, whatever else is set: rows that are too old are of no use to anybody.
 * - An endpoint with `drop_oldest` drops within its own share, and when the directory is nearly full as far as that
 *   frees space: not rows of segments that an endpoint with `reject` still needs.
 * - What is then still over a cap is refused at the door.
 *
 * Dropping starts a segment before the cap, so that writes go on meanwhile. A full disk is a cap that was met early.
 */
export function decideRetention(state: RetentionState): Decision {
  const { segments, endpoints, limits, space, nowMs } = state;
  const total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  const room = space === undefined ? Number.POSITIVE_INFINITY : space.freeBytes - space.minFreeBytes;
  const diskBytes = Math.max(0, total + (state.noSpace ? Math.min(0, room) : room));
  const capBytes = Math.min(limits.maxBytes, diskBytes);
  const roomToDrop = Math.min(limits.segmentBytes, capBytes * SEGMENT_SHARE);
  const ended = state.open ? segments.slice(0, -1) : segments;

  const drops: Drop[] = [];
  const aged = new Map<string, number>();
  for (const { name, low, limits: own } of endpoints) {
    const oldestMs = nowMs - Math.min(limits.maxAgeMs, own.maxAgeMs);
    const before = firstKept(ended, (info) => info.lastMs < oldestMs);
    if (before > low.segment) drops.push({ endpoint: name, before, reason: 'dropped_age' });
    aged.set(name, Math.max(low.segment, before));
  }
  const needed = Math.min(
    ...endpoints.filter((e) => e.limits.whenFull === 'reject').map((e) => aged.get(e.name)!),
  );
  for (const { name, limits: own } of endpoints) {
    if (own.whenFull === 'reject') continue;
    const before = Math.max(
      belowBytes(ended, total, own.maxBytes),
      Math.min(needed, belowBytes(ended, total, capBytes - roomToDrop)),
    );
    if (before > aged.get(name)!) drops.push({ endpoint: name, before, reason: 'dropped_full' });
  }
  const full = findFull(state, total);
  const smallestCap = Math.min(capBytes, ...endpoints.map((e) => e.limits.maxBytes));
  const openBytes = state.open ? segments.at(-1)!.bytes : 0;
  return {
    full,
    drops,
    endSegment: openBytes > 0 && (full !== undefined || openBytes >= smallestCap * SEGMENT_SHARE),
    capBytes,
    dropBytes: capBytes - roomToDrop,
  };
}

/** Bytes of the segments that an endpoint holds back: deletion is by whole segments. */
export function heldBytes(segments: readonly SegmentInfo[], low: Position): number {
  let bytes = 0;
  for (const info of segments) {
    // A reader behind the last row of a segment is done with it, though it cannot go before the next one.
    if (info.id > low.segment || (info.id === low.segment && low.row < info.rows)) bytes += info.bytes;
  }
  return bytes;
}

function findFull(
  { segments, endpoints, limits, space, noSpace, full }: RetentionState,
  total: number,
): Full | undefined {
  const waitsFor = standAtOldest(endpoints);
  const reached = (limit: Full['limit'], endpoint: string, usedBytes: number, limitBytes: number): boolean =>
    usedBytes >= limitBytes * (full?.limit === limit && full.endpoint === endpoint ? OPEN_AGAIN : 1);
  if (space !== undefined || noSpace) {
    const freeBytes = space?.freeBytes ?? 0;
    const wanted = (space?.minFreeBytes ?? 0) / (full?.limit === 'disk' ? OPEN_AGAIN : 1);
    if (noSpace || freeBytes < wanted) {
      return { limit: 'disk', endpoint: '', usedBytes: total, limitBytes: total, waitsFor };
    }
  }
  if (reached('max_bytes', '', total, limits.maxBytes)) {
    return { limit: 'max_bytes', endpoint: '', usedBytes: total, limitBytes: limits.maxBytes, waitsFor };
  }
  for (const { name, low, limits: own } of endpoints) {
    if (own.whenFull !== 'reject') continue;
    const held = heldBytes(segments, low);
    if (!reached('max_backlog_bytes', name, held, own.maxBytes)) continue;
    return {
      limit: 'max_backlog_bytes',
      endpoint: name,
      usedBytes: held,
      limitBytes: own.maxBytes,
      waitsFor: [name],
    };
  }
  return undefined;
}

function standAtOldest(endpoints: RetentionState['endpoints']): string[] {
  if (endpoints.length === 0) return [];
  const oldest = endpoints.map(({ low }) => low).reduce((a, b) => (comparePositions(b, a) < 0 ? b : a));
  return endpoints.filter(({ low }) => low.segment === oldest.segment).map(({ name }) => name);
}

/** The id behind the run of segments from the oldest on for which `goes` holds; 0 when there are none. */
function firstKept(ended: readonly SegmentInfo[], goes: (info: SegmentInfo) => boolean): number {
  let before = 0;
  for (const info of ended) {
    if (!goes(info)) break;
    before = info.id + 1;
  }
  return before;
}

/** The id behind the oldest segments that have to go for the rest to have at most `bytes`; 0 when none has to. */
function belowBytes(ended: readonly SegmentInfo[], total: number, bytes: number): number {
  let left = total;
  return firstKept(ended, (info) => {
    const goes = left > bytes;
    left -= info.bytes;
    return goes;
  });
}
