import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { HttpServer } from '../../src/receiver/server.ts';
import type { ClosedReason } from '../../src/telemetry/reasons.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';
import { logLines } from './log-lines.ts';
import { wideConnections } from './wide.ts';
import { head, Wire } from './wire.ts';

const get = 'GET / HTTP/1.1\r\nHost: spillway\r\n\r\n';

async function serve(
  t: TestContext,
  limits: Parameters<typeof wideConnections>[0],
): Promise<{ open(): Promise<Wire>; closed: ClosedReason[]; count(): number }> {
  const closed: ClosedReason[] = [];
  const connections = wideConnections(limits, (reason) => closed.push(reason));
  const server = new HttpServer(
    new Map([
      ['/', (_, response) => void response.end('fine')],
      ['/api/v1/write', (request, response) => void request.resume().on('end', () => response.end('read'))],
    ]),
    { connections, logger: logLines().logger },
  );
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => server.close());
  return { open: () => Wire.open(t, url), closed, count: () => connections.open };
}

describe('Connections', () => {
  it('over the limit, the oldest without a request gives way; those that work stay, and new ones come in', async (t) => {
    const { open, closed, count } = await serve(t, { maxConnections: 5 });
    const working = await open();
    working.send(get);
    await working.answer();
    const flood = await Promise.all(Array.from({ length: 50 }, () => open()));
    const late = await open();
    late.send(get);
    assert.equal((await late.answer()).body, 'fine');
    working.send(get);
    assert.equal((await working.answer()).body, 'fine');
    // 52 came, 5 may stay.
    await poll(
      () => `${closed.length} were closed, ${count()} are open`,
      async () => (closed.length === 47 && count() === 5 ? true : undefined),
    );
    assert.ok(closed.every((reason) => reason === 'too_many'));
    await flood[0]!.closed();
  });

  it('closes the new one when all have made requests', async (t) => {
    const { open, closed } = await serve(t, { maxConnections: 2 });
    const both = [await open(), await open()];
    for (const wire of both) {
      wire.send(get);
      await wire.answer();
    }
    await (await open()).closed();
    for (const wire of both) {
      wire.send(get);
      assert.equal((await wire.answer()).body, 'fine');
    }
    assert.deepEqual(closed, ['too_many']);
    both[0]!.break();
    await both[0]!.closed();
    await poll(
      () => 'nobody is let in',
      async () => {
        const wire = await open();
        wire.send(get);
        return await wire.answer().catch(() => undefined);
      },
    );
  });

  it('tells who is late to come again, in the headers and in the body, also on a connection that was used', async (t) => {
    const { open, closed } = await serve(t, { requestTimeoutMs: 2000, headerTimeoutMs: 1000 });
    // Before anything may be late: its first request.
    const used = await open();
    used.send(get);
    await used.answer();
    const [silent, inHead, inBody] = [await open(), await open(), await open()];
    inHead.send('POST /api/v1/write HTTP/1.1\r\nHost');
    inBody.send(head(100));
    inBody.send('x');
    used.send('POST /api');
    for (const wire of [silent, inHead, inBody, used]) {
      const answer = await wire.answer();
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['retry-after'], '5');
      assert.equal(answer.headers.connection, 'close');
      await wire.closed();
    }
    assert.deepEqual(closed, ['timeout', 'timeout', 'timeout', 'timeout']);
  });

  it('closes what is idle', async (t) => {
    const { open, count } = await serve(t, { idleTimeoutMs: 200 });
    const wire = await open();
    wire.send(get);
    await wire.answer();
    await wire.closed();
    await poll(
      () => `${count()} are open`,
      async () => (count() === 0 ? true : undefined),
    );
  });

  it('answers what is no HTTP, or has endless headers, and closes it', async (t) => {
    const { open, closed } = await serve(t, {});
    for (const [bytes, status] of [
      ['\u0016\u0003\u0001 TLS?\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ] as const) {
      const wire = await open();
      wire.send(bytes);
      assert.equal((await wire.answer()).status, status);
      await wire.closed();
    }
    assert.deepEqual(closed, ['malformed', 'malformed']);
  });
});
