/** Numbers and tables, as a person reads them in a terminal. */

/** `12`, `3.4k`, `120M`: three digits say enough. */
export function countText(count: number): string {
  return scaled(count, 1000, ['', 'k', 'M', 'G', 'T']);
}

/** `12 B`, `3.4 KiB`, `1.2 GiB`. */
export function bytesText(bytes: number): string {
  return scaled(bytes, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
}

/** `8s`, `3m20s`, `14h5m`, `3d2h`: the two largest units. A part of a second counts as one. */
export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-';
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ];
  let left = Math.ceil(Math.max(0, seconds));
  const first = units.findIndex(([, size]) => left >= size);
  if (first < 0) return '0s';
  const parts: string[] = [];
  for (const [unit, size] of units.slice(first, first + 2)) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.join('');
}

/** Columns two spaces apart; the last one as long as it is. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)),
    [],
  );
  const lineOf = (row: readonly string[]): string =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('  ');
  return rows.map((row) => `${lineOf(row)}\n`).join('');
}

/** The text in lines of at most so many columns, each of them indented. */
export function wrapped(text: string, indent: number, columns: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => ' '.repeat(indent) + one).join('\n');
}

/** What somebody else wrote, as words on one line: a line break or an escape sequence in it does nothing to a terminal. */
export function oneLine(words: string): string {
  return words.replace(/[\s\p{C}]+/gu, ' ').trim();
}

const wide = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}]/u;
const noWidth = /\p{M}/u;
/** A colour of `paintFor`, or one character. */
const tokens = /\p{Cc}\[[\d;]*m|\p{Any}/gu;

/** The line as far as a terminal of so many columns shows it in one row. Colours take no room, and are ended as they were. */
export function cutTo(columns: number, line: string): string {
  let left = columns;
  let cut = '';
  for (const [token] of line.matchAll(tokens)) {
    if (token.startsWith('\u001b[') || token === '\n') {
      cut += token;
      continue;
    }
    left -= noWidth.test(token) ? 0 : wide.test(token) ? 2 : 1;
    if (left >= 0) cut += token;
  }
  return cut;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let left = value;
  let unit = 0;
  // As it will be shown: 999.96 is 1.0 of the next unit.
  while (Math.round(left * 10) >= 10 * base && unit < units.length - 1) {
    left /= base;
    unit++;
  }
  return `${unit === 0 || left >= 99.95 ? Math.round(left) : left.toFixed(1)}${units[unit]}`;
}
