import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { uncompress } from 'snappyjs';
import { projectDir } from './paths.ts';

/** A request that a real sender made, byte for byte. */
export interface Capture {
  /** `<folder>/<file>`, for messages. */
  readonly name: string;
  /** As recorded, but for those that belong to the connection. */
  readonly headers: Record<string, string>;
  /** As it was on the wire. */
  readonly body: Uint8Array;
  /** `body` without snappy. */
  readonly raw: Uint8Array;
  /** What the official decoder found in it. */
  readonly holds: Readonly<Record<string, number>>;
}

/** The captures of remote write 1.0. */
export const v1Captures = ['prometheus-2.42-agent', 'vmagent-1.79.5'] as const;
/** The captures of remote write 2.0. */
export const v2Captures = ['prometheus-3.5-agent-rw2'] as const;

/** The requests of a folder of `test/fixtures/captures/`, in the order in which they were made. */
export async function loadCaptures(folder: string): Promise<Capture[]> {
  const path = join(projectDir, 'test/fixtures/captures', folder);
  const lines = (await readFile(join(path, 'requests.ndjson'), 'utf8')).trimEnd().split('\n');
  return await Promise.all(lines.map((line) => load(path, folder, JSON.parse(line) as Recorded)));
}

interface Recorded {
  readonly file: string;
  readonly headers: Record<string, string>;
  readonly rawSha256: string;
  readonly holds: Record<string, number>;
}

async function load(path: string, folder: string, recorded: Recorded): Promise<Capture> {
  const name = `${folder}/${recorded.file}`;
  const body = await readFile(join(path, recorded.file));
  const raw = uncompress(body);
  if (createHash('sha256').update(raw).digest('hex') !== recorded.rawSha256)
    throw new Error(`${name} is damaged`);
  const { 'content-length': _, ...headers } = recorded.headers;
  return { name, headers, body, raw, holds: recorded.holds };
}
