import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import type { Locator, Page } from 'playwright-core';
import { stringify } from 'yaml';
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
import { atEnd } from '../support/cleanup.ts';
import { basic } from '../support/https.ts';
import { Load } from '../support/load.ts';
import { request, series } from '../support/messages.ts';
import { listenAnywhere } from '../support/ports.ts';
import { Sender } from '../support/sender.ts';
import { type Script, Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';

const login = { username: 'anna', password: 's3cret' };
const authorization = basic(login.username, login.password);

const browser = browserForAll();

interface Scene {
  readonly agent: Agent;
  readonly a: Sink;
  readonly picky: Sink;
  readonly load: Load;
}

/** An agent with two endpoints behind a login: `anna` may do everything, `guest` may look. */
async function behindLogin(t: TestContext): Promise<Scene> {
  const web = join(await tempDir(t, 'web'), 'web.yaml');
  const hash = hashSync(login.password, 4);
  await writeFile(
    web,
    stringify({ basic_auth_users: { anna: hash, guest: hash }, user_access: { guest: 'read' } }),
  );
  const [a, picky] = [await Sink.start(t), await Sink.start(t)];
  picky.script = refuses('poison', 400, 'too poisonous');
  const agent = await Agent.start(
    t,
    {
      web_config_file: web,
      shutdown_grace: '100ms',
      remote_write: [
        remote(a.url, {
          name: 'a',
          write_relabel_configs: [{ source_labels: ['job'], regex: 'noise', action: 'drop' }],
        }),
        remote(picky.url, { name: 'picky' }),
      ],
    },
    { access: { authorization } },
  );
  return { agent, a, picky, load: new Load(t, agent.url, { connections: 1, headers: { authorization } }) };
}

/** Refuses rows of this `job`, and takes all others. */
function refuses(job: string, status: number, body: string): Script {
  return ({ rows }) => (rows.some(({ series }) => series.includes(job)) ? { status, body } : {});
}

/** Holds what the page asks for next at `url`; `held` resolves with what loses it. */
async function holdNext(page: Page, url: string): Promise<{ readonly held: Promise<() => Promise<void>> }> {
  let hold!: (lose: () => Promise<void>) => void;
  const held = new Promise<() => Promise<void>>((resolve) => {
    hold = resolve;
  });
  await page.route(url, (route) => hold(() => route.abort()), { times: 1 });
  return { held };
}

/** What has focus, in words. */
async function focused(page: Page): Promise<string> {
  return (await page.locator(':focus').textContent()) ?? '';
}

test(
  'behind a login, buttons pause, move and resume an endpoint, and nothing is done by accident',
  withBrowser,
  async (t) => {
    const { agent, a, load } = await behindLogin(t);
    const page = await openPage(
      t,
      browser(),
      agent.url,
      { login, width: 390, height: 800 },
      /409|ERR_FAILED/,
    );
    const dialog = page.getByRole('dialog');
    await page.getByText('Logged in as anna.').waitFor(WAIT);
    await load.send(10);
    await a.waitForRows(load.acknowledged);
    const first = load.acknowledged.length;

    // By keyboard: what is in focus is what does nothing, and Escape gets out.
    const pause = page.getByRole('button', { name: 'Pause a', exact: true });
    await pause.focus();
    await page.keyboard.press('Enter');
    await dialog
      .getByText('a is sent nothing until somebody resumes it, also after a restart.')
      .waitFor(WAIT);
    assert.equal(await focused(page), 'Cancel');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden', ...WAIT });
    assert.equal(await focused(page), 'Pause…');
    assert.equal(await agent.metric('spillway_endpoint_paused', { endpoint: 'a' }), 0);
    await page.keyboard.press('Enter');
    const pauseIt = dialog.getByRole('button', { name: 'Pause it' });
    await pauseIt.waitFor(WAIT);

    // While it is done the dialog stays; without an answer it says so, and what was shown cannot be agreed to any more.
    const { held } = await holdNext(page, '**/api/v1/endpoints/pause');
    await pauseIt.click();
    const lose = await held;
    for (let i = 0; i < 3; i++) await page.keyboard.press('Escape');
    assert.equal(await dialog.getByRole('button', { name: 'Cancel' }).isDisabled(), true);
    await lose();
    await dialog.getByText('It is not known whether it was done: the agent does not answer.').waitFor(WAIT);
    assert.deepEqual([await pauseIt.isVisible(), await focused(page)], [false, 'Close']);
    await page.keyboard.press('Enter');
    await pause.press('Enter');
    await pauseIt.waitFor(WAIT);
    assert.deepEqual([await overflow(page), await lowContrast(page, 4.5)], [0, []]);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await dialog.getByText('a is paused: it is sent nothing').waitFor(WAIT);
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'hidden', ...WAIT });
    await card(page, 'a', 'paused').waitFor(WAIT);
    assert.equal(await agent.metric('spillway_endpoint_paused', { endpoint: 'a' }), 1);

    // What waits is passed over only when its number is typed.
    await load.send(6);
    const waiting = load.acknowledged.length - first;
    await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'a' }, (n) => n === waiting);
    await page.getByRole('button', { name: 'Move a' }).click();
    await dialog.getByLabel('With what comes from now on').check();
    await dialog
      .getByText(`At most ${waiting} samples that wait for it are passed over: a never gets them`)
      .waitFor(WAIT);
    const pass = dialog.getByRole('button', { name: 'Pass over them' });
    assert.equal(await pass.isDisabled(), true);
    const box = dialog.getByLabel(`Type ${waiting} to go on`);
    await box.fill(`${waiting + 1}`);
    assert.equal(await pass.isDisabled(), true);
    // What comes meanwhile is not among them.
    const passed = new Set(load.acknowledged.slice(first));
    await load.send(2);
    await box.fill(`${waiting}`);
    await pass.click();
    await dialog.getByText('are passed over').waitFor(WAIT);
    await dialog.getByRole('button', { name: 'Close' }).click();
    const skipped = { endpoint: 'a', reason: 'skipped' };
    await agent.metricUntil('spillway_endpoint_dropped_rows_total', skipped, (n) => n === waiting);

    await page.getByRole('button', { name: 'Resume a' }).click();
    await dialog.getByRole('button', { name: 'Resume it' }).click();
    await dialog.getByText('a delivers again.').waitFor(WAIT);
    await dialog.getByRole('button', { name: 'Close' }).click();
    await load.send(4);
    const after = load.acknowledged.filter((row, i) => i >= first && !passed.has(row));
    await a.waitForRows(after);
    assert.equal(a.arrivals.count, first + after.length);
    await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'a' }, (n) => n === 0);

    // Back by an hour: all that is still there goes once more.
    await page.getByRole('button', { name: 'Move a' }).click();
    await dialog.getByLabel('Time, UTC').fill(new Date(Date.now() + 172_800_000).toISOString().slice(0, 16));
    await dialog.getByRole('alert').getByText('Not done: this time is still to come').waitFor(WAIT);
    await dialog.getByLabel('Time, UTC').fill(new Date(Date.now() - 3_600_000).toISOString().slice(0, 16));
    await dialog.getByText(/that it was sent before are sent again; nothing is lost/).waitFor(WAIT);
    await dialog.getByRole('button', { name: 'Send them again' }).click();
    await a.waitFor('rows once more', () => after.every((row) => a.arrivals.times(row) === 2));
    await agent.line(/the endpoint is moved in the queue, as asked.*direction=backwards.*user=anna/);
    assert.equal(await pressed(page, '/-/reload', '{}'), 200);
    await agent.line(/a reload is asked for over HTTP.*user=anna/);
  },
);

test('a dialog does not wait for ever for an agent that hangs', withBrowser, async (t) => {
  const { agent } = await behindLogin(t);
  const page = await openPage(t, browser(), agent.url, { login });
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Pause a', exact: true }).click(WAIT);
  const { held } = await holdNext(page, '**/api/v1/endpoints/pause');
  await page.clock.install();
  await dialog.getByRole('button', { name: 'Pause it' }).click(WAIT);
  const lose = await held;
  await page.clock.fastForward(121_000);
  await dialog.getByText('the agent does not answer within 120 s').waitFor(WAIT);
  assert.equal(await dialog.getByRole('button', { name: 'Close' }).isEnabled(), true);
  await lose();
});

test(
  'dead letters are looked at, sent again and deleted on the page; a guest may look only',
  withBrowser,
  async (t) => {
    const { agent, picky, load } = await behindLogin(t);
    const sender = new Sender(t, agent.url, undefined, { authorization });
    const poison = (name: string) => request(series({ __name__: name, job: 'poison' }, [Date.now(), 1]));
    // A receiver that has hardly taken anything is not believed when it refuses.
    await load.send(16);
    await picky.waitForRows(load.acknowledged);
    await sender.write(poison('sour'));
    const page = await openPage(t, browser(), agent.url, { login, dark: true }, /ERR_FAILED/);
    const dialog = page.getByRole('dialog');
    const letters = card(page, 'picky').locator('details');
    await letters.locator('summary', { hasText: '1 × rejected (400)' }).click({ ...WAIT });
    await letters.locator('code', { hasText: 'sour{job="poison"}' }).waitFor(WAIT);
    await letters.locator('q', { hasText: 'too poisonous' }).waitFor(WAIT);
    picky.script = () => ({});
    await letters.getByRole('button', { name: 'Send again' }).click(WAIT);
    await dialog.getByText('1 dead letter (rejected, 400) goes to picky again').waitFor(WAIT);
    await dialog.getByRole('button', { name: 'Send it again' }).click();
    await dialog.getByText('Begun.').waitFor(WAIT);
    await dialog.getByRole('button', { name: 'Close' }).click();
    await picky.waitForRows(sender.acknowledged);
    await card(page, 'picky').getByText('Sent again: 1 of 1 dead letter taken.').waitFor(WAIT);
    assert.equal(await agent.metric('spillway_dead_letters', { endpoint: 'picky' }), 0);

    picky.script = refuses('poison', 422, 'not again');
    await load.send(16);
    await picky.waitForRows(load.acknowledged);
    await sender.write(poison('bitter'));
    await sender.write(poison('sharp'));
    const again = card(page, 'picky').locator('details', { hasText: '× rejected (422)' });
    await again.locator('summary', { hasText: '2 ×' }).click(WAIT);
    await again.getByRole('button', { name: 'Delete' }).click(WAIT);
    // In pages, and the agent is gone after the first one.
    let asks = 0;
    await page.route('**/api/v1/dead_letters?*before=*', (route) =>
      ++asks === 1 ? route.continue({ url: `${route.request().url()}&limit=1` }) : route.abort(),
    );
    await dialog.getByLabel('Type 2 to go on').fill('2');
    await dialog.getByRole('button', { name: 'Delete 2' }).click();
    await dialog
      .getByText('Only 1 dead letter of 2 is deleted: the agent does not answer. Whether more of them are')
      .waitFor(WAIT);
    await page.unrouteAll();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await again.getByRole('button', { name: 'Delete' }).click(WAIT);
    const purge = dialog.getByRole('button', { name: 'Delete it' });
    await purge.waitFor(WAIT);
    assert.equal(await purge.isDisabled(), true);
    await dialog.getByLabel('Type 1 to go on').fill('1');
    assert.deepEqual(await lowContrast(page, 4.5), []);
    await purge.click();
    await dialog.getByText('1 dead letter deleted.').waitFor(WAIT);
    assert.equal(await agent.metric('spillway_dead_letters_purged_total', { endpoint: 'picky' }), 2);

    const guest = { ...login, username: 'guest' };
    const other = await openPage(t, browser(), agent.url, { login: guest }, /403/);
    await other.getByText('Logged in as guest, who may look only').waitFor(WAIT);
    await card(other, 'a').waitFor(WAIT);
    assert.equal(await other.getByRole('button', { name: /Pause|Move|Resume/ }).count(), 0);
    assert.equal(await pressed(other, '/api/v1/endpoints/pause', '{"name":"a"}'), 403);
  },
);

test(
  'a page of somebody else presses no buttons with the password that the browser knows',
  withBrowser,
  async (t) => {
    const { agent } = await behindLogin(t);
    const page = await openPage(t, browser(), agent.url, { login });
    await page.getByText('Logged in as anna.').waitFor(WAIT);
    const evil = createServer((_request, response) => {
      const form = `<form method="post" enctype="text/plain" action="${agent.url}/-/reload"><input name="x"></form>`;
      response.writeHead(200, { 'Content-Type': 'text/html' }).end(form);
    });
    const port = await listenAnywhere(evil);
    atEnd(t, () => {
      evil.closeAllConnections();
      evil.close();
    });
    // In the browser of anna, who is logged in: what a script may send unasked, and then a form.
    const there = await page.context().newPage();
    await there.goto(`http://127.0.0.1:${port}/`);
    const init = { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"name":"a"}' };
    for (const path of ['/-/reload', '/api/v1/endpoints/pause', '/api/v1/write']) {
      await there.evaluate(
        `fetch(${JSON.stringify(agent.url + path)}, ${JSON.stringify(init)}).then(() => 0)`,
      );
    }
    const answered = there.waitForResponse(`${agent.url}/-/reload`, WAIT);
    await there.evaluate('document.forms[0].submit()');
    assert.equal((await answered).status(), 403);
    assert.equal(await agent.metric('spillway_auth_refusals_total', { reason: 'other_site' }), 4);
    assert.ok(!agent.lines.some((line) => /reloaded|paused/.test(line)));
  },
);

test('a box says what happens to a series', withBrowser, async (t) => {
  const { agent, a } = await behindLogin(t);
  const sender = new Sender(t, agent.url, undefined, { authorization });
  await sender.write(request(series({ __name__: 'up', job: 'node' }, [Date.now(), 1])));
  await a.waitFor('the sample', () => a.arrivals.count === 1);
  const page = await openPage(t, browser(), agent.url, { login, width: 360, height: 740 }, /400/);
  const box = page.getByLabel('A series, with all of its labels');
  await box.fill('up{job="noise"}', WAIT);
  await box.press('Enter');
  const part = (name: string): Locator =>
    page.locator('.explain .part').filter({ has: page.getByRole('heading', { name, exact: true }) });
  await part('a')
    .getByText(/write_relabel_configs rule 1 \(drop, .*:\d+:\d+\) drops it/)
    .waitFor(WAIT);
  await part('a').getByText('Dropped, counted as dropped_by_relabel').waitFor(WAIT);
  await part('picky')
    .getByText(/^Sent as up\{job="noise"\}; part \d+ of the hash space, by loop \d+ of \d+/)
    .waitFor(WAIT);
  await part('picky').getByText('No dead letters of it.').waitFor(WAIT);
  assert.deepEqual([await overflow(page), await lowContrast(page, 4.5)], [0, []]);
  await box.fill('up{job=~"n.*"}');
  await box.press('Enter');
  await page.locator('.explain .failed', { hasText: 'name one series by all of its labels' }).waitFor(WAIT);
});
