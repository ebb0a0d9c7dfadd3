/**
 * The one table of options. The types of the configuration, its validation, the sample that `spillway config
 * --defaults` prints and `docs/configuration.md` all derive from it; after a change here `npm run docs` writes
 * the last two again. `rows.ts` says what a row can hold.
 */
import { tenantRule } from '../protocol/tenant-id.ts';
import { cloudOptions } from './cloud-options.ts';
import { httpOptions } from './http-options.ts';
import { relabelOptions } from './relabel-options.ts';
import type { Settings } from './rows.ts';
import { TENANT, tenantOptions } from './tenant-options.ts';

export const options = {
  listen: {
    restart: true,
    type: 'address',
    default: '127.0.0.1:9201',
    why: 'Loopback, since letting other machines write is a decision; 9201 is where remote write adapters usually listen.',
    about: 'Where remote write, the metrics and the status page are served. Port 0 takes a free port.',
  },
  web_config_file: {
    restart: true,
    type: 'path',
    default: null,
    example: './web.yaml',
    why: 'Unset: no TLS, and whoever reaches the listener may write and look.',
    about:
      'TLS and authentication of the listener, in a file shaped as the web configuration file of Prometheus. It is read again when it, or a certificate, changes; see [security.md](security.md).',
  },
  data_dir: {
    restart: true,
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
  relabel_configs: {
    type: 'list',
    optional: true,
    about:
      'Rules for every series that comes in, in their order, before it is stored. A series that they drop is counted and forgotten. See [relabelling.md](relabelling.md).',
    sample: { source_labels: '[__name__]', regex: 'go_gc_.*', action: 'drop' },
    options: relabelOptions as typeof relabelOptions,
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
  kernel: {
    restart: true,
    type: 'enum',
    values: ['wasm', 'typescript'],
    default: 'wasm',
    why: 'Less than half the CPU for the same result. Where WebAssembly cannot be had, a warning is logged and the other one works.',
    about:
      'What decodes requests on the way in and encodes them on the way out: WebAssembly, or TypeScript alone.',
  },
  receiver: {
    type: 'section',
    about:
      'Limits of what comes in. They are checked before memory is taken. [limits.md](limits.md) says what a sender is told, and how much memory they add up to.',
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
          'What is held of requests at one time: the bytes that have arrived, and from decompression until its rows are on disk the decoded size. Over it a sender gets a 503 with Retry-After.',
      },
      max_series_per_request: {
        type: 'integer',
        unit: 'series',
        default: 250_000,
        min: 1,
        max: 100_000_000,
        why: 'As many as a segment takes, and a hundred times what senders put in a request; a bomb of empty series costs its sender a refusal, not us a second.',
        about:
          'The most series and metadata entries in one request, and an eighth of the most symbols in remote write 2.0. One with more is refused.',
      },
      max_rows_per_request: {
        type: 'integer',
        unit: 'samples',
        default: 2_000_000,
        min: 1,
        max: 100_000_000,
        why: 'More than 32 MiB hold as senders write them; a forged sample of two bytes takes five times that in memory.',
        about:
          'The most samples, histograms and exemplars in one request, together. One with more is refused.',
      },
      max_labels_per_series: {
        type: 'integer',
        unit: 'labels',
        default: 256,
        min: 1,
        max: 1_000_000,
        why: 'Far above what any storage takes by default (Mimir 30, VictoriaMetrics 40): a limit for accidents.',
        about:
          'The most labels of a series, or of an exemplar. One with more is refused, the rest of the request is kept.',
      },
      max_label_name_bytes: {
        type: 'size',
        default: '4KiB',
        min: '1B',
        max: '1GiB',
        why: 'Four times what Mimir takes by default: a limit for accidents.',
        about:
          'The longest label name. A series with a longer one is refused, the rest of the request is kept.',
      },
      max_label_value_bytes: {
        type: 'size',
        default: '64KiB',
        min: '1B',
        max: '1GiB',
        why: 'Sixteen times what VictoriaMetrics takes by default: room for a stack trace by mistake, not for a file.',
        about:
          'The longest label value, and the longest name, help or unit of metadata. A series or a metadata entry with a longer one is refused, the rest of the request is kept.',
      },
      request_timeout: {
        restart: true,
        type: 'duration',
        default: '30s',
        min: '1ms',
        max: '1h',
        why: 'The `remote_timeout` of a Prometheus sender, which does not wait for an answer any longer.',
        about:
          'How long a request may take to arrive. A later one gets a 503 with Retry-After, and its connection is closed.',
      },
      header_timeout: {
        restart: true,
        type: 'duration',
        default: '10s',
        min: '1ms',
        max: '1h',
        why: 'Headers are a packet or two; who takes longer is broken, or holds connections on purpose.',
        about:
          'How long the headers of a request may take to arrive, from its first byte or from the opening of the connection.',
      },
      body_idle_timeout: {
        type: 'duration',
        default: '10s',
        min: '1ms',
        max: '1h',
        why: 'Outlives lost packets, and gives back soon what a sender that is gone holds of `max_in_flight_bytes`.',
        about:
          'How long the body of a request may stand still. Then the sender gets a 503 with Retry-After, and its connection is closed.',
      },
      idle_timeout: {
        restart: true,
        type: 'duration',
        default: '2m',
        min: '1ms',
        max: '1d',
        why: 'Longer than any sender waits between requests, so that it is the sender that closes idle connections.',
        about:
          'A connection on which nothing moves for this long is closed, also one whose other side is gone without a word.',
      },
      max_connections: {
        restart: true,
        type: 'integer',
        unit: 'connections',
        default: 2000,
        min: 1,
        max: 1_000_000,
        why: 'Forty Prometheus servers with 50 shards each; an open connection takes some 30 KiB.',
        about:
          'The most connections that are open at one time. Over it the one that has waited longest without a request is closed, or the new one when all have made some.',
      },
      tenant_header: {
        type: 'string',
        default: null,
        example: 'X-Scope-OrgID',
        pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        allowed: 'the name of a header',
        why: 'Unset: a header can be forged, so that it is of use only where senders are trusted, or behind a proxy that sets it.',
        about:
          'The request header that says whose the series and metadata of a request are; without this key it is ignored. The same labels of two tenants are two series. A request with a tenant that cannot be one is refused with a 400. See [tenants.md](tenants.md).',
      },
      default_tenant: {
        type: 'string',
        default: null,
        example: 'anonymous',
        pattern: TENANT as string,
        allowed: tenantRule as string,
        why: 'Unset: such a request has no tenant.',
        about: 'The tenant of requests that do not say one.',
      },
      per_sender: {
        type: 'section',
        about:
          'Limits of each sender, so that one that goes astray is the only one that is slowed. Over one of them it gets a 503 with Retry-After. Off unless they are set.',
        options: {
          samples_per_second: {
            type: 'integer',
            unit: 'samples',
            default: null,
            example: 100_000,
            min: 1,
            max: 1_000_000_000,
            why: 'Unset: no limit. Only you know what a sender should send.',
            about:
              'Samples, histograms, exemplars and metadata entries that a sender may bring in a second, on average.',
          },
          burst: {
            type: 'duration',
            default: '10s',
            min: '1s',
            max: '1h',
            why: 'Senders write in batches, and catch up after a restart.',
            about: 'How many seconds of `samples_per_second` a sender that was silent may bring at once.',
          },
          in_flight_bytes: {
            type: 'size',
            default: null,
            example: '32MiB',
            min: '1B',
            max: '64GiB',
            why: 'Unset: the limit of all, `max_in_flight_bytes`.',
            about:
              'What is held of the requests of one sender at one time, counted as `max_in_flight_bytes` is.',
          },
          header: {
            type: 'string',
            default: null,
            example: 'X-Scope-OrgID',
            pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            allowed: 'the name of a header',
            why: 'Unset: a header can be forged, so that it is of use only behind a proxy that sets it.',
            about:
              'The request header that says who the sender is. Without it a sender is the user that has signed in, or else the address that the connection comes from (of IPv6 the first 64 bits).',
          },
        },
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
        restart: true,
        type: 'enum',
        values: ['snappy', 'brotli', 'none'],
        default: 'snappy',
        why: 'Disk space is what an outage uses up: `brotli` takes less of it for more CPU time, `none` the reverse.',
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
  dead_letters: {
    type: 'section',
    about:
      'Rows that an endpoint refused for good are kept in the ledger, with its words, for `spillway dead-letters`. Beyond these limits the ones that were refused first go, and are counted.',
    options: {
      max_rows: {
        type: 'integer',
        unit: 'letters',
        default: 100_000,
        min: 0,
        max: 1_000_000,
        why: 'A large target that is refused for half an hour, in some tens of megabytes.',
        about: 'The most letters that are kept, of all endpoints together. With 0 none are.',
      },
      max_age: {
        type: 'duration',
        default: '30d',
        min: '1s',
        max: '100y',
        why: 'Long enough for somebody to come back from holidays.',
        about: 'Letters that were refused longer ago are dropped.',
      },
    },
  },
  remote_write: {
    type: 'list',
    about:
      'The endpoints. Each of them gets everything, at its own pace. Without a configuration file there is one, `name: recent` with `url: sqlite:recent.db`: it keeps what came in the last hour in `recent.db` in the data directory, and sends nothing anywhere.',
    sample: { name: 'recent', url: 'sqlite:recent.db' },
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
          'Where to write. `sqlite:FILE`, relative to `data_dir`, is the built-in destination: it keeps recent samples in a SQLite file, for `spillway recent` and `/api/v1/recent`. It is not a store: see `keep` and `keep_samples`. Userinfo in the URL serves as `basic_auth` when no other credentials are given.',
      },
      write_relabel_configs: {
        type: 'list',
        optional: true,
        about:
          'Rules for every series that leaves to this endpoint, in their order, after `external_labels` are added. See [relabelling.md](relabelling.md).',
        sample: { source_labels: '[__name__]', regex: 'debug_.*', action: 'drop' },
        options: relabelOptions as typeof relabelOptions,
      },
      remote_timeout: {
        type: 'duration',
        default: '30s',
        min: '1ms',
        max: '1h',
        why: 'The default of Prometheus.',
        about: 'How long one request may take.',
      },
      wire_compression: {
        type: 'enum',
        values: ['fast', 'small'],
        default: 'fast',
        why: 'Over 1.0 it takes half the CPU of `small` and nearly no more bytes. Over 2.0 `small` sends about a twelfth fewer bytes for three to four and a half times the CPU (docs/performance.md): worth it where bytes are paid for, which most links to a store are not.',
        about:
          'How hard request bodies are compressed. Both are snappy, which every receiver reads; `fast` is written straight from the dictionary.',
      },
      protobuf_message: {
        type: 'enum',
        values: ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request', 'auto'],
        default: 'prometheus.WriteRequest',
        why: 'The default of Prometheus: 2.0 is not final, and 1.0 is what every receiver reads.',
        about:
          'The message that is sent: remote write 1.0, 2.0, or with `auto` 2.0 and, for an hour at a time, 1.0 when the receiver cannot read it. 2.0 carries metadata with each series, start timestamps and histograms with custom buckets; what 1.0 cannot carry is counted. `auto` is not in Prometheus. Only 1.0 for `sqlite:` URLs. See [remote-write-2.md](remote-write-2.md).',
      },
      send_exemplars: {
        type: 'boolean',
        default: true,
        why: 'Differs from Prometheus, which collects them itself: what came in was sent on purpose, and was acknowledged.',
        about: 'Whether to send exemplars. With `false` they are counted as `exemplars_off`.',
      },
      send_native_histograms: {
        type: 'boolean',
        default: true,
        why: 'Differs from Prometheus, for the same reason.',
        about:
          'Whether to send native histograms, in either version. With `false` they are counted as `histograms_off`.',
      },
      headers: {
        type: 'map',
        entries: 'header',
        about:
          'Headers that are added to each request, for example `X-Scope-OrgID` where all is of one tenant. The headers of the protocol cannot be replaced.',
      },
      tenant: tenantOptions as typeof tenantOptions,
      basic_auth: httpOptions.basic_auth as typeof httpOptions.basic_auth,
      authorization: httpOptions.authorization as typeof httpOptions.authorization,
      oauth2: httpOptions.oauth2 as typeof httpOptions.oauth2,
      sigv4: cloudOptions.sigv4 as typeof cloudOptions.sigv4,
      google_iam: cloudOptions.google_iam as typeof cloudOptions.google_iam,
      azuread: cloudOptions.azuread as typeof cloudOptions.azuread,
      tls_config: httpOptions.tls_config as typeof httpOptions.tls_config,
      proxy_url: httpOptions.proxy_url as typeof httpOptions.proxy_url,
      no_proxy: httpOptions.no_proxy as typeof httpOptions.no_proxy,
      proxy_from_environment: httpOptions.proxy_from_environment as typeof httpOptions.proxy_from_environment,
      proxy_connect_header: httpOptions.proxy_connect_header as typeof httpOptions.proxy_connect_header,
      bearer_token: httpOptions.bearer_token as typeof httpOptions.bearer_token,
      bearer_token_file: httpOptions.bearer_token_file as typeof httpOptions.bearer_token_file,
      follow_redirects: httpOptions.follow_redirects as typeof httpOptions.follow_redirects,
      enable_http2: httpOptions.enable_http2 as typeof httpOptions.enable_http2,
      round_robin_dns: httpOptions.round_robin_dns as typeof httpOptions.round_robin_dns,
      http_headers: httpOptions.http_headers as typeof httpOptions.http_headers,
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
            why: 'The default of Prometheus.',
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
            default: null,
            example: 2000,
            min: 1,
            max: 1_000_000,
            why: 'Unset: half of `capacity`, at most 10000. Few and full requests cost both sides less; a receiver that finds one too large is sent its parts.',
            about: 'The most samples in one request.',
          },
          batch_send_deadline: {
            type: 'duration',
            default: null,
            example: '5s',
            min: '1ms',
            max: '1h',
            why: 'Unset: what comes after a pause leaves at once; else there are five requests a second that are not full.',
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
          probe_interval: {
            type: 'duration',
            default: '1s',
            min: '0s',
            max: '1d',
            why: 'Delivery goes on within a second of the return of an endpoint, at the price of a request a second.',
            about:
              'While requests fail for want of an answer, or with a 5xx, one loop of the endpoint tries at least so often, and the others follow it at once when it gets through. A wait that the endpoint asks for (`Retry-After`) is kept. 0s: all of them wait as `max_backoff` says.',
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
      rate_limit: {
        type: 'section',
        about:
          'The most that leaves for this endpoint in a second, on average; the rest waits on disk. Off unless it is set. Not in Prometheus.',
        options: {
          samples: {
            type: 'integer',
            unit: 'samples',
            default: null,
            example: 100_000,
            min: 1,
            max: 1_000_000_000,
            why: 'Unset: no limit.',
            about:
              'Samples, histograms, exemplars and metadata entries a second, those that are sent again too.',
          },
          bytes: {
            type: 'size',
            default: null,
            example: '10MiB',
            min: '1KiB',
            max: '1TiB',
            why: 'Unset: no limit.',
            about: 'Bytes a second, of request bodies as they are sent: compressed, without headers.',
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
              'Whether to send a request that is refused (400, 409, 413, 422, ...) again in parts, until the rows at fault stand alone. Only these are given up, and only when the endpoint takes others; an endpoint that refuses everything is held. Rows that it calls old (out of order, duplicate, out of bounds, too old) are given up on its word.',
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
            about:
              'How long metadata that has not changed is left out. What a sender of remote write 2.0 says with its series is sent over 1.0 again each time, as long as they come.',
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
