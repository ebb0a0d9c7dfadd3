import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { pageRoutes } from '../../src/status/page-routes.ts';
import { atEnd } from '../support/cleanup.ts';

test('browsers get the page with a policy that lets nothing else in, curl gets text', async (t) => {
  const routes = new Map(pageRoutes('Spillway 1'));
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://page');
    routes.get(url.pathname)!(request, response, url);
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  atEnd(t, async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  assert.equal(await (await fetch(base)).text(), 'Spillway 1\n');
  const html = { Accept: 'text/html,*/*' };
  const page = await fetch(base, { headers: html });
  const policy = page.headers.get('content-security-policy')!;
  assert.match(policy, /^default-src 'none';.*frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  const text = await page.text();
  // Nothing inline, which the policy would not run, and nothing from elsewhere.
  assert.doesNotMatch(text, /style=|<style|onclick|<script(?! type="module" src)/);
  const files = [...text.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, path]) => path!);
  assert.deepEqual(files.sort(), ['page/icon.svg', 'page/page.css', 'page/page.js']);
  for (const path of files) {
    const file = await fetch(`${base}/${path}`);
    assert.equal(file.status, 200);
    assert.ok((await file.arrayBuffer()).byteLength < 128 * 1024, path);
  }
  const tag = page.headers.get('etag')!;
  assert.equal((await fetch(base, { headers: { ...html, 'If-None-Match': tag } })).status, 304);
  assert.equal((await fetch(base, { method: 'POST', headers: html })).status, 405);
});
