import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { projectDir } from '../support/paths.ts';

export const read = (path: string): string => readFileSync(join(projectDir, 'deploy', path), 'utf8');

/** The settings of a unit file; those that are given several times, in their order. */
export function unitSettings(text: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    if (key !== undefined) settings.set(key, [...(settings.get(key) ?? []), value!]);
  }
  return settings;
}

/** The instructions of a Dockerfile, lines that go on put together. */
export function dockerInstructions(text: string): readonly (readonly [name: string, rest: string])[] {
  return text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const at = line.indexOf(' ');
      return [line.slice(0, at), line.slice(at + 1).trim()] as const;
    });
}

/** An object of Kubernetes: what it has beside its kind and name is looked into by path. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec: Spec;
}

type Labels = Readonly<Record<string, string>>;

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Spec {
  readonly replicas: number;
  readonly serviceName: string;
  readonly selector: Labels & { readonly matchLabels?: Labels };
  readonly podSelector: { readonly matchLabels: Labels };
  readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
  readonly ingress: readonly { readonly ports: readonly { readonly port: string }[] }[];
  readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
  readonly template: {
    readonly metadata: { readonly labels: Labels };
    readonly spec: {
      readonly serviceAccountName: string;
      readonly terminationGracePeriodSeconds: number;
      readonly securityContext: { readonly runAsUser: number; readonly runAsNonRoot: boolean };
      readonly containers: readonly Container[];
      readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
    };
  };
}

export function manifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return document.toJS() as Manifest;
  });
}
