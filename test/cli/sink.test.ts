import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Child } from '../support/child.ts';
import { request, series } from '../support/messages.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { freePort } from '../support/ports.ts';
import { Sender } from '../support/sender.ts';
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
  await end.child.line(/^up\{job="b"\} 1 1000$/);
  assert.equal((await sender.write(request(unsorted)))?.status, 204);
  assert.equal((await sender.post(Uint8Array.of(1, 2, 3))).status, 400);
  const { code, report } = await end.end();
  assert.equal(code, 1);
  const problems = (report.problems as string[]).join('\n');
  assert.match(problems, /x-prometheus-remote-write-version: 0\.2\.0 \(3 times\)/);
  assert.match(problems, /labels that are not sorted \(2 times\)/);
  assert.match(problems, /a body that cannot be read/);
  assert.match(problems, /1 samples of other series are not newer/);

  const refusing = await sink(t, '--answer', '400');
  const load = await runSpillway(t, 'load', refusing.url, '--series', '5', '--duration', '1ms');
  assert.deepEqual([load.code, /5 samples were refused: 400/.test(load.text)], [1, true], load.text);
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
