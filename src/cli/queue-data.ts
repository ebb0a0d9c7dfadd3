import { SegmentDirectory } from '../filequeue/segment-directory.ts';
import { parseSelector, type Selector } from '../promql/selector.ts';
import { nodeFileSystem } from '../runtime/fs.ts';
import { readOnly } from '../runtime/read-only-fs.ts';
import { CommandError, UsageError } from './errors.ts';
import { ProgressBar } from './progress-bar.ts';
import { type CatFormat, catQueue, newFile } from './queue-cat.ts';
import { bytesText, countText, tableText } from './text.ts';

export interface QueueDataFlags {
  readonly from?: string;
  readonly to?: string;
  readonly match?: string;
  readonly format?: string;
  readonly json: boolean;
}

/** `spillway queue ls`: the segments of a queue; returns the exit code. */
export async function listQueue(dir: string, json: boolean, write: (text: string) => void): Promise<number> {
  const { segments, skipped } = await SegmentDirectory.open(readOnly(nodeFileSystem), dir);
  if (json) write(`${JSON.stringify({ segments, skipped })}\n`);
  else {
    const rows = segments.map((info) => [
      String(info.id),
      countText(info.rows),
      bytesText(info.bytes),
      timeText(info.firstMs),
      timeText(info.lastMs),
    ]);
    write(tableText([['SEGMENT', 'ROWS', 'BYTES', 'FIRST', 'LAST'], ...rows]));
    const sum = (of: 'rows' | 'bytes'): number => segments.reduce((all, info) => all + info[of], 0);
    write(`${segments.length} segments, ${sum('rows')} rows, ${bytesText(sum('bytes'))}\n`);
    for (const { id, cause } of skipped) write(`segment ${id} cannot be read: ${cause}\n`);
  }
  return skipped.length === 0 ? 0 : 1;
}

/**
 * `spillway queue cat` and, with `file`, `spillway queue export`; returns the exit code: 1 when something could not be
 * read. Throws `UsageError` and `CommandError`.
 */
export async function printQueue(
  dir: string,
  file: string | undefined,
  { from, to, match, format, json }: QueueDataFlags,
): Promise<number> {
  const options = {
    files: readOnly(nodeFileSystem),
    dir,
    from: idOf('--from', from) ?? 0,
    to: idOf('--to', to) ?? Number.POSITIVE_INFINITY,
    match: match === undefined ? undefined : selectorOf(match),
    format: formatOf(format, json),
  };
  // Beside rows on the same terminal a bar would be in the way.
  const quiet = file === undefined && process.stdout.isTTY;
  const bar = new ProgressBar(quiet ? { write: () => undefined } : process.stderr, 'rows');
  const output = file === undefined ? process.stdout : await created(file);
  if (file === undefined) {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.stdout.destroy();
    });
  }
  const { rows, leftOut, segments, damage } = await catQueue(options, output, bar);
  if (file !== undefined) {
    await new Promise<void>((resolve, reject) => {
      output.once('error', reject);
      output.end(resolve);
    });
    if (json) process.stdout.write(`${JSON.stringify({ file, rows, leftOut, segments, damage })}\n`);
    process.stderr.write(`${rows} rows of ${segments} segments are in ${file}\n`);
  }
  if (leftOut > 0) {
    process.stderr.write(
      `${leftOut} rows are left out: OpenMetrics has no line for native histograms, exemplars and metadata by themselves; --format ndjson has all\n`,
    );
  }
  for (const words of damage) process.stderr.write(`spillway: ${words}\n`);
  return damage.length === 0 ? 0 : 1;
}

async function created(file: string): ReturnType<typeof newFile> {
  try {
    return await newFile(file);
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CommandError(
      exists ? `${file} is there already, and is not written over` : `cannot write ${file}`,
      {},
      cause,
    );
  }
}

function idOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new UsageError(`${flag} ${text} is not the id of a segment; see spillway queue ls`);
  return Number(text);
}

function selectorOf(text: string): Selector {
  try {
    return parseSelector(text);
  } catch (cause) {
    throw new UsageError('--match', { selector: text }, cause);
  }
}

function formatOf(format: string | undefined, json: boolean): CatFormat {
  if (format === undefined) return json ? 'ndjson' : 'openmetrics';
  if (format === 'openmetrics' || format === 'ndjson') return format;
  throw new UsageError(`--format ${format}: openmetrics or ndjson?`);
}

function timeText(ms: number): string {
  return ms === 0 ? '-' : new Date(ms).toISOString();
}
