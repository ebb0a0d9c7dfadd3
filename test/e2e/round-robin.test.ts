import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';
import { withHosts } from '../support/hosts.ts';
import { Load } from '../support/load.ts';
import { freePort } from '../support/ports.ts';

const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];

test('with round_robin_dns connections go to all addresses of a name, else to the first one', async (t) => {
  const through = await withHosts(t, { 'many.example': addresses });
  if (through === undefined) {
    t.skip('names of its own take root, or user namespaces: sudo npm test -- e2e/round-robin');
    return;
  }
  const [spread, first] = [await startReceiver(t), await startReceiver(t)];
  const agent = await Agent.start(
    t,
    {
      shutdown_grace: '100ms',
      remote_write: [
        remote(spread.url, { name: 'spread', round_robin_dns: true }),
        remote(first.url, { name: 'first' }),
      ],
    },
    { through },
  );
  const load = new Load(t, agent.url, { connections: 1, seriesEach: 1 });
  await poll(
    () => `connections came to ${[...spread.seen]}, and to ${[...first.seen]}`,
    async () => {
      await load.send(1);
      return spread.seen.size === addresses.length && first.seen.size > 0 ? true : undefined;
    },
  );
  assert.deepEqual([...first.seen], addresses.slice(0, 1));
});

/** Answers each request at another connection, at all addresses of this machine; `seen` are those that were used. */
async function startReceiver(t: TestContext): Promise<{ readonly url: string; readonly seen: Set<string> }> {
  const seen = new Set<string>();
  const server = createServer((request, response) => {
    seen.add(request.socket.localAddress!);
    request.resume();
    response.writeHead(204, { connection: 'close' }).end();
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://many.example:${port}/api/v1/write`, seen };
}
