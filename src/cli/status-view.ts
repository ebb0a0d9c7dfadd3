import type { EndpointStatus, Level, StatusDocument } from '../status/document.ts';
import type { Colour, Paint } from './colour.ts';
import { bytesText, countText, durationText, oneLine, tableText, wrapped } from './text.ts';

/** What an agent says of itself. */
export interface Answers {
  readonly base: string;
  readonly status: StatusDocument;
  /** Why it takes no writes, in its words; undefined while it does. */
  readonly notReady: string | undefined;
}

/** Writes are taken, and no endpoint fails. */
export function isWell({ status, notReady }: Answers): boolean {
  return notReady === undefined && status.endpoints.every(({ failing }) => !failing);
}

const colours: Readonly<Record<Level, Colour>> = {
  ok: 'green',
  note: 'yellow',
  warning: 'yellow',
  critical: 'red',
};

/**
 * The lines of the view, each with its end: numbers of all, words of what is not well. Sentences are wrapped at so many
 * columns; a row of the table or an address may be longer.
 */
export function statusView({ base, status, notReady }: Answers, paint: Paint, columns: number): string[] {
  const { disk, endpoints, removedEndpoints } = status;
  const numbers = [
    `received ${countText(status.receivedRows)} rows since its start, ${countText(status.receivedPerSecond)}/s`,
    ...(status.refusedRows > 0 ? [`refused ${countText(status.refusedRows)}`] : []),
    `queue ${bytesText(status.walBytes)}${disk.capBytes === null ? '' : ` of ${bytesText(disk.capBytes)}`}`,
  ];
  const table = tableText([
    ['ENDPOINT', 'STATE', 'WAITING', 'BYTES', 'OLDEST', 'DELIVERED', 'ETA', 'DROPPED'],
    ...endpoints.map(rowOf),
  ])
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      const endpoint = endpoints[i - 1];
      if (endpoint === undefined) return `${paint(line, 'bold')}\n`;
      const state = ` ${endpoint.state} `;
      return `${line.replace(state, paint(state, colours[endpoint.level]))}\n`;
    });
  return [
    `${paint(`Spillway ${status.version}`, 'bold')} at ${base}\n`,
    ...linesOf(numbers.join('; '), 0, columns),
    ...(notReady === undefined ? [] : [`${paint(notReady, 'red')}\n`]),
    ...(status.status.level === 'ok' ? [] : wordsOf(status.status, 0, columns)),
    '\n',
    ...table,
    ...endpoints.flatMap((endpoint) =>
      endpoint.level === 'ok'
        ? []
        : ['\n', `${paint(endpoint.name, colours[endpoint.level])}\n`, ...wordsOf(endpoint, 2, columns)],
    ),
    ...removedEndpoints.map(
      ({ name, waitingRows, bytes }) =>
        `${name} is not configured any more; kept for it: ${countText(waitingRows)} rows, ${bytesText(bytes)}\n`,
    ),
  ];
}

function rowOf({
  name,
  state,
  backlog,
  deliveredPerSecond,
  etaSeconds,
  droppedRows,
}: EndpointStatus): string[] {
  return [
    name,
    state,
    countText(backlog.rows),
    bytesText(backlog.bytes),
    backlog.rows === 0 ? '-' : durationText(backlog.seconds),
    `${countText(deliveredPerSecond)}/s`,
    etaSeconds === null ? '-' : durationText(etaSeconds),
    countText(droppedRows),
  ];
}

function wordsOf(
  { says, advice }: { readonly says: string; readonly advice: string },
  indent: number,
  columns: number,
): string[] {
  // What an endpoint answered is quoted in it.
  return [says, advice]
    .filter((text) => text !== '')
    .flatMap((text) => linesOf(oneLine(text), indent, columns));
}

function linesOf(text: string, indent: number, columns: number): string[] {
  return wrapped(text, indent, columns)
    .split('\n')
    .map((line) => `${line}\n`);
}
