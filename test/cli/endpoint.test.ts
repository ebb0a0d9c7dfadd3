import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { Load } from '../support/load.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { Sink } from '../support/sink.ts';

test('what is kept for a removed endpoint is listed, and let go by name', async (t) => {
  const sink = await Sink.start(t);
  const down = await Sink.start(t);
  await down.stop();
  const up = remote(sink.url, { name: 'up' });
  const agent = await Agent.start(t, { remote_write: [up, remote(down.url, { name: 'down' })] });
  const run = async (...args: string[]): Promise<[code: number | null, text: string]> => {
    const all = [spillway, 'endpoint', ...args, '--url', agent.url];
    const child = Child.spawn(t, 'endpoint', process.execPath, all, { cwd: projectDir });
    const { code } = await child.end();
    return [code, child.lines.join('\n')];
  };
  const load = new Load(t, agent.url, { connections: 1, seriesEach: 3 });
  await load.send(1);
  await agent.configure({ remote_write: [up] });
  await agent.reload();

  const [code, text] = await run('list');
  assert.equal(code, 0);
  const rows = load.acknowledged.length;
  assert.match(
    text,
    new RegExp(
      `^NAME .*\\nup +up to date .*\\ndown: not configured since \\d{4}-.*Z; kept for it: ${rows} rows, \\d+ bytes$`,
    ),
  );
  const refused = await run('forget', 'up');
  assert.equal(refused[0], 1);
  assert.match(refused[1], /refuses \(409\): it is configured/);
  const [done, said] = await run('forget', 'down');
  assert.equal(done, 0);
  assert.match(
    said,
    new RegExp(`^down is forgotten, with ${rows} rows that were kept for it in \\d+ bytes$`),
  );
  assert.match((await run('ls'))[1], /^NAME .*\nup [^\n]*$/);
  assert.equal((await run('forget'))[0], 2);
});
