import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { registerDeadLetterMetrics } from '../../src/telemetry/dead-letter-metrics.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { type EndpointReason, endpointReasonNames } from '../../src/telemetry/reasons.ts';
import { projectDir } from '../support/paths.ts';
import { find, needs } from '../support/programs.ts';
import { type Panel, shippedDashboard, shippedRules } from './rules.ts';

const folder = join(projectDir, 'deploy/prometheus');

describe('the alerts that are shipped', () => {
  it('fire where they should and not in health', needs('promtool'), () => {
    const { status, stdout, stderr } = spawnSync(
      find('promtool')!,
      ['test', 'rules', 'spillway-alerts.test.yml'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );
    assert.equal(status, 0, stdout + stderr);
  });

  it('have a test each', () => {
    const tests = readFileSync(join(folder, 'spillway-alerts.test.yml'), 'utf8');
    for (const { alert } of shippedRules())
      assert.ok(tests.includes(`ALERTS{alertname="${alert}",alertstate="firing"}`), alert);
  });

  it('ask for metrics and reasons that there are', async () => {
    const metrics = new Metrics(
      '1',
      () => undefined,
      () => [],
    );
    metrics.watchDoors({ failing: false, config: { tls: undefined } });
    metrics.watchReloads(() => ({ successful: true, successMs: 0, needsRestart: 0 }));
    registerDeadLetterMetrics(metrics.registry, () => []);
    const page = await metrics.registry.metrics();
    const known = new Set([...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!));
    for (const { alert, expr } of shippedRules()) {
      for (const [name] of expr.matchAll(/\b(spillway|process)_\w+/g))
        assert.ok(known.has(name) || known.has(name.replace(/_sum$/, '')), alert);
      for (const [, reasons] of expr.matchAll(/reason!?[=~]+"([^"]*)"/g))
        for (const reason of reasons!.split('|'))
          assert.ok((endpointReasonNames as readonly string[]).includes(reason), `${alert}: ${reason}`);
    }
  });

  it('tell of rows that are not delivered for every reason but those that you chose', () => {
    const asYouChose: readonly EndpointReason[] = [
      // Delivered before, in all likelihood.
      'duplicate',
      'dropped_by_relabel',
      'metadata_off',
      'metadata_no_tenant',
      'metadata_unchanged',
      'metadata_with_series',
      'exemplars_off',
      'histograms_off',
      'skipped',
    ];
    const told = shippedRules().flatMap(({ expr }) =>
      [...expr.matchAll(/reason=~?"([^"]*)"/g)].flatMap(([, reasons]) => reasons!.split('|')),
    );
    assert.deepEqual([...new Set([...told, ...asYouChose])].sort(), [...endpointReasonNames].sort());
  });

  it('are those that texts refer to', () => {
    const shipped = new Set(shippedRules().map(({ alert }) => alert));
    const rules = readFileSync(join(folder, 'spillway-alerts.yml'), 'utf8');
    const pages = ['deploy/README.md', 'docs/compatibility.md'].map((path) =>
      readFileSync(join(projectDir, path), 'utf8'),
    );
    for (const [name] of [rules, ...pages].join('\n').matchAll(/\bSpillway[A-Z]\w+/g))
      assert.ok(shipped.has(name), name);
  });

  it('say what is the matter, if data is safe, and what to do', () => {
    for (const { alert, labels, annotations } of shippedRules()) {
      assert.match(labels.severity ?? '', /^(critical|warning)$/, alert);
      assert.match(annotations.summary ?? '', /\$labels\.instance/, alert);
      assert.match(annotations.description ?? '', /^Meaning.*: .* Is data safe: .* Do: .*[.)]$/s, alert);
    }
  });
});

describe('the dashboard that is shipped', () => {
  const panels = shippedDashboard().panels;

  it('has panels that say what they show, under ids of their own', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    for (const { type, title, description, targets } of panels) {
      if (type === 'row') continue;
      assert.match(description ?? '', /^[A-Z0-9].*\.$/, title);
      assert.ok(targets !== undefined && targets.length > 0, title);
    }
  });

  it('has panels that do not lie on each other', () => {
    const overlap = (a: Panel, b: Panel): boolean =>
      a.gridPos.x < b.gridPos.x + b.gridPos.w &&
      b.gridPos.x < a.gridPos.x + a.gridPos.w &&
      a.gridPos.y < b.gridPos.y + b.gridPos.h &&
      b.gridPos.y < a.gridPos.y + a.gridPos.h;
    for (const [i, a] of panels.entries()) {
      assert.ok(a.gridPos.x + a.gridPos.w <= 24, a.title);
      for (const b of panels.slice(i + 1)) assert.ok(!overlap(a, b), `${a.title} and ${b.title}`);
    }
  });
});
