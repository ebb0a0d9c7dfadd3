import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { atEnd } from './cleanup.ts';
import { within } from './deadline.ts';
import { tlsFile } from './https.ts';
import { listenAnywhere } from './ports.ts';

const types = { data: 0, headers: 1, reset: 3, settings: 4, goaway: 7, window: 8 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;
const PREFACE_BYTES = 24;
const HEAD_BYTES = 9;
const MAX_CONCURRENT_STREAMS = 3;

/** `:status` in the static table of HPACK (RFC 7541, appendix A). */
const statuses = { 200: 0x88, 204: 0x89, 500: 0x8e } as const;

/** One connection, as the server has it: what is said on it is said frame by frame (RFC 9113, 6). */
export class FramePeer {
  readonly #socket: TLSSocket;
  readonly #below: Socket;

  constructor(socket: TLSSocket, below: Socket) {
    this.#socket = socket;
    this.#below = below;
  }

  settings(mostStreams?: number): this {
    const payload = Buffer.alloc(mostStreams === undefined ? 0 : 6);
    if (mostStreams !== undefined) {
      payload.writeUInt16BE(MAX_CONCURRENT_STREAMS);
      payload.writeUInt32BE(mostStreams, 2);
    }
    return this.#frame(types.settings, 0, 0, payload);
  }

  /** The head of an answer, which is all of it when it `ends`. */
  head(stream: number, status: keyof typeof statuses, ends = false): this {
    const flags = END_HEADERS | (ends ? END_STREAM : 0);
    return this.#frame(types.headers, flags, stream, Uint8Array.of(statuses[status]));
  }

  data(stream: number, text: string, ends = false): this {
    return this.#frame(types.data, ends ? END_STREAM : 0, stream, Buffer.from(text));
  }

  resetStream(stream: number, code: number): this {
    return this.#frame(types.reset, 0, stream, words(code));
  }

  /** So many bytes more may be sent, on this stream and on the connection. */
  room(stream: number, bytes: number): this {
    return this.#frame(types.window, 0, stream, words(bytes)).#frame(types.window, 0, 0, words(bytes));
  }

  goaway(lastStream: number, code = 0): this {
    return this.#frame(types.goaway, 0, 0, words(lastStream, code));
  }

  /** Anything. */
  write(bytes: string): this {
    this.#socket.write(bytes);
    return this;
  }

  end(): void {
    this.#socket.end();
  }

  /** Settles when its other end is gone. */
  async closed(): Promise<void> {
    if (!this.#below.destroyed)
      await within(() => 'the connection is not closed', once(this.#below, 'close'));
  }

  /** By a reset of TCP. */
  reset(): void {
    this.#below.resetAndDestroy();
  }

  #frame(type: number, flags: number, stream: number, payload: Uint8Array): this {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    this.#socket.write(Buffer.concat([head, payload]));
    return this;
  }
}

/** What a server says, and when. */
export interface FrameScript {
  /** As soon as there is a connection; by default its settings. */
  readonly onConnect?: (peer: FramePeer, index: number) => void;
  /** When something of the body of a request has come. */
  readonly onData?: (peer: FramePeer, stream: number, data: Buffer) => void;
  /** When all of a request has come; both count from 0. */
  readonly onRequest?: (peer: FramePeer, stream: number, request: number, connection: number) => void;
}

/**
 * A server on loopback that agrees on HTTP/2 and then says what its script says, right or wrong: node's own server
 * cannot break a stream in the middle of an answer. Gives its URL.
 */
export async function startFrameServer(t: TestContext, script: FrameScript): Promise<string> {
  const { onConnect = (peer) => peer.settings(), onData, onRequest = () => {} } = script;
  const below = new Map<number | undefined, Socket>();
  const sockets = new Set<Socket>();
  let connections = 0;
  let requests = 0;
  const server = createServer(
    {
      cert: readFileSync(tlsFile('server.crt')),
      key: readFileSync(tlsFile('server.key')),
      ALPNProtocols: ['h2'],
    },
    (socket) => {
      socket.on('error', () => {});
      const peer = new FramePeer(socket, below.get(socket.remotePort)!);
      const connection = connections++;
      let bytes = Buffer.alloc(0);
      let preface = PREFACE_BYTES;
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        for (;;) {
          if (bytes.length < preface + HEAD_BYTES) return;
          const length = bytes.readUIntBE(preface, 3);
          const [type, flags] = [bytes[preface + 3]!, bytes[preface + 4]!];
          const stream = bytes.readUInt32BE(preface + 5);
          const next = preface + HEAD_BYTES + length;
          if (bytes.length < next) return;
          const payload = bytes.subarray(preface + HEAD_BYTES, next);
          bytes = bytes.subarray(next);
          preface = 0;
          const ends = (type === types.data || type === types.headers) && (flags & END_STREAM) !== 0;
          if (type === types.data) onData?.(peer, stream, payload);
          if (type === types.goaway) socket.end();
          if (ends) onRequest(peer, stream, requests++, connection);
        }
      });
      onConnect(peer, connection);
    },
  );
  server.on('connection', (socket: Socket) => {
    below.set(socket.remotePort, socket);
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `https://127.0.0.1:${port}/push`;
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
}
