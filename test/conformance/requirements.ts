/**
 * What the two specifications of remote write ask for, and what an agent that is receiver and sender at once owes
 * beyond them: one line each, in our words. Ids are cited by tests and code; they never change their meaning.
 */

/** Whom a requirement concerns. */
export type Party = 'sender' | 'receiver' | 'both' | 'relay';

export interface Requirement {
  readonly id: string;
  /** The word of the specification, or ours where it is silent. */
  readonly level: 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT' | 'MAY';
  readonly text: string;
  readonly by: Party;
}

/** Requirements that belong together, under one heading. */
export interface Family {
  /** What ids start with, up to the number. */
  readonly prefix: string;
  readonly title: string;
  readonly requirements: readonly Requirement[];
}

type Row = readonly [number: number, level: Requirement['level'], text: string, by?: Party];

function family(prefix: string, title: string, by: Party, rows: readonly Row[]): Family {
  const requirements = rows.map(([number, level, text, own = by]) => ({
    id: `${prefix}-${String(number).padStart(2, '0')}`,
    level,
    text,
    by: own,
  }));
  return { prefix, title, requirements };
}

export const families: readonly Family[] = [
  family('WIRE', 'Bytes', 'both', [
    [1, 'MUST', 'A body is one protobuf message in a snappy block; framed snappy is an error.'],
    [
      2,
      'MUST',
      'The declared decoded length is checked before memory is taken, and must be the real one.',
      'receiver',
    ],
    [3, 'MUST', 'Unknown fields of every wire type are skipped, in every message.', 'receiver'],
    [4, 'MUST', 'Fields come in any order; references are resolved when all is read.', 'receiver'],
    [5, 'MUST', 'Repeated numbers are read packed, unpacked and in several runs, and written packed.'],
    [6, 'MUST', 'A member of a oneof that is present with 0 stays present; the last one on the wire counts.'],
    [7, 'MUST', 'Malformed messages are refused as a whole, without a crash.', 'receiver'],
    [8, 'MUST', 'Strings are UTF-8, strictly.'],
    [9, 'MUST', 'Doubles keep their 64 bits, payloads of NaN too.'],
    [10, 'MUST', 'Times keep their 64 bits, negative ones too.'],
  ]),
  family('RW1-S', 'Remote write 1.0, sender', 'sender', [
    [1, 'MUST', 'POST to the whole URL that was configured.'],
    [2, 'MUST', 'The four headers of the protocol have their exact values.'],
    [3, 'MUST NOT', 'Own headers replace one of the protocol or of the HTTP client.'],
    [4, 'MUST', 'Snappy block, protobuf, the schema of 1.0.'],
    [5, 'MUST', 'Times are milliseconds since the epoch, values are float64.'],
    [6, 'MUST', 'The body of a success is ignored.'],
    [7, 'MUST', 'Each sample goes with its complete labels.'],
    [8, 'SHOULD', 'A label set has a metric name.'],
    [9, 'MUST NOT', 'A label name comes twice.'],
    [10, 'MUST', 'Labels are sorted by the bytes of their names.'],
    [11, 'MUST NOT', 'Label names or values are empty.'],
    [12, 'MUST', 'Names keep to the characters that Prometheus 1.0 allowed.'],
    [13, 'SHOULD NOT', 'Label names start with two underscores, but for the metric name.'],
    [14, 'MUST NOT', 'The text of a refusal is interpreted; it is logged as it is.'],
    [15, 'MUST', 'Samples of a series leave in their order, over requests too.'],
    [16, 'MUST', '5xx is tried again.'],
    [17, 'MUST', 'Attempts are spaced by a backoff.'],
    [18, 'MUST NOT', '2xx, or 4xx other than 429, is tried again.'],
    [19, 'MAY', '429 is tried again.'],
    [20, 'MUST', 'A series that ends gets a stale marker: each one that came in leaves, in its place.'],
    [21, 'MUST', 'A stale marker is one NaN, and that NaN is nothing else.'],
    [22, 'MUST', 'Versions above 1.x are asked for by an empty request.'],
    [23, 'SHOULD', 'Outages of the receiver are bridged on disk.'],
  ]),
  family('RW1-R', 'Remote write 1.0, receiver', 'receiver', [
    [1, 'MAY', 'Any path.'],
    [2, 'MUST', 'Every 1.x sender is read, with what it sends beside samples.'],
    [3, 'MUST', '2xx when all is written, with an empty body.'],
    [4, 'MUST', '4xx for a request that can never succeed.'],
    [5, 'MUST', '400 when any sample of a request is invalid.'],
    [6, 'MAY', 'The valid part of such a request is kept.'],
    [7, 'SHOULD', 'The body of a refusal says what is wrong.'],
    [8, 'MUST', '5xx when the write failed and should be tried again.'],
    [9, 'MAY', 'The highest version is told in a header.'],
    [10, 'MAY', 'Number and length of labels are limited.'],
  ]),
  family('RW2-S', 'Remote write 2.0, sender', 'sender', [
    [1, 'MUST', 'The 2.0 message is supported, and used where it can be.'],
    [2, 'MUST', 'POST, protobuf, snappy block.'],
    [3, 'MUST', 'The headers of the protocol are sent, and cannot be configured.'],
    [4, 'MUST', '`Content-Encoding: snappy`.'],
    [5, 'MUST', 'The content type is one of the three of the specification, to the byte.'],
    [6, 'SHOULD', 'The bare type goes to 1.x receivers, the one that names 2.0 to others.'],
    [7, 'MUST', 'The version header is 0.1.0 for 1.0, else 2.0.0.'],
    [8, 'MUST', 'A User-Agent, as product/version.'],
    [9, 'MUST', 'The body of a success is ignored.'],
    [10, 'MUST NOT', 'The text of a refusal is interpreted; it is logged as it is.'],
    [11, 'MAY', 'The counts of what was written are read, never those of an answer to 1.0.'],
    [12, 'SHOULD', 'A 2xx to 2.0 without any count is read as 415: nothing was stored.'],
    [13, 'MUST NOT', 'The version of a receiver is inferred from headers.'],
    [14, 'SHOULD', 'Several series share a request.'],
    [15, 'SHOULD', 'A 1.x receiver may say 400 where it means 415.'],
    [16, 'MUST NOT', '4xx other than 429 and 415 is tried again.'],
    [17, 'MAY', 'After a 415 another content type is tried.'],
    [18, 'MAY', '429 is tried again.'],
    [19, 'MUST', '5xx is tried again, with a backoff.'],
    [20, 'MAY', '`Retry-After` sets the next attempt: seconds, or a date.'],
    [21, 'MAY', 'The content type can be chosen for each endpoint.'],
    [22, 'MUST', 'Every series has label references, an even number of them.'],
    [23, 'MUST', 'Every TimeSeries has samples or histograms, and not both.'],
    [24, 'MUST', 'Symbols hold each string once, the first is empty, and every reference is among them.'],
    [25, 'MUST', 'Labels are as in 1.0, but for their characters, which are any UTF-8.'],
    [26, 'MUST', 'Samples and histograms of a series are in the order of time, over requests too.'],
    [27, 'SHOULD', 'Counters and histograms carry their start timestamp.'],
    [28, 'SHOULD', 'Every series carries its metadata.'],
    [29, 'SHOULD', 'Exemplars are sent, each with value and time.'],
    [30, 'SHOULD', 'A series that ends gets a stale marker.'],
  ]),
  family('RW2-R', 'Remote write 2.0, receiver', 'receiver', [
    [1, 'MUST', 'The 2.0 message is accepted; we take both on one path.'],
    [2, 'MUST', 'Snappy is supported.'],
    [3, 'MUST', 'The content type decides on the schema, never a guess.'],
    [4, 'MUST', '415 for a content type or encoding that is not supported.'],
    [5, 'MUST', '2xx only when every sample, histogram and exemplar was written.'],
    [6, 'MUST NOT', '2xx when a piece was not written; the body says how many were refused, and why.'],
    [7, 'MUST', 'The three counts of what was written are exact, in every answer after negotiation.'],
    [8, 'MAY', 'The valid part of a request is written; the status is not 2xx then.'],
    [9, 'MUST', '400 for invalid samples.'],
    [10, 'MUST', '4xx other than 429 means never: nothing that passes is told so.'],
    [11, 'MAY', '5xx on a partial write, if writing again is harmless; we write all or nothing then.'],
    [12, 'MAY', '429 or 5xx with `Retry-After` when overloaded.'],
    [13, 'MUST', 'A start timestamp of 0 is none.'],
    [14, 'MAY', 'What is optional is insisted on; we do not.'],
    [15, 'MUST', 'The same labels may come in several TimeSeries of one request.'],
    [16, 'MUST', 'Nothing is assumed on the order of symbols beyond the first.'],
    [17, 'MUST', 'Every 2.x sender is read: unknown fields are skipped.'],
    [18, 'MAY', 'Number and length of labels are limited.'],
    [19, 'MUST', 'Invalid: a label that is not UTF-8, or has no name.'],
    [20, 'MUST', 'Invalid: a series without a metric name.'],
    [21, 'MUST', 'Invalid: a label name twice.'],
    [22, 'MUST', 'Invalid: label references of odd number, or outside of the symbols.'],
    [23, 'MUST', 'Invalid: help or unit outside of the symbols.'],
    [24, 'MUST', 'Invalid in 2.0: neither sample nor histogram.'],
    [25, 'MUST', 'Samples and histograms in one TimeSeries are accepted, and divided.'],
    [26, 'MUST', 'Invalid: an exemplar with bad references, or without a time.'],
    [27, 'MUST', 'Invalid: a histogram against the rules below.'],
    [28, 'MUST', 'Invalid: a series over a configured limit of labels.'],
    [
      29,
      'MUST',
      'Samples out of order, or twice, are accepted as they come: a queue has no head to judge by.',
    ],
    [30, 'MUST', 'References decide, whatever the first symbol is.'],
  ]),
  family('RW-STALE', 'Stale markers', 'both', [
    [1, 'MUST', 'A stale marker, and the ordinary NaN, survive bit for bit.'],
    [2, 'MUST', 'That of a histogram is in its sum; the rest of it is kept and never judged.'],
    [3, 'MUST NOT', 'Values travel through ordinary arrays, in which a marker becomes a plain NaN.'],
    [4, 'MUST', 'Tests compare bits.'],
    [5, 'MUST NOT', 'Markers are deduplicated, expired early, reordered or made up.', 'relay'],
  ]),
  family('HIST', 'Native histograms', 'receiver', [
    [1, 'MUST', 'The schema is one that is known; finer ones are never guessed at.'],
    [2, 'MUST', 'Spans add up to the number of buckets.'],
    [3, 'MUST', 'Only the first span may start below 0, and none with custom buckets.'],
    [4, 'MUST', 'No bucket is negative.'],
    [5, 'MUST', 'The count of an integer histogram is that of its buckets.'],
    [6, 'MUST', 'Custom bounds increase, and nothing is negative.'],
    [7, 'MUST', 'Exponential ones have no custom bounds.'],
    [8, 'MUST', 'Empty spans are legal; the layout stays as it came.', 'both'],
    [9, 'MUST', 'Flavour, schema, hint, layout and bounds are passed on unchanged.', 'both'],
    [10, 'MUST', 'Custom buckets do not fit into 1.0: dropped there, and counted.', 'sender'],
  ]),
  family('INT', 'What real peers do beyond the text', 'receiver', [
    [1, 'SHOULD', 'Without a content type it is 1.0, without an encoding snappy.'],
    [2, 'SHOULD', 'Type and encoding compare without regard to case.', 'both'],
    [3, 'MUST', 'Parameters of the type are read as RFC 9110 says, blanks and quotes too.'],
    [4, 'SHOULD', 'A message under the name of the other version is refused, and not read as empty.'],
    [5, 'SHOULD', 'The size of a request is limited, and one over the limit is told 400.'],
    [6, 'MUST', 'A 1.0 request is answered without counts.'],
    [7, 'SHOULD', 'Refusals are short, and begin with what matters.'],
    [8, 'MUST', 'Backpressure is 503 with `Retry-After`, not 429.'],
    [9, 'SHOULD', 'Answers come well within the 30 seconds that senders wait.'],
    [10, 'SHOULD', '1.0 metadata has requests of its own.', 'both'],
    [11, 'SHOULD', 'An exemplar of 1.0 never costs its request.'],
    [12, 'SHOULD', 'One old sample makes Prometheus refuse a whole request: it is separated.', 'sender'],
    [13, 'SHOULD', 'Samples from the future are accepted: the endpoint decides.'],
    [14, 'SHOULD', 'A sample twice is harmless to Prometheus only when it is the newest.', 'sender'],
    [15, 'SHOULD', 'Old receivers answer 2.0 with 204 and store nothing: that is no success.', 'sender'],
    [16, 'SHOULD', '`created_timestamp` of early 2.0 senders is read, and never written.', 'both'],
    [17, 'SHOULD', 'zstd is told 415, upon which vmagent falls back to snappy.'],
    [18, 'MAY', 'Labels of type and unit are ordinary ones.', 'both'],
  ]),
  family('RLY', 'Rules of a relay', 'relay', [
    [1, 'MUST', 'Written means synced to disk.'],
    [2, 'MUST', 'A 2xx promises delivery or accounting.'],
    [3, 'MUST', 'After a 5xx nothing of the request is ever delivered, unless it is sent again.'],
    [4, 'MUST', 'Rows leave as they came, bit for bit, in the order of arrival per series.'],
    [5, 'MUST', 'A series is its sorted labels, whichever version it came in.'],
    [6, 'MUST', '2.0 to 1.0: what does not fit is dropped and counted.'],
    [7, 'SHOULD', '1.0 to 2.0: metadata joins the series of its family.'],
    [8, 'MUST', 'After an unknown outcome the same rows go again, in the same order.'],
    [9, 'MUST', 'Each deviation from the rules on retries is one setting, and off in the strict profile.'],
    [10, 'MUST', 'Redirects are not followed, and carry no credentials elsewhere.'],
    [11, 'MUST', 'Headers of the protocol cannot be configured, hop-by-hop ones are not passed on.'],
    [12, 'MUST', 'Rows that an endpoint did not write are counted as refused, and not sent again.'],
    [13, 'MUST', 'Rows that may be there already never share a 1.0 request with fresh ones.'],
  ]),
];
