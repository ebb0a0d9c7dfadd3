import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { staleMarkerBits } from '../../src/protocol/schema.ts';
import { bitsOf, type Message, request, series } from './messages.ts';
import { Progress } from './progress.ts';
import type { Row } from './rows.ts';
import { Sender } from './sender.ts';

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
  readonly #start = Date.now();
  #round = 0;
  #acknowledged = 0;
  #stopping = false;

  constructor(t: TestContext, agentUrl: string, { connections = 4, seriesEach = 50, everyMs = 0 } = {}) {
    this.#senders = Array.from({ length: connections }, () => new Sender(t, agentUrl));
    this.#seriesEach = seriesEach;
    this.#everyMs = everyMs;
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

  /** Waits for `more` acknowledged requests from now. */
  async acknowledgedRequests(more: number): Promise<void> {
    const end = this.#acknowledged + more;
    await this.#progress.until(
      () => `${end} acknowledged requests: there were ${this.#acknowledged}`,
      () => this.#acknowledged >= end,
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
    while (!this.#stopping) {
      const reply = await sender.write(this.#request(connection, this.#round++));
      if (reply?.status !== 204) return;
      this.#acknowledged++;
      this.#progress.made();
      if (this.#everyMs > 0) await sleep(this.#everyMs);
    }
  }

  #request(connection: number, round: number): Message {
    const at = this.#start + round;
    return request(
      ...Array.from({ length: this.#seriesEach }, (_, i) =>
        series({ __name__: 'load', connection: `${connection}`, i: `${i}` }, [at, valueBits(round, i)]),
      ),
    );
  }
}

/** Now and then a series goes stale. */
function valueBits(round: number, i: number): bigint {
  return (round + i) % 64 === 63 ? staleMarkerBits : bitsOf(round + i / 1000);
}
