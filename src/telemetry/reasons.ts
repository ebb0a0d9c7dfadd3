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
  too_many_labels:
    'The series, or an exemplar, has more labels than `receiver.max_labels_per_series` (RW1-R-10).',
  label_name_too_long: 'A label name is longer than `receiver.max_label_name_bytes` (RW1-R-10).',
  label_value_too_long: 'A label value is longer than `receiver.max_label_value_bytes` (RW1-R-10).',
  invalid_exemplar:
    'An exemplar has no time, or a label that is not UTF-8 or has no name (RW2-R-19, RW2-R-26).',
  invalid_metadata:
    'A metadata entry has no family name, or text that is not UTF-8 or longer than `receiver.max_label_value_bytes`.',
  invalid_histogram:
    'A native histogram breaks a rule of its format, such as a count that is not the sum of its buckets (RW2-R-27).',
  invalid_refs:
    'Remote write 2.0: the label refs of a series are odd in number, or a ref of the series (to a label, a help text or a unit) is outside of `symbols` (RW2-R-22, RW2-R-23).',
  no_samples: 'Remote write 2.0: the series has neither a sample nor a histogram (RW2-R-24).',
} as const;

/** Rows that the receiver took (the sender was told so) and did not store, on purpose. */
export const doorDrops = {
  dropped_by_relabel_configs:
    'Of a series that `relabel_configs` drops, or leaves without a metric name: as you asked.',
} as const;

/** Counts are saved by the place of their reason here: append only, at most 32 (network/progress.ts). */
export const endpointReasons = {
  expired: 'Older than the `ttl` of the endpoint when it was queued or about to be sent.',
  rejected:
    'Refused for good by the receiver (a 4xx that is not retried); its words are with the dead letters.',
  duplicate:
    'Part of a request that may have been delivered before a crash or an unknown outcome, and that the receiver then refused as out of order or duplicate (RLY-13).',
  metadata_off: 'Metadata, and `metadata_config.send` is false.',
  metadata_unchanged:
    'Metadata that has not changed since it was sent, within `metadata_config.send_interval`. Of a 2.0 sender it is sent again without such rows.',
  custom_buckets: 'A native histogram with custom buckets, which remote write 1.0 cannot carry (HIST-10).',
  damaged:
    'In a part of a segment that could not be read (a copy is in `quarantine/`), or in a segment that is not there.',
  dropped_full:
    'Given up to make room: the queue, the disk or the share of the endpoint was full, and `when_full` is `drop_oldest`.',
  dropped_age: 'Committed longer ago than `wal.max_age` or `max_backlog_age` of the endpoint.',
  dropped_by_relabel:
    'Of a series that `write_relabel_configs` of the endpoint drops, or leaves without a label: as you asked.',
  metadata_no_tenant:
    'Metadata of a metric family, which has no label to take the tenant from: it came in without one, and `tenant` of the endpoint has no `default`.',
  not_written:
    'Not written by the receiver, by its own count of a remote write 2.0 request; which rows of the request it were is not known (RLY-12).',
  metadata_with_series:
    'Metadata, and the endpoint is sent remote write 2.0: it goes with each series of its family, not by itself.',
  exemplars_off: 'Exemplars, and `send_exemplars` is false.',
  histograms_off: 'Native histograms, and `send_native_histograms` is false.',
  exemplar_alone:
    'An exemplar without a sample or a histogram of its series in the same remote write 2.0 request, which nothing in it could carry (RW2-S-23).',
  skipped:
    'Passed over, since somebody moved the endpoint forwards (`spillway endpoint seek`): as you asked.',
} as const;

/** Reasons for which nobody misses the rows: they are left out as configured, or were delivered before. */
export const harmlessReasons: ReadonlySet<string> = new Set<EndpointReason>([
  'dropped_by_relabel',
  'duplicate',
  'exemplars_off',
  'histograms_off',
  'metadata_off',
  'metadata_unchanged',
  'metadata_with_series',
]);

/** Why the listener did not let a request in. No row was seen, so none is counted. */
export const authRefusals = {
  no_credentials: 'The request has none (401).',
  wrong_credentials: 'They are not those of anybody (401).',
  no_access: 'They are right, and not good for what was asked (403).',
  other_site: 'A browser sent it for a page that is not ours, or behind a proxy that changes the name (403).',
  no_login: 'A browser would change something where nobody has to log in (403).',
  busy: 'Too many passwords wait to be compared with their hashes (503); a sender comes again.',
} as const;

export type AuthRefusal = keyof typeof authRefusals;

export type DoorReason = keyof typeof doorReasons;
export type DoorDrop = keyof typeof doorDrops;
export type EndpointReason = keyof typeof endpointReasons;

export const doorReasonNames: readonly DoorReason[] = Object.keys(doorReasons) as DoorReason[];
export const endpointReasonNames: readonly EndpointReason[] = Object.keys(
  endpointReasons,
) as EndpointReason[];

/** Why a connection to the listener was closed that its other side wanted open. */
export const closedReasons = ['too_many', 'timeout', 'malformed'] as const;

export type ClosedReason = (typeof closedReasons)[number];
