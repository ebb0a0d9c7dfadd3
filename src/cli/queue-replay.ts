import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { ConfigText } from '../agent.ts';
import { parseConfig } from '../config/load.ts';
import { Endpoint } from '../endpoint/endpoint.ts';
import { SegmentDirectory } from '../filequeue/segment-directory.ts';
import { verifyDirectory } from '../filequeue/verify.ts';
import { Ledger } from '../ledger/ledger.ts';
import { lockDirectory } from '../runtime/directory-lock.ts';
import { describeError } from '../runtime/errors.ts';
import { nodeFileSystem } from '../runtime/fs.ts';
import { readOnly } from '../runtime/read-only-fs.ts';
import { packageVersion } from '../runtime/version.ts';
import { wait } from '../runtime/wait.ts';
import { createLogger } from '../telemetry/log.ts';
import { harmlessReasons } from '../telemetry/reasons.ts';
import { CommandError, UsageError } from './errors.ts';
import { headersOf } from './headers.ts';
import { ProgressBar } from './progress-bar.ts';
import { segmentsIn } from './queue-segments.ts';

export interface ReplayOptions {
  /** A directory of segments, or a data directory. */
  readonly dir: string;
  /** Where to; undefined with `endpoint`. */
  readonly url: string | undefined;
  /** `Name: value`, for `url`. */
  readonly headers: readonly string[];
  /** Samples a second at most, for `url`. */
  readonly rate: string | undefined;
  /** An endpoint of this configuration, with all that it says: credentials, labels, relabelling, tenants. */
  readonly endpoint: string | undefined;
  readonly config: ConfigText;
  /** Where it keeps how far it has come; by default a folder here that is named after directory and target. */
  readonly state: string | undefined;
  readonly json: boolean;
  /** Asks it to stop; what is not sent is sent by the next call. */
  readonly signal: AbortSignal;
}

const LOOK_MS = 100;
const STOP_MS = 5000;

/**
 * `spillway queue replay DIR`: sends a directory of segments to a remote-write URL, by the same thread that an agent
 * sends with: order per series, retries, dead letters, several loops. The directory is only read. Where it stands is
 * kept in a folder of its own, as an agent keeps it: started again it goes on there. Returns the exit code: 0 when
 * every row was taken, 1 when not. Throws `UsageError`, `CommandError`, `ConfigError`, and `DirectoryLockedError` when
 * the same replay runs already.
 */
export async function replayQueue(options: ReplayOptions, write: (text: string) => void): Promise<number> {
  const walDir = segmentsIn(resolve(options.dir));
  const { text, name } = targetOf(options);
  const config = parseConfig(text.text, text);
  const target = config.remoteWrite.find((one) => one.name === name);
  if (target === undefined) {
    const names = config.remoteWrite.map((one) => one.name).join(', ');
    throw new UsageError(`--endpoint ${name}: the configuration has ${names}`);
  }
  const hash = createHash('sha256')
    .update(`${walDir}\n${name}\n${target.url.text}`)
    .digest('hex')
    .slice(0, 8);
  const state = resolve(options.state ?? `spillway-replay-${hash}`);
  const files = readOnly(nodeFileSystem);
  const found = await verifyDirectory(files, walDir);
  if (found.files.length === 0) throw new CommandError(`there are no segments in ${walDir}`);
  const queue = await SegmentDirectory.open(files, walDir);
  mkdirSync(state, { recursive: true });
  const lock = lockDirectory(state);
  const bar = new ProgressBar(process.stderr, 'rows');
  const logger = createLogger('warn', 'logfmt', Date.now, (line) => {
    bar.clear();
    process.stderr.write(`${line}\n`);
  });
  let ledger: Ledger | undefined;
  try {
    ledger = Ledger.open(state, Date.now(), (aside, cause) => {
      throw new CommandError(
        `the state of this replay is damaged, and is now ${aside}: start again`,
        {},
        cause,
      );
    });
    const limits = {
      whenFull: 'reject',
      maxBytes: Number.POSITIVE_INFINITY,
      maxAgeMs: Number.POSITIVE_INFINITY,
    } as const;
    const endpoint = new Endpoint({
      setup: { config: { ...target, startAt: 'oldest' }, configSource: text, limits },
      dataDir: state,
      readOnlyWal: walDir,
      queue,
      ledger,
      logger,
      userAgent: `Spillway/${packageVersion()}`,
      now: Date.now,
      onReleased: () => undefined,
      onSaveFailed: (error) =>
        logger.log('error', 'where the replay stands cannot be saved', { error: describeError(error) }),
      gaps: [],
      pausedMs: undefined,
    });
    const before = endpoint.stats.settledRows;
    if (!options.json) {
      write(
        `${basename(walDir)}: ${queue.segments.length} segments, ${endpoint.receivedRows} rows for ${target.url.text}\n`,
      );
      if (before > 0) write(`goes on where it stood: ${endpoint.waitingRows()} rows are left\n`);
      if (!found.whole) write('not all of it can be read: spillway queue verify says what\n');
    }
    bar.start(endpoint.receivedRows, before);
    await endpoint.start();
    while (endpoint.waitingRows() > 0 && !options.signal.aborted) {
      const failing = endpoint.stats.get('failingLoops') > 0 ? 'the target fails, trying again' : '';
      bar.set(endpoint.stats.settledRows - endpoint.stats.get('returnedRows'), failing);
      await wait(LOOK_MS, options.signal);
    }
    await endpoint.stop(STOP_MS);
    bar.end();
    return report(endpoint, state, options, write);
  } finally {
    bar.end();
    ledger?.close();
    lock.release();
  }
}

function report(
  endpoint: Endpoint,
  state: string,
  { json, signal }: ReplayOptions,
  write: (text: string) => void,
): number {
  const { stats } = endpoint;
  const lost = stats.lostByReason();
  const waiting = endpoint.waitingRows();
  const missed = [...lost.keys()].filter((reason) => !harmlessReasons.has(reason));
  if (json) {
    const resent = stats.get('resentRows');
    const counts = { delivered: stats.deliveredRows, lost: Object.fromEntries(lost), waiting, resent };
    write(`${JSON.stringify({ ...counts, state })}\n`);
  } else {
    write(`delivered ${stats.deliveredRows} rows\n`);
    for (const [reason, rows] of lost) write(`not delivered: ${rows} rows, ${reason}\n`);
    const kept = lost.has('rejected') || lost.has('not_written');
    if (kept) {
      write(
        `those that were refused are kept, with the words of the receiver: spillway dead-letters list --data-dir ${state}\n`,
      );
    }
    if (waiting > 0) {
      write(
        `${waiting} rows are left${signal.aborted ? ': the same command goes on where this one stopped' : ''}\n`,
      );
    }
    if (waiting === 0) write(`all is accounted for${kept ? '' : `; ${state} is not needed any more`}\n`);
  }
  return waiting === 0 && missed.length === 0 ? 0 : 1;
}

/** The configuration with the target in it, and its name there. Throws `UsageError`. */
function targetOf({ url, headers, rate, endpoint, config }: ReplayOptions): {
  text: ConfigText;
  name: string;
} {
  if ((url === undefined) === (endpoint === undefined)) {
    throw new UsageError('queue replay: where to? --url URL, or --endpoint NAME with --config FILE');
  }
  if (endpoint !== undefined) {
    if (headers.length > 0 || rate !== undefined) {
      throw new UsageError('--header and --rate are for --url: an endpoint has them in its configuration');
    }
    return { text: config, name: endpoint };
  }
  if (rate !== undefined && !/^[1-9]\d{0,8}$/.test(rate)) {
    throw new UsageError(`--rate ${rate} is not a number of samples a second`);
  }
  const pairs = headersOf(headers);
  const entry = {
    name: 'replay',
    url,
    ...(headers.length === 0 ? {} : { headers: pairs }),
    ...(rate === undefined ? {} : { rate_limit: { samples: Number(rate) } }),
  };
  const text = JSON.stringify({ remote_write: [entry] });
  return { text: { text, file: 'the command line', baseDir: process.cwd() }, name: 'replay' };
}
