import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

test('when there are no more file descriptors (EMFILE), nothing dies, and what was acknowledged arrives', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(
    t,
    {
      // A file a commit: each takes a descriptor for itself.
      wal: { segment_age: '1ms' },
      remote_write: [remote(sink.url, { name: 'far' })],
    },
    { through: ['sh', '-c', 'ulimit -n 160; exec "$@"', 'sh'] },
  );
  const load = new Load(t, agent.url, { connections: 1 });
  await load.send(5);
  const sockets: Socket[] = [];
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
  });
  const { hostname, port } = new URL(agent.url);
  for (let i = 0; i < 200; i++) {
    const socket = connect(Number(port), hostname).on('error', () => undefined);
    sockets.push(socket);
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  }
  await load.run();
  assert.ok(load.refused.length + load.unknown.length > 0, 'a commit, or its connection, failed');
  await agent.line(/EMFILE/);

  for (const socket of sockets) socket.destroy();
  // Until all of them are closed there as well, writes may still fail.
  await poll(
    () => 'writes are not taken again',
    () =>
      load.send(5).then(
        () => true,
        () => undefined,
      ),
  );
  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
});
