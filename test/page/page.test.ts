import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Agent, remote } from '../support/agent.ts';
import {
  browserForAll,
  card,
  lowContrast,
  openPage,
  overflow,
  pressed,
  WAIT,
  withBrowser,
} from '../support/browser.ts';
import { Load } from '../support/load.ts';
import { request, series } from '../support/messages.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';

const browser = browserForAll();

async function says(page: Page, name: string, text: RegExp): Promise<void> {
  await card(page, name).locator('.says', { hasText: text }).waitFor(WAIT);
}

test('the page says of each endpoint how it stands, through an outage and back', withBrowser, async (t) => {
  const [near, far, locked, picky] = await Promise.all(Array.from({ length: 4 }, () => Sink.start(t)));
  locked!.script = () => ({ status: 401, body: 'no such key: k-17' });
  picky!.script = ({ rows }) =>
    rows.some(({ series }) => series.includes('poison'))
      ? { status: 400, body: 'label job: too poisonous' }
      : {};
  await far!.stop();
  const slow = { queue_config: { max_shards: 1, max_samples_per_send: 10, max_backoff: '1s' } };
  const agent = await Agent.start(t, {
    shutdown_grace: '100ms',
    remote_write: [
      remote(near!.url, { name: 'near' }),
      remote(far!.url, { name: 'far', ...slow }),
      remote(locked!.url, { name: 'locked' }),
      remote(picky!.url, { name: 'picky' }),
    ],
  });
  const page = await openPage(
    t,
    browser(),
    agent.url,
    {},
    /ERR_CONNECTION_(?:REFUSED|RESET)|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|503|403/,
  );
  const whole = page.locator('.whole');
  await page.locator('.hint', { hasText: `Send remote write to ${agent.url}/api/v1/write` }).waitFor(WAIT);

  // Where nobody logs in it is read-only, and says how to get more.
  await page.getByText('Read-only, since nobody has to log in here').waitFor(WAIT);
  await page.locator('.access code', { hasText: 'web_config_file' }).waitFor(WAIT);
  assert.equal(await page.getByRole('button', { name: /Pause|Move|Resume/ }).count(), 0);
  assert.equal(await pressed(page, '/api/v1/endpoints/pause', '{"name":"near"}'), 403);

  const load = new Load(t, agent.url, { connections: 1 });
  await load.send(16);
  const bad = request(series({ __name__: 'sour', job: 'poison' }, [Date.now(), 1]));
  assert.equal((await new Sender(t, agent.url).write(bad))?.status, 204);

  // First what is only shown for a minute.
  await says(page, 'picky', /given up in the last minute: 1 sample \(rejected, see the dead letters\)/);
  await says(page, 'near', /^Delivering: [\d.]+\/s delivered/);
  await says(page, 'locked', /^Holding.*: 401 since \d\d:\d\d UTC, .*nothing is lost/);
  await card(page, 'locked').locator('.advice', { hasText: 'credentials' }).waitFor(WAIT);
  await card(page, 'locked').locator('.errors q', { hasText: 'no such key: k-17' }).waitFor(WAIT);
  await says(page, 'far', /^Retrying: ECONNREFUSED since \d\d:\d\d UTC, (next try in|trying now)/);
  await whole.locator('.says', { hasText: 'Data is safe on disk, but ' }).waitFor(WAIT);

  await card(page, 'picky').locator('.errors q', { hasText: 'too poisonous' }).waitFor(WAIT);
  await card(page, 'picky').getByText('1 × rejected (400)').waitFor(WAIT);
  await card(page, 'picky').locator('summary').click();
  await card(page, 'picky').locator('.series code', { hasText: 'sour{job="poison"}' }).waitFor(WAIT);
  await whole.locator('.numbers', { hasText: 'Given up in the last hour1 sample' }).waitFor(WAIT);
  assert.equal(await card(page, 'near').locator('canvas').count(), 2);

  // It is far behind after a while; then it takes what waits, a little at a time.
  await page.locator('.whole[data-level=critical] .says', { hasText: 'far' }).waitFor(WAIT);
  far!.script = () => ({ delayMs: 500 });
  await far!.restart();
  await says(page, 'far', /^Draining: caught up in about .* behind, .*nothing is lost/);
  far!.script = () => ({});
  await card(page, 'far', 'delivering').waitFor(WAIT);

  await agent.terminate();
  await page.getByRole('alert').getByText('No word from the agent since').waitFor(WAIT);
  await agent.start();
  await page.getByRole('alert').waitFor({ state: 'hidden', ...WAIT });
  await says(page, 'locked', /^Holding/);
});

test('a full queue is said first, on a phone and in the dark as well', withBrowser, async (t) => {
  const sink = await Sink.start(t);
  await sink.stop();
  const agent = await Agent.start(t, {
    shutdown_grace: '100ms',
    wal: { max_bytes: '1MiB', segment_bytes: '256KiB', codec: 'none' },
    remote_write: [remote(sink.url, { name: 'a-name-that-is-as-long-as-names-of-hosts-are.example.com' })],
  });
  const load = new Load(t, agent.url, { connections: 2, seriesEach: 500 });
  await load.run();
  const page = await openPage(t, browser(), agent.url, { width: 360, height: 740, dark: true });
  await page
    .locator('.whole[data-state=full] .says', { hasText: /^Writes are refused: the queue has / })
    .waitFor(WAIT);
  await page.locator('.whole .advice', { hasText: 'Bring back a-name' }).waitFor(WAIT);
  await page
    .locator('.says', { hasText: 'the queue is full: senders are told to keep theirs' })
    .waitFor(WAIT);
  await page.locator('.plot canvas').first().waitFor(WAIT);
  assert.equal(await overflow(page), 0);
  assert.deepEqual(await lowContrast(page, 4.5), []);
  await page.emulateMedia({ colorScheme: 'light' });
  assert.deepEqual(await lowContrast(page, 4.5), []);
  // Who does not see the page is told, by words alone.
  assert.match((await page.locator('#announcer[role=status]').textContent())!, /Writes are refused/);
  assert.equal(await page.locator('.whole .sign').innerText(), 'CRITICAL');
});
