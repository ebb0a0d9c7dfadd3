import assert from 'node:assert/strict';
import { mkdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { JsonLines } from '../../examples/destination.ts';
import { encodeWriteRequestV1, staleMarkerBits } from '../../src/protocol/schema.ts';
import { Road } from '../reference/road.ts';
import { atEnd } from '../support/cleanup.ts';
import { bitsOf, request, series } from '../support/messages.ts';
import { tempDir } from '../support/temp.ts';

const { signal } = new AbortController();

/** A body as loops send it. */
function bodyOf(at: number, value: number | bigint): Uint8Array {
  const road = new Road();
  road.take(encodeWriteRequestV1(request(series({ __name__: 'm', job: 'web' }, [at, value]))));
  return road.emit(road.read(road.commit())).body;
}

async function place(t: TestContext): Promise<{ path: string; destination: JsonLines }> {
  const path = join(await tempDir(t, 'json-lines'), 'rows.ndjson');
  const destination = new JsonLines(path);
  atEnd(t, () => destination.close());
  return { path, destination };
}

const lines = async (path: string): Promise<unknown[]> =>
  (await readFile(path, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

const row = (at: number, bits: bigint) => ({
  labels: { __name__: 'm', job: 'web' },
  at: `${at}`,
  bits: bits.toString(16),
});

test('what a destination says 204 to is in its file, bit for bit and in order', async (t) => {
  const { path, destination } = await place(t);
  const bodies = [bodyOf(1, 1.5), bodyOf(2, staleMarkerBits)];
  const outcomes = await Promise.all(bodies.map((body) => destination.post(body, 0, signal)));
  for (const outcome of outcomes) assert.equal(outcome.kind === 'response' && outcome.status, 204);
  assert.deepEqual(await lines(path), [row(1, bitsOf(1.5)), row(2, staleMarkerBits)]);
});

test('while it cannot write it says 503, and goes on when it can', async (t) => {
  const { path, destination } = await place(t);
  await mkdir(path); // a directory in its place
  const refused = await destination.post(bodyOf(1, 1.5), 0, signal);
  assert.equal(refused.kind === 'response' && refused.status, 503);
  await rmdir(path);
  await destination.post(bodyOf(1, 1.5), 1, signal);
  assert.deepEqual(await lines(path), [row(1, bitsOf(1.5))]);
});

test('what it cannot read is refused for good, and after the end nothing is taken', async (t) => {
  const { destination } = await place(t);
  const refused = await destination.post(Uint8Array.of(1, 2, 3), 0, signal);
  assert.equal(refused.kind === 'response' && refused.status, 400);
  await destination.close();
  await destination.close();
  const late = await destination.post(bodyOf(1, 1.5), 0, signal);
  assert.deepEqual(late, { kind: 'aborted', maybeDelivered: false });
});
