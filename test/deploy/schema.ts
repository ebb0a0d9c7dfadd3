/**
 * The part of the Kubernetes API that the manifests use, by hand: there is no cluster here that would say that a key is
 * misspelt. A text names a kind of value, a list holds the shape of its items.
 */
export type Shape = 'text' | 'number' | 'flag' | 'port' | 'quantity' | 'texts' | readonly [Shape] | Fields;

export interface Fields {
  readonly [key: string]: Shape;
}

const selector: Fields = { matchLabels: 'texts' };
const probe: Fields = {
  httpGet: { path: 'text', port: 'port' },
  periodSeconds: 'number',
  timeoutSeconds: 'number',
  failureThreshold: 'number',
};
const claims: Fields = { cpu: 'quantity', memory: 'quantity', storage: 'quantity' };
const container: Fields = {
  name: 'text',
  image: 'text',
  args: ['text'],
  ports: [{ name: 'text', containerPort: 'number' }],
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
  resources: { requests: claims, limits: claims },
  securityContext: {
    allowPrivilegeEscalation: 'flag',
    readOnlyRootFilesystem: 'flag',
    capabilities: { drop: ['text'] },
  },
  volumeMounts: [{ name: 'text', mountPath: 'text', readOnly: 'flag' }],
};
const pod: Fields = {
  serviceAccountName: 'text',
  automountServiceAccountToken: 'flag',
  enableServiceLinks: 'flag',
  terminationGracePeriodSeconds: 'number',
  securityContext: {
    runAsNonRoot: 'flag',
    runAsUser: 'number',
    runAsGroup: 'number',
    fsGroup: 'number',
    fsGroupChangePolicy: 'text',
    seccompProfile: { type: 'text' },
  },
  containers: [container],
  volumes: [{ name: 'text', configMap: { name: 'text' } }],
};
const peers: Shape = [{ podSelector: selector, namespaceSelector: selector }];
const policyPorts: Shape = [{ port: 'port', protocol: 'text' }];
const metadata: Fields = { name: 'text', labels: 'texts', annotations: 'texts' };

/** By `apiVersion/kind`. */
export const shapes: Fields = Object.fromEntries(
  Object.entries({
    'v1/ServiceAccount': { automountServiceAccountToken: 'flag' },
    'v1/ConfigMap': { data: 'texts' },
    'v1/Service': {
      spec: {
        clusterIP: 'text',
        publishNotReadyAddresses: 'flag',
        selector: 'texts',
        ports: [{ name: 'text', port: 'number', targetPort: 'port' }],
      },
    },
    'apps/v1/StatefulSet': {
      spec: {
        replicas: 'number',
        serviceName: 'text',
        selector,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'text', whenScaled: 'text' },
        template: { metadata, spec: pod },
        volumeClaimTemplates: [
          { metadata, spec: { accessModes: ['text'], resources: { requests: claims } } },
        ],
      },
    },
    'policy/v1/PodDisruptionBudget': { spec: { maxUnavailable: 'port', selector } },
    'networking.k8s.io/v1/NetworkPolicy': {
      spec: {
        podSelector: selector,
        policyTypes: ['text'],
        ingress: [{ from: peers, ports: policyPorts }],
        egress: [{ to: peers, ports: policyPorts }],
      },
    },
  } satisfies Record<string, Fields>).map(([kind, fields]) => [
    kind,
    { apiVersion: 'text', kind: 'text', metadata, ...fields },
  ]),
);

/** What of `value` is not of that shape, by path. */
export function misfits(value: unknown, shape: Shape | undefined, path: string): string[] {
  const isOf = (fits: boolean): string[] =>
    fits ? [] : [`${path}: ${JSON.stringify(value)} is not a ${shape}`];
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  switch (shape) {
    case undefined:
      return [`${path} is not known`];
    case 'text':
      return isOf(typeof value === 'string' && value !== '');
    case 'number':
      return isOf(Number.isInteger(value));
    case 'flag':
      return isOf(typeof value === 'boolean');
    case 'port':
      return isOf(
        Number.isInteger(value) || (typeof value === 'string' && /^[a-z][a-z0-9-]{0,14}$/.test(value)),
      );
    case 'quantity':
      return isOf(/^\d+(?:m|Ki|Mi|Gi|Ti)?$/.test(String(value)));
    case 'texts':
      return isOf(isMap && Object.values(value as object).every((one) => typeof one === 'string'));
    default:
  }
  if (isList(shape)) {
    if (!Array.isArray(value)) return [`${path} is not a list`];
    return value.flatMap((item, i) => misfits(item, shape[0], `${path}[${i}]`));
  }
  if (!isMap) return [`${path} is not a map`];
  return Object.entries(value as object).flatMap(([key, one]) =>
    misfits(one, Object.hasOwn(shape, key) ? shape[key] : undefined, `${path}.${key}`),
  );
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}
