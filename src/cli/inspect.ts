import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseSegmentName } from '../filequeue/segment-file.ts';
import { inspectWriteRequest } from '../status/inspect.ts';
import { inspectSegment } from '../status/inspect-segment.ts';
import { CommandError } from './errors.ts';
import { Output } from './output.ts';

/** Prints what is in a segment, or in a captured body of a request (2.0 with `v2`), as lines of JSON; returns the exit code. Throws `CommandError`. */
export async function inspect(file: string, v2: boolean): Promise<number> {
  try {
    const bytes = readFileSync(file);
    const lines =
      bytes.subarray(0, 3).toString() === 'SPW'
        ? inspectSegment(bytes, parseSegmentName(basename(file))?.id)
        : inspectWriteRequest(bytes, v2 ? '2.0' : '1.0');
    const output = new Output();
    for (const line of lines) {
      if (output.closed) break;
      await output.line(line);
    }
    return 0;
  } catch (cause) {
    throw new CommandError(`${file} cannot be read as a segment or the body of a request`, { file }, cause);
  }
}
