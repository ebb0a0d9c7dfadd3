import type { TestContext } from 'node:test';
import { Appender, type AppenderTarget } from '../../src/appender/appender.ts';
import type { CommitFacts } from '../../src/filequeue/group-commit.ts';
import type { IngestReport } from '../../src/protocol/ingest-report.ts';
import { createWasmKernel } from '../../src/protocol/kernel.ts';
import { type IngestLimits, noLimits } from '../../src/protocol/limits.ts';
import type { SeriesGate } from '../../src/serialization/dictionary.ts';
import { usingQueue } from '../filequeue/queue.ts';
import { readAll } from '../filequeue/read-back.ts';
import { WatchedFs } from '../filequeue/watched-fs.ts';
import { tempDir } from '../support/temp.ts';

/** Appenders of a real queue in a directory of its own. */
export interface Appending {
  readonly target: AppenderTarget;
  readonly files: WatchedFs;
  readonly reports: IngestReport[];
  readonly commits: readonly CommitFacts[];
  begin(): Appender;
  /** The rows on disk, as `rowTexts` writes them. */
  rows(): string[];
}

export async function appending(
  t: TestContext,
  limits: Partial<IngestLimits> = {},
  gate?: SeriesGate,
): Promise<Appending> {
  const dir = await tempDir(t, 'appender');
  const files = new WatchedFs();
  const { queue, commits } = await usingQueue(t, dir, gate === undefined ? { files } : { files, gate });
  const reports: IngestReport[] = [];
  const target: AppenderTarget = {
    queue,
    kernel: createWasmKernel(),
    limits: { ...noLimits, ...limits },
    onReport: (report) => reports.push(report),
  };
  return {
    target,
    files,
    reports,
    commits,
    begin: () => new Appender(target),
    rows: () => readAll(dir, queue.segments),
  };
}
