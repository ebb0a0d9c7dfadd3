import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { staleMarkerBits } from '../../src/protocol/schema.ts';
import { bitsOf, labels, type Message, request, type Series, series } from './messages.ts';
import { Progress } from './progress.ts';
import type { Row } from './rows.ts';
import { type Reply, Sender } from './sender.ts';

/**
 * The load of a few scrapers: connections of their own, each with series of its own, each request with one new
 * row of every one of them. No row is sent twice, so whatever arrives twice was duplicated on the way. A
 * connection sends as fast as it is answered, or rests `everyMs` after each answer.
 */
export class Load {
  readonly #senders: readonly Sender[];
  readonly #seriesEach: number;
  readonly #everyMs: number;
  readonly #progress = new Progress();
  readonly #start: number;
  readonly #labelsOf: (i: number) => Record<string, string>;
  readonly #versionOf: () => '1.0' | '2.0';
  readonly #exemplars: boolean;
  #round = 0;
  #acknowledged = 0;
  #stopping = false;
  #sending = 0;
  #lastAnswer: Reply | undefined;

  /**
   * `labelsOf` gives series `i` of a connection more labels; times count from `startMs`, by default now. `versionOf` is
   * asked before each request; with `exemplars` every fourth series has one in each.
   */
  constructor(
    t: TestContext,
    agentUrl: string,
    {
      connections = 4,
      seriesEach = 50,
      everyMs = 0,
      headers = {} as Record<string, string>,
      startMs = Date.now(),
      labelsOf = (_: number): Record<string, string> => ({}),
      versionOf = (): '1.0' | '2.0' => '1.0',
      exemplars = false,
    } = {},
  ) {
    this.#senders = Array.from({ length: connections }, () => new Sender(t, agentUrl, undefined, headers));
    this.#seriesEach = seriesEach;
    this.#everyMs = everyMs;
    this.#start = startMs;
    this.#labelsOf = labelsOf;
    this.#versionOf = versionOf;
    this.#exemplars = exemplars;
  }

  /** Sends until `requests` more are acknowledged; every one on its way is answered when it resolves. */
  async send(requests: number): Promise<void> {
    const running = this.run();
    await this.acknowledgedRequests(requests);
    this.stop();
    await running;
  }

  /**
   * Sends until `stop`. A connection ends by itself at the first answer that is not a 204, or when it breaks.
   * Resolves when all have ended; may be called again, and time goes on where it was.
   */
  async run(): Promise<void> {
    this.#stopping = false;
    await Promise.all(this.#senders.map((sender, connection) => this.#send(sender, connection)));
  }

  /** Lets `run` end after the requests on their way. */
  stop(): void {
    this.#stopping = true;
  }

  /** Waits for `more` acknowledged requests from now. Rejects when every connection has ended before. */
  async acknowledgedRequests(more: number): Promise<void> {
    const end = this.#acknowledged + more;
    await this.#progress.until(
      () => `${end} acknowledged requests: there were ${this.#acknowledged}`,
      () => {
        if (this.#acknowledged >= end) return true;
        if (this.#sending > 0) return false;
        const { status, body } = this.#lastAnswer ?? { status: 'none', body: '' };
        throw new Error(`no connection is left to send; last answer: ${status} ${body}`);
      },
    );
  }

  get acknowledged(): Row[] {
    return this.#senders.flatMap((sender) => sender.acknowledged);
  }

  get refused(): Row[] {
    return this.#senders.flatMap((sender) => sender.refused);
  }

  /** The rows of each request that was never answered. */
  get unknown(): Row[][] {
    return this.#senders.flatMap((sender) => sender.unknown);
  }

  async #send(sender: Sender, connection: number): Promise<void> {
    this.#sending++;
    while (!this.#stopping) {
      this.#lastAnswer = await sender.write(this.#request(connection, this.#round++), this.#versionOf());
      if (this.#lastAnswer?.status !== 204) break;
      this.#acknowledged++;
      this.#progress.made();
      if (this.#everyMs > 0) await sleep(this.#everyMs);
    }
    this.#sending--;
    this.#progress.made();
  }

  #request(connection: number, round: number): Message {
    const at = this.#start + round;
    return request(
      ...Array.from({ length: this.#seriesEach }, (_, i) => ({
        ...series({ __name__: 'load', connection: `${connection}`, i: `${i}`, ...this.#labelsOf(i) }, [
          at,
          valueBits(round, i),
        ]),
        ...(this.#exemplars && i % 4 === 0 && { exemplars: [exemplar(at, i)] }),
      })),
    );
  }
}

function exemplar(at: number, i: number): NonNullable<Series['exemplars']>[number] {
  return { labels: labels({ trace_id: `${at}` }), timestamp: BigInt(at), valueBits: bitsOf(i) };
}

/** Bits that do not survive careless hands: a stale marker, -0, a NaN with a payload. */
const oddBits = [staleMarkerBits, bitsOf(-0), 0x7ff8_dead_beef_0001n];

/** Every 16th value of a series is an odd one. */
function valueBits(round: number, i: number): bigint {
  const n = round + i;
  return n % 16 === 0 ? oddBits[(n / 16) % oddBits.length]! : bitsOf(round + i / 1000);
}
