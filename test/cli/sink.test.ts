import assert from 'node:assert/strict';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { request, series } from '../support/messages.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { freePort } from '../support/ports.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { runSpillway } from '../support/spillway.ts';

interface RunningSink {
  readonly url: string;
  readonly child: Child;
  /** Ends it; its exit code, and the JSON that it said last. */
  end(): Promise<{ code: number | null; report: Record<string, unknown> & { load: Record<string, number> } }>;
}

async function sink(t: TestContext, ...flags: string[]): Promise<RunningSink> {
  const args = [spillway, 'sink', '--listen', `127.0.0.1:${await freePort()}`, '--json', ...flags];
  const child = Child.spawn(t, 'sink', process.execPath, args, { cwd: projectDir });
  const [, url] = await child.line(/^listening at (\S+);/);
  return {
    url: url!,
    child,
    end: async () => {
      const { code } = await child.kill('SIGINT');
      return { code, report: JSON.parse(child.lines.at(-1)!) };
    },
  };
}

for (const version of ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'] as const) {
  test(`load through an agent arrives at a sink, all of it in order, as ${version}`, async (t) => {
    const end = await sink(t, '--verify');
    const agent = await Agent.start(t, {
      remote_write: [remote(end.url, { name: 'a', protobuf_message: version })],
    });
    const url = `${agent.url}/api/v1/write`;
    const load = await runSpillway(
      t,
      'load',
      url,
      '--series',
      '700',
      '--rate',
      '7000',
      '--duration',
      '1s',
      '--json',
    );
    assert.equal(load.code, 0, load.text);
    const { sent, acknowledged } = JSON.parse(load.text.split('\n').at(-1)!) as {
      sent: number;
      acknowledged: number;
    };
    assert.deepEqual([sent, acknowledged], [7000, 7000]);
    await agent.metricUntil(
      'spillway_endpoint_delivered_rows_total',
      { kind: 'samples' },
      (rows) => rows === 7000,
    );
    const { code, report } = await end.end();
    assert.equal(code, 0, JSON.stringify(report));
    const { distinct, missing, inversions, wrong } = report.load;
    assert.deepEqual(
      { distinct, missing, inversions, wrong },
      { distinct: 7000, missing: 0, inversions: 0, wrong: 0 },
    );
    assert.equal(report.series, 700);
  });
}

test('a sink says what is wrong with a sender, and a load what is wrong with a receiver', async (t) => {
  const end = await sink(t, '--verify', '--print');
  const sender = new Sender(t, new URL(end.url).origin, '/anywhere', {
    'x-prometheus-remote-write-version': '0.2.0',
  });
  const unsorted = series({ job: 'b', __name__: 'up' }, [1000, 1]);
  assert.equal((await sender.write(request(unsorted)))?.status, 204);
  await end.child.line(/^\{"kind":"sample","labels":\{.*"timestampMs":1000,"value":"1"\}$/);
  assert.equal((await sender.write(request(unsorted)))?.status, 204);
  assert.equal((await sender.post(Uint8Array.of(1, 2, 3))).status, 400);
  await end.child.line(/"kind":"request".*"bytes":3,"status":400/);
  const { code, report } = await end.end();
  assert.equal(code, 1);
  const problems = (report.problems as string[]).join('\n');
  assert.match(problems, /x-prometheus-remote-write-version: 0\.2\.0 \(3 times\)/);
  assert.match(problems, /labels that are not sorted \(2 times\)/);
  assert.match(problems, /a body that cannot be read/);
  assert.match(problems, /1 samples of other series are not newer/);

  const refusing = await sink(t, '--answer', '400');
  const load = await runSpillway(t, 'load', refusing.url, '--series', '5', '--duration', '1ms');
  assert.deepEqual([load.code, /5 rows were refused: 400/.test(load.text)], [1, true], load.text);
  assert.equal((await refusing.end()).report.samples, 0);
  for (const wrong of [
    ['load'],
    ['load', 'x'],
    ['load', end.url, '--rate', '0'],
    ['sink', '--answer', 'no'],
    ['sink', '--delay', 'x'],
  ]) {
    assert.equal((await runSpillway(t, ...wrong)).code, 2, wrong.join(' '));
  }
});

const v2 = 'io.prometheus.write.v2.Request';

test('load over 2.0, with histograms and exemplars, arrives with its start timestamps, and all of it is written', async (t) => {
  const end = await sink(t, '--verify');
  const agent = await Agent.start(t, {
    remote_write: [remote(end.url, { name: 'a', protobuf_message: v2 })],
  });
  const flags = ['--protocol', '2.0', '--histograms', '--exemplars', '--series', '30', '--rate', '300'];
  const load = await runSpillway(
    t,
    'load',
    `${agent.url}/api/v1/write`,
    ...flags,
    '--duration',
    '1s',
    '--json',
  );
  assert.equal(load.code, 0, load.text);
  const sent = JSON.parse(load.text.split('\n').at(-1)!) as Record<string, unknown>;
  assert.deepEqual([sent.protocol, sent.sent, sent.acknowledged], ['2.0', 900, 900]);
  for (const kind of ['samples', 'histograms', 'exemplars']) {
    await agent.metricUntil('spillway_endpoint_delivered_rows_total', { kind }, (rows) => rows === 300);
  }
  const { code, report } = await end.end();
  assert.equal(code, 0, JSON.stringify(report));
  const whole = { distinct: 300, duplicates: 0, inversions: 0, missing: 0, wrong: 0 };
  assert.deepEqual([report.load, report.loadHistograms, report.loadExemplars], [whole, whole, whole]);
  assert.deepEqual(report.written, { samples: 300, histograms: 300, exemplars: 300 });
  assert.ok((report.metadata as unknown as number) > 0, 'metadata');
});

test('a load says what a receiver of 2.0 has not written, and a sink what it has', async (t) => {
  const receiver = await Sink.start(t, () => ({ written: { samples: 1, histograms: 2 } }));
  const args = ['load', receiver.url, '--protocol', v2, '--histograms', '--series', '2', '--duration', '1ms'];
  const short = await runSpillway(t, ...args);
  assert.equal(short.code, 1);
  assert.match(short.text, /^3 of 4 rows acknowledged$/m);
  assert.match(short.text, /^answered 2xx, but not written: 1 samples$/m);
  assert.match(short.text, /^ {2}of series 0 to 1 at \S+: 1 samples$/m);
  receiver.script = () => ({ written: { samples: 0, histograms: 1 } });
  const byOne = await runSpillway(t, ...args, '--batch', '1', '--json');
  const report = JSON.parse(byOne.text.split('\n').at(-1)!);
  assert.deepEqual(report.notWritten, { samples: 2, histograms: 0, exemplars: 0 });
  assert.deepEqual(
    report.notWrittenOf
      .map((one: Record<string, number>) => [one.firstSeries, one.lastSeries, one.samples])
      .sort(),
    [
      [0, 0, 1],
      [1, 1, 1],
    ],
  );
  receiver.script = () => ({ written: false });
  const silent = await runSpillway(t, ...args);
  assert.equal(silent.code, 1);
  assert.match(silent.text, /1 answers without X-Prometheus-Remote-Write-\*-Written/);
  receiver.script = () => ({ written: { samples: 7, histograms: 2 } });
  const over = await runSpillway(t, ...args);
  assert.equal(over.code, 1);
  assert.match(over.text, /^1 answers count more rows than they were sent$/m);
  receiver.script = () => ({ status: 415 });
  const old = await runSpillway(t, ...args);
  assert.match(old.text, /4 rows were refused: 415\nthe receiver does not take 2\.0/);

  const end = await sink(t, '--print');
  assert.equal((await runSpillway(t, 'load', end.url, ...args.slice(2))).code, 0);
  await end.child.line(
    /"kind":"request","version":"2.0",.*"written":\{"samples":2,"histograms":2,"exemplars":0\}/,
  );
  await end.end();
});

test('a sink ends quietly when nobody reads what it prints any more', async (t) => {
  const end = await sink(t, '--print');
  const sender = new Sender(t, new URL(end.url).origin);
  // The sink may end before it answers: that is what is looked at.
  const send = (ms: number) =>
    sender.write(request(series({ __name__: 'up' }, [ms, 1]))).catch(() => undefined);
  await send(1000);
  await end.child.line(/"kind":"request"/);
  end.child.stopReading();
  const before = end.child.lines.length;
  await send(2000);
  assert.equal((await end.child.end()).code, 0);
  assert.deepEqual(end.child.lines.slice(before), []);
});

test('a sink takes bodies as large as receivers do, and says 413 to a larger one', async (t) => {
  const end = await sink(t, '--verify');
  const most = 32 * 2 ** 20;
  const refused: (number | undefined)[] = [];
  for (const chunked of [false, true]) {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': most + 1 };
      const sent = http.request(end.url, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      // It does not read all of it.
      sent.on('error', reject);
      sent.end(Buffer.alloc(chunked ? most + 1 : 0));
    });
    refused.push(status);
  }
  assert.deepEqual(refused, [413, 413]);
  const { code, report } = await end.end();
  assert.equal(code, 1);
  assert.deepEqual(report.problems, ['a body of more than 32 MiB, which receivers refuse (2 times)']);
});

test('a connection that is cut while its body comes is no fault of the sink or the sender', async (t) => {
  const end = await sink(t, '--verify');
  await new Promise<void>((resolve) => {
    const sent = http.request(end.url, { method: 'POST', headers: { 'content-length': 1000 } });
    sent.on('error', () => resolve());
    sent.write('half', () => sent.destroy(new Error('cut')));
  });
  const sender = new Sender(t, new URL(end.url).origin);
  assert.equal((await sender.write(request(series({ __name__: 'up' }, [1000, 1]))))?.status, 204);
  const { code, report } = await end.end();
  assert.deepEqual([code, report.problems], [0, []], JSON.stringify(report));
});
