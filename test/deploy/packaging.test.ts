import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { defaultConfig, parseConfig } from '../../src/config/load.ts';
import { Child } from '../support/child.ts';
import { poll } from '../support/deadline.ts';
import { projectDir } from '../support/paths.ts';
import { freePort } from '../support/ports.ts';
import { tempDir } from '../support/temp.ts';
import { dockerInstructions, manifests, read, unitSettings } from './packaging.ts';

const { version, scripts } = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8')) as {
  version: string;
  scripts: Record<string, string>;
};

const unit = unitSettings(read('systemd/spillway.service'));
const docker = dockerInstructions(read('docker/Dockerfile'));
const kubernetes = manifests(read('kubernetes/spillway.yaml'));
const of = (kind: string, name = 'spillway') =>
  kubernetes.find((object) => object.kind === kind && object.metadata.name === name)!;
const pod = of('StatefulSet').spec.template;
const container = pod.spec.containers[0]!;

/** The last instruction of that name, or its items where it is written as a list. */
const instruction = (name: string): string => docker.findLast(([of]) => of === name)![1];
const listOf = (name: string): string[] => JSON.parse(/\[.*\]/.exec(instruction(name))![0]) as string[];

/** Runs a command of the packaging as it is written, but for places of this machine. */
async function start(t: TestContext, command: readonly string[]): Promise<{ child: Child; port: number }> {
  const port = await freePort();
  const folder = await tempDir(t, 'packaging');
  const config = join(folder, 'spillway.yaml');
  await writeFile(
    config,
    `listen: 127.0.0.1:${port}\nremote_write: [{ name: none, url: 'http://127.0.0.1:9/' }]\n`,
  );
  const args = command.map((arg) =>
    arg
      .replace('/opt/spillway', projectDir)
      .replace('/etc/spillway/spillway.yaml', config)
      .replace('/var/lib/spillway', join(folder, 'data'))
      .replace('0.0.0.0:9201', `127.0.0.1:${port}`),
  );
  assert.match(args[0]!, /^(\/usr\/bin\/)?node$/);
  const child = Child.spawn(t, 'spillway', process.execPath, args.slice(1), { cwd: folder });
  await child.line(/listening on/);
  assert.ok(existsSync(join(folder, 'data')), 'its data is where the packaging says');
  return { child, port };
}

const graceMs = defaultConfig('/').shutdownGraceMs;

describe('the systemd unit', () => {
  it('runs the agent', async (t) => {
    const { child } = await start(t, unit.get('ExecStart')![0]!.split(' '));
    assert.equal((await child.kill('SIGTERM')).code, 0);
  });

  it('gives it the places that it names, and time to end', () => {
    const command = unit.get('ExecStart')![0]!;
    assert.ok(command.includes(`/var/lib/${unit.get('StateDirectory')![0]} `.trimEnd()));
    assert.ok(command.includes(`/etc/${unit.get('ConfigurationDirectory')![0]}/`));
    assert.ok(1000 * Number(unit.get('TimeoutStopSec')![0]) > graceMs);
  });
});

describe('the Dockerfile', () => {
  it('runs the agent, and its health check tells whether it does', async (t) => {
    const { child, port } = await start(t, [...listOf('ENTRYPOINT'), ...listOf('CMD')]);
    const [node, ...check] = listOf('HEALTHCHECK').map((arg) => arg.replace('9201', `${port}`));
    assert.equal(node, 'node');
    const healthy = (): Promise<number | null> =>
      Child.spawn(t, 'health check', process.execPath, check, { cwd: projectDir })
        .end()
        .then(({ code }) => code);
    assert.equal(await healthy(), 0);
    await child.kill('SIGTERM');
    assert.equal(await healthy(), 1);
  });

  it('copies what is there and is not ignored', () => {
    const allowed = read('docker/Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = docker
      .filter(([name, rest]) => name === 'COPY' && !rest.startsWith('--from'))
      .flatMap(([, rest]) => rest.split(' ').slice(0, -1));
    assert.deepEqual([...sources].sort(), [...allowed].sort());
    for (const source of sources) assert.ok(existsSync(join(projectDir, source)), source);
    for (const [, script] of read('docker/Dockerfile').matchAll(/npm run (\w+)/g))
      assert.ok(scripts[script!] !== undefined, script);
  });

  it('does not run as root, and has its queue in a volume', () => {
    assert.match(instruction('USER'), /^[1-9]\d*:[1-9]\d*$/);
    assert.ok(listOf('CMD').includes(instruction('VOLUME')));
    assert.equal(
      instruction('EXPOSE'),
      `${
        listOf('CMD')
          .find((arg) => arg.includes(':'))!
          .split(':')[1]
      }`,
    );
  });
});

describe('the Kubernetes manifests', () => {
  it('run the image as it runs by itself, and probe pages that it has', async (t) => {
    assert.deepEqual(container.args, listOf('CMD'));
    assert.equal(container.image, `spillway:${version}`);
    const { port } = await start(t, [...listOf('ENTRYPOINT'), ...container.args]);
    for (const { httpGet } of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
      const url = `http://127.0.0.1:${port}${httpGet.path}`;
      await poll(
        () => `${url} is not 200`,
        async () => ((await fetch(url)).status === 200 ? true : undefined),
      );
    }
  });

  it('hold a configuration that is valid', () => {
    const text = of('ConfigMap').data!['spillway.yaml']!;
    const { remoteWrite } = parseConfig(text, { file: 'spillway.yaml', baseDir: '/etc/spillway' });
    assert.equal(remoteWrite.length, 1);
  });

  it('fit each other', () => {
    const { labels } = pod.metadata;
    assert.deepEqual(of('StatefulSet').spec.selector.matchLabels, labels);
    assert.deepEqual(of('PodDisruptionBudget').spec.selector.matchLabels, labels);
    assert.deepEqual(of('NetworkPolicy').spec.podSelector.matchLabels, labels);
    assert.equal(of('StatefulSet').spec.serviceName, of('Service', 'spillway-pods').metadata.name);
    assert.equal(pod.spec.serviceAccountName, of('ServiceAccount').metadata.name);

    const [{ name: port, containerPort }] = container.ports as [(typeof container.ports)[number]];
    assert.equal(`${containerPort}`, instruction('EXPOSE'));
    for (const service of [of('Service'), of('Service', 'spillway-pods')]) {
      assert.deepEqual(service.spec.selector, labels);
      assert.equal(service.spec.ports[0]!.targetPort, port);
    }
    for (const { httpGet } of [container.startupProbe, container.livenessProbe, container.readinessProbe])
      assert.equal(httpGet.port, port);
    assert.equal(of('NetworkPolicy').spec.ingress[0]!.ports[0]!.port, port);

    const volumes = [
      ...pod.spec.volumes.map(({ name }) => name),
      ...of('StatefulSet').spec.volumeClaimTemplates.map(({ metadata }) => metadata.name),
    ];
    assert.deepEqual(container.volumeMounts.map(({ name }) => name).sort(), volumes.sort());
    assert.equal(pod.spec.volumes[0]!.configMap!.name, of('ConfigMap').metadata.name);
    for (const { mountPath } of container.volumeMounts)
      assert.ok(
        container.args.some((arg) => arg.startsWith(mountPath)),
        mountPath,
      );
    assert.equal(`${pod.spec.securityContext.runAsUser}`, instruction('USER').split(':')[0]);
    assert.ok(1000 * pod.spec.terminationGracePeriodSeconds > graceMs);
  });
});
