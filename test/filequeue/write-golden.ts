/** Writes the golden files that are not there yet; see golden.ts. */

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GoldenSegment, readFormat } from './format-reader.ts';
import { goldenDir, goldens, writeGolden } from './golden.ts';

for (const golden of goldens) {
  const target = join(goldenDir, golden.name);
  if (existsSync(target)) continue;
  const dir = await mkdtemp(join(tmpdir(), 'spillway-golden-'));
  const { segments } = await writeGolden(golden, dir);
  await mkdir(target, { recursive: true });
  const read: Record<string, GoldenSegment> = {};
  for (const { id } of segments) {
    const file = `${String(id).padStart(20, '0')}.committed`;
    const bytes = await readFile(join(dir, file));
    await writeFile(join(target, file), bytes);
    read[file] = readFormat(bytes, id);
  }
  await writeFile(join(target, 'rows.json'), `${pretty(read)}\n`);
  await rm(dir, { recursive: true });
  console.log(`wrote ${target}: read rows.json before you trust it`);
}

/** JSON with one frame and one row a line. */
function pretty(read: Record<string, GoldenSegment>): string {
  const list = (items: readonly unknown[]): string =>
    `[\n${items.map((item) => `      ${JSON.stringify(item)}`).join(',\n')}\n    ]`;
  const segments = Object.entries(read).map(
    ([file, { header, frames, rows, end }]) =>
      `  ${JSON.stringify(file)}: {\n    "header": ${JSON.stringify(header)},\n    "frames": ${list(frames)},\n` +
      `    "rows": ${list(rows)},\n    "end": ${JSON.stringify(end)}\n  }`,
  );
  return `{\n${segments.join(',\n')}\n}`;
}
