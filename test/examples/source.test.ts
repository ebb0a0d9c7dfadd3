import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Child } from '../support/child.ts';
import { atEnd } from '../support/cleanup.ts';
import { bitsOf } from '../support/messages.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

test('a source acknowledges what is on disk, says what is wrong, and its rows are delivered', async (t) => {
  const sink = await Sink.start(t);
  const cwd = await tempDir(t, 'source');
  const program = fileURLToPath(new URL('../../examples/source.js', import.meta.url));
  const child = Child.spawn(t, 'source', process.execPath, [program, sink.url, 'data', '0'], { cwd });
  const [, port] = await child.line(/^taking lines at 127\.0\.0\.1:(\d+)$/);

  const socket = connect(Number(port), '127.0.0.1');
  atEnd(t, () => void socket.destroy());
  await once(socket, 'connect');
  const answers = createInterface({ input: socket })[Symbol.asyncIterator]();
  const tell = async (line: string): Promise<string | undefined> => {
    socket.write(`${line}\n`);
    return (await answers.next()).value;
  };
  assert.equal(await tell('servers.web-1.load;env=prod 0.5 1700000000'), 'ok');
  assert.equal(await tell('servers.web-1.load;env=prod 0.75 1700000010'), 'ok');
  assert.match((await tell('not a line')) ?? '', /^wrong not a line/);

  await sink.waitFor('both rows', () => sink.arrivals.count === 2);
  const series = '{__name__="servers_web_1_load",env="prod"}';
  assert.deepEqual(
    [...sink.arrivals.rows()],
    [
      { series, kind: 'sample', at: 1_700_000_000_000n, content: bitsOf(0.5).toString(16) },
      { series, kind: 'sample', at: 1_700_000_010_000n, content: bitsOf(0.75).toString(16) },
    ],
  );
  assert.equal((await child.kill('SIGTERM')).code, 0);
  await child.line(/^delivered 2 rows, 0 wait$/);
});
