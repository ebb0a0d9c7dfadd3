/**
 * The one list of reasons for which a row is not delivered. Code, metrics, logs and docs share it.
 *
 * Door reasons count rows that the receiver never accepted (the sender was told with a 400); endpoint reasons
 * count rows that were acknowledged and that one endpoint will not get.
 */
export const doorReasons = {
  invalid_utf8: 'A label name or value is not UTF-8 (RW2-R-19).',
  empty_label_name: 'A label has an empty name (RW2-R-19).',
  no_metric_name: 'The series has no `__name__`, or an empty one (RW2-R-20).',
  duplicate_label: 'A label name occurs twice in the series (RW2-R-21).',
  invalid_exemplar:
    'An exemplar has no time, or a label that is not UTF-8 or has no name (RW2-R-19, RW2-R-26).',
  invalid_metadata: 'A metadata entry has no family name, or text that is not UTF-8.',
} as const;

/** Counts are saved by the place of their reason here: append only, at most 32 (network/progress.ts). */
export const endpointReasons = {
  expired: 'Older than the `ttl` of the endpoint when it was queued or about to be sent.',
  rejected: 'Refused for good by the receiver (a 4xx that is not retried); its words are in the log.',
  duplicate:
    'Part of a request that may have been delivered before a crash or an unknown outcome, and that the receiver then refused as out of order or duplicate (RLY-13).',
  metadata_off: 'Metadata, and `metadata_config.send` is false.',
  metadata_unchanged:
    'Metadata that has not changed since it was sent, within `metadata_config.send_interval`.',
  custom_buckets: 'A native histogram with custom buckets, which remote write 1.0 cannot carry (HIST-10).',
  dropped_full:
    'Given up to make room: the queue, the disk or the share of the endpoint was full, and `when_full` is `drop_oldest`.',
  dropped_age: 'Committed longer ago than `wal.max_age` or `max_backlog_age` of the endpoint.',
  damaged: 'In a part of a segment that could not be read; a copy is in `quarantine/` if recovery found it.',
} as const;

export type DoorReason = keyof typeof doorReasons;
export type EndpointReason = keyof typeof endpointReasons;

export const doorReasonNames: readonly DoorReason[] = Object.keys(doorReasons) as DoorReason[];
export const endpointReasonNames: readonly EndpointReason[] = Object.keys(
  endpointReasons,
) as EndpointReason[];
