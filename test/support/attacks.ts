import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd } from './cleanup.ts';
import { v1Headers } from './sender.ts';

/**
 * What a hostile or broken network does to an agent, for as long as the test runs: each attack goes on until `stop`.
 * Whatever becomes of its connections is fine with it; it opens new ones.
 */
export class Attacks {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  constructor(t: TestContext, agentUrl: string) {
    this.#port = Number(new URL(agentUrl).port);
    atEnd(t, () => this.stop());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#running);
  }

  /** Sends these bodies over and over, each on a connection of its own, `lanes` at a time. */
  bodies(bodies: readonly Uint8Array[], lanes: number): void {
    this.#lanes(lanes, async (round) => {
      const body = bodies[round % bodies.length]!;
      const socket = await this.#open();
      if (socket === undefined) return;
      socket.write(head(body.length, 'bodies'));
      socket.write(body);
      await this.#answerOrEnd(socket);
    });
  }

  /** Announces a body, sends `first` of it and then a byte now and then, or nothing. */
  slowBodies(announced: number, first: number, everyMs: number | undefined, lanes: number): void {
    this.#lanes(lanes, async () => {
      const socket = await this.#open();
      if (socket === undefined) return;
      socket.write(head(announced, 'slow bodies'));
      socket.write(new Uint8Array(first));
      await this.#trickle(socket, everyMs);
    });
  }

  /** Sends the headers of a request a byte at a time, or nothing at all. */
  slowHeaders(everyMs: number | undefined, lanes: number): void {
    this.#lanes(lanes, async () => {
      const socket = await this.#open();
      if (socket === undefined) return;
      if (everyMs !== undefined) socket.write('POST /api/v1/write HTTP/1.1\r\nX-Slow: ');
      await this.#trickle(socket, everyMs);
    });
  }

  #lanes(count: number, attack: (round: number) => Promise<void>): void {
    for (let lane = 0; lane < count; lane++) {
      const run = async (): Promise<void> => {
        for (let round = lane; !this.#stopped; round++) {
          await attack(round);
          // An attacker on this very machine must leave it the time to do anything else.
          await sleep(20);
        }
      };
      this.#running.push(run());
    }
  }

  async #trickle(socket: Socket, everyMs: number | undefined): Promise<void> {
    const timer = everyMs === undefined ? undefined : setInterval(() => socket.write('x'), everyMs);
    await this.#answerOrEnd(socket);
    clearInterval(timer);
  }

  /** A connection, or undefined when it is refused. */
  async #open(): Promise<Socket | undefined> {
    const socket = connect(this.#port, '127.0.0.1');
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(socket));
      socket.once('close', () => resolve(undefined));
    });
  }

  /** Resolves with the first bytes of an answer, or when the connection ends. */
  async #answerOrEnd(socket: Socket): Promise<void> {
    if (!socket.destroyed) {
      await new Promise<void>((resolve) => {
        socket.once('data', () => resolve());
        socket.once('close', () => resolve());
      });
    }
    socket.destroy();
  }
}

/** Each kind of attack is a sender of its own, so that none is kept out by what another uses up. */
function head(length: number, sender: string): string {
  const headers = { ...v1Headers, host: 'spillway', 'x-sender': sender, 'content-length': `${length}` };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /api/v1/write HTTP/1.1\r\n${lines.join('')}\r\n`;
}
