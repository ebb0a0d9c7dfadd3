import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { commandWords } from '../../src/cli/usage.ts';
import { parseConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problems.ts';
import { parseWebConfig } from '../../src/config/web-config.ts';
import { projectDir } from '../support/paths.ts';
import { type Block, blocks, readPage } from './pages.ts';

const { scripts } = JSON.parse(readPage('package.json')) as { scripts: Record<string, string> };

/** Files that are not ours, by their first key: of Prometheus, the Collector, and what an HTTP client is given. */
const others = new Set(['scrape_configs', 'exporters', 'basic_auth']);

/** Behind a part of a configuration that says nothing of endpoints. */
const somewhere = "remote_write: [{ url: 'http://127.0.0.1:9/' }]\n";

/** The files that it names are not there; all else is to be right. */
function checkWebConfig(text: string, origin: { file: string; baseDir: string }): void {
  try {
    parseWebConfig(text, { ...origin, read: () => Buffer.alloc(0) });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    for (const { message, path } of error.problems) assert.match(message, /^the file does not hold/, path);
  }
}

function check({ page, text }: Block): void {
  const value: unknown = parse(text);
  if (Array.isArray(value)) {
    // The only list in our pages: alert rules, which promtool checks in test/deploy/.
    assert.ok(value.every((rule) => typeof rule === 'object' && rule !== null && 'alert' in rule));
    return;
  }
  const keys = Object.keys(value as object);
  const origin = { file: page, baseDir: projectDir };
  if (others.has(keys[0]!)) return;
  if (keys[0] === 'tls_server_config') checkWebConfig(text, origin);
  else parseConfig(keys.includes('remote_write') ? text : `${text}\n${somewhere}`, origin);
}

describe('YAML in the pages is valid', () => {
  process.env.GRAFANA_CLOUD_TOKEN = 'a token';
  for (const block of blocks('yaml')) it(`${block.page}:${block.line}`, () => check(block));
});

/** Commands of ours in a block, lines that go on put together and comments left out. */
function commandsIn(text: string): string[][] {
  return text
    .replaceAll('\\\n', ' ')
    .split(/\n|&&|\|(?!\|)/)
    .map((line) => line.replace(/ #.*$/, '').trim())
    .filter((line) => /^(spillway|npm|node dist\/main\.js)\b/.test(line))
    .map((line) => line.replace('node dist/main.js', 'spillway').split(/\s+/));
}

function checkSpillway(args: readonly string[]): void {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  const command = commandWords().find(({ name }) => name === own[0]);
  assert.ok(command !== undefined, `there is no command ${own[0]}`);
  const action = command.actions.includes(own[1]!) ? own[1]! : '';
  const options = command.optionsOf.get(action) ?? command.optionsOf.get('');
  assert.ok(options !== undefined, `${own[0]} ${own[1]}`);
  for (const word of own.filter((word) => word.startsWith('--'))) {
    assert.ok(
      options.some(({ flag }) => `--${flag}` === word),
      `${own[0]} ${action} has no ${word}`,
    );
  }
}

describe('commands in the pages are there, with their options', () => {
  for (const block of blocks('sh')) {
    it(`${block.page}:${block.line}`, () => {
      for (const [program, ...args] of commandsIn(block.text)) {
        if (program === 'spillway') checkSpillway(args);
        else if (args[0] === 'run') assert.ok(scripts[args[1]!] !== undefined, `npm run ${args[1]}`);
        else if (['start', 'test'].includes(args[0]!)) assert.ok(scripts[args[0]!] !== undefined);
        else assert.ok(['ci', 'prune', 'install', 'pack', 'rebuild'].includes(args[0]!), args.join(' '));
      }
    });
  }
});

it('commands named in passing are there', () => {
  const known = new Set(commandWords().map(({ name }) => name));
  for (const block of ['README.md', 'docs/troubleshooting.md', 'docs/contributing.md']) {
    for (const [, command] of readPage(block).matchAll(/`spillway ([a-z][\w-]*)/g)) {
      assert.ok(known.has(command!), `${block}: spillway ${command}`);
    }
  }
});
