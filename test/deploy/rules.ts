import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { projectDir } from '../support/paths.ts';

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The alerts that are shipped. */
export function shippedRules(): Rule[] {
  const text = readFileSync(join(projectDir, 'deploy/prometheus/spillway-alerts.yml'), 'utf8');
  return (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

/** The Grafana dashboard that is shipped. */
export function shippedDashboard(): Dashboard {
  return JSON.parse(
    readFileSync(join(projectDir, 'deploy/grafana/spillway-dashboard.json'), 'utf8'),
  ) as Dashboard;
}

/** As Grafana asks it, with all of each variable chosen. */
export function withVariables(expr: string, rateInterval: string): string {
  return expr.replaceAll('$__rate_interval', rateInterval).replaceAll(/\$(job|instance|endpoint)\b/g, '.+');
}
