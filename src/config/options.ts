/**
 * The one table of options. The types of the configuration, its validation, the sample that `spillway config
 * --defaults` prints and `docs/configuration.md` all derive from it; after a change here `npm run docs` writes
 * the last two again. `rows.ts` says what a row can hold.
 */
import type { Settings } from './rows.ts';

export const options = {
  listen: {
    type: 'address',
    default: '127.0.0.1:9201',
    why: 'Loopback, since letting other machines write is a decision; 9201 is where remote write adapters usually listen.',
    about: 'Where remote write, the metrics and the status page are served. Port 0 takes a free port.',
  },
  data_dir: {
    type: 'path',
    default: './data',
    why: 'Next to the configuration that describes it.',
    about: 'The folder of the queue, the ledger and the built-in destination. One process owns it.',
  },
  external_labels: {
    type: 'map',
    entries: 'label',
    about:
      'Labels that every series leaves with, unless it has a label of that name already. Values are taken as they are: nothing is expanded.',
  },
  shutdown_grace: {
    type: 'duration',
    default: '10s',
    min: '0s',
    max: '1h',
    why: 'Well within the 30 seconds that Kubernetes gives; what is not delivered by then stays on disk.',
    about: 'How long a shutdown goes on delivering before it cuts what is under way.',
  },
  log_level: {
    type: 'enum',
    values: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    why: 'Every change of state once, nothing for each request.',
    about: 'The least severe level that is logged.',
  },
  log_format: {
    type: 'enum',
    values: ['logfmt', 'json'],
    default: 'logfmt',
    why: 'What Prometheus writes.',
    about: 'The form of a log line.',
  },
  receiver: {
    type: 'section',
    about: 'Limits of what comes in. They are checked before memory is taken.',
    options: {
      max_request_bytes: {
        type: 'size',
        default: '32MiB',
        min: '1B',
        max: '1GiB',
        why: 'The limit of Prometheus as a receiver.',
        about: 'The largest request body as it arrives, compressed. A larger one is refused.',
      },
      max_decoded_bytes: {
        type: 'size',
        default: '32MiB',
        min: '1B',
        max: '1GiB',
        why: 'The limit of Prometheus as a receiver.',
        about:
          'The largest request body after decompression, by the length that it declares. A larger one is refused.',
      },
      max_in_flight_bytes: {
        type: 'size',
        default: '128MiB',
        min: '1B',
        max: '64GiB',
        why: 'Four requests of the largest size: memory stays flat when every sender retries at once.',
        about:
          'Request bodies, compressed, that are held at one time. Over it a sender gets a 503 with Retry-After.',
      },
      request_timeout: {
        type: 'duration',
        default: '30s',
        min: '1ms',
        max: '1h',
        why: 'The `remote_timeout` of a Prometheus sender, which does not wait for an answer any longer.',
        about: 'How long a request may take to arrive.',
      },
    },
  },
  wal: {
    type: 'section',
    about:
      'The queue on disk. A segment is closed when it reaches the first of these limits, and deleted when every endpoint has settled it.',
    options: {
      segment_bytes: {
        type: 'size',
        default: '32MiB',
        min: '64KiB',
        max: '1GiB',
        why: 'Large enough to make its dictionary worth its bytes, small enough to give disk space back soon.',
        about: 'The size of a segment.',
      },
      segment_age: {
        type: 'duration',
        default: '1h',
        min: '1ms',
        max: '7d',
        why: 'Delivered data is gone within the hour, also where little arrives.',
        about: 'The age of a segment, also of one to which nothing is added any more.',
      },
      segment_series: {
        type: 'integer',
        unit: 'series',
        default: 250_000,
        min: 1,
        max: 10_000_000,
        why: 'Bounds the memory that it takes to read a segment, also while series churn.',
        about: 'The series in the dictionary of one segment.',
      },
      segment_dictionary_bytes: {
        type: 'size',
        default: '64MiB',
        min: '64KiB',
        max: '1GiB',
        why: 'Bounds the memory that it takes to read a segment, also when labels are long.',
        about: 'The memory that the dictionary of one segment takes.',
      },
      codec: {
        type: 'enum',
        values: ['snappy', 'none'],
        default: 'snappy',
        why: 'Disk space is what an outage uses up; `none` saves CPU time where there is plenty of it.',
        about: 'How frames are compressed.',
      },
      max_bytes: {
        type: 'size',
        default: null,
        example: '100GiB',
        min: '64KiB',
        max: '1024TiB',
        why: 'Unset: the disk is the bound (`min_free_bytes`). How long an outage may last is worth more than a number that we could guess.',
        about:
          'The most bytes that the segments may have together. What is being written when it is reached comes on top of it.',
      },
      min_free_bytes: {
        type: 'size',
        default: null,
        example: '1GiB',
        min: '0B',
        max: '1024TiB',
        why: 'Unset: 5 % of the file system, at most 1GiB. Whatever else is on the disk goes on working, and so do we.',
        about: 'With less than this free on its file system the queue counts as full.',
      },
      max_age: {
        type: 'duration',
        default: null,
        example: '7d',
        min: '1ms',
        max: '100y',
        why: 'Unset: no limit. Only you know when data is too old to be of use.',
        about:
          'Segments whose newest row came in longer ago are dropped for every endpoint, whatever `when_full` says: counted as `dropped_age`. At least `segment_age`.',
      },
      when_full: {
        type: 'enum',
        values: ['reject', 'drop_oldest'],
        default: 'reject',
        why: 'Loses nothing: senders that are told 503 keep their data and come again.',
        about:
          'At a cap: refuse writes with a 503 and Retry-After, or give up the oldest rows that are not delivered, counted as `dropped_full`. An endpoint may differ.',
      },
    },
  },
  remote_write: {
    type: 'list',
    about: 'The endpoints. Each of them gets everything, at its own pace.',
    sample: { name: 'recent', url: 'sqlite:recent.db' },
    unsupported: [
      'tls_config',
      'write_relabel_configs',
      'send_exemplars',
      'send_native_histograms',
      'follow_redirects',
      'proxy_url',
      'no_proxy',
      'proxy_from_environment',
      'proxy_connect_header',
      'enable_http2',
      'protobuf_message',
      'oauth2',
      'sigv4',
      'azuread',
      'google_iam',
      'round_robin_dns',
      'http_headers',
      'bearer_token',
      'bearer_token_file',
    ],
    options: {
      name: {
        type: 'string',
        pattern: '^[a-zA-Z0-9_.-]{1,64}$',
        allowed: '1 to 64 letters, digits, `_`, `.` or `-`',
        default: null,
        example: 'mimir',
        why: 'Unset: derived from the URL without its credentials and query.',
        about:
          'Unique among the endpoints. An endpoint keeps its place in the queue by its name, also when its URL changes.',
      },
      url: {
        type: 'url',
        default: null,
        example: 'https://mimir.example/api/v1/push',
        required: true,
        about:
          'Where to write. `sqlite:FILE`, relative to `data_dir`, is the built-in destination: it keeps recent samples in a SQLite file. Userinfo in the URL serves as `basic_auth` when no other credentials are given.',
      },
      remote_timeout: {
        type: 'duration',
        default: '30s',
        min: '1ms',
        max: '1h',
        why: 'The default of Prometheus.',
        about: 'How long one request may take.',
      },
      headers: {
        type: 'map',
        entries: 'header',
        about:
          'Headers that are added to each request, for example `X-Scope-OrgID`. The headers of the protocol cannot be replaced.',
      },
      basic_auth: {
        type: 'section',
        optional: true,
        about:
          'Credentials for HTTP basic authentication. Give user name and password each as text or as a file. Excludes `authorization`.',
        options: {
          username: { type: 'secret', default: null, example: 'spillway', about: 'The user name.' },
          username_file: {
            type: 'path',
            default: null,
            example: './username',
            about: 'A file with the user name.',
          },
          password: { type: 'secret', default: null, example: 'change-me', about: 'The password.' },
          password_file: {
            type: 'path',
            default: null,
            example: './password',
            about: 'A file with the password, read again when it changes.',
          },
        },
      },
      authorization: {
        type: 'section',
        optional: true,
        about:
          'Credentials for the `Authorization` header. Give them as text or as a file. Excludes `basic_auth`.',
        options: {
          type: {
            type: 'string',
            pattern: '^[a-zA-Z0-9_.-]+$',
            allowed: 'one word of letters, digits, `_`, `.` or `-`',
            hidden: true,
            default: 'Bearer',
            why: 'The default of Prometheus.',
            about: 'The authentication scheme.',
          },
          credentials: { type: 'secret', default: null, example: 'change-me', about: 'The credentials.' },
          credentials_file: {
            type: 'path',
            default: null,
            example: './token',
            about: 'A file with the credentials, read again when it changes.',
          },
        },
      },
      queue_config: {
        type: 'section',
        about: 'How samples are queued and sent, in the words of Prometheus.',
        options: {
          capacity: {
            type: 'integer',
            unit: 'samples',
            default: 10_000,
            min: 1,
            max: 10_000_000,
            why: 'The default of Prometheus: five full requests.',
            about: 'What one shard reads ahead of its requests. The backlog stays on disk.',
          },
          min_shards: {
            type: 'integer',
            unit: 'shards',
            default: 1,
            min: 1,
            max: 256,
            why: 'The default of Prometheus.',
            about: 'The fewest requests that are under way side by side.',
          },
          max_shards: {
            type: 'integer',
            unit: 'shards',
            default: 50,
            min: 1,
            max: 256,
            why: 'The default of Prometheus.',
            about: 'The most requests that are under way side by side.',
          },
          max_samples_per_send: {
            type: 'integer',
            unit: 'samples',
            default: 2000,
            min: 1,
            max: 1_000_000,
            why: 'The default of Prometheus.',
            about: 'The most samples in one request.',
          },
          batch_send_deadline: {
            type: 'duration',
            default: null,
            example: '5s',
            min: '1ms',
            max: '1h',
            why: 'Unset: adapts to what arrives, at most 200ms.',
            about: 'How long samples wait for a request to fill up.',
          },
          min_backoff: {
            type: 'duration',
            default: '30ms',
            min: '1ms',
            max: '1d',
            why: 'The default of Prometheus.',
            about: 'The wait before the first retry; it doubles with each attempt.',
          },
          max_backoff: {
            type: 'duration',
            default: '5s',
            min: '1ms',
            max: '1d',
            why: 'The default of Prometheus.',
            about: 'The longest wait between two attempts.',
          },
          sample_age_limit: {
            type: 'duration',
            default: null,
            example: '2h',
            min: '0s',
            max: '100y',
            why: 'Unset: as `ttl`.',
            about: 'The name that Prometheus has for `ttl`.',
          },
          retry_on_http_429: {
            type: 'boolean',
            default: true,
            why: 'Differs from Prometheus, which drops the samples: "not now" must never lose data.',
            about: 'Whether to send again what was answered with 429, Too Many Requests.',
          },
        },
      },
      replies: {
        type: 'section',
        about:
          'What to do where the specification of remote write wants data thrown away that is safe on our disk. Each key is one deviation from it (RW1-S-18, RLY-09); unset, it follows `profile`.',
        options: {
          profile: {
            type: 'enum',
            values: ['durable', 'strict'],
            default: 'durable',
            why: 'A rotated key or one bad series must not cost data that is not at fault.',
            about: '`durable` turns each of the deviations below on, `strict` turns each off.',
          },
          retry_on_http_408: {
            type: 'boolean',
            default: null,
            example: true,
            about: 'Whether to send again what was answered with 408, Request Timeout.',
          },
          hold_on_http_4xx: {
            type: 'boolean',
            default: null,
            example: true,
            about:
              'Whether to keep rows and try again when the answer says that the door is shut and not that the rows are bad: 401, 403, 404, 407, 415.',
          },
          split_refused: {
            type: 'boolean',
            default: null,
            example: true,
            about:
              'Whether to send a request that is refused (400, 409, 413, 422, ...) again in parts, until the rows at fault stand alone. Only these are given up, and only when the endpoint takes others; an endpoint that refuses everything is held.',
          },
        },
      },
      metadata_config: {
        type: 'section',
        about: 'Type, help and unit of the metrics.',
        options: {
          send: {
            type: 'boolean',
            default: true,
            why: 'The default of Prometheus.',
            about: 'Whether to send metadata.',
          },
          send_interval: {
            type: 'duration',
            default: '1m',
            min: '1ms',
            max: '1d',
            why: 'The default of Prometheus.',
            about: 'How long metadata that has not changed is left out.',
          },
          max_samples_per_send: {
            type: 'integer',
            unit: 'metadata entries',
            default: 2000,
            min: 1,
            max: 1_000_000,
            why: 'The default of Prometheus.',
            about: 'The most metadata entries in one request.',
          },
        },
      },
      ttl: {
        type: 'duration',
        default: null,
        example: '2h',
        min: '0s',
        max: '100y',
        why: 'Unset, or `0s`: no limit. Only you know when a sample is too old to be of use.',
        about: 'Samples that are older are counted as expired and not sent.',
      },
      start_at: {
        type: 'enum',
        values: ['oldest', 'now'],
        default: 'oldest',
        why: 'What is on disk was accepted to be delivered.',
        about: 'Where an endpoint that is seen for the first time starts in the queue.',
      },
      max_backlog_bytes: {
        type: 'size',
        default: null,
        example: '10GiB',
        min: '64KiB',
        max: '1024TiB',
        why: 'Unset: the whole queue.',
        about:
          'The share of the queue that this endpoint may hold back, in bytes of segments, looked at every second.',
      },
      max_backlog_age: {
        type: 'duration',
        default: null,
        example: '1d',
        min: '1ms',
        max: '100y',
        why: 'Unset: as `wal.max_age`.',
        about:
          'Segments whose newest row came in longer ago are dropped for this endpoint, counted as `dropped_age`. Unlike `ttl` it goes by the time of arrival. At least `wal.segment_age`.',
      },
      when_full: {
        type: 'enum',
        values: ['reject', 'drop_oldest'],
        default: null,
        example: 'drop_oldest',
        why: 'Unset: as `wal.when_full`.',
        about:
          'What happens when the share of this endpoint, or the queue, is full. With `drop_oldest` the endpoint never stops the rest: it gives up its own oldest rows instead.',
      },
      keep: {
        type: 'duration',
        default: '1h',
        min: '1ms',
        max: '100y',
        why: 'Enough to look at what just happened.',
        about: 'Only for `sqlite:` URLs: samples that are older are deleted.',
      },
      keep_samples: {
        type: 'integer',
        unit: 'samples',
        default: 1_000_000,
        min: 1,
        max: 1_000_000_000,
        why: 'Keeps the file small whatever arrives.',
        about: 'Only for `sqlite:` URLs: over this number the oldest samples are deleted.',
      },
    },
  },
} as const;

/** What the file says, with defaults filled in; see `Config` for what the program works with. */
export type FileSettings = Settings<typeof options>;

/** One entry of `remote_write` in `FileSettings`. */
export type EndpointSettings = FileSettings['remoteWrite'][number];
