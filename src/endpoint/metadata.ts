import { SHARDS } from '../network/progress.ts';
import { digest, murmur3 } from '../protocol/murmur3.ts';
import { Column } from '../serialization/columns.ts';
import type { FrameRows } from '../serialization/frame.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';

/**
 * The encoded 1.0 `MetricMetadata` of row `i` of a frame, or undefined when one of its texts is missing.
 *
 *     08 <type> 12 <len> family 22 <len> help 2a <len> unit
 */
export function encodeMetadata(
  rows: FrameRows,
  i: number,
  dictionary: SegmentDictionary,
): Uint8Array | undefined {
  const out = new Column();
  const type = rows.metadataType[i]!;
  if (type !== 0) {
    out.putVarint(0x08);
    out.putVarint(type);
  }
  const fields = [
    [0x12, rows.metadataFamily[i]!],
    [0x22, rows.metadataHelp[i]!],
    [0x2a, rows.metadataUnit[i]!],
  ] as const;
  for (const [tag, id] of fields) {
    const text = dictionary.string(id);
    if (text === undefined) return undefined;
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

/** Families that are remembered; beyond it all are forgotten, which costs a repetition. */
const MOST_FAMILIES = 50_000;

/**
 * Lets metadata through that is new or has changed, and repeats the rest no more often than `send_interval`.
 *
 * Senders repeat all of it about once a minute each; with several of them that is noise. A tenth is taken off
 * the interval, so that a sender whose own minute is a little short is not halved.
 */
export class MetadataFilter {
  readonly #intervalMs: number;
  readonly #sent = new Map<string, { readonly text: string; readonly atMs: number }>();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs * 0.9;
  }

  /** True when this message, committed at `atMs`, shall be sent for `tenant`. */
  passes(family: Uint8Array, message: Uint8Array, atMs: number, tenant = ''): boolean {
    const key = `${tenant}\n${Buffer.from(family).toString('latin1')}`;
    const text = Buffer.from(message).toString('latin1');
    const before = this.#sent.get(key);
    if (before?.text === text && atMs - before.atMs < this.#intervalMs && atMs >= before.atMs) return false;
    if (this.#sent.size >= MOST_FAMILIES) this.#sent.clear();
    this.#sent.set(key, { text, atMs });
    return true;
  }
}
