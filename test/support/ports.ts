import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/**
 * Ports for what stops and starts again at the same address. They lie below the ephemeral range (32768 on
 * Linux): while a server is down no outgoing connection can be given its port, and a client that keeps
 * trying it cannot connect to itself.
 */
const [first, end] = [20_000, 32_000];

/** Binds `server` to a free port on loopback and returns the port. */
export async function listenAnywhere(server: Server): Promise<number> {
  for (;;) {
    const port = randomInt(first, end);
    try {
      await listen(server, port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
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

/** A port that was free a moment ago, for a child process to bind. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenAnywhere(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
