import { randomInt } from 'node:crypto';
import { RelabelIncoming } from './appender/relabel-incoming.ts';
import type { Config } from './config/load.ts';
import type { RollLimits } from './filequeue/group-commit.ts';
import type { Caps } from './filequeue/keeper.ts';
import type { IngestLimits } from './protocol/limits.ts';

/*
 * What the parts take of the configuration, at a start and at each reload.
 */

export function ingestLimits({ receiver }: Config): IngestLimits {
  return {
    decodedBytes: receiver.maxDecodedBytes,
    series: receiver.maxSeriesPerRequest,
    rows: receiver.maxRowsPerRequest,
    labels: receiver.maxLabelsPerSeries,
    nameBytes: receiver.maxLabelNameBytes,
    valueBytes: receiver.maxLabelValueBytes,
  };
}

export function rollLimits({ wal }: Config): RollLimits {
  return {
    bytes: wal.segmentBytes,
    ageMs: wal.segmentAgeMs,
    series: wal.segmentSeries,
    dictionaryBytes: wal.segmentDictionaryBytes,
  };
}

/** What series go through as they come in; undefined when nothing is to be done to them. */
export function gateOf({ relabelConfigs }: Config): RelabelIncoming | undefined {
  return relabelConfigs.length > 0 ? new RelabelIncoming(relabelConfigs, randomInt(2 ** 32)) : undefined;
}

export function capsOf({ wal }: Config): Caps {
  return {
    maxBytes: wal.maxBytes ?? Number.POSITIVE_INFINITY,
    maxAgeMs: wal.maxAgeMs ?? Number.POSITIVE_INFINITY,
    segmentBytes: wal.segmentBytes,
    minFreeBytes: wal.minFreeBytes,
  };
}
