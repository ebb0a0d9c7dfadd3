/*
 * `npm run docs:screenshots [FOLDER]`: pictures of the status page, by default into docs/images. The page is the real
 * one, and so is the board behind it; the hour that it shows is played (scenes.ts).
 */
import { mkdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { accessRoute } from '../../src/status/access-route.ts';
import { StatusEvents } from '../../src/status/events.ts';
import { pageRoutes } from '../../src/status/page-routes.ts';
import { launchBrowser } from '../support/browser.ts';
import { projectDir } from '../support/paths.ts';
import { play, scenes } from './scenes.ts';

interface Shot {
  readonly file: string;
  readonly scene: string;
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
}

const wide = { width: 1000, height: 760 };
const shots: readonly Shot[] = [
  { file: 'healthy', scene: 'healthy', ...wide },
  { file: 'holding', scene: 'holding', ...wide },
  { file: 'draining-dark', scene: 'draining', ...wide, dark: true },
  { file: 'poison', scene: 'poison', ...wide },
  { file: 'full-phone', scene: 'full', width: 390, height: 844, dark: true },
];
const MOST_BYTES = 150 * 1024;

async function take(
  browser: Browser,
  folder: string,
  { file, scene, width, height, dark = false }: Shot,
): Promise<void> {
  const board = play(scenes[scene]!);
  const events = new StatusEvents(board, Date.now);
  // As somebody sees it who is logged in.
  const routes = new Map([...pageRoutes(''), accessRoute(() => ({ user: 'anna', access: 'all' }))]);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://page');
    if (url.pathname === '/api/v1/events') events.handle(request, response);
    else
      (routes.get(url.pathname) ?? ((_request, answer) => answer.writeHead(404).end()))(
        request,
        response,
        url,
      );
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  try {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light',
    });
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.locator('article canvas').first().waitFor();
    await page.getByText('Logged in as anna.').waitFor();
    const path = join(folder, `status-${file}.png`);
    await page.screenshot({ path, animations: 'disabled' });
    await context.close();
    const bytes = statSync(path).size;
    console.log(`${path}: ${Math.round(bytes / 1024)} KiB`);
    if (bytes > MOST_BYTES) throw new Error(`${path} is larger than ${MOST_BYTES / 1024} KiB`);
  } finally {
    events.close();
    server.closeAllConnections();
    server.close();
  }
}

const folder = resolve(process.argv[2] ?? join(projectDir, 'docs', 'images'));
mkdirSync(folder, { recursive: true });
const browser = await launchBrowser();
try {
  for (const shot of shots) await take(browser, folder, shot);
} finally {
  await browser.close();
}
