import { createHash } from 'node:crypto';
import { SHARDS } from '../network/progress.ts';
import { MOST_FAMILIES } from '../protocol/family-metadata.ts';
import { digest, murmur3 } from '../protocol/murmur3.ts';
import { Column } from '../serialization/columns.ts';

/**
 * An encoded 1.0 `MetricMetadata`.
 *
 *     08 <type> 12 <len> family 22 <len> help 2a <len> unit
 */
export function encodeMetadata(
  type: number,
  family: Uint8Array,
  help: Uint8Array,
  unit: Uint8Array,
): Uint8Array {
  const out = new Column();
  if (type !== 0) {
    out.putVarint(0x08);
    out.putVarint(type);
  }
  const fields = [
    [0x12, family],
    [0x22, help],
    [0x2a, unit],
  ] as const;
  for (const [tag, text] of fields) {
    if (text.length === 0) continue;
    out.putVarint(tag);
    out.putVarint(text.length);
    out.putBytes(text, 0, text.length);
  }
  return out.used;
}

/** The shard of the metadata of a family: it has no series to go by. */
export function familyShard(family: Uint8Array | undefined): number {
  const name = family ?? new Uint8Array(0);
  murmur3(new DataView(name.buffer, name.byteOffset, name.byteLength), 0, name.length, 0);
  return digest[0]! & (SHARDS - 1);
}

/** What metadata is told apart by, and what is sent of it. */
export interface MetadataEntry {
  /** The name of the family, its bytes as latin1. */
  readonly family: string;
  readonly tenant: string;
  /** As it is sent: an encoded `MetricMetadata`. */
  readonly message: Uint8Array;
}

/** By two clocks, in ms since the epoch. They go together but for a backlog, which is read faster than it came. */
export interface MetadataTime {
  /** When the rows that are read were committed. */
  readonly committedMs: number;
  readonly nowMs: number;
}

/**
 * Of the interval, how long after the last time a row may be sent. A tenth is taken off, so that a sender whose own
 * minute is a little short is not halved.
 */
const ROW_SHARE = 0.9;
/** And how long at least by the clock: an hour that waited on disk is not sixty minutes of metadata at once. */
const LEAST_SHARE = 0.5;
/** Longer names are remembered by their hash. */
const LONG_NAME = 256;

/**
 * Lets metadata through that is new or has changed, and repeats the rest no more often than `send_interval`.
 *
 * Senders repeat all of it about once a minute each; with several of them that is noise.
 */
export class MetadataFilter {
  readonly #intervalMs: number;
  /** By tenant and family: the hash of the message, which may be long, and the times. */
  readonly #sent = new Map<string, MetadataTime & { readonly hash: string }>();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** True when a row with this shall be sent; it counts as sent then, since rows are sent until they arrive. */
  passes(entry: MetadataEntry, time: MetadataTime): boolean {
    const key = keyOf(entry);
    const hash = hashOf(entry.message);
    if (!this.#isDue(key, hash, time, ROW_SHARE)) return false;
    this.#note(key, hash, time);
    return true;
  }

  /**
   * The same once an interval, when there is no row: what was sent since is left out. By half of it, so that nothing
   * waits for nearly two. It counts as sent when it has arrived (`arrived`).
   */
  isDue(entry: MetadataEntry, time: MetadataTime): boolean {
    return this.#isDue(keyOf(entry), hashOf(entry.message), time, LEAST_SHARE);
  }

  /** This was sent, though there was no row. */
  arrived(entry: MetadataEntry, time: MetadataTime): void {
    this.#note(keyOf(entry), hashOf(entry.message), time);
  }

  #isDue(key: string, hash: string, { committedMs, nowMs }: MetadataTime, share: number): boolean {
    const before = this.#sent.get(key);
    if (before?.hash !== hash) return true;
    return (
      !isWithin(committedMs - before.committedMs, share * this.#intervalMs) &&
      !isWithin(nowMs - before.nowMs, LEAST_SHARE * this.#intervalMs)
    );
  }

  #note(key: string, hash: string, { committedMs, nowMs }: MetadataTime): void {
    // All are forgotten then, which costs a repetition.
    if (this.#sent.size >= MOST_FAMILIES) this.#sent.clear();
    this.#sent.set(key, { hash, committedMs, nowMs });
  }
}

function keyOf({ tenant, family }: MetadataEntry): string {
  const name = `${tenant}\n${family}`;
  // A name may be as long as a text.
  return name.length <= LONG_NAME ? name : hashOf(name);
}

function hashOf(content: string | Uint8Array): string {
  return createHash('sha1').update(content).digest('base64');
}

/** False also when the clock was set back: nothing is held back until it has caught up. */
function isWithin(passedMs: number, limitMs: number): boolean {
  return passedMs >= 0 && passedMs < limitMs;
}
