import assert from 'node:assert/strict';
import { request as ask, createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { HistoryDocument, StatusDocument } from '../../src/status/document.ts';
import { MOST_LISTENERS, StatusEvents } from '../../src/status/events.ts';
import { atEnd } from '../support/cleanup.ts';
import { poll } from '../support/deadline.ts';

interface Heard {
  readonly response: IncomingMessage;
  text: string;
  ended: boolean;
}

async function serving(t: TestContext) {
  let nowMs = 0;
  let filler = '';
  const document = () => ({ nowMs, version: filler }) as unknown as StatusDocument;
  const history = (steps?: number) => ({ stepMs: steps ?? 360 }) as unknown as HistoryDocument;
  const events = new StatusEvents({ document, history }, () => nowMs);
  const server = createServer((request, response) => events.handle(request, response));
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  atEnd(t, async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  const { port } = server.address() as AddressInfo;
  return {
    events,
    at: (ms: number) => {
      nowMs = ms;
    },
    fill: (bytes: number) => {
      filler = 'x'.repeat(bytes);
    },
    listen: (method = 'GET', reads = true) =>
      new Promise<Heard>((done, failed) => {
        const sent = ask({ port, method, path: '/api/v1/events', agent: false }, (response) => {
          const heard: Heard = { response, text: '', ended: false };
          response.on('error', () => undefined);
          response.once('close', () => {
            heard.ended = true;
          });
          if (reads) {
            response.setEncoding('utf8').on('data', (text: string) => {
              heard.text += text;
            });
          } else response.pause();
          done(heard);
        });
        sent.once('error', failed).end();
      }),
  };
}

/** Waits until the stream has brought `text`. */
async function hears(heard: Heard, text: string): Promise<void> {
  await poll(
    () => `${text} is not in ${heard.text}`,
    async () => (heard.text.includes(text) ? true : undefined),
  );
}

async function ends(heard: Heard): Promise<void> {
  await poll(
    () => 'the stream goes on',
    async () => (heard.ended ? true : undefined),
  );
}

test('a listener has the past and the present at once, then each tick, and the last word at the end', async (t) => {
  const { events, at, listen } = await serving(t);
  const heard = await listen();
  assert.equal(heard.response.headers['content-type'], 'text/event-stream');
  await hears(
    heard,
    'event: history\ndata: {"stepMs":360}\n\nevent: status\ndata: {"nowMs":0,"version":""}\n\n',
  );
  at(2000);
  events.tick(false);
  await hears(heard, 'event: status\ndata: {"nowMs":2000,"version":""}\n\n');
  at(4000);
  events.tick(true);
  await hears(
    heard,
    'event: step\ndata: {"stepMs":1}\n\nevent: status\ndata: {"nowMs":4000,"version":""}\n\n',
  );
  at(5000);
  events.close();
  await hears(heard, '"nowMs":5000');
  await ends(heard);
  assert.equal((await listen()).response.statusCode, 503);
});

test('listeners are so many at most; who leaves makes room', async (t) => {
  const { events, listen } = await serving(t);
  const all = await Promise.all(Array.from({ length: MOST_LISTENERS }, () => listen()));
  assert.equal(events.listeners, MOST_LISTENERS);
  const refused = await listen();
  assert.deepEqual([refused.response.statusCode, refused.response.headers['retry-after']], [503, '10']);
  assert.equal((await listen('POST')).response.statusCode, 405);
  all[0]!.response.destroy();
  await poll(
    () => 'nobody has left',
    async () => (events.listeners < MOST_LISTENERS ? true : undefined),
  );
  assert.equal((await listen()).response.statusCode, 200);
});

test('who does not read is cut off, and costs the others nothing', async (t) => {
  const { events, fill, listen } = await serving(t);
  const [stuck, other] = [await listen('GET', false), await listen()];
  assert.equal(events.listeners, 2);
  fill(2 ** 20);
  for (let i = 0; i < 100 && events.listeners > 1; i++) {
    const before = other.text.length;
    events.tick(false);
    await poll(
      () => 'the other hears nothing',
      async () => (other.text.length >= before + 2 ** 20 ? true : undefined),
    );
  }
  assert.equal(events.listeners, 1);
  assert.equal(other.ended, false);
  stuck.response.destroy();
});

test('a stream ends after ten minutes, so that whoever listens comes in by the door again', async (t) => {
  const { events, at, listen } = await serving(t);
  const heard = await listen();
  at(600_000 - 1);
  events.tick(false);
  await hears(heard, '"nowMs":599999');
  assert.equal(heard.ended, false);
  at(600_000);
  events.tick(false);
  await ends(heard);
  await hears(heard, '"nowMs":600000');
});

test('who does not take the end either is cut off, and nothing is written behind the end', async (t) => {
  for (const ending of ['tick', 'close'] as const) {
    const { events, at, fill, listen } = await serving(t);
    const stuck = await listen('GET', false);
    // More than the kernel keeps for a reader that does not read: the end waits behind it.
    fill(16 * 2 ** 20);
    at(600_000);
    events.tick(false);
    fill(0);
    assert.equal(events.listeners, 1);
    if (ending === 'tick') events.tick(false);
    else events.close();
    await poll(
      () => 'it is still connected',
      async () => (events.listeners === 0 || ending === 'close' ? true : undefined),
    );
    stuck.response.resume();
    await ends(stuck);
  }
});
