import type { ListedEndpoint } from '../endpoint/control.ts';
import type { ParkedReading } from '../telemetry/metrics.ts';
import type { Colour, Paint } from './colour.ts';
import { bytesText, countText, durationText, tableText } from './text.ts';

/** What an agent says of itself. */
export interface Answers {
  readonly base: string;
  readonly status: {
    readonly version: string;
    readonly receivedRows: number;
    readonly refusedRows: number;
    readonly walBytes: number;
    readonly endpoints: readonly {
      readonly name: string;
      readonly deliveredRows: number;
      readonly droppedRows: number;
    }[];
    readonly removedEndpoints: readonly ParkedReading[];
  };
  readonly endpoints: readonly ListedEndpoint[];
  /** Why it takes no writes, in its words; undefined while it does. */
  readonly notReady: string | undefined;
}

/** Writes are taken, and no endpoint fails. */
export function isWell({ endpoints, notReady }: Answers): boolean {
  return notReady === undefined && endpoints.every(({ failing }) => !failing);
}

interface Rate {
  readonly value: number;
  readonly atMs: number;
  perSecond: number | undefined;
}

/** Rates out of counters, smoothed over some seconds. */
export class Rates {
  readonly #rates: Map<string, Rate> = new Map();

  /** `nowMs` is of a clock that only goes forwards. */
  take({ status, endpoints }: Answers, nowMs: number): void {
    this.#take('received', status.receivedRows, nowMs);
    for (const { name, deliveredRows } of status.endpoints)
      this.#take(`delivered ${name}`, deliveredRows, nowMs);
    for (const { name, waitingRows } of endpoints) this.#take(`waiting ${name}`, waitingRows, nowMs);
  }

  /** Per second; undefined until there are two readings. */
  of(what: string): number | undefined {
    return this.#rates.get(what)?.perSecond;
  }

  #take(what: string, value: number, nowMs: number): void {
    const before = this.#rates.get(what);
    let perSecond: number | undefined;
    if (before !== undefined && nowMs > before.atMs) {
      const now = (1000 * (value - before.value)) / (nowMs - before.atMs);
      perSecond = before.perSecond === undefined ? now : 0.7 * before.perSecond + 0.3 * now;
    }
    this.#rates.set(what, { value, atMs: nowMs, perSecond });
  }
}

/** Less than so many rows wait in any agent that works. */
const FEW_ROWS = 10_000;

/** The lines of the view, each with its end. */
export function statusView(answers: Answers, rates: Rates, paint: Paint): string[] {
  const { base, status, endpoints, notReady } = answers;
  const received = rates.of('received');
  const head = [
    `${paint(`Spillway ${status.version}`, 'bold')} at ${base}`,
    `received ${countText(status.receivedRows)} rows${received === undefined ? '' : `, ${countText(received)}/s`}`,
    ...(status.refusedRows > 0 ? [`refused ${countText(status.refusedRows)}`] : []),
    `queue ${bytesText(status.walBytes)}`,
  ].join('   ');
  const counts = new Map(status.endpoints.map((endpoint) => [endpoint.name, endpoint]));
  const rows = endpoints.map((endpoint) => {
    const { name, waitingRows, waitingBytes, oldestSeconds } = endpoint;
    const delivered = rates.of(`delivered ${name}`);
    return [
      name,
      stateOf(endpoint)[0],
      countText(waitingRows),
      bytesText(waitingBytes),
      waitingRows === 0 ? '-' : durationText(oldestSeconds),
      delivered === undefined ? '-' : `${countText(delivered)}/s`,
      etaText(endpoint, rates),
      countText(counts.get(name)?.droppedRows ?? 0),
    ];
  });
  const table = tableText([
    ['ENDPOINT', 'STATE', 'WAITING', 'BYTES', 'OLDEST', 'DELIVERED', 'ETA', 'DROPPED'],
    ...rows,
  ])
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      const endpoint = endpoints[i - 1];
      if (endpoint === undefined) return `${paint(line, 'bold')}\n`;
      const [state, colour] = stateOf(endpoint);
      return `${line.replace(` ${state} `, ` ${paint(state, colour)} `)}\n`;
    });
  const removed = status.removedEndpoints.map(
    ({ name, waitingRows, bytes }) =>
      `${name} is not configured any more; kept for it: ${countText(waitingRows)} rows, ${bytesText(bytes)}\n`,
  );
  return [
    `${head}\n`,
    ...(notReady === undefined ? [] : [`${paint(notReady, 'red')}\n`]),
    '\n',
    ...table,
    ...removed,
  ];
}

function stateOf({ pausedSinceMs, failing, waitingRows }: ListedEndpoint): [string, Colour] {
  if (pausedSinceMs !== undefined) return ['paused', 'yellow'];
  if (failing) return ['failing', 'red'];
  return waitingRows > FEW_ROWS ? ['behind', 'yellow'] : ['delivering', 'green'];
}

/** When what waits will have been delivered, by how fast it becomes less. */
function etaText({ name, waitingRows }: ListedEndpoint, rates: Rates): string {
  const grows = rates.of(`waiting ${name}`);
  if (waitingRows === 0 || grows === undefined) return '-';
  // What comes and goes all the time is no backlog that would end.
  if (waitingRows <= FEW_ROWS) return 'now';
  return grows < 0 ? durationText(waitingRows / -grows) : 'never at this rate';
}
