import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Child } from '../support/child.ts';
import { poll } from '../support/deadline.ts';
import { request, series } from '../support/messages.ts';
import { spillway } from '../support/paths.ts';
import { freePort } from '../support/ports.ts';
import { find, needs } from '../support/programs.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';
import { type Block, blocks } from './pages.ts';

/** The one block of a page that has `text` in it. */
function block(page: string, language: string, text: string): Block {
  const [found, ...more] = blocks(language).filter((b) => b.page === page && b.text.includes(text));
  assert.ok(found !== undefined && more.length === 0, `${page} has one block with ${text}`);
  return found;
}

/** A command line as a shell runs it; returns what it printed. */
async function shell(t: TestContext, cwd: string, line: string): Promise<string> {
  const script = `spillway() { "${process.execPath}" "${spillway}" "$@"; }; ${line}`;
  const child = Child.spawn(t, line, 'bash', ['-c', script], { cwd });
  assert.equal((await child.end()).code, 0, `${line}:\n${child.tail()}`);
  return child.lines.join('\n');
}

test('what README and the first aid tell people to type works on an agent that runs as README says', async (t) => {
  const sink = await Sink.start(t);
  const listen = `127.0.0.1:${await freePort()}`;
  const cwd = await tempDir(t, 'readme');
  const here = (text: string): string => text.replaceAll('127.0.0.1:9201', listen);
  const config = block('README.md', 'yaml', 'name: storage').text;
  const theirs = 'http://localhost:9091/api/v1/write';
  assert.ok(config.includes(theirs) && config.includes('127.0.0.1:9201'));
  await writeFile(join(cwd, 'spillway.yaml'), here(config).replace(theirs, sink.url));

  const child = Child.spawn(t, 'agent', process.execPath, [spillway, 'run', '--config', 'spillway.yaml'], {
    cwd,
  });
  const [, url] = await child.line(/listening on (http:\/\/\S+)/);
  assert.equal(url, `http://${listen}`);
  await new Sender(t, url!).write(request(series({ __name__: 'up', job: 'mine' }, [Date.now(), 1])));
  await poll(
    () => `the row is not delivered: ${sink.arrivals.count} have arrived`,
    async () =>
      (await (await fetch(`${url}/api/v1/status`)).text()).includes('"deliveredRows": 1') ? true : undefined,
  );

  const lines = [
    block('README.md', 'sh', 'spillway check-config').text,
    block('docs/troubleshooting.md', 'sh', '/-/ready').text,
  ].flatMap((text) => here(text).split('\n'));
  const said = new Map<string, string>();
  for (const line of lines) {
    const command = line.replace(/ +#.*$/, '');
    const [, asked] = /^curl (\S+)$/.exec(command) ?? [];
    if (asked !== undefined) {
      const response = await fetch(asked);
      assert.equal(response.status, 200, asked);
      said.set(command, await response.text());
    } else if (/^spillway (?!run )/.test(command)) said.set(command, await shell(t, cwd, command));
  }
  assert.ok(said.size >= 6, [...said.keys()].join('\n'));
  assert.match(said.get('spillway check-config spillway.yaml')!, /is valid/);
  assert.match(said.get('spillway endpoint ls --config spillway.yaml')!, /storage/);
  assert.match(said.get(`curl http://${listen}/api/v1/status`)!, /"deliveredRows": 1/);
  assert.equal((await child.kill('SIGTERM')).code, 0);
});

test('the quick start, with a Prometheus as it says', needs('prometheus'), async (t) => {
  const cwd = await tempDir(t, 'quick-start');
  const child = Child.spawn(t, 'agent', process.execPath, [spillway, 'run', '--listen', '127.0.0.1:0'], {
    cwd,
  });
  const [, url] = await child.line(/listening on (http:\/\/\S+)/);
  const own = `localhost:${await freePort()}`;
  const script = block('README.md', 'sh', 'prometheus --config.file')
    .text.replaceAll('/tmp/', `${cwd}/`)
    .replace('http://127.0.0.1:9201', url!)
    .replace('localhost:9090', own)
    .replace(/^prometheus (.*)$/m, `exec '${find('prometheus')}' $1 --web.listen-address=${own}`);
  const prometheus = Child.spawn(t, 'prometheus', 'bash', ['-c', script], { cwd });

  const [, asked] = /'(\S+)'/.exec(block('README.md', 'sh', '/api/v1/recent').text)!;
  const found = await poll(
    () => `${asked} finds nothing:\n${prometheus.tail()}`,
    async () => {
      const answer = await (await fetch(asked!.replace('http://127.0.0.1:9201', url!))).json();
      return (answer as { series: { labels: Record<string, string> }[] }).series[0];
    },
  );
  assert.deepEqual(found.labels, { __name__: 'up', instance: own, job: 'prometheus' });
  await prometheus.kill('SIGTERM');
  assert.equal((await child.kill('SIGTERM')).code, 0);
});
