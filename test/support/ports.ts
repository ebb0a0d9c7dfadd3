import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';

/**
 * Ports for what stops and starts again at the same address. They lie below the ephemeral range (32768 on
 * Linux): while a server is down no outgoing connection can be given its port, and a client that keeps
 * trying it cannot connect to itself. Nor can a test that runs at the same time: see `claim`.
 */
const [first, end] = [20_000, 32_000];

/** Binds `server` to a free port on loopback and returns the port. */
export async function listenAnywhere(server: Server): Promise<number> {
  for (;;) {
    const port = randomInt(first, end);
    if (!(await claim(port))) continue;
    try {
      await listen(server, port);
      return port;
    } catch (error) {
      if (!isInUse(error)) throw error;
    }
  }
}

/** Binds `server` to `port` on loopback. */
export function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A free port, for a child process to bind, again and again. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenAnywhere(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Makes a port of TCP this process's until it ends, among all that ask here: while its server is down nobody listens
 * there who could keep another off. What holds the claim is the port of UDP with the same number. False when the port
 * is somebody else's.
 */
function claim(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      if (isInUse(error)) resolve(false);
      else reject(error);
    });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.unref();
      resolve(true);
    });
  });
}

function isInUse(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}
