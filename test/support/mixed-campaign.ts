import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type AgentConfig, type Remote, remote } from './agent.ts';
import { Arrivals } from './arrivals.ts';
import { poll } from './deadline.ts';
import { flap, oneOf } from './kill-campaign.ts';
import { Load } from './load.ts';
import { readMetric } from './metrics.ts';
import type { Random } from './random.ts';
import type { Row } from './rows.ts';
import { type Answer, type Knows, type Received, type Script, Sink } from './sink.ts';
import { assertNoLoss } from './verdict.ts';

const messages = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request', 'auto'] as const;
const tenants = [undefined, {}, { from_labels: ['team'], keep_label: true }] as const;
const teams = ['a', 'b', 'c'];
/** How the agent ends, or does not. */
const ends = ['killed', 'terminated', 'reloaded', 'hung up', 'removed and added', 'nothing'] as const;
/** What the endpoint does meanwhile. */
const troubles = ['none', 'slow', 'down', 'flapping', '401', '429', '413', 'poison'] as const;

/** What a round came to, for people. */
export interface MixedFigures {
  readonly rows: number;
  readonly duplicates: number;
  readonly requests: number;
}

/** Rows whose series has `i` of this value are refused as bad, while the endpoint has that trouble. */
const poison = /,i="1",/;
/** Such rows are dropped by relabelling, while that is configured. */
const unwanted = /,i="2",/;

/**
 * Settings that meet: a real agent with two endpoints, several tenants that send 1.0 and 2.0, and between the steps
 * kills, ends in order and reloads that change what is sent (version, tenants, labels, relabelling, number of loops),
 * while the endpoint has troubles. Then all is well, and
 *
 * - every acknowledged row is there in order, but for those that were refused or dropped for a reason;
 * - received + returned = delivered + lost + waiting, for each endpoint, after every step that leaves the agent
 * running;
 * - no request says a tenant that one of its rows is not of;
 * - the other endpoint has got everything.
 *
 * The seed decides what happens; when it hits is up to the machine.
 */
export async function mixedRound(t: TestContext, random: Random, steps = 6): Promise<MixedFigures> {
  const round = await MixedRound.start(t, random);
  for (let step = 0; step < steps; step++) await round.step(oneOf(ends, random), oneOf(troubles, random));
  return await round.verify();
}

class MixedRound {
  readonly #random: Random;
  /** Of the scripts, which draw when requests come: they must not move the draws of the round. */
  readonly #scripted: Random;
  readonly #victim: Sink;
  readonly #neighbour: Sink;
  readonly #loads: readonly Load[];
  readonly #agent: Agent;
  readonly #say: (what: string) => void;
  #settings: Settings;
  #isPoisoned = false;
  #isFiltered = false;
  /** There were settings under which requests say no tenant. */
  #isUntold = false;

  private constructor(parts: {
    random: Random;
    victim: Sink;
    neighbour: Sink;
    loads: readonly Load[];
    agent: Agent;
    settings: Settings;
    say: (what: string) => void;
  }) {
    this.#random = parts.random;
    this.#scripted = parts.random.part(1);
    this.#victim = parts.victim;
    this.#neighbour = parts.neighbour;
    this.#loads = parts.loads;
    this.#agent = parts.agent;
    this.#say = parts.say;
    this.#settings = parts.settings;
    this.#took(parts.settings);
  }

  static async start(t: TestContext, random: Random): Promise<MixedRound> {
    const victim = await Sink.start(t);
    const neighbour = await Sink.start(t);
    const fixed: Settings['fixed'] = {
      kernel: oneOf(['wasm', 'typescript'] as const, random),
      shutdown_grace: '300ms',
      receiver: { tenant_header: 'X-Scope-OrgID' },
      wal: {
        segment_age: oneOf(['30ms', '300ms'], random),
        segment_series: oneOf([40, 600], random),
      },
    };
    const settings = settingsOf(fixed, victim.url, neighbour.url, random);
    const began = performance.now();
    const say = (what: string): void => t.diagnostic(`${Math.round(performance.now() - began)} ms: ${what}`);
    say(JSON.stringify({ ...fixed, ...settings.changing, tenant: settings.tenant }));
    const agent = await Agent.start(t, configOf(settings));
    const versions = random.part(0);
    const shape = {
      connections: 2,
      seriesEach: random.int(4, 30),
      exemplars: true,
      versionOf: () => oneOf(['1.0', '2.0'] as const, versions),
    };
    const loads = teams.map(
      (team) =>
        new Load(t, agent.url, {
          ...shape,
          headers: { 'x-scope-orgid': team },
          labelsOf: () => ({ team }),
        }),
    );
    return new MixedRound({ random, victim, neighbour, loads, agent, settings, say });
  }

  /** Data flows and the endpoint has `trouble`; then the agent ends or is reloaded, and the trouble is over. */
  async step(end: (typeof ends)[number], trouble: (typeof troubles)[number]): Promise<void> {
    const random = this.#random;
    const agent = this.#agent;
    this.#say(`${trouble}, ${end}`);
    await this.#suffer(trouble);
    const running = Promise.all(this.#loads.map((load) => load.run()));
    await Promise.all(this.#loads.map((load) => load.acknowledgedRequests(random.int(2, 30))));
    await sleep(random.int(0, 100));
    switch (end) {
      case 'killed':
        await agent.kill9();
        await running;
        await this.#change();
        await agent.start();
        break;
      case 'terminated':
        assert.equal(await agent.terminate(), 0);
        await running;
        await this.#change();
        await agent.start();
        break;
      case 'reloaded':
        await this.#change();
        assert.equal((await agent.reload()).status, 200);
        break;
      case 'hung up':
        await this.#change();
        agent.hangUp();
        break;
      case 'removed and added':
        // What comes in between is not for it.
        await this.#rest(running);
        await agent.configure(configOf(this.#settings, false));
        assert.equal((await agent.reload()).status, 200);
        if (random.int(0, 2) === 0) {
          await agent.kill9();
          await agent.start();
        }
        await this.#change();
        assert.equal((await agent.reload()).status, 200);
        break;
      case 'nothing':
        break;
      default:
        end satisfies never;
    }
    this.#say('resting');
    await this.#rest(running);
    this.#say('rested');
    await this.#balance();
    if (trouble === 'down') await this.#victim.restart();
    // Of a reload that nobody waits for, the settings before may still be those in force.
    if (end === 'hung up') assert.equal((await agent.reload()).status, 200);
    this.#victim.knows = oneOf(fitting[this.#settings.changing.protobuf_message], random);
  }

  async verify(): Promise<MixedFigures> {
    await this.#suffer('none');
    await Promise.all(this.#loads.map((load) => load.send(3)));
    const end = await poll(
      () => `everything is settled, ${this.#agent.lines.slice(-15).join('\n')}`,
      async () => {
        const counts = await this.#balance();
        return counts.every(({ waiting }) => waiting === 0) ? counts : undefined;
      },
    );
    await this.#agent.metricUntil('spillway_endpoint_unaccounted_rows', {}, (rows) => rows === 0);
    assert.equal(await this.#agent.terminate(), 0);
    for (const { received, damaged } of end) {
      const acknowledged = this.#loads.reduce((sum, load) => sum + load.acknowledged.length, 0);
      const unknown = this.#loads.reduce((sum, load) => sum + load.unknown.flat().length, 0);
      assert.ok(received >= acknowledged && received <= acknowledged + unknown, `${received} were received`);
      assert.equal(damaged, 0);
    }
    for (const [i, load] of this.#loads.entries()) {
      const isHere = ({ series }: Row): boolean => series.includes(`team="${teams[i]}"`);
      this.#judge(load, arrivalsAt(this.#neighbour, isHere), () => true);
      this.#judge(load, arrivalsAt(this.#victim, isHere), (row) => !this.#mayBeLost(row));
    }
    for (const { headers, rows } of this.#victim.requests) this.#judgeTenant(headers['x-scope-orgid'], rows);
    const { arrivals, requests } = this.#victim;
    return { rows: arrivals.count, duplicates: arrivals.duplicates, requests: requests.length };
  }

  /**
   * What `counts` arrived, in order. What may be lost for a reason may also come late: once it was left out, and after
   * a change of labels, when rows that had been settled are sent again, it was not.
   */
  #judge(load: Load, rows: readonly Row[], counts: (row: Row) => boolean): void {
    const arrivals = new Arrivals();
    arrivals.add(rows.filter(counts));
    assertNoLoss(
      {
        acknowledged: load.acknowledged.filter(counts),
        refused: load.refused,
        unknown: load.unknown.map((request) => request.filter(counts)),
      },
      arrivals,
    );
  }

  #judgeTenant(said: string | string[] | undefined, rows: readonly Row[]): void {
    if (said === undefined) {
      assert.ok(this.#isUntold, 'a request without a tenant');
      return;
    }
    for (const { series } of rows) assert.ok(series.includes(`team="${said}"`), `${series} as of ${said}`);
  }

  /** Its loss is counted, by what was configured or how the endpoint answered. */
  #mayBeLost({ kind, series }: Row): boolean {
    if (kind === 'exemplar') return true;
    return (this.#isPoisoned && poison.test(series)) || (this.#isFiltered && unwanted.test(series));
  }

  async #balance(): Promise<{ received: number; waiting: number; damaged: number }[]> {
    const text = await (await fetch(`${this.#agent.url}/metrics`)).text();
    return ['victim', 'neighbour'].map((endpoint) => {
      const read = (name: string, labels = {}): number =>
        readMetric(text, `spillway_endpoint_${name}`, { endpoint, ...labels }) ?? 0;
      const counts = {
        endpoint,
        received: read('received_rows_total'),
        returned: read('returned_rows_total'),
        delivered: read('delivered_rows_total'),
        dropped: read('dropped_rows_total'),
        damaged: read('dropped_rows_total', { reason: 'damaged' }),
        waiting: read('backlog_rows'),
        unaccounted: read('unaccounted_rows'),
      };
      const { received, returned, delivered, dropped, waiting } = counts;
      assert.equal(received + returned, delivered + dropped + waiting, JSON.stringify(counts));
      assert.equal(counts.unaccounted, 0, JSON.stringify(counts));
      return counts;
    });
  }

  async #rest(running: Promise<unknown>): Promise<void> {
    for (const load of this.#loads) load.stop();
    await running;
  }

  /** Other settings, in the file. The endpoint takes all of them for now. */
  async #change(): Promise<void> {
    this.#victim.knows = 'both';
    const { fixed } = this.#settings;
    this.#settings = settingsOf(fixed, this.#victim.url, this.#neighbour.url, this.#random);
    this.#took(this.#settings);
    this.#say(JSON.stringify({ ...this.#settings.changing, tenant: this.#settings.tenant }));
    await this.#agent.configure(configOf(this.#settings));
  }

  #took({ changing, tenant }: Settings): void {
    this.#isFiltered ||= changing.filter;
    this.#isUntold ||= tenant === undefined;
  }

  async #suffer(trouble: (typeof troubles)[number]): Promise<void> {
    const random = this.#scripted;
    if (trouble === 'down') await this.#victim.stop();
    this.#isPoisoned ||= trouble === 'poison';
    const isShut = ({ headers }: Received): boolean => (headers['x-scope-orgid'] ?? 'a') === 'a';
    const isNamed = this.#random.int(0, 2) === 0;
    const scripts: Record<(typeof troubles)[number], Script> = {
      none: () => ({}),
      slow: () => ({ delayMs: random.int(1, 100) }),
      down: () => ({}),
      flapping: () => flap(random),
      '401': (request) => (isShut(request) ? { status: 401 } : {}),
      '429': (request) => (isShut(request) && random.int(0, 3) > 0 ? { status: 429 } : {}),
      '413': ({ rows }) => (rows.length > 10 ? { status: 413 } : {}),
      poison: ({ rows }): Answer =>
        rows.some(({ series }) => poison.test(series))
          ? { status: 400, body: 'poison', ...(isNamed ? {} : { written: false }) }
          : {},
    };
    this.#victim.script = scripts[trouble];
  }
}

/** What the victim is sent, and by which settings; a reload changes all but `fixed`. */
interface Settings {
  readonly fixed: Omit<AgentConfig, 'remote_write' | 'external_labels'>;
  readonly changing: {
    readonly protobuf_message: (typeof messages)[number];
    readonly filter: boolean;
    readonly zone: boolean;
    readonly external: boolean;
    readonly queue_config: NonNullable<Remote['queue_config']>;
  };
  readonly tenant: Remote['tenant'];
  readonly victimUrl: string;
  readonly neighbourUrl: string;
}

/** What an endpoint may know that is sent so. */
const fitting: Readonly<Record<(typeof messages)[number], readonly Knows[]>> = {
  'prometheus.WriteRequest': ['both', '1.0, and answers 400'],
  'io.prometheus.write.v2.Request': ['both', '2.0'],
  auto: ['both', '1.0, and answers 204', '1.0, and answers 400', '1.0, and answers 415'],
};

function settingsOf(
  fixed: Settings['fixed'],
  victimUrl: string,
  neighbourUrl: string,
  random: Random,
): Settings {
  const min_shards = oneOf([1, 1, 2, 4], random);
  return {
    fixed,
    changing: {
      protobuf_message: oneOf(messages, random),
      filter: random.int(0, 3) === 0,
      zone: random.int(0, 3) === 0,
      external: random.int(0, 3) === 0,
      queue_config: {
        min_shards,
        max_shards: min_shards + oneOf([0, 3], random),
        max_samples_per_send: random.int(10, 300),
        capacity: random.int(300, 3000),
      },
    },
    tenant: oneOf(tenants, random),
    victimUrl,
    neighbourUrl,
  };
}

function configOf(settings: Settings, withVictim = true): AgentConfig {
  const { fixed, changing, tenant, victimUrl, neighbourUrl } = settings;
  const { filter, zone, external, protobuf_message, queue_config } = changing;
  const rules = [
    ...(filter ? [{ source_labels: ['i'], regex: '2', action: 'drop' }] : []),
    ...(zone ? [{ target_label: 'zone', replacement: 'relabelled' }] : []),
  ];
  const victim = remote(victimUrl, {
    name: 'victim',
    protobuf_message,
    queue_config,
    ...(tenant !== undefined && { tenant }),
    ...(rules.length > 0 && { write_relabel_configs: rules }),
  });
  return {
    ...fixed,
    ...(external && { external_labels: { zone: 'external' } }),
    remote_write: [...(withVictim ? [victim] : []), remote(neighbourUrl, { name: 'neighbour' })],
  };
}

/** What the sink stored of some series, as it was before a label was added on the way. */
function arrivalsAt(sink: Sink, isHere: (row: Row) => boolean): Row[] {
  return sink.deliveries.flatMap(({ rows }) =>
    rows.filter(isHere).map((row) => ({ ...row, series: row.series.replace(/,zone="\w+"/, '') })),
  );
}
