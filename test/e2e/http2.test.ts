import assert from 'node:assert/strict';
import { request as ask } from 'node:http';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { bodyOf, type Http2Request, Http2Server } from '../support/http2.ts';
import { tlsFile } from '../support/https.ts';
import { labels, request, series } from '../support/messages.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { seriesKey } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';

const loops = 4;
const names = Array.from({ length: 40 }, (_, s) => `s${s}`);
const moments = 12;

/** What is written in `moments`, and how Prometheus shows it. */
class Writes {
  readonly expected = new Map<string, { at: bigint; value: string }[]>();
  #rows = 0;
  readonly #start = Date.now() - 60_000;
  readonly #sender: Sender;
  readonly #agent: Agent;

  constructor(sender: Sender, agent: Agent) {
    this.#sender = sender;
    this.#agent = agent;
  }

  async send(from: number, to: number): Promise<void> {
    for (let i = from; i < to; i++) {
      const at = this.#start + i * 1000;
      const rows = names.map((name, s) => series({ __name__: name }, [at, i / (s + 1)]));
      assert.equal((await this.#sender.write(request(...rows)))?.status, 204);
      for (const [s, name] of names.entries()) {
        const key = seriesKey(labels({ __name__: name }));
        const samples = this.expected.get(key) ?? [];
        this.expected.set(key, [...samples, { at: BigInt(at), value: String(i / (s + 1)) }]);
        this.#rows += 1;
      }
    }
  }

  /**
   * All of it was taken. Of a request whose answer was lost with its connection, Prometheus has all rows: when it is
   * sent again, those that are not the newest of their series are refused as old, and count as duplicates.
   */
  async arrived(): Promise<void> {
    const dropped = 'spillway_endpoint_dropped_rows_total';
    const metric = (name: string, labels = {}) => this.#agent.metric(name, { endpoint: 'p', ...labels });
    await poll(
      () => `${this.#rows} rows delivered`,
      async () => {
        const delivered = await metric('spillway_endpoint_delivered_rows_total');
        const duplicates = await metric(dropped, { reason: 'duplicate' });
        return delivered! + duplicates! === this.#rows ? true : undefined;
      },
    );
    assert.equal(await metric(dropped), await metric(dropped, { reason: 'duplicate' }));
  }
}

function overHttp2(url: string) {
  return remote(url, {
    name: 'p',
    enable_http2: true,
    tls_config: { ca_file: tlsFile('ca.crt') },
    queue_config: { min_shards: loops, max_shards: loops, max_samples_per_send: 10 },
  });
}

test(
  'all loops write to Prometheus behind a gateway by one connection of HTTP/2, and another one when that is gone',
  needs('prometheus'),
  async (t) => {
    const prometheus = await Prometheus.start(t);
    const gateway = await Http2Server.start(t);
    gateway.onRequest = (asked) => handOn(asked, prometheus.writeUrl);
    const agent = await Agent.start(t, { remote_write: [overHttp2(gateway.url)] });
    const writes = new Writes(new Sender(t, agent.url), agent);

    await writes.send(0, 4);
    await writes.arrived();
    assert.equal(gateway.sessions.length, 1, 'one connection for all loops');
    assert.ok(gateway.requests.length > loops);

    // It turns the connection over, and later loses it.
    gateway.sessions[0]!.close();
    await writes.send(4, 8);
    gateway.cut();
    await writes.send(8, moments);
    await writes.arrived();
    assert.ok(gateway.sessions.length > 1);
    assert.deepEqual(await prometheus.samples('{__name__=~"s[0-9]+"}'), writes.expected);
    assert.equal(await agent.terminate(), 0);
  },
);

test(
  'what a Prometheus with TLS agrees on is spoken to it, also when it was away',
  needs('prometheus-3'),
  async (t) => {
    const prometheus = await Prometheus.start(t, { program: 'prometheus-3', tls: true });
    const agent = await Agent.start(t, { remote_write: [overHttp2(prometheus.writeUrl)] });
    const writes = new Writes(new Sender(t, agent.url), agent);
    await writes.send(0, 4);
    await writes.arrived();
    await prometheus.stop();
    await writes.send(4, moments);
    await prometheus.start();
    await writes.arrived();
    assert.deepEqual(await prometheus.samples('{__name__=~"s[0-9]+"}'), writes.expected);
    assert.equal(await agent.terminate(), 0);
  },
);

/** As an ingress does: by HTTP/1.1 to `url`, and back. */
async function handOn({ stream, headers }: Http2Request, url: string): Promise<void> {
  const lines = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
  const body = await bodyOf(stream);
  const asked = ask(url, { method: 'POST', headers: Object.fromEntries(lines) }, (answer) => {
    if (stream.destroyed) return;
    stream.respond({ ':status': answer.statusCode });
    answer.pipe(stream);
  });
  asked.on('error', () => stream.close());
  asked.end(body);
}
