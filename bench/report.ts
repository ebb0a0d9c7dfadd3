/**
 * The tables, as text and as Markdown: medians of the trials, and ratios to a peer in the same run. A step has a
 * row per measure and a column per contender; a sweep has a row per step and contender, and the brief measures.
 */
import type { Name } from './contenders.ts';
import { MEASURES, type Measure, summaryOf } from './measures.ts';
import type { TrialResult } from './stage.ts';

/** The trials of one contender. */
export interface Entry {
  readonly name: Name;
  readonly trials: readonly TrialResult[];
  readonly failures: number;
}

/** One step of a sweep: the value of what is varied, and who took part. */
export interface SweepStep {
  readonly value: number;
  readonly entries: readonly Entry[];
}

/** Header first. The cells of a line are as many as those of the header. */
export type Table = readonly (readonly Cell[])[];

export interface Cell {
  readonly text: string;
  /** To the baseline, such as `0.62x`; empty where it says nothing. */
  readonly ratio: string;
}

/** Ratios are to the first of them that takes part beside somebody else. */
const BASELINES: readonly Name[] = ['vmagent', 'prometheus', 'spillway'];
const GAP = '  ';

export function stepTable(entries: readonly Entry[]): Table {
  const shown = MEASURES.filter((measure) => entries.some((entry) => isMeasured(measure, entry)));
  return [
    ['', ...entries.map(({ name }) => name)].map(plain),
    ...shown.map((measure) => [
      plain(measure.label),
      ...entries.map((entry) => cellOf(measure, entry, entries)),
    ]),
    [plain('verified'), ...entries.map(verifiedCell)],
  ];
}

/** `heading` names what is varied. */
export function sweepTable(heading: string, steps: readonly SweepStep[]): Table {
  const all = steps.flatMap(({ entries }) => entries);
  const shown = MEASURES.filter(
    (measure) => measure.brief && all.some((entry) => isMeasured(measure, entry)),
  );
  return [
    [heading, 'agent', ...shown.map(({ label }) => label), 'verified'].map(plain),
    ...steps.flatMap(({ value, entries }) =>
      entries.map((entry) => [
        plain(formatNumber(value, 0)),
        plain(entry.name),
        ...shown.map((measure) => cellOf(measure, entry, entries)),
        verifiedCell(entry),
      ]),
    ),
  ];
}

/** Without a line end. */
export function asText(table: Table): string {
  const widthOf = (column: number, of: (cell: Cell) => string): number =>
    Math.max(...table.map((line) => of(line[column]!).length));
  const line = (cells: readonly Cell[]): string =>
    cells
      .map(({ text, ratio }, column) => {
        const width = widthOf(column, (cell) => cell.text);
        const ratioWidth = widthOf(column, (cell) => cell.ratio);
        if (column === 0) return text.padEnd(width);
        return text.padStart(width) + (ratioWidth > 0 ? GAP + ratio.padStart(ratioWidth) : '');
      })
      .join(GAP)
      .trimEnd();
  return table.map(line).join('\n');
}

/** Without a line end. */
export function asMarkdown(table: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const [header, ...rows] = table.map((cells) =>
    cells.map(({ text, ratio }) => (ratio === '' ? text : `${text} (${ratio})`)),
  ) as [string[], ...string[][]];
  const alignment = header.map((_, column) => (column === 0 ? '---' : '---:'));
  return [header, alignment, ...rows].map(line).join('\n');
}

/** One trial on one line, for whoever watches, and to show the spread. */
export function formatTrial(trial: TrialResult): string {
  return MEASURES.filter((measure) => measure.brief && measure.of(trial) !== undefined)
    .map((measure) => `${measure.label} ${formatNumber(measure.of(trial), measure.digits)}`)
    .join('; ');
}

function cellOf(measure: Measure, { trials }: Entry, entries: readonly Entry[]): Cell {
  const [baseline] = BASELINES.flatMap((peer) => entries.filter(({ name }) => name === peer));
  const base = baseline && entries.length > 1 ? summaryOf(measure, baseline.trials) : undefined;
  const value = summaryOf(measure, trials);
  const ratio = measure.pick || !value || !base ? '' : `${(value / base).toFixed(2)}x`;
  return { text: formatNumber(value, measure.digits), ratio };
}

function isMeasured(measure: Measure, { trials }: Entry): boolean {
  return summaryOf(measure, trials) !== undefined;
}

function verifiedCell({ failures }: Entry): Cell {
  return plain(failures > 0 ? 'FAILED' : 'yes');
}

function plain(text: string): Cell {
  return { text, ratio: '' };
}

function formatNumber(value: number | undefined, digits: number): string {
  if (value === undefined) return 'N/A';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
