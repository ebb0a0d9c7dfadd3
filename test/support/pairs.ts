/** A sender and a receiver of other makes, with Spillway between them. */
export interface Pair {
  readonly sender: 'prometheus' | 'prometheus-3' | 'vmagent' | 'vmagent-debian';
  readonly receiver:
    | 'prometheus'
    | 'prometheus-3'
    | 'victoria-metrics'
    | 'victoria-metrics-debian'
    | 'vmagent';
  /** What a Prometheus is told to send; it takes the key since 2.54. */
  readonly message?: 'prometheus.WriteRequest' | 'io.prometheus.write.v2.Request';
  /** What Spillway is told to send. */
  readonly out?: 'prometheus.WriteRequest' | 'io.prometheus.write.v2.Request' | 'auto';
}

/** Those that are run. docs/compatibility.md lists them, and a test compares. */
export const pairs: readonly Pair[] = [
  { sender: 'prometheus', receiver: 'victoria-metrics' },
  { sender: 'prometheus-3', receiver: 'prometheus-3', message: 'prometheus.WriteRequest' },
  { sender: 'prometheus-3', receiver: 'victoria-metrics-debian', message: 'prometheus.WriteRequest' },
  { sender: 'vmagent', receiver: 'victoria-metrics' },
  { sender: 'vmagent', receiver: 'prometheus-3' },
  { sender: 'vmagent-debian', receiver: 'prometheus' },
  { sender: 'prometheus-3', receiver: 'prometheus-3', out: 'io.prometheus.write.v2.Request' },
  {
    sender: 'prometheus-3',
    receiver: 'prometheus-3',
    message: 'io.prometheus.write.v2.Request',
    out: 'auto',
  },
  { sender: 'prometheus-3', receiver: 'prometheus', message: 'io.prometheus.write.v2.Request' },
  { sender: 'vmagent', receiver: 'prometheus-3', out: 'auto' },
  { sender: 'vmagent', receiver: 'victoria-metrics', out: 'auto' },
  { sender: 'prometheus', receiver: 'prometheus', out: 'auto' },
  {
    sender: 'prometheus-3',
    receiver: 'vmagent',
    message: 'io.prometheus.write.v2.Request',
    out: 'auto',
  },
];
