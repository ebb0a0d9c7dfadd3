/** The agents that are compared: where each is found, and its command line. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { growBacklog } from './grow-backlog.ts';

/** Those behind `spillway` are Spillway with another setting (`VARIANTS`); they take part when they are asked for. */
export const NAMES = [
  'spillway',
  'spillway-typescript',
  'spillway-brotli',
  'spillway-small',
  'vmagent',
  'prometheus',
] as const;
export type Name = (typeof NAMES)[number];
export const USUAL: readonly Name[] = ['spillway', 'vmagent', 'prometheus'];

/** Where a contender is to run. */
export interface Site {
  /** For its configuration and log; `dataDir` lies in it. */
  readonly folder: string;
  readonly dataDir: string;
  /** To listen on, on loopback. */
  readonly port: number;
  /** The endpoints; each gets everything. */
  readonly sinkUrls: readonly string[];
  /** A fixed number of sending loops for each endpoint; what the contender chooses itself if undefined. */
  readonly loops?: number | undefined;
  /** The load has native histograms: some forward them only when they are told to. */
  readonly histograms?: boolean;
}

export interface Contender {
  readonly name: Name;
  readonly version: string;
  /** Writes the configuration, if there is one, and returns the command line. */
  command(site: Site): readonly [program: string, ...args: string[]];
  /** Makes the backlog in a data directory that nobody uses as large as that, if the contender's can be copied. */
  readonly growBacklog?: typeof growBacklog;
}

/** Why a contender takes no part. */
export class Missing extends Error {}

/** Lines of the configuration of a Spillway, beside what every trial needs. */
interface Variant {
  readonly main?: readonly string[];
  readonly endpoint?: readonly string[];
}
const VARIANTS = {
  spillway: {},
  'spillway-typescript': { main: ['kernel: typescript'] },
  'spillway-brotli': { main: ['wal: { codec: brotli }'] },
  'spillway-small': { endpoint: ['wire_compression: small'] },
} as const satisfies Partial<Record<Name, Variant>>;

/** Also with another setting. */
export function isSpillway(name: Name): boolean {
  return Object.hasOwn(VARIANTS, name);
}

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** Finds a contender; `path` is the program, looked up on PATH if undefined. Throws `Missing`. */
export function findContender(name: Name, path: string | undefined): Contender {
  switch (name) {
    case 'vmagent':
      return vmagent(
        path ?? onPath(name, 'apt-get install victoria-metrics, or github.com/VictoriaMetrics releases'),
      );
    case 'prometheus':
      return prometheus(path ?? onPath(name, 'apt-get install prometheus, or prometheus.io/download'));
    default:
      return spillway(name, VARIANTS[name]);
  }
}

function spillway(name: Name, { main: settings = [], endpoint = [] }: Variant): Contender {
  const main = join(REPOSITORY, 'dist/main.js');
  if (!existsSync(main)) throw new Missing('not built; npm run build');
  return {
    name,
    version: `${JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')).version}${commit()}`,
    command({ folder, dataDir, port, sinkUrls, loops }) {
      const config = join(folder, 'spillway.yaml');
      const lines = [
        ...settings,
        `listen: 127.0.0.1:${port}`,
        `data_dir: ${dataDir}`,
        ...remoteWrite(sinkUrls, [...queueConfig(loops), ...endpoint]),
      ];
      writeFileSync(config, `${lines.join('\n')}\n`);
      return [process.execPath, main, 'run', '--config', config];
    },
    growBacklog,
  };
}

/** The commit that is measured, if this is a clone, and whether the program differs from it. */
function commit(): string {
  const git = (...args: string[]): string => {
    const { status, stdout } = spawnSync('git', args, { cwd: REPOSITORY, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : '';
  };
  const head = git('rev-parse', '--short', 'HEAD');
  const changed = git('status', '--porcelain', '--', 'src', 'package-lock.json') !== '';
  return head === '' ? '' : ` (${head}${changed ? ', changed' : ''})`;
}

function vmagent(program: string): Contender {
  // Unless told otherwise, newer ones speak a protocol of their own; older ones know neither it nor the flag.
  const promProto = run(program, '-help').includes('forcePromProto') ? ['-remoteWrite.forcePromProto'] : [];
  return {
    name: 'vmagent',
    version:
      /v(\d+\.\d+\.\d+)/.exec(run(program, '-version'))?.[1] ?? packagedVersion(program, 'victoria-metrics'),
    command: ({ dataDir, port, sinkUrls, loops }) => [
      program,
      `-httpListenAddr=127.0.0.1:${port}`,
      ...sinkUrls.map((url) => `-remoteWrite.url=${url}`),
      ...(loops === undefined ? [] : [`-remoteWrite.queues=${loops}`]),
      `-remoteWrite.tmpDataPath=${dataDir}`,
      ...promProto,
    ],
  };
}

function prometheus(program: string): Contender {
  const agent = run(program, '--help').includes('[no-]agent') ? '--agent' : '--enable-feature=agent';
  return {
    name: 'prometheus',
    version: /version (\S+)/.exec(run(program, '--version'))?.[1] ?? 'unknown',
    command({ folder, dataDir, port, sinkUrls, loops, histograms }) {
      const config = join(folder, 'prometheus.yml');
      const settings = [...queueConfig(loops), ...(histograms ? ['send_native_histograms: true'] : [])];
      writeFileSync(config, `${remoteWrite(sinkUrls, settings).join('\n')}\n`);
      return [
        program,
        agent,
        `--config.file=${config}`,
        `--storage.agent.path=${dataDir}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--web.enable-remote-write-receiver',
      ];
    },
  };
}

/** `remote_write` as Prometheus and Spillway take it, each endpoint with `settings`. */
function remoteWrite(urls: readonly string[], settings: readonly string[]): string[] {
  const endpoint = (url: string): string[] => [`- url: ${url}`, ...settings.map((line) => `  ${line}`)];
  return ['remote_write:', ...urls.flatMap(endpoint)];
}

function queueConfig(loops: number | undefined): string[] {
  return loops === undefined ? [] : [`queue_config: { min_shards: ${loops}, max_shards: ${loops} }`];
}

function onPath(program: string, howToGet: string): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  throw new Missing(`not on PATH; ${howToGet}, or --${program} PATH`);
}

/** What `program` prints, wherever it prints it. */
function run(program: string, flag: string): string {
  const { stdout, stderr, error } = spawnSync(program, [flag], { encoding: 'utf8' });
  if (error) throw error;
  return stdout + stderr;
}

/** Debian builds vmagent without a version; the changelog of the package stands beside the program. */
function packagedVersion(program: string, packageName: string): string {
  const changelog = join(dirname(realpathSync(program)), '../share/doc', packageName, 'changelog.Debian.gz');
  if (!existsSync(changelog)) return 'unknown';
  return /\((\d+\.\d+\.\d+)/.exec(gunzipSync(readFileSync(changelog)).toString())?.[1] ?? 'unknown';
}
