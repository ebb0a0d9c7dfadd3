import type { Config } from '../config/load.ts';

/** What a person needs to know when the agent has started: where it listens, what to paste, where data goes. */
export function startText(config: Config, url: string, warnings: readonly string[] = []): string {
  const endpoints = config.remoteWrite.map((endpoint) => `  ${endpoint.name}: ${endpoint.url.text}`);
  const recent = config.remoteWrite.some((endpoint) => endpoint.url.kind === 'sqlite');
  return [
    `Spillway is listening on ${url}`,
    ...warnings.flatMap((warning) => ['', `WARNING: ${warning}`]),
    '',
    'Paste this into prometheus.yml and restart or reload Prometheus:',
    '',
    '  remote_write:',
    `    - url: ${url}/api/v1/write`,
    '',
    `Data that waits is in ${config.dataDir}; it is delivered to`,
    ...endpoints,
    ...(recent ? ['', `Look a series up:  curl '${url}/api/v1/recent?match=up'`] : []),
    '',
  ].join('\n');
}

export interface ConsoleSummary {
  readonly receivedRows: number;
  readonly refusedRows: number;
  readonly endpoints: readonly {
    readonly name: string;
    readonly deliveredRows: number;
    readonly droppedRows: number;
    readonly waitingRows: number;
    readonly failing: boolean;
  }[];
}

/** One line that says what arrives and what is delivered. */
export function progressText(summary: ConsoleSummary): string {
  const refused = summary.refusedRows > 0 ? ` (refused ${number(summary.refusedRows)})` : '';
  const endpoints = summary.endpoints.map((endpoint) => {
    const dropped = endpoint.droppedRows > 0 ? `, dropped ${number(endpoint.droppedRows)}` : '';
    const failing = endpoint.failing ? ', failing: see the log' : '';
    return `${endpoint.name}: delivered ${number(endpoint.deliveredRows)}, waiting ${number(endpoint.waitingRows)}${dropped}${failing}`;
  });
  return `received ${number(summary.receivedRows)} rows${refused} | ${endpoints.join(' | ')}`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
