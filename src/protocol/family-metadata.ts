import type { SeriesMetadata } from './emitter-v2.ts';

/** The last metadata of a metric family, as it is remembered, kept in the ledger and sent between threads. */
export interface FamilyMetadata extends SeriesMetadata {
  readonly family: Uint8Array;
}

/** Families that are remembered, wherever they are. */
export const MOST_FAMILIES = 50_000;

/**
 * Bytes of names and texts that are remembered of them: a hundred times what a large fleet has, and nothing that a
 * sender of texts without end can fill the memory with.
 */
export const MOST_METADATA_BYTES: number = 32 * 1024 * 1024;
