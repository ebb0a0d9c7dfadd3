import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { HttpServer, ListenError, type RouteHandler } from '../../src/receiver/server.ts';
import { atEnd } from '../support/cleanup.ts';
import { Progress } from '../support/progress.ts';
import { logLines } from './log-lines.ts';
import { wideConnections } from './wide.ts';
import { head, Wire } from './wire.ts';

const anywhere = { host: '127.0.0.1', port: 0 };
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: spillway\r\n\r\n`;

interface Serving {
  readonly server: HttpServer;
  readonly url: string;
  readonly lines: readonly string[];
}

async function serve(
  t: TestContext,
  routes: Record<string, RouteHandler>,
  requestTimeoutMs = 60_000,
): Promise<Serving> {
  const { logger, lines } = logLines();
  const server = new HttpServer(new Map(Object.entries(routes)), {
    connections: wideConnections({ requestTimeoutMs }),
    logger,
  });
  const url = await server.listen(anywhere);
  atEnd(t, () => server.close());
  return { server, url, lines };
}

/** A route that keeps its requests until the test answers them. */
class Held {
  readonly responses: ServerResponse[] = [];
  readonly requests: IncomingMessage[] = [];
  readonly #progress = new Progress();

  readonly route: RouteHandler = (request, response) => {
    this.requests.push(request);
    this.responses.push(response);
    this.#progress.made();
    request.resume();
    request.on('close', () => this.#progress.made());
  };

  /** Resolves when there are `count` requests. */
  async come(count: number): Promise<void> {
    await this.#progress.until(
      () => `${count} requests`,
      () => this.responses.length >= count,
    );
  }

  /** Resolves when the connection of a request is gone before its end. */
  async aborted(index: number): Promise<void> {
    await this.#progress.until(
      () => `request ${index} goes on`,
      () => this.requests[index]!.destroyed && !this.requests[index]!.complete,
    );
  }
}

describe('HttpServer', () => {
  it('finds the route by the path alone', async (t) => {
    const { url, lines } = await serve(t, {
      '/a': (_request, response, { searchParams }) => void response.end(`a ${searchParams.get('x')}`),
      '/b': async (_request, response) => {
        await Promise.resolve();
        response.end('b');
      },
    });
    const wire = await Wire.open(t, url);
    for (const [path, status, body] of [
      ['/a?x=1', 200, 'a 1'],
      ['/b', 200, 'b'],
      ['http://elsewhere/a?x=2', 200, 'a 2'],
      ['/c', 404, 'no such path: /c\n'],
      ['/a/', 404, 'no such path: /a/\n'],
      ['/', 404, 'no such path: /\n'],
    ] as const) {
      wire.send(get(path));
      const answer = await wire.answer();
      assert.deepEqual([answer.status, answer.body], [status, body], path);
    }
    assert.deepEqual(lines, []);
  });

  it('has no 500 for a path that is none', async (t) => {
    const { url, lines } = await serve(t, {});
    const wire = await Wire.open(t, url);
    for (const [method, path] of [
      ['GET', '//'],
      ['GET', '///'],
      ['GET', '//a:b/'],
      ['GET', 'http://[/'],
      ['GET', '/%'],
      ['GET', '/\\\\'],
      ['OPTIONS', '*'],
      ['POST', '//[::1/api/v1/write'],
    ]) {
      wire.send(`${method} ${path} HTTP/1.1\r\nHost: spillway\r\n\r\n`);
      const { status } = await wire.answer();
      assert.ok(status === 404 || status === 400, `${method} ${path}: ${status}`);
    }
    assert.deepEqual(lines, []);
  });

  it('answers 500 and logs when a handler throws, at once or later, and goes on', async (t) => {
    const { url, lines } = await serve(t, {
      '/throws': () => {
        throw new Error('thrown on purpose');
      },
      '/rejects': async () => {
        await Promise.resolve();
        throw new Error('rejected on purpose', { cause: new Error('because of the test') });
      },
      '/fine': (_request, response) => void response.end(),
    });
    const wire = await Wire.open(t, url);
    for (const [path, status] of [
      ['/throws', 500],
      ['/rejects', 500],
      ['/fine', 200],
    ] as const) {
      wire.send(get(path));
      const answer = await wire.answer();
      assert.equal(answer.status, status);
      assert.doesNotMatch(answer.body, /purpose/);
    }
    assert.equal(lines.length, 2);
    assert.match(lines[0]!, /level=error .*path=\/throws error="thrown on purpose"/);
    assert.match(lines[1]!, /path=\/rejects error="rejected on purpose: because of the test"/);
  });

  it('breaks off an answer whose handler throws in the middle', async (t) => {
    const { url, lines } = await serve(t, {
      '/': (_request, response) => {
        response.writeHead(200, { 'Content-Length': 10 });
        response.write('half');
        throw new Error('thrown on purpose');
      },
    });
    const wire = await Wire.open(t, url);
    wire.send(get('/'));
    await assert.rejects(wire.answer(), /closed without an answer/);
    assert.equal(lines.length, 1);
  });

  it('says where it listens, and what is in the way when it cannot', async (t) => {
    const { url } = await serve(t, {});
    const port = Number(new URL(url).port);
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const second = new HttpServer(new Map(), { connections: wideConnections(), logger: logLines().logger });
    await assert.rejects(second.listen({ host: '127.0.0.1', port }), (error) => {
      assert.ok(error instanceof ListenError);
      assert.equal(
        error.message,
        `cannot listen on 127.0.0.1:${port}; stop what has that port, or set \`listen\``,
      );
      assert.deepEqual(error.facts, { host: '127.0.0.1', port });
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'EADDRINUSE');
      return true;
    });
    await second.close();
    for (const [host, shown] of [
      ['', /^http:\/\/localhost:\d+$/],
      ['localhost', /^http:\/\/localhost:\d+$/],
    ] as const) {
      const server = new HttpServer(new Map(), { connections: wideConnections(), logger: logLines().logger });
      assert.match(await server.listen({ host, port: 0 }), shown);
      await server.close();
      await server.close();
    }
  });

  it('finishes the answers that it has begun before it is closed, and closes what is idle', async (t) => {
    const held = new Held();
    const { server, url } = await serve(t, {
      '/held': held.route,
      '/': (_request, response) => void response.end(),
    });
    const [idle, busy, reading] = [await Wire.open(t, url), await Wire.open(t, url), await Wire.open(t, url)];
    idle.send(get('/'));
    await idle.answer();
    busy.send(get('/held'));
    reading.send(get('/held'));
    await held.come(2);
    held.responses[1]!.writeHead(200, { 'Content-Length': 4 });
    held.responses[1]!.write('be');
    const closed = server.close();
    await idle.closed();
    held.responses[0]!.end('done');
    held.responses[1]!.end('en');
    assert.equal((await busy.answer()).body, 'done');
    assert.equal((await reading.answer()).body, 'been');
    await closed;
    await Promise.all([busy.closed(), reading.closed()]);
    await assert.rejects(Wire.open(t, url), { code: 'ECONNREFUSED' });
  });

  it('does not wait for a sender that does not finish its request when it is closed', async (t) => {
    const held = new Held();
    const { server, url } = await serve(t, { '/api/v1/write': held.route });
    const [inHead, inBody] = [await Wire.open(t, url), await Wire.open(t, url)];
    inHead.send('POST /api/v1/write HTTP/1.1\r\n');
    inBody.send(head(100));
    await held.come(1);
    await server.close();
    await Promise.all([inHead.closed(), inBody.closed()]);
  });

  it('gives a request up that does not come to its end in time, and only that', async (t) => {
    const held = new Held();
    const { url } = await serve(
      t,
      { '/api/v1/write': held.route, '/': (_request, response) => void response.end('fine') },
      1000,
    );
    const other = await Wire.open(t, url);
    other.send(get('/'));
    assert.equal((await other.answer()).body, 'fine');
    const [slow, silent] = [await Wire.open(t, url), await Wire.open(t, url)];
    slow.send(head(100));
    slow.send('x');
    silent.send('POST /api');
    await held.come(1);
    await Promise.all([held.aborted(0), slow.closed(), silent.closed()]);
    other.send(get('/'));
    assert.equal((await other.answer()).body, 'fine');
  });
});
