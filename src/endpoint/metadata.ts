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

/**
 * Lets metadata through that is new or has changed, and repeats the rest no more often than `send_interval`.
 *
 * Senders repeat all of it about once a minute each; with several of them that is noise. A tenth is taken off
 * the interval, so that a sender whose own minute is a little short is not halved.
 */
export class MetadataFilter {
  readonly #intervalMs: number;
  /** By tenant and family: the hash of the message, which may be long, and the time. */
  readonly #sent = new Map<string, { readonly hash: string; readonly atMs: number }>();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs * 0.9;
  }

  /** True when this message, committed at `atMs`, shall be sent for `tenant`. */
  passes(family: Uint8Array, message: Uint8Array, atMs: number, tenant = ''): boolean {
    const key = `${tenant}\n${Buffer.from(family).toString('latin1')}`;
    const hash = createHash('sha1').update(message).digest('base64');
    const before = this.#sent.get(key);
    if (before?.hash === hash && atMs - before.atMs < this.#intervalMs && atMs >= before.atMs) return false;
    // All are forgotten then, which costs a repetition.
    if (this.#sent.size >= MOST_FAMILIES) this.#sent.clear();
    this.#sent.set(key, { hash, atMs });
    return true;
  }
}
