/**
 * The flags of vmagent 1.145: what each takes, and of those that become no setting what that means here. A flag that is
 * in none of the tables is an error: it would be lost in silence.
 */

/** Whether a flag needs a value behind it, and whether it takes one for each URL. */
export type FlagKind = 'switch' | 'value' | 'switches' | 'values';

/** Flags that become settings; vmagent.ts says which. */
export const convertedFlags = {
  enableMetadata: 'switch',
  httpListenAddr: 'values',
  loggerFormat: 'value',
  loggerLevel: 'value',
  maxInsertRequestSize: 'value',
  maxLabelNameLen: 'value',
  maxLabelValueLen: 'value',
  maxLabelsPerTimeseries: 'value',
  'remoteWrite.aws.accessKey': 'values',
  'remoteWrite.aws.region': 'values',
  'remoteWrite.aws.roleARN': 'values',
  'remoteWrite.aws.secretKey': 'values',
  'remoteWrite.aws.service': 'values',
  'remoteWrite.aws.useSigv4': 'switches',
  'remoteWrite.basicAuth.password': 'values',
  'remoteWrite.basicAuth.passwordFile': 'values',
  'remoteWrite.basicAuth.username': 'values',
  'remoteWrite.basicAuth.usernameFile': 'values',
  'remoteWrite.bearerToken': 'values',
  'remoteWrite.bearerTokenFile': 'values',
  'remoteWrite.disableMetadata': 'switches',
  'remoteWrite.flushInterval': 'value',
  'remoteWrite.headers': 'values',
  'remoteWrite.label': 'values',
  'remoteWrite.maxDiskUsagePerURL': 'values',
  'remoteWrite.maxMetadataPerBlock': 'value',
  'remoteWrite.maxRowsPerBlock': 'value',
  'remoteWrite.oauth2.clientID': 'values',
  'remoteWrite.oauth2.clientSecret': 'values',
  'remoteWrite.oauth2.clientSecretFile': 'values',
  'remoteWrite.oauth2.endpointParams': 'values',
  'remoteWrite.oauth2.scopes': 'values',
  'remoteWrite.oauth2.tokenUrl': 'values',
  'remoteWrite.proxyURL': 'values',
  'remoteWrite.queues': 'values',
  'remoteWrite.rateLimit': 'values',
  'remoteWrite.relabelConfig': 'value',
  'remoteWrite.retryMaxInterval': 'values',
  'remoteWrite.retryMaxTime': 'values',
  'remoteWrite.retryMinInterval': 'values',
  'remoteWrite.sendTimeout': 'values',
  'remoteWrite.tlsCAFile': 'values',
  'remoteWrite.tlsCertFile': 'values',
  'remoteWrite.tlsInsecureSkipVerify': 'switches',
  'remoteWrite.tlsKeyFile': 'values',
  'remoteWrite.tlsServerName': 'values',
  'remoteWrite.tmpDataPath': 'value',
  'remoteWrite.url': 'values',
  'remoteWrite.urlRelabelConfig': 'values',
} as const;

export type ConvertedFlag = keyof typeof convertedFlags;

/** Flags that say how the others are read. */
export const readingFlags = {
  'envflag.enable': 'switch',
  'envflag.prefix': 'value',
} as const;

interface LeftOut {
  /** What it means for whoever moves over. */
  readonly about: string;
  readonly switches?: readonly string[];
  readonly values?: readonly string[];
}

/** Flags that become nothing, by what that means. */
export const leftOutFlags: readonly LeftOut[] = [
  {
    about:
      'the addresses of AWS are those of its libraries: set `AWS_ENDPOINT_URL_STS` or `AWS_EC2_METADATA_SERVICE_ENDPOINT` in the environment',
    values: ['remoteWrite.aws.ec2Endpoint', 'remoteWrite.aws.stsEndpoint'],
  },
  {
    about: 'the queue is always on disk: nothing is acknowledged before',
    switches: ['remoteWrite.disableOnDiskQueue', 'remoteWrite.dropSamplesOnOverload'],
  },
  {
    about:
      'remote write 1.0 with snappy is what is sent in any case, and VictoriaMetrics takes it; its own protocol (zstd) is not spoken',
    switches: ['remoteWrite.forcePromProto', 'remoteWrite.forceVMProto'],
    values: ['remoteWrite.vmProtoCompressLevel'],
  },
  {
    about: 'what waits for an endpoint that is configured no more is kept until it is dropped on purpose',
    switches: ['remoteWrite.keepDanglingQueues'],
  },
  {
    about: 'requests are limited by rows (`max_samples_per_send`), not by bytes',
    values: ['remoteWrite.maxBlockSize'],
  },
  {
    about: 'no limit on the number of series: DATA DIFFERS, series that vmagent would drop are delivered',
    values: ['remoteWrite.maxDailySeries', 'remoteWrite.maxHourlySeries'],
  },
  {
    about: 'values are never changed: DATA DIFFERS, they are delivered with all of their digits',
    values: ['remoteWrite.roundDigits', 'remoteWrite.significantFigures'],
  },
  {
    about:
      'every endpoint gets everything: DATA DIFFERS, series are not divided. To divide them, give each endpoint `write_relabel_configs` with `hashmod` and `keep`',
    switches: ['remoteWrite.shardByURL'],
    values: [
      'remoteWrite.shardByURL.ignoreLabels',
      'remoteWrite.shardByURL.labels',
      'remoteWrite.shardByURLReplicas',
    ],
  },
  {
    about: 'metrics and logs call endpoints by `name`; the status page shows URLs without their credentials',
    switches: ['remoteWrite.showURL'],
  },
  {
    about:
      'no stream aggregation or deduplication: DATA DIFFERS, samples are delivered as they came in. Leave a vmagent with these flags before or behind Spillway',
    switches: [
      'remoteWrite.streamAggr.dropInput',
      'remoteWrite.streamAggr.enableWindows',
      'remoteWrite.streamAggr.ignoreOldSamples',
      'remoteWrite.streamAggr.keepInput',
      'streamAggr.dropInput',
      'streamAggr.enableWindows',
      'streamAggr.ignoreOldSamples',
      'streamAggr.keepInput',
    ],
    values: [
      'remoteWrite.streamAggr.config',
      'remoteWrite.streamAggr.dedupInterval',
      'remoteWrite.streamAggr.dropInputLabels',
      'remoteWrite.streamAggr.ignoreFirstIntervals',
      'streamAggr.config',
      'streamAggr.dedupInterval',
      'streamAggr.dropInputLabels',
      'streamAggr.ignoreFirstIntervals',
    ],
  },
  { about: '`remote_timeout` covers the handshake, too', values: ['remoteWrite.tlsHandshakeTimeout'] },
  {
    about: 'Spillway scrapes nothing: let vmagent or Prometheus go on scraping, and write to Spillway',
    switches: [
      'promscrape.config.dryRun',
      'promscrape.config.strictParse',
      'promscrape.disableCompression',
      'promscrape.disableKeepAlive',
      'promscrape.dropOriginalLabels',
      'promscrape.kubernetes.attachNamespaceMetadataAll',
      'promscrape.kubernetes.attachNodeMetadataAll',
      'promscrape.kubernetes.useHTTP2Client',
      'promscrape.noStaleMarkers',
      'promscrape.streamParse',
      'promscrape.suppressDuplicateScrapeTargetErrors',
      'promscrape.suppressScrapeErrors',
    ],
    values: [
      'promscrape.azureSDCheckInterval',
      'promscrape.cluster.memberLabel',
      'promscrape.cluster.memberNum',
      'promscrape.cluster.memberURLTemplate',
      'promscrape.cluster.membersCount',
      'promscrape.cluster.name',
      'promscrape.cluster.replicationFactor',
      'promscrape.config',
      'promscrape.configCheckInterval',
      'promscrape.consul.waitTime',
      'promscrape.consulSDCheckInterval',
      'promscrape.consulagentSDCheckInterval',
      'promscrape.digitaloceanSDCheckInterval',
      'promscrape.discovery.concurrency',
      'promscrape.discovery.concurrentWaitTime',
      'promscrape.dnsSDCheckInterval',
      'promscrape.dockerSDCheckInterval',
      'promscrape.dockerswarmSDCheckInterval',
      'promscrape.ec2SDCheckInterval',
      'promscrape.eurekaSDCheckInterval',
      'promscrape.fileSDCheckInterval',
      'promscrape.gceSDCheckInterval',
      'promscrape.hetznerSDCheckInterval',
      'promscrape.httpSDCheckInterval',
      'promscrape.kubernetes.apiServerTimeout',
      'promscrape.kubernetesSDCheckInterval',
      'promscrape.kumaSDCheckInterval',
      'promscrape.marathonSDCheckInterval',
      'promscrape.maxDroppedTargets',
      'promscrape.maxResponseHeadersSize',
      'promscrape.maxScrapeSize',
      'promscrape.minResponseSizeForStreamParse',
      'promscrape.nomad.waitTime',
      'promscrape.nomadSDCheckInterval',
      'promscrape.openstackSDCheckInterval',
      'promscrape.ovhcloudSDCheckInterval',
      'promscrape.puppetdbSDCheckInterval',
      'promscrape.seriesLimitPerTarget',
      'promscrape.suppressScrapeErrorsDelay',
      'promscrape.vultrSDCheckInterval',
      'promscrape.yandexcloudSDCheckInterval',
    ],
  },
  {
    about:
      'Spillway receives remote write and nothing else: what comes in by another protocol needs a vmagent in front',
    switches: [
      'datadog.sanitizeMetricName',
      'graphite.sanitizeMetricName',
      'graphiteListenAddr.useProxyProtocol',
      'influx.forceStreamMode',
      'influxListenAddr.useProxyProtocol',
      'influxSkipMeasurement',
      'influxSkipSingleField',
      'opentelemetry.convertMetricNamesToPrometheus',
      'opentelemetry.labelNameUnderscoreSanitization',
      'opentelemetry.promoteAllResourceAttributes',
      'opentelemetry.promoteScopeMetadata',
      'opentelemetry.usePrometheusNaming',
      'opentsdbHTTPListenAddr.useProxyProtocol',
      'opentsdbListenAddr.useProxyProtocol',
    ],
    values: [
      'csvTrimTimestamp',
      'datadog.maxInsertRequestSize',
      'graphiteListenAddr',
      'graphiteTrimTimestamp',
      'import.maxLineLen',
      'influx.databaseNames',
      'influx.maxLineSize',
      'influx.maxRequestSize',
      'influxDBLabel',
      'influxListenAddr',
      'influxMeasurementFieldSeparator',
      'influxTrimTimestamp',
      'newrelic.maxInsertRequestSize',
      'opentelemetry.ignoreResourceAttributes',
      'opentelemetry.maxRequestSize',
      'opentelemetry.promoteResourceAttributes',
      'opentsdbHTTPListenAddr',
      'opentsdbListenAddr',
      'opentsdbTrimTimestamp',
      'opentsdbhttp.maxInsertRequestSize',
      'opentsdbhttpTrimTimestamp',
      'zabbixconnector.addDuplicateTagsSeparator',
      'zabbixconnector.addEmptyTagsValue',
      'zabbixconnector.addGroupsValue',
      'zabbixconnector.maxLineLen',
    ],
  },
  {
    about:
      'names are not changed on the way: DATA DIFFERS where senders use characters that Prometheus did not allow',
    switches: ['usePromCompatibleNaming'],
  },
  {
    about:
      'TLS and credentials of the listener go into the file that `web_config_file` names, with bcrypt hashes (`spillway hash-password`)',
    switches: ['tls'],
    values: [
      'httpAuth.password',
      'httpAuth.username',
      'tlsCertFile',
      'tlsCipherSuites',
      'tlsKeyFile',
      'tlsMinVersion',
      'configAuthKey',
      'flagsAuthKey',
      'metricsAuthKey',
      'pprofAuthKey',
      'reloadAuthKey',
    ],
  },
  {
    about: 'tenants in the path or in headers of requests are not told apart',
    switches: ['enableMultitenancyViaHeaders', 'enableMultitenantHandlers'],
  },
  {
    about:
      'paths and headers of the listener are fixed: /api/v1/write takes remote write. Connections have limits under `receiver`; the rest is for a proxy in front',
    switches: [
      'enableTCP6',
      'http.disableCORS',
      'http.disableKeepAlive',
      'http.disableResponseCompression',
      'httpListenAddr.useProxyProtocol',
    ],
    values: [
      'http.connTimeout',
      'http.header.csp',
      'http.header.frameOptions',
      'http.header.hsts',
      'http.idleConnTimeout',
      'http.pathPrefix',
      'http.shutdownDelay',
    ],
  },
  { about: 'as `shutdown_grace`, which is about delivering', values: ['http.maxGracefulShutdownDuration'] },
  {
    about:
      'what senders bring is limited in bytes, by `receiver.max_in_flight_bytes`, and for each of them by `receiver.per_sender`',
    values: ['insert.maxQueueDuration', 'maxConcurrentInserts', 'maxIngestionRate'],
  },
  {
    about: 'memory is bounded by the limits under `receiver`, `wal` and `queue_config`',
    switches: ['internStringDisableCache'],
    values: [
      'blockcache.missesBeforeCaching',
      'cacheExpireDuration',
      'internStringCacheExpireDuration',
      'internStringMaxLen',
      'memory.allowedBytes',
      'memory.allowedPercent',
      'prevCacheRemovalPercent',
    ],
  },
  {
    about:
      'log lines go to standard error as logfmt or JSON, in UTC, and repeated ones are counted instead of written',
    switches: ['loggerDisableTimestamps'],
    values: [
      'loggerErrorsPerSecondLimit',
      'loggerJSONFields',
      'loggerMaxArgLen',
      'loggerOutput',
      'loggerTimezone',
      'loggerWarnsPerSecondLimit',
    ],
  },
  {
    about: 'our own metrics are at /metrics: let something scrape them',
    switches: ['metrics.exposeMetadata', 'pushmetrics.disableCompression'],
    values: ['pushmetrics.extraLabel', 'pushmetrics.header', 'pushmetrics.interval', 'pushmetrics.url'],
  },
  { about: 'labels are always sorted', switches: ['sortLabels'] },
  { about: 'secrets are never shown', values: ['secret.flags'] },
  {
    about: 'no counterpart, and none is needed',
    switches: [
      'denyQueryTracing',
      'dryRun',
      'filestream.disableFadvise',
      'fs.disableMincore',
      'fs.disableMmap',
      'version',
    ],
    values: ['fs.maxConcurrency'],
  },
];

/** What each flag that becomes nothing takes, and what its loss means. */
export const leftOut: ReadonlyMap<string, { readonly kind: FlagKind; readonly about: string }> = new Map(
  leftOutFlags.flatMap(({ about, switches = [], values = [] }) => {
    const as = (kind: FlagKind) => (name: string) => [name, { kind, about }] as const;
    return [...switches.map(as('switch')), ...values.map(as('value'))];
  }),
);

/** What a flag takes; undefined for one that vmagent does not have. */
export function kindOfFlag(name: string): FlagKind | undefined {
  if (Object.hasOwn(convertedFlags, name)) return convertedFlags[name as ConvertedFlag];
  if (Object.hasOwn(readingFlags, name)) return readingFlags[name as keyof typeof readingFlags];
  return leftOut.get(name)?.kind;
}

/** Every flag that is known. */
export function knownFlags(): readonly string[] {
  return [...Object.keys(convertedFlags), ...Object.keys(readingFlags), ...leftOut.keys()];
}
