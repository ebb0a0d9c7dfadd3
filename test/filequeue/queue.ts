import type { TestContext } from 'node:test';
import { FileQueue, type FileQueueOptions } from '../../src/filequeue/file-queue.ts';
import type { CommitError, CommitFacts, RollLimits } from '../../src/filequeue/group-commit.ts';
import type { LogTrouble } from '../../src/filequeue/segment-log.ts';
import { ingestV1 } from '../../src/protocol/ingest-v1.ts';
import { ingestV2 } from '../../src/protocol/ingest-v2.ts';
import { encodeWriteRequestV1, encodeWriteRequestV2 } from '../../src/protocol/schema.ts';
import { nodeFileSystem } from '../../src/runtime/fs.ts';
import type { Dictionary } from '../../src/serialization/dictionary.ts';
import type { RowBatch } from '../../src/serialization/rows.ts';
import { atEnd } from '../support/cleanup.ts';
import { type Message, request, series } from '../support/messages.ts';
import { requestV2, type SeriesV2 } from '../support/messages-v2.ts';

/** Limits that no test reaches by accident. */
export const wide: RollLimits = {
  bytes: 2 ** 25,
  ageMs: 3_600_000,
  series: 250_000,
  dictionaryBytes: 2 ** 26,
};

/** When the clock of every test stands, ms since the epoch. */
export const noon = 1_700_000_000_000;

export interface OpenOptions extends Partial<Omit<FileQueueOptions, 'roll'>> {
  readonly roll?: Partial<RollLimits>;
}

/** A queue with what it told: its commits and its failures. */
export interface TestQueue {
  readonly queue: FileQueue;
  readonly commits: CommitFacts[];
  readonly failures: CommitError[];
  readonly troubles: LogTrouble[];
}

/** Options with a fixed clock and seed for all that `options` leaves out. */
export async function openQueue(dir: string, options: OpenOptions = {}): Promise<TestQueue> {
  const commits: CommitFacts[] = [];
  const failures: CommitError[] = [];
  const troubles: LogTrouble[] = [];
  const queue = await FileQueue.open({
    files: nodeFileSystem,
    dir,
    codec: 'snappy',
    minNextId: 1,
    now: () => noon,
    randomSeed: () => 1,
    onCommit: (facts) => commits.push(facts),
    onFailure: (error) => failures.push(error),
    onTrouble: (trouble) => troubles.push(trouble),
    ...options,
    roll: { ...wide, ...options.roll },
  });
  return { queue, commits, failures, troubles };
}

/** A queue that is closed when the test ends. */
export async function usingQueue(t: TestContext, dir: string, options?: OpenOptions): Promise<TestQueue> {
  const opened = await openQueue(dir, options);
  atEnd(t, () => opened.queue.close());
  return opened;
}

/** Adds the rows of a request, as the receiver does. */
export function fillWith(message: Message): (dictionary: Dictionary, batch: RowBatch) => void {
  return fillWithRaw(encodeWriteRequestV1(message));
}

/** Adds the rows of a 1.0 body after snappy. */
export function fillWithRaw(body: Uint8Array): (dictionary: Dictionary, batch: RowBatch) => void {
  const raw = new Uint8Array(body.length + 16);
  raw.set(body);
  const view = new DataView(raw.buffer);
  return (dictionary, batch) => {
    ingestV1(raw, view, body.length, dictionary, batch);
  };
}

/** Appends a 2.0 request; resolves when it is durable. */
export function putV2(queue: FileQueue, ...all: SeriesV2[]): Promise<void> {
  const body = encodeWriteRequestV2(requestV2(...all));
  const raw = new Uint8Array(body.length + 16);
  raw.set(body);
  const view = new DataView(raw.buffer);
  return queue.append((dictionary, batch) => ingestV2(raw, view, body.length, dictionary, batch)).durable;
}

/** One row of series `name`, whose value is its time. */
export function row(name: string, at: number): Message {
  return request(series({ __name__: name }, [at, at]));
}

/** Appends a request; resolves when it is durable. */
export function put(queue: FileQueue, message: Message): Promise<void> {
  return queue.append(fillWith(message)).durable;
}

/** Appends requests one after the other: a frame each. */
export async function putEach(queue: FileQueue, messages: readonly Message[]): Promise<void> {
  for (const message of messages) await put(queue, message);
}
