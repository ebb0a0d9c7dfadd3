import uPlot from 'uplot';
import { make, setAttribute, setText } from './dom.ts';

export interface Line {
  readonly name: string;
  /** A custom property of the style sheet. */
  readonly colour: string;
  /** So that lines can be told apart without colour. */
  readonly dashed?: boolean;
  readonly filled?: boolean;
  readonly axis: 'left' | 'right';
}

export interface PlotOptions {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly left: Scale;
  readonly right?: Scale;
}

/** What an axis shows. */
export interface Scale {
  readonly text: (value: number) => string;
  /** Between two marks, ascending; else round decimals. */
  readonly steps?: readonly number[];
}

export const byteSteps: readonly number[] = Array.from({ length: 50 }, (_, i) => 2 ** i);
export const durationSteps: readonly number[] = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
  ...[1, 2, 3, 6, 12, 24, 48, 96, 192].map((hours) => 3600 * hours),
];

type Column = readonly (number | null)[];

const HEIGHT = 132;
const HOUR = 3600;
/** What is shown soon after a start, rather than an hour of nothing. */
const LEAST = 300;

/** An hour of values over time, with what they are at the newest point, or at the one under the pointer. */
export class Plot {
  readonly element: HTMLElement;
  readonly #options: PlotOptions;
  readonly #canvas = make('div', { class: 'canvas' });
  readonly #values: readonly HTMLElement[];
  readonly #when = make('span', { class: 'when' });
  #plot: uPlot | undefined;
  #data: uPlot.AlignedData = [[]];
  #width = 0;
  #least: readonly [number, number] = [0, 0];

  constructor(options: PlotOptions) {
    this.#options = options;
    this.#values = options.lines.map(() => make('b'));
    const names = options.lines.map((line, i) =>
      make(
        'span',
        { class: 'line' },
        make('i', { class: line.dashed === true ? 'swatch dashed' : 'swatch', 'data-colour': line.colour }),
        `${line.name} `,
        this.#values[i]!,
      ),
    );
    this.element = make(
      'figure',
      { class: 'plot', role: 'img' },
      make('figcaption', {}, make('span', { class: 'title' }, options.title), ...names, this.#when),
      this.#canvas,
    );
    new ResizeObserver(([entry]) => this.#resize(Math.floor(entry!.contentRect.width))).observe(this.#canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  /**
   * Seconds since the epoch, and a column for each line. `least`: what the axes show at least, so that what is small
   * looks small.
   */
  set(
    seconds: readonly number[],
    columns: readonly Column[],
    least: readonly [number, number] = [0, 0],
  ): void {
    this.#least = least;
    this.#data = [seconds as number[], ...(columns as (number | null)[][])];
    if (this.#plot === undefined) this.#draw();
    else this.#plot.setData(this.#data);
    this.#tell(this.#plot?.cursor.idx ?? undefined);
  }

  #resize(width: number): void {
    if (width === this.#width || width === 0) return;
    this.#width = width;
    if (this.#plot === undefined) this.#draw();
    else this.#plot.setSize({ width, height: HEIGHT });
  }

  /** The values at a point; undefined is the newest one. */
  #tell(idx: number | undefined): void {
    const { lines, left, right = left, title } = this.#options;
    const seconds = this.#data[0];
    const at = idx ?? seconds.length - 1;
    const texts = lines.map((line, i) => {
      const value = this.#data[i + 1]?.[at];
      return value === null || value === undefined ? '–' : (line.axis === 'left' ? left : right).text(value);
    });
    for (const [i, text] of texts.entries()) setText(this.#values[i]!, text);
    setText(this.#when, idx === undefined || seconds[at] === undefined ? '' : `at ${timeText(seconds[at])}`);
    setAttribute(
      this.element,
      'aria-label',
      `${title}, the last hour. Now: ${lines.map(({ name }, i) => `${name} ${texts[i]}`).join(', ')}`,
    );
  }

  #draw(): void {
    if (this.#width === 0) return;
    const { lines, left, right } = this.#options;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    const axis: uPlot.Axis = {
      stroke: colour('faint'),
      font: '11px system-ui, sans-serif',
      grid: { stroke: colour('grid'), width: 1 },
      ticks: { show: false },
    };
    const y = (name: 'left' | 'right', { text, steps }: Scale): uPlot.Axis => ({
      ...axis,
      scale: name,
      side: name === 'left' ? 3 : 1,
      size: 62,
      gap: 2,
      space: 34,
      grid: name === 'left' ? axis.grid! : { show: false },
      values: (_, splits) => splits.map(text),
      ...(steps === undefined ? {} : { incrs: [...steps] }),
    });
    const range =
      (i: 0 | 1) =>
      (_: uPlot, _min: number, max: number | null): uPlot.Range.MinMax => [
        0,
        Math.max((max ?? 0) * 1.1, this.#least[i]) || 1,
      ];
    this.#plot?.destroy();
    this.#plot = new uPlot(
      {
        width: this.#width,
        height: HEIGHT,
        pxAlign: 0,
        padding: [6, right === undefined ? 8 : 0, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        tzDate: (seconds) => uPlot.tzDate(new Date(1000 * seconds), 'Etc/UTC'),
        scales: {
          x: {
            range: (_, first, last) => {
              const end = last ?? Date.now() / 1000;
              return [Math.max(end - HOUR, Math.min(first ?? end, end - LEAST)), end];
            },
          },
          left: { range: range(0) },
          ...(right === undefined ? {} : { right: { range: range(1) } }),
        },
        axes: [
          { ...axis, size: 24, gap: 2, space: 60, values: (_, splits) => splits.map(timeText) },
          y('left', left),
          ...(right === undefined ? [] : [y('right', right)]),
        ],
        series: [
          {},
          ...lines.map(
            (line): uPlot.Series => ({
              scale: line.axis,
              stroke: colour(line.colour),
              width: 1.5,
              points: { show: false },
              ...(line.dashed === true ? { dash: [5, 4] } : {}),
              ...(line.filled === true ? { fill: colour(`${line.colour}-fill`) } : {}),
            }),
          ),
        ],
        hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx ?? undefined)] },
      },
      this.#data,
      this.#canvas,
    );
  }
}

function timeText(seconds: number): string {
  return new Date(1000 * seconds).toISOString().slice(11, 16);
}
