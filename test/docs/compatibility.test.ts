import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { type Pair, pairs } from '../support/pairs.ts';
import { projectDir } from '../support/paths.ts';

const page = readFileSync(join(projectDir, 'docs/compatibility.md'), 'utf8');

const names: Readonly<Record<Pair['sender'] | Pair['receiver'], string>> = {
  prometheus: 'Prometheus of Debian 12',
  'prometheus-3': 'Prometheus 3',
  vmagent: 'vmagent of today',
  'vmagent-debian': 'vmagent of Debian 12',
  'victoria-metrics': 'VictoriaMetrics of today',
  'victoria-metrics-debian': 'VictoriaMetrics of Debian 12',
};

/** A row of the table, as the page has it. */
function rowOf({ sender, receiver, message }: Pair): string {
  const version = message === 'io.prometheus.write.v2.Request' ? '2.0' : '1.0';
  const sends = sender === 'vmagent' ? `${version}, after it tried zstd` : version;
  const compared = receiver.startsWith('victoria') ? 'to eleven digits' : 'bit by bit';
  return `| ${names[sender]} | ${sends} | ${names[receiver]} | ${compared} |`;
}

describe('docs/compatibility.md', () => {
  it('lists what is run, and nothing else', () => {
    const [, table = ''] = /<!-- pairs:[^>]*-->([\s\S]*)<!-- end of pairs -->/.exec(page) ?? [];
    const rows = table.split('\n').filter((line) => line.startsWith('| '));
    // prometheus-both-ends.test.ts runs this one.
    const bothEnds = rowOf({ sender: 'prometheus', receiver: 'prometheus' }).replace(
      'bit by bit',
      'as printed',
    );
    assert.deepEqual(rows.slice(2).sort(), [bothEnds, ...pairs.map(rowOf)].sort());
  });

  it('has settings that are valid', () => {
    process.env.GRAFANA_CLOUD_TOKEN = 'a token';
    const blocks = [...page.matchAll(/```yaml\n(remote_write:[\s\S]*?)```/g)].map(([, text]) => text!);
    assert.ok(blocks.length >= 5);
    for (const text of blocks) parseConfig(text, { file: 'docs/compatibility.md', baseDir: projectDir });
  });

  it('says of each of the others that it is not run by us', () => {
    const [run, notRun] = page.split('## Not run by us') as [string, string];
    for (const other of ['Mimir', 'Grafana Cloud', 'Cortex', 'Thanos', 'Amazon', 'OpenTelemetry', 'Alloy']) {
      assert.ok(!run.includes(other), other);
      assert.ok(notRun.includes(other), other);
    }
  });
});
