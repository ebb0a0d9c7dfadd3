/**
 * The series of the workload: a Kubernetes fleet as Prometheus sees it, the same on every machine.
 *
 * A hundred series per pod, eleven labels each on average (10 that say where, up to 2 that say what), sorted
 * by name. Kept as the bytes of their protobuf `Label` fields ("label block"), which is what both sides need:
 * the load writes them, the sink compares with them.
 */

/** How the values of a metric move; see `Workload.setValue`. */
export type Kind = 'count' | 'seconds' | 'gauge' | 'bytes';

const SERIES_PER_POD = 100;
/** Bound of a label block, with room to spare. */
export const MAX_BLOCK_BYTES = 512;

const SERVICES = [
  ['checkout', 'payments', 'http'],
  ['ledger-writer', 'payments', 'grpc'],
  ['fraud-scoring', 'payments', 'grpc'],
  ['product-search', 'storefront', 'http'],
  ['cart', 'storefront', 'http'],
  ['recommendations', 'storefront', 'grpc'],
  ['session-store', 'identity', 'grpc'],
  ['token-issuer', 'identity', 'http'],
  ['shipment-tracker', 'fulfilment', 'http'],
  ['warehouse-sync', 'fulfilment', 'http'],
  ['notification-gateway', 'messaging', 'http'],
  ['email-renderer', 'messaging', 'grpc'],
] as const;

const REGIONS = ['eu-west-1', 'eu-central-1', 'us-east-1', 'ap-southeast-2'] as const;

interface Template {
  readonly name: string;
  readonly kind: Kind;
  readonly labels: Readonly<Record<string, string>>;
}

const TEMPLATES = templates();

/** The label blocks of `count` series, back to back: series `i` is `bytes` from `starts[i]` to `starts[i+1]`. */
export class SeriesSet {
  readonly count: number;
  readonly bytes: Buffer;
  readonly starts: Uint32Array;

  constructor(count: number) {
    this.count = count;
    this.starts = new Uint32Array(count + 1);
    const bytes = Buffer.allocUnsafeSlow(count * MAX_BLOCK_BYTES);
    let at = 0;
    for (let series = 0; series < count; series++) {
      for (const [name, value] of labelsOf(series)) at = writeLabel(bytes, at, name, value);
      this.starts[series + 1] = at;
    }
    this.bytes = bytes.subarray(0, at);
  }
}

/** The pod that exposes `series`; its series are scraped at the same instant. */
export function podOf(series: number): number {
  return Math.floor(series / SERIES_PER_POD);
}

export function kindOf(series: number): Kind {
  return TEMPLATES[series % SERIES_PER_POD]!.kind;
}

/** 32 well-mixed bits of two integers (the finalizer of MurmurHash3): all the randomness of the workload. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function labelsOf(series: number): [string, string][] {
  const pod = podOf(series);
  const template = TEMPLATES[series % SERIES_PER_POD]!;
  const [service, namespace, port] = SERVICES[pod % SERVICES.length]!;
  const region = REGIONS[mix(pod, 1) % REGIONS.length]!;
  const node = mix(Math.floor(pod / 16), 2);
  const address = `10.${42 + (pod >>> 16)}.${(pod >>> 8) & 255}.${pod & 255}`;
  const labels = {
    __name__: template.name,
    cluster: `production-${region}-a`,
    container: service,
    instance: `${address}:8080`,
    job: `${namespace}/${service}`,
    namespace,
    node: `ip-10-${node & 63}-${(node >>> 8) & 255}-${(node >>> 16) & 255}.${region}.compute.internal`,
    pod: `${service}-${hex(mix(pod % SERVICES.length, 3))}-${hex(mix(pod, 4)).slice(0, 5)}`,
    region,
    service: `${service}-${port}`,
    ...template.labels,
  };
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Two histograms, requests by method and status, and the metrics of a process: 100 series. */
function templates(): Template[] {
  const methods = ['GET', 'POST', 'DELETE'];
  const bounds = [
    '0.005',
    '0.01',
    '0.025',
    '0.05',
    '0.1',
    '0.25',
    '0.5',
    '1',
    '2.5',
    '5',
    '10',
    '30',
    '60',
    '+Inf',
  ];
  const histogram = (name: string, labels: Record<string, string>): Template[] => [
    ...bounds.map((le): Template => ({ name: `${name}_bucket`, kind: 'count', labels: { ...labels, le } })),
    { name: `${name}_sum`, kind: 'seconds', labels },
    { name: `${name}_count`, kind: 'count', labels },
  ];
  const plain = (kind: Kind, names: string): Template[] =>
    names.split(' ').map((name) => ({ name, kind, labels: {} }));
  return [
    ...methods.flatMap((method) => histogram('http_server_request_duration_seconds', { method })),
    ...histogram('grpc_client_handling_seconds', { grpc_service: 'inventory.v1.Inventory' }),
    ...methods.flatMap((method) =>
      ['200', '404', '429', '500'].map(
        (status): Template => ({
          name: 'http_server_requests_total',
          kind: 'count',
          labels: { method, status },
        }),
      ),
    ),
    ...plain(
      'bytes',
      'process_resident_memory_bytes process_virtual_memory_bytes container_memory_working_set_bytes ' +
        'container_memory_cache container_memory_rss nodejs_heap_size_used_bytes nodejs_external_memory_bytes',
    ),
    ...plain(
      'seconds',
      'process_cpu_seconds_total container_cpu_usage_seconds_total nodejs_gc_seconds_total',
    ),
    ...plain(
      'count',
      'container_network_receive_packets_total container_network_transmit_packets_total process_open_fds ' +
        'container_fs_reads_total container_fs_writes_total process_threads nodejs_active_handles ' +
        'container_cpu_cfs_periods_total container_cpu_cfs_throttled_periods_total',
    ),
    ...plain(
      'gauge',
      'nodejs_eventloop_lag_seconds nodejs_eventloop_lag_p99_seconds queue_utilization_ratio ' +
        'cache_hit_ratio pool_wait_seconds',
    ),
  ];
}

/** Writes a `Label` field; the lengths of this workload fit one byte each, its text is ASCII. */
function writeLabel(bytes: Buffer, start: number, name: string, value: string): number {
  let at = start;
  bytes[at++] = 0x0a;
  bytes[at++] = name.length + value.length + 4;
  bytes[at++] = 0x0a;
  bytes[at++] = name.length;
  at += bytes.write(name, at, 'latin1');
  bytes[at++] = 0x12;
  bytes[at++] = value.length;
  return at + bytes.write(value, at, 'latin1');
}

function hex(bits: number): string {
  return bits.toString(16).padStart(8, '0');
}
