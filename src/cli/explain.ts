import type { ConfigText } from '../agent.ts';
import { parseConfig } from '../config/load.ts';
import { explainSeries, labelsOfSelector, placesIn } from '../explain/explain.ts';
import type { Labels, RuleStep } from '../explain/explanation.ts';
import { seriesText } from '../promql/series-text.ts';
import { explainPath, type LiveExplanation, type LiveFacts } from '../status/explain-route.ts';
import { AgentClient, agentUrl } from './agent-client.ts';
import { type Paint, paintFor } from './colour.ts';
import { CommandError, UsageError } from './errors.ts';

export interface ExplainFlags {
  readonly selector: string;
  readonly tenant: string | undefined;
  readonly config: ConfigText;
  readonly url: string | undefined;
  readonly httpConfig: string | undefined;
  /** Go by the configuration alone. */
  readonly offline: boolean;
  readonly json: boolean;
}

/**
 * `spillway explain SELECTOR`; returns the exit code: 0 when some endpoint is sent the series, 1 when none is. Throws
 * `UsageError`, `CommandError` and `ConfigError`.
 */
export async function explainCommand(
  flags: ExplainFlags,
  output: { readonly isTTY?: boolean; write(text: string): unknown },
): Promise<number> {
  let labels: Labels;
  try {
    labels = labelsOfSelector(flags.selector);
  } catch (cause) {
    throw new UsageError(`explain ${flags.selector}`, {}, cause);
  }
  const config = parseConfig(flags.config.text, flags.config);
  const explanation: LiveExplanation = flags.offline
    ? explainSeries(config, placesIn(flags.config.text, flags.config.file), labels, flags.tenant)
    : await ask(
        new AgentClient(
          flags.url ?? agentUrl(config),
          flags.httpConfig,
          'with --offline the configuration alone is asked; ',
        ),
        flags,
      );
  if (flags.json) output.write(`${JSON.stringify(explanation)}\n`);
  else output.write(explanationText(explanation, paintFor(output)));
  return explanation.endpoints.some(({ verdict }) => verdict === 'sent') ? 0 : 1;
}

async function ask(client: AgentClient, { selector, tenant }: ExplainFlags): Promise<LiveExplanation> {
  const params = new URLSearchParams({ match: selector, ...(tenant === undefined ? {} : { tenant }) });
  const { status, text } = await client.ask('GET', `${explainPath}?${params}`);
  if (status === 200) return JSON.parse(text) as LiveExplanation;
  throw new CommandError(`the agent refuses (${status}): ${text.trim()}`);
}

/** For people: the road of the series from top to bottom. */
function explanationText({ labels, tenant, door, endpoints }: LiveExplanation, paint: Paint): string {
  const lines = [`${paint(seriesText(labels), 'bold')}${tenant === '' ? '' : ` of tenant ${tenant}`}`];
  for (const step of door.steps) lines.push(`  ${stepText('relabel_configs', step)}`);
  if (door.verdict === 'taken') {
    lines.push(
      `  ${paint('taken', 'green')}${same(labels, door.labels) ? '' : `, stored as ${seriesText(door.labels)}`}`,
    );
  } else lines.push(`  ${paint(door.verdict, 'red')}, counted as ${door.reason}: ${door.means}`);
  for (const {
    name,
    url,
    verdict,
    externalLabels,
    steps,
    labels: left,
    tenant: under,
    shard,
    live,
  } of endpoints) {
    lines.push('', `${paint(name, 'bold')} ${url}`);
    const external = Object.entries(externalLabels);
    if (external.length > 0) {
      lines.push(
        `  external_labels add ${external.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(', ')}`,
      );
    }
    for (const step of steps) lines.push(`  ${stepText('write_relabel_configs', step)}`);
    if (verdict === 'dropped') {
      lines.push(`  ${paint('dropped', 'red')}, counted as dropped_by_relabel`);
    } else {
      lines.push(
        `  ${paint('sent', 'green')} as ${seriesText(left)}${under === '' ? '' : ` to tenant ${under}`}`,
      );
      lines.push(
        `  shard ${shard} of the hash space${live === undefined ? '' : `, in loop ${live.loop} of ${live.loops}`}`,
      );
    }
    if (live !== undefined) lines.push(...liveText(name, live, paint).map((line) => `  ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

function liveText(
  name: string,
  { paused, failing, deadLetters, lastDelivered }: LiveFacts,
  paint: Paint,
): string[] {
  const { count, more, words } = deadLetters;
  return [
    ...(paused ? [paint('the endpoint is paused', 'yellow')] : []),
    ...(failing ? [paint('requests to the endpoint fail and are tried again', 'yellow')] : []),
    ...(count > 0
      ? [
          `${paint(`${more ? 'at least ' : ''}${count} dead letters`, 'red')}: ${words ?? ''}; spillway dead-letters list --endpoint ${name}`,
        ]
      : [more ? 'no dead letters among the newest; there are more' : 'no dead letters']),
    ...(lastDelivered === undefined
      ? []
      : [
          lastDelivered === null
            ? 'nothing of it is in the destination'
            : `last delivered: ${lastDelivered.value} at ${new Date(lastDelivered.timestampMs).toISOString()}`,
        ]),
  ];
}

function stepText(key: string, { rule, action, at, dropped, set, removed }: RuleStep): string {
  const does = dropped
    ? ['drops it']
    : [
        ...Object.entries(set).map(([label, value]) => `${label}=${JSON.stringify(value)}`),
        ...removed.map((label) => `without ${label}`),
      ];
  return `${key} rule ${rule} (${action}${at === undefined ? '' : `, ${at}`}): ${does.join(', ')}`;
}

function same(a: Labels, b: Labels): boolean {
  return seriesText(a) === seriesText(b);
}
