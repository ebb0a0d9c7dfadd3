import type { Socket } from 'node:net';
import type { HttpAddress } from '../config/addresses.ts';
import { ProxyFailedError, ProxyRefusedError } from './proxy-errors.ts';

/** Where a connection is to lead; names are looked up by the proxy. */
interface Target {
  readonly hostname: string;
  readonly port: number;
}

/** What the answer to CONNECT says (RFC 1928, 6), and whether that is the proxy's last word. */
const replies: Readonly<Record<number, readonly [words: string, final: boolean]>> = {
  1: ['it failed', false],
  2: ['its rules do not allow it', true],
  3: ['the network cannot be reached', false],
  4: ['the host cannot be reached', false],
  5: ['the connection was refused', false],
  6: ['it took too long', false],
  7: ['it does not do that', true],
  8: ['it does not know that kind of address', true],
};

/**
 * Asks the SOCKS 5 proxy on the other end of `socket` for a connection to `target` (RFC 1928), with user and password
 * where it wants them (RFC 1929). Then `socket` is the connection. `proxy` is its name in errors.
 * Throws `ProxyRefusedError` and `ProxyFailedError`.
 */
export async function openSocks5(
  socket: Socket,
  target: Target,
  userinfo: HttpAddress['userinfo'],
  proxy: string,
): Promise<void> {
  const facts = { proxy, target: `${target.hostname}:${target.port}` };
  const reader = new Reader(
    socket,
    () => new ProxyFailedError(`the proxy ${proxy} closed the connection instead of answering`, facts),
  );
  try {
    socket.write(Uint8Array.of(5, ...(userinfo === undefined ? [1, 0] : [2, 0, 2])));
    const [version, method] = await reader.read(2);
    if (version !== 5) throw new ProxyFailedError(`the proxy ${proxy} does not speak SOCKS 5`, facts);
    if (method === 2 && userinfo !== undefined) {
      const short = (text: string, what: string): Buffer =>
        shortText(text, `the ${what} of \`proxy_url\``, facts);
      const user = short(await userinfo.username.reveal(), 'user');
      const password = short(await userinfo.password.reveal(), 'password');
      socket.write(
        Buffer.concat([[1, user.length], user, [password.length], password].map((part) => Buffer.from(part))),
      );
      const [, status] = await reader.read(2);
      if (status !== 0) {
        throw new ProxyRefusedError(
          `the proxy ${proxy} does not take the user and password of \`proxy_url\``,
          facts,
        );
      }
    } else if (method !== 0) {
      const wants =
        userinfo === undefined
          ? 'wants credentials: put user and password into `proxy_url`'
          : 'takes no way to authenticate that we know';
      throw new ProxyRefusedError(`the proxy ${proxy} ${wants}`, facts);
    }
    const name = shortText(target.hostname, `the host of ${facts.target}`, facts);
    const port = [target.port >> 8, target.port & 255];
    // Always as a name: an address in its text form is one that the proxy parses.
    socket.write(Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from(port)]));
    const [, reply, , kind] = await reader.read(4);
    if (reply !== 0) {
      const [words, final] = replies[reply!] ?? [`answer ${reply}`, false];
      const Kind = final ? ProxyRefusedError : ProxyFailedError;
      throw new Kind(`the proxy ${proxy} opens no connection to ${facts.target}: ${words}`, facts);
    }
    // Where it is bound to, which nobody needs.
    await reader.read(2 + (kind === 1 ? 4 : kind === 4 ? 16 : (await reader.read(1))[0]!));
  } finally {
    reader.release();
  }
}

/** As SOCKS writes a text: its length is one byte. Throws `ProxyRefusedError` for a longer one, which no wait mends. */
function shortText(text: string, what: string, facts: Record<string, string>): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= 255) return bytes;
  throw new ProxyRefusedError(`${what} has ${bytes.length} bytes, and SOCKS 5 allows 255`, facts);
}

/** Reads so many bytes, and gives back what came beyond them. */
class Reader {
  readonly #socket: Socket;
  readonly #ended: () => Error;
  #bytes = Buffer.alloc(0);
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket, ended: () => Error) {
    this.#socket = socket;
    this.#ended = ended;
    socket
      .on('data', this.#onData)
      .on('error', this.#onError)
      .on('end', this.#onEnd)
      .on('close', this.#onEnd);
  }

  async read(count: number): Promise<Buffer> {
    while (this.#bytes.length < count) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const read = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return read;
  }

  release(): void {
    const socket = this.#socket;
    socket
      .off('data', this.#onData)
      .off('error', this.#onError)
      .off('end', this.#onEnd)
      .off('close', this.#onEnd);
    socket.pause();
    if (this.#bytes.length > 0) socket.unshift(this.#bytes);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    this.#wake?.();
  };

  readonly #onError = (error: Error): void => {
    this.#failure ??= error;
    this.#wake?.();
  };

  readonly #onEnd = (): void => this.#onError(this.#ended());
}
