import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { HttpDestination } from '../../src/network/client.ts';
import { dialDirectly } from '../../src/network/dial.ts';
import { roundRobin } from '../../src/network/round-robin.ts';
import { atEnd } from '../support/cleanup.ts';
import { listenAnywhere } from '../support/ports.ts';

const addresses: LookupAddress[] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((address) => ({
  address,
  family: 4,
}));

test('each new connection goes to the address that chance says, and to the next one where it does not answer', async (t) => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.socket.localAddress);
    request.resume();
    response.writeHead(204).end();
  });
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  const another = createServer((request, response) => {
    seen.push(request.socket.localAddress);
    request.resume();
    response.writeHead(204).end();
  });
  // 127.0.0.2 refuses.
  await new Promise<void>((resolve) => another.listen(port, '127.0.0.3', resolve));
  atEnd(t, () => {
    another.closeAllConnections();
    another.close();
  });
  for (const random of [0, 0.34, 0.67]) {
    const lookup = roundRobin(
      (_, __, callback) => callback(null, addresses),
      () => random,
    );
    const writer = new HttpDestination({
      href: `http://many.example:${port}/push`,
      headers: {},
      authorization: () => undefined,
      dial: dialDirectly({ lookup }),
      remoteTimeoutMs: 60_000,
      userAgent: 'spillway/9.9',
    });
    atEnd(t, () => writer.close());
    const result = await writer.post(Uint8Array.of(1), 0, new AbortController().signal);
    assert.equal(result.kind, 'response');
  }
  assert.deepEqual(seen, ['127.0.0.1', '127.0.0.3', '127.0.0.3']);
});

test('a name that is not found is an error', (_t, done) => {
  const error = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
  roundRobin((_, __, callback) => callback(error, []))('nowhere.example', { all: true }, (found) => {
    assert.equal(found, error);
    done();
  });
});
