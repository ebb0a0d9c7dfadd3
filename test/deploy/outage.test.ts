import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { request, series } from '../support/messages.ts';
import { needs } from '../support/programs.ts';
import { Prometheus } from '../support/prometheus.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';
import { shippedDashboard, shippedRules, withVariables } from './rules.ts';

/** Long enough for a few scrapes on a busy machine, short enough to see a turn. */
const rateInterval = '4s';

/** Every query of the dashboard, those that fill its variables included. */
function queries(): string[] {
  const { panels, annotations, templating } = shippedDashboard();
  const ofVariables = templating.list.flatMap(({ definition }) => {
    const [, metric, label] = /^label_values\((.*), (\w+)\)$/.exec(definition ?? '') ?? [];
    return metric === undefined ? [] : [`group by (${label}) (${metric})`];
  });
  const ofPanels = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  // That a start is marked can be seen at the next one only.
  assert.equal(annotations.list.length, 1);
  return [...ofVariables, ...ofPanels].map((expr) => withVariables(expr, rateInterval));
}

/** A query of the panel of the dashboard, the first if not said. */
function panel(title: string, query = 0): string {
  const found = shippedDashboard().panels.find((p) => p.title === title);
  return withVariables(found!.targets![query]!.expr, rateInterval);
}

test('dashboard and alerts tell an outage from health', needs('prometheus'), async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, {
    wal: { max_bytes: '1GiB' },
    remote_write: [
      remote(sink.url, { name: 'storage', queue_config: { max_samples_per_send: 50, max_shards: 2 } }),
    ],
  });
  const prometheus = await Prometheus.start(t, { scrape: { spillway: `${agent.url}/metrics` } });
  const load = new Load(t, agent.url, { connections: 2, seriesEach: 20, everyMs: 50 });
  const sending = load.run();

  const silent = new Set(queries());
  const look = async (): Promise<void> => {
    for (const query of silent) {
      const values = await prometheus.values(query);
      if (values.some((value) => Number.isFinite(value))) silent.delete(query);
    }
  };
  const firing = async (): Promise<string[]> => {
    const names = shippedRules().map(async ({ alert, expr }) =>
      (await prometheus.values(expr)).length > 0 ? alert : '',
    );
    return (await Promise.all(names)).filter((name) => name !== '');
  };

  // Health.
  await prometheus.eventually(panel('Is delivered'), ([rate]) => rate! > 0);
  await look();
  assert.deepEqual(await firing(), []);

  // An outage: nothing is delivered, rows and their age grow, and the books say so.
  sink.script = () => ({ status: 503 });
  await prometheus.eventually(panel('Is delivered'), ([rate]) => rate === 0);
  const [age] = await prometheus.eventually(panel('Oldest row that waits'), ([seconds]) => seconds! > 1);
  const [rows] = await prometheus.eventually(panel('Rows that wait'), ([n]) => n! > 0);
  await prometheus.eventually(panel('Oldest row that waits'), ([seconds]) => seconds! > age!);
  await prometheus.eventually(panel('Rows that wait'), ([n]) => n! > rows!);
  await prometheus.eventually(panel('Queue is full in'), ([seconds]) => seconds! > 0);
  await look();
  assert.deepEqual(await firing(), ['SpillwayEndpointErrors'], 'others take minutes');

  // The door is shut.
  sink.script = () => ({ status: 401, body: 'no' });
  await prometheus.eventually(panel('Endpoints that hold'), ([n]) => n === 1);
  await look();

  // The drain, through an endpoint that takes its time, so that it can be seen, and refuses one series for good.
  sink.script = ({ rows }) =>
    rows.some(({ series }) => series.includes('poison')) ? { status: 400, body: 'no' } : { delayMs: 50 };
  await prometheus.eventually(panel('Caught up in'), ([seconds]) => seconds! > 0);
  await look();
  const sender = new Sender(t, agent.url);
  await sender.write(request(series({ __name__: 'poison' }, [Date.now(), 1])));
  // First what is only to be seen for some seconds.
  await prometheus.eventually(panel('Rows in and out', 2), ([rate]) => rate! > 0);
  await prometheus.eventually(panel('Dead letters'), ([letters]) => letters === 1);
  await look();
  assert.ok((await firing()).includes('SpillwayRowsRejected'));
  load.stop();
  await sending;
  sink.script = () => ({});
  await prometheus.eventually(panel('Rows that wait'), ([n]) => n === 0);
  await prometheus.eventually(panel('Oldest row that waits'), ([seconds]) => seconds === 0);
  await prometheus.eventually(panel('Lag by the time of samples'), ([seconds]) => seconds === 0);
  await prometheus.eventually(panel('Endpoints that hold'), ([n]) => n === 0);
  await look();
  assert.deepEqual([...silent], [], 'queries that never show anything');
});
