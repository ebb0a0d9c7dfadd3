import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { request, series } from '../support/messages.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { runSpillway } from '../support/spillway.ts';
import { tempDir } from '../support/temp.ts';

const yaml = `external_labels: { region: eu }
relabel_configs:
  - { source_labels: [job], regex: secret, action: drop }
  - { regex: tmp_.*, action: labeldrop }
remote_write:
  - name: a
    url: http://localhost:1/a
    write_relabel_configs:
      - { source_labels: [job], target_label: service }
  - name: b
    url: http://localhost:1/b
    write_relabel_configs:
      - source_labels: [__name__]
        regex: up
        action: drop
`;

test('a series is told its road, with the place of each rule that did something', async (t) => {
  const dir = await tempDir(t, 'explain');
  const file = join(dir, 'a.yaml');
  writeFileSync(file, yaml);
  const explain = (selector: string, ...flags: string[]) =>
    runSpillway(t, 'explain', selector, '--offline', '--config', file, ...flags);
  const { code, text } = await explain('up{job="node",tmp_x="1"}');
  assert.equal(code, 0);
  const shard = /shard (\d+) of/.exec(text)![1];
  assert.equal(
    text,
    `up{job="node",tmp_x="1"}
  relabel_configs rule 2 (labeldrop, ${file}:4:5): without tmp_x
  taken, stored as up{job="node"}

a http://localhost:1/a
  external_labels add region="eu"
  write_relabel_configs rule 1 (replace, ${file}:9:9): service="node"
  sent as up{job="node",region="eu",service="node"}
  shard ${shard} of the hash space

b http://localhost:1/b
  external_labels add region="eu"
  write_relabel_configs rule 1 (drop, ${file}:13:9): drops it
  dropped, counted as dropped_by_relabel`,
  );
  const dropped = await explain('up{job="secret"}');
  assert.equal(dropped.code, 1);
  assert.match(
    dropped.text,
    /rule 1 \(drop, .*:3:5\): drops it\n {2}dropped, counted as dropped_by_relabel_configs: /,
  );
  const refused = JSON.parse((await explain('{job="node"}', '--json')).text) as {
    door: Record<string, unknown>;
  };
  assert.deepEqual([refused.door.verdict, refused.door.reason], ['refused', 'no_metric_name']);
  const many = await explain('up{job=~"a|b"}');
  assert.deepEqual([many.code, /name one series/.test(many.text)], [2, true]);
});

test('a running agent adds what it knows: the loop, dead letters, what was last delivered', async (t) => {
  const sink = await Sink.start(t, () => ({ status: 400, body: 'too old', store: false }));
  const agent = await Agent.start(t, {
    external_labels: { region: 'eu' },
    remote_write: [{ name: 'near', url: 'sqlite:recent.db' }, remote(sink.url, { name: 'far' })],
  });
  const sender = new Sender(t, agent.url);
  const at = Date.now();
  const up = series({ __name__: 'up', job: 'node' }, [at, 7]);
  assert.equal(
    (await sender.write(request(up, series({ __name__: 'up', job: 'node', x: 'y' }, [at, 7]))))?.status,
    204,
  );
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'near' }, (rows) => rows === 0);
  await agent.metricUntil(
    'spillway_endpoint_dropped_rows_total',
    { reason: 'rejected' },
    (rows) => rows === 2,
  );
  await agent.metricUntil(
    'spillway_endpoint_delivered_rows_total',
    { endpoint: 'near' },
    (rows) => rows === 2,
  );
  const { code, text } = await runSpillway(
    t,
    'explain',
    '{__name__="up",job="node"}',
    '--url',
    agent.url,
    '--json',
  );
  assert.equal(code, 0, text);
  const [near, far] = (JSON.parse(text) as { endpoints: { labels: object; live: Record<string, unknown> }[] })
    .endpoints;
  assert.deepEqual(near!.labels, { __name__: 'up', job: 'node', region: 'eu' });
  assert.deepEqual(near!.live.lastDelivered, { timestampMs: at, value: '7' });
  assert.deepEqual(near!.live.deadLetters, { count: 0, more: false });
  assert.deepEqual(far!.live.deadLetters, { count: 1, more: false, words: 'too old' });
  assert.equal(far!.live.lastDelivered, undefined);
  const shown = await runSpillway(t, 'explain', 'up{job="node"}', '--url', agent.url);
  assert.match(shown.text, /in loop \d+ of \d+\n {2}no dead letters\n {2}last delivered: 7 at /);
  assert.equal((await fetch(`${agent.url}/api/v1/explain`)).status, 400);

  // What was said last is what counts.
  sink.script = () => ({ status: 400, body: 'much too old', store: false });
  await sender.write(request(series({ __name__: 'up', job: 'node' }, [at + 1, 8])));
  const rejected = { endpoint: 'far', reason: 'rejected' };
  await agent.metricUntil('spillway_endpoint_dropped_rows_total', rejected, (rows) => rows === 3);
  const query = new URLSearchParams({ match: '{__name__="up",job="node"}' });
  const later = (await (await fetch(`${agent.url}/api/v1/explain?${query}`)).json()) as {
    endpoints: { live: Record<string, unknown> }[];
  };
  assert.deepEqual(later.endpoints[1]!.live.deadLetters, { count: 2, more: false, words: 'much too old' });
});
