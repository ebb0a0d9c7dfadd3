import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { listenAnywhere } from './ports.ts';

export interface SocksOptions {
  /** `user:password` that it wants; by default it takes anybody. */
  readonly credentials?: string;
  /** Where `host:port` is to be found; by default there. */
  readonly routes?: Readonly<Record<string, number>>;
  /** The answer to CONNECT in place of opening the connection. */
  readonly reply?: number;
  /** In place of everything, from the first byte on. */
  readonly instead?: (socket: Socket) => void;
}

/** A real SOCKS 5 proxy on loopback (RFC 1928, RFC 1929), which answers in single bytes: no reader may count on more. */
export class SocksProxy {
  /** `host:port` of each connection that was asked for. */
  readonly asked: string[] = [];
  /** `user:password` of each that was given. */
  readonly users: string[] = [];
  #port = 0;

  static async start(t: TestContext, options: SocksOptions = {}): Promise<SocksProxy> {
    const proxy = new SocksProxy();
    const sockets = new Set<Socket>();
    const own = (socket: Socket): Socket => {
      sockets.add(socket);
      return socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    };
    const server = createServer((socket) => {
      own(socket);
      if (options.instead !== undefined) options.instead(socket);
      else void proxy.#serve(socket, options, own);
    });
    proxy.#port = await listenAnywhere(server);
    atEnd(t, () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return proxy;
  }

  /** With `userinfo`, `user:password`, if it is given. */
  url(userinfo?: string): string {
    return `socks5://${userinfo === undefined ? '' : `${userinfo}@`}127.0.0.1:${this.#port}`;
  }

  async #serve(socket: Socket, options: SocksOptions, own: (socket: Socket) => Socket): Promise<void> {
    const bytes = new Bytes(socket);
    const say = (...answer: number[]): void => {
      for (const byte of answer) socket.write(Uint8Array.of(byte));
    };
    const [, count] = await bytes.take(2);
    const methods = [...(await bytes.take(count!))];
    const method = options.credentials === undefined ? 0 : 2;
    if (!methods.includes(method)) {
      say(5, 255);
      socket.end();
      return;
    }
    say(5, method);
    if (method === 2) {
      const user = await bytes.take((await bytes.take(2))[1]!);
      const password = await bytes.take((await bytes.take(1))[0]!);
      this.users.push(`${user}:${password}`);
      const admitted = this.users.at(-1) === options.credentials;
      say(1, admitted ? 0 : 1);
      if (!admitted) {
        socket.end();
        return;
      }
    }
    const name = await bytes.take((await bytes.take(5))[4]!);
    const target = `${name}:${(await bytes.take(2)).readUInt16BE()}`;
    this.asked.push(target);
    const bound = [0, 3, 1, 120, 0, 0]; // a name of one letter
    if (options.reply !== undefined) {
      say(5, options.reply, ...bound);
      socket.end();
      return;
    }
    const { hostname, port } = new URL(`http://${target}`);
    const routed = options.routes?.[target];
    const far = own(connect(routed ?? Number(port || 80), routed === undefined ? hostname : '127.0.0.1'));
    far.on('connect', () => {
      say(5, 0, ...bound);
      bytes.release();
      far.pipe(socket).pipe(far);
    });
    far.on('error', () => say(5, 5, ...bound));
  }
}

class Bytes {
  readonly #socket: Socket;
  #held = Buffer.alloc(0);
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#hold);
  }

  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  release(): void {
    this.#socket.off('data', this.#hold);
    if (this.#held.length > 0) this.#socket.unshift(this.#held);
  }

  readonly #hold = (chunk: Buffer): void => {
    this.#held = Buffer.concat([this.#held, chunk]);
    this.#wake?.();
  };
}
