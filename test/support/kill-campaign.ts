import assert from 'node:assert/strict';
import { watch } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type AgentConfig, remote } from './agent.ts';
import { within } from './deadline.ts';
import { Load } from './load.ts';
import { Random } from './random.ts';
import { repeatsOf } from './repeats.ts';
import { describeRow } from './rows.ts';
import { type Answer, Sink } from './sink.ts';
import { assertNoLoss } from './verdict.ts';

/** What the agent does when it is killed. */
export const instants = ['ingest', 'roll', 'drain', 'start', 'stop'] as const;
export type Instant = (typeof instants)[number];

/** What the endpoint does then. */
export const states = ['up', 'slow', 'down', 'flapping'] as const;
export type State = (typeof states)[number];

/** Kills of one round: every instant with every state of the endpoint. */
export const killsPerRound: number = instants.length * states.length;

/** What a round came to, for people. */
export interface RoundFigures {
  /** Kills by instant; a process that had ended before the signal came counts as `ended`. */
  readonly kills: Readonly<Record<Instant | 'ended', number>>;
  readonly rows: number;
  readonly duplicates: number;
  /** The most requests that came twice because of one kill, or one end of the endpoint. */
  readonly mostRepeated: number;
  readonly loops: number;
}

/**
 * A fresh agent with settings of its own, killed with -9 once in each instant with the endpoint in each state, in an
 * order that `random` chooses; then the endpoint is up, and every row is looked for (`assertNoLoss`). What came
 * twice must have been on its way when somebody died: one request of each loop at most.
 *
 * The seed decides settings, order and delays; where in its code the agent is hit is up to the machine.
 */
export async function killRound(t: TestContext, random: Random): Promise<RoundFigures> {
  const round = await Round.start(t, random);
  for (const [instant, state] of shuffled(pairs(), random)) await round.kill(instant, state);
  return await round.verify();
}

class Round {
  readonly #random: Random;
  /** Of the scripts, which draw when requests come: they must not move the draws of the round. */
  readonly #scripted: Random;
  readonly #agent: Agent;
  readonly #load: Load;
  readonly #sink: Sink;
  /** A second endpoint that nothing happens to: it must not notice. */
  readonly #neighbour: Sink;
  readonly #loops: number;
  readonly #startMs: number;
  readonly #kills: Record<Instant | 'ended', number> = {
    ingest: 0,
    roll: 0,
    drain: 0,
    start: 0,
    stop: 0,
    ended: 0,
  };
  /** By sink, how many requests it had read at each end of the agent or of itself. */
  readonly #ends = new Map<Sink, number[]>();
  #down = false;

  private constructor(parts: {
    random: Random;
    agent: Agent;
    load: Load;
    sink: Sink;
    neighbour: Sink;
    loops: number;
    startMs: number;
  }) {
    this.#random = parts.random;
    this.#scripted = new Random(parts.random.int(0, 2 ** 32));
    this.#agent = parts.agent;
    this.#load = parts.load;
    this.#sink = parts.sink;
    this.#neighbour = parts.neighbour;
    this.#loops = parts.loops;
    this.#startMs = parts.startMs;
    for (const sink of this.#sinks) this.#ends.set(sink, []);
  }

  static async start(t: TestContext, random: Random): Promise<Round> {
    const sink = await Sink.start(t);
    const neighbour = await Sink.start(t);
    const minShards = oneOf([1, 1, 2, 4, 8], random);
    const maxShards = minShards + oneOf([0, 3, 8], random);
    const queue_config = {
      min_shards: minShards,
      max_shards: maxShards,
      max_samples_per_send: random.int(10, 300),
      capacity: random.int(300, 5000),
    };
    const config: AgentConfig = {
      shutdown_grace: '300ms',
      wal: {
        segment_age: oneOf(['3ms', '30ms', '300ms'], random),
        segment_series: oneOf([40, 150, 600], random),
        codec: oneOf(['snappy', 'none'] as const, random),
      },
      remote_write: [
        remote(sink.url, { name: 'victim', remote_timeout: '20s', queue_config }),
        remote(neighbour.url, { name: 'neighbour', remote_timeout: '20s', queue_config }),
      ],
    };
    const agent = await Agent.start(t, config);
    const shape = { connections: random.int(1, 7), seriesEach: random.int(5, 60) };
    t.diagnostic(JSON.stringify({ wal: config.wal, queue_config, load: shape }));
    await agent.terminate();
    const startedMs = performance.now();
    await agent.start();
    const startMs = performance.now() - startedMs;
    await agent.kill9();
    const load = new Load(t, agent.url, shape);
    return new Round({ random, agent, load, sink, neighbour, loops: maxShards, startMs });
  }

  get #sinks(): Sink[] {
    return [this.#sink, this.#neighbour];
  }

  /** Starts the agent, and kills it in `instant` while its endpoint is in `state`. */
  async kill(instant: Instant, state: State): Promise<void> {
    const random = this.#random;
    const agent = this.#agent;
    const load = this.#load;
    let running: Promise<void> | undefined;
    await this.#become(instant === 'drain' ? 'down' : state);
    switch (instant) {
      case 'ingest':
        await agent.start();
        running = load.run();
        await load.acknowledgedRequests(random.int(1, 60));
        await sleep(random.int(0, 20));
        break;
      case 'roll': {
        await agent.start();
        const changes = watchChanges(join(agent.dataDir, 'wal'), random.int(1, 12));
        running = load.run();
        await changes;
        await sleep(random.int(0, 3));
        break;
      }
      case 'drain': {
        await agent.start();
        await load.send(random.int(10, 60));
        const known = this.#sink.arrivals.count - this.#sink.arrivals.duplicates;
        const waiting = load.acknowledged.length - known;
        const enough = this.#sink.arrivals.count + random.int(1, Math.max(2, waiting));
        await this.#become(state === 'down' ? 'up' : state);
        await this.#sink.waitFor('part of the backlog', () => this.#sink.arrivals.count >= enough);
        // The endpoint goes away again in the middle, and the agent a moment later.
        if (state === 'down') await this.#become('down');
        await sleep(random.int(0, 10));
        break;
      }
      case 'start': {
        const child = agent.launch();
        // Half of the starts meet senders that try again and again.
        if (random.int(0, 2) === 0) {
          const line = child.line(/listening on/);
          running = line.then(
            () => load.run(),
            () => undefined, // killed before
          );
        }
        await sleep(random.next() * 1.1 * this.#startMs);
        break;
      }
      case 'stop': {
        await agent.start();
        running = load.run();
        await load.acknowledgedRequests(random.int(1, 40));
        // Its end is what `kill9` waits for; here nobody does.
        void agent.terminate();
        await sleep(random.int(0, 400));
        break;
      }
      default:
        instant satisfies never;
    }
    this.#kills[(await agent.kill9()) ? instant : 'ended']++;
    for (const sink of this.#sinks) this.#noteEnd(sink);
    await running;
  }

  /** Lets the backlog drain and judges every row at both endpoints. */
  async verify(): Promise<RoundFigures> {
    const agent = this.#agent;
    const load = this.#load;
    await this.#become('up');
    await agent.start();
    await load.send(5);
    const { acknowledged } = load;
    for (const sink of this.#sinks) await sink.waitForRows(acknowledged);
    assert.equal(await agent.terminate(), 0);
    for (const sink of this.#sinks) assertNoLoss(load, sink.arrivals);
    return {
      kills: this.#kills,
      rows: acknowledged.length,
      duplicates: this.#sinks.reduce((sum, { arrivals }) => sum + arrivals.duplicates, 0),
      mostRepeated: Math.max(...this.#sinks.map((sink) => this.#assertFewRepeats(sink))),
      loops: this.#loops,
    };
  }

  /** Returns the most requests that one end made come twice. */
  #assertFewRepeats(sink: Sink): number {
    const { unanswered, needless } = repeatsOf(sink);
    const some = needless.slice(0, 5).map(describeRow).join('\n');
    assert.equal(needless.length, 0, `${needless.length} rows came again for no reason, among them\n${some}`);
    const ends = this.#ends.get(sink)!;
    const repeated = new Array<number>(ends.length + 1).fill(0);
    for (const { index } of unanswered) {
      const end = ends.findIndex((requests) => index < requests);
      repeated[end < 0 ? ends.length : end]!++;
    }
    const most = Math.max(...repeated);
    assert.ok(most <= this.#loops, `${most} requests of ${this.#loops} loops came again after one end`);
    assert.equal(repeated.at(-1), 0, 'nobody died after the last end, and requests came again');
    return most;
  }

  #noteEnd(sink: Sink): void {
    this.#ends.get(sink)!.push(sink.requests.length);
  }

  async #become(state: State): Promise<void> {
    if (this.#down !== (state === 'down')) {
      this.#down = state === 'down';
      if (this.#down) {
        await this.#sink.stop();
        this.#noteEnd(this.#sink);
      } else {
        await this.#sink.restart();
      }
    }
    const random = this.#scripted;
    this.#sink.script = {
      up: (): Answer => ({}),
      slow: (): Answer => ({ delayMs: random.int(1, 100) }),
      down: (): Answer => ({}),
      flapping: (): Answer => flap(random),
    }[state];
  }
}

/** An answer of an endpoint in trouble. */
export function flap(random: Random): Answer {
  const store = random.int(0, 2) === 0;
  switch (random.int(0, 8)) {
    case 0:
      return { status: 500, body: 'internal' };
    case 1:
      return { status: 503, store, body: 'overloaded' };
    case 2:
      return { instead: 'reset', store };
    case 3:
      return { status: 200, instead: 'reset-mid-answer', store };
    default:
      return { delayMs: random.int(0, 30) };
  }
}

/** Resolves at the `count`th file that comes, goes or is renamed in `folder` from now. */
async function watchChanges(folder: string, count: number): Promise<void> {
  let changes = 0;
  const watcher = watch(folder);
  const enough = new Promise<void>((resolve) => {
    watcher.on('change', (event) => {
      if (event === 'rename' && ++changes >= count) resolve();
    });
  });
  try {
    await within(() => `${changes} of ${count} changes in ${folder}`, enough);
  } finally {
    watcher.close();
  }
}

function pairs(): [Instant, State][] {
  return instants.flatMap((instant) => states.map((state): [Instant, State] => [instant, state]));
}

export function oneOf<T>(values: readonly T[], random: Random): T {
  return values[random.int(0, values.length)]!;
}

function shuffled<T>(values: T[], random: Random): T[] {
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.int(0, i + 1);
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}
