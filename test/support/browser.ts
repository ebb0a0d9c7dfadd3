import assert from 'node:assert/strict';
import { after, before, type TestContext } from 'node:test';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { atEnd } from './cleanup.ts';
import { deadlineMs } from './deadline.ts';
import { find, needs } from './programs.ts';

/** What is shown is a tick old, and the machine may be slow. */
export const WAIT: { readonly timeout: number } = { timeout: deadlineMs };
/** Options of a test that needs a browser. */
export const withBrowser: ReturnType<typeof needs> = needs('chromium');

/** Without any traffic of its own; each launch has a profile of its own. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: find('chromium')!, headless: true, args, ...WAIT });
}

/** One browser for the tests of a file, which is there while they run. */
export function browserForAll(): () => Browser {
  let browser: Browser | undefined;
  before(async () => {
    if (withBrowser.skip === false) browser = await launchBrowser();
  });
  after(() => browser?.close());
  return () => browser!;
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** What somebody types when the browser asks who they are. */
  readonly login?: { readonly username: string; readonly password: string };
}

/**
 * A page of the agent at `url` in a browser without cookies. At its end the test fails when its script has thrown, when
 * it asked anybody else for anything, or when there was an error on its console, or a request without an answer, that is
 * none of `expectedErrors`.
 */
export async function openPage(
  t: TestContext,
  browser: Browser,
  url: string,
  { width = 1200, height = 900, dark = false, login }: PageOptions = {},
  expectedErrors = /^$/,
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    ...(login === undefined ? {} : { httpCredentials: login }),
  });
  const page = await context.newPage();
  const problems: string[] = [];
  const unlessExpected = (problem: string): void => {
    if (!expectedErrors.test(problem)) problems.push(problem);
  };
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') unlessExpected(message.text());
  });
  page.on('requestfailed', (request) => {
    const { errorText } = request.failure()!;
    // The page has let go of it by itself, or is closed.
    if (errorText !== 'net::ERR_ABORTED') unlessExpected(`${request.url()}: ${errorText}`);
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) problems.push(`asked for ${request.url()}`);
  });
  atEnd(t, async () => {
    await context.close();
    assert.deepEqual(problems, []);
  });
  await page.goto(`${url}/`);
  return page;
}

/** What the page says of an endpoint, if given in this state. */
export function card(page: Page, name: string, state?: string): Locator {
  return page.locator(
    `article[aria-labelledby="endpoint-${name}"]${state === undefined ? '' : `[data-state=${state}]`}`,
  );
}

/** The status of what a page asks for by itself, with a body of JSON. */
export function pressed(page: Page, url: string, body: string): Promise<number> {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body };
  return page.evaluate(`fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(({ status }) => status)`);
}

/** How far the page is wider than its window, in pixels. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}

/**
 * Texts of the page whose contrast with what is behind them is less than `least`, by the formula of WCAG 2. Canvases
 * are not looked at.
 */
export function lowContrast(page: Page, least: number): Promise<string[]> {
  return page.evaluate(`(${contrasts.toString()})(${least})`);
}

/** Runs in the page, so it is written without anything from here. */
function contrasts(least: number): string[] {
  // biome-ignore-start lint/suspicious/noExplicitAny: the types of the DOM are not those of tests
  const { document, getComputedStyle } = globalThis as any;
  const numbers = (colour: string): number[] => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (colour: string): number => {
    const [r, g, b] = numbers(colour).map((c) =>
      c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const backOf = (element: any): string => {
    for (let e = element; e !== null; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor as string;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const found: string[] = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes]
      .filter((n: any) => n.nodeType === 3)
      .map((n: any) => n.textContent.trim())
      .join('');
    if (own === '' || element.closest('.uplot, noscript') !== null || element.getClientRects().length === 0)
      continue;
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(backOf(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) found.push(`${own.slice(0, 40)}: ${ratio.toFixed(1)}`);
  }
  // biome-ignore-end lint/suspicious/noExplicitAny: as above
  return found;
}
