import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserRefusal } from '../../src/receiver/browsers.ts';
import type { AuthRefusal } from '../../src/telemetry/reasons.ts';

const host = 'spillway.example:9201';
const own = `http://${host}`;

type Case = readonly [
  headers: Record<string, string>,
  loggedIn: AuthRefusal | undefined,
  open?: AuthRefusal | undefined,
];

const cases: readonly Case[] = [
  // Programs.
  [{}, undefined, undefined],
  // Our page: over plain HTTP from another machine, on this machine or over TLS, and behind a proxy that speaks TLS.
  [{ origin: own }, undefined, 'no_login'],
  [{ origin: own, 'sec-fetch-site': 'same-origin' }, undefined, 'no_login'],
  [{ origin: `https://${host}` }, undefined, 'no_login'],
  [{ origin: own, host: host.toUpperCase() }, undefined, 'no_login'],
  // A proxy that changes the name: the browser itself knows.
  [{ origin: 'https://far.example', 'sec-fetch-site': 'same-origin' }, undefined, 'no_login'],
  [{ origin: 'https://far.example' }, 'other_site', 'other_site'],
  // Pages of others: a form, a script, another port of the same host, one that hides where it is from.
  [{ origin: 'http://evil.example' }, 'other_site', 'other_site'],
  [{ origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' }, 'other_site', 'other_site'],
  [{ origin: own, 'sec-fetch-site': 'same-site' }, 'other_site', 'other_site'],
  [{ origin: own, 'sec-fetch-site': 'cross-site' }, 'other_site', 'other_site'],
  [{ origin: 'http://spillway.example:9202' }, 'other_site', 'other_site'],
  [{ origin: 'http://spillway.example' }, 'other_site', 'other_site'],
  [{ origin: 'null' }, 'other_site', 'other_site'],
  [{ origin: '' }, 'other_site', 'other_site'],
  [{ 'sec-fetch-site': 'none' }, 'other_site', 'other_site'],
];

test('what a browser sends changes something from our own page alone, and only for somebody who is known', () => {
  for (const [headers, loggedIn, open] of cases) {
    const all = { host, ...headers };
    for (const method of ['POST', 'DELETE', 'PUT', 'OPTIONS', undefined]) {
      const about = `${method} ${JSON.stringify(headers)}`;
      assert.equal(browserRefusal(method, all, true), loggedIn, about);
      assert.equal(browserRefusal(method, all, false), open, about);
    }
    // Who may look at an answer is decided by the browser.
    for (const method of ['GET', 'HEAD']) assert.equal(browserRefusal(method, all, false), undefined);
  }
});
