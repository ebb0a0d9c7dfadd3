import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Child } from '../support/child.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { tempDir } from '../support/temp.ts';
import { pages, readPage } from './pages.ts';
import { withReasons } from './reasons.ts';

const page = readPage('docs/troubleshooting.md');

test('every log line that the page quotes is in the program', () => {
  const sources = readdirSync(join(projectDir, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(projectDir, 'src', file), 'utf8'))
    .join('\n')
    // Texts that go on over lines.
    .replaceAll(/['`]\s*\+\s*['`]/g, '');
  const [, section] = /\n## Log lines\n([\s\S]*?)\n## /.exec(page)!;
  const quoted = [...section!.matchAll(/^\| `([^`]+)` \|/gm)].map(([, line]) => line!);
  assert.ok(quoted.length > 20);
  for (const line of quoted) assert.ok(sources.includes(line), line);
});

test('its list of reasons is that of the program (npm run docs)', () => {
  assert.equal(page, withReasons(page));
  assert.match(page, /\| `rejected` \|/);
});

test('every metric that a page names is one that a running agent has', async (t) => {
  const folder = await tempDir(t, 'metrics');
  const config = join(folder, 'spillway.yaml');
  // With a web configuration there are the metrics of that, too.
  await writeFile(join(folder, 'web.yaml'), '{}\n');
  await writeFile(
    config,
    'listen: 127.0.0.1:0\nweb_config_file: web.yaml\nremote_write: [{ name: none, url: "http://127.0.0.1:9/" }]\n',
  );
  const child = Child.spawn(t, 'agent', process.execPath, [spillway, 'run', '--config', config], {
    cwd: folder,
  });
  const [, url] = await child.line(/listening on (http:\/\/\S+)/);
  const text = await (await fetch(`${url}/metrics`)).text();
  const known = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name!));
  for (const path of pages.filter((path) => path !== 'CHANGELOG.md')) {
    for (const [, name] of readPage(path).matchAll(/`(spillway_[a-z_]+[a-z])(?=[{`\s])/g)) {
      assert.ok(known.has(name!.replace(/_(bucket|sum|count)$/, '')), `${path}: ${name}`);
    }
  }
  assert.equal((await child.kill('SIGTERM')).code, 0);
});
