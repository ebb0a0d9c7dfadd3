/**
 * A source: takes lines of the Graphite plaintext protocol by TCP, `metric.path;tag=value 42 1700000000`, and
 * answers each with `ok` once it is on disk.
 *
 *     node source.js http://localhost:9090/api/v1/write ./data 2003
 *
 * Graphite itself has no answer; this one has, since it is what makes a source a source: it tells its sender that
 * data is safe only after `commit`, and `retry` when it is not, so that nothing is acknowledged from memory.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Agent, InvalidSeriesError, type Labels } from '../src/index.ts';

const [url, dataDir, port = '2003'] = process.argv.slice(2);
if (url === undefined || dataDir === undefined) {
  console.error('usage: source URL DATA_DIR [PORT]');
  process.exit(2);
}

const settings = { data_dir: dataDir, remote_write: [{ url }] };
const agent = new Agent({
  config: { text: JSON.stringify(settings), file: 'source', baseDir: process.cwd() },
  listen: false,
});
await agent.start();

interface Line {
  readonly labels: Labels;
  readonly timestampMs: number;
  readonly value: number;
}

/** `a.b;tag=value 42 1700000000`; undefined when it is not a line of Graphite. */
function parse(text: string): Line | undefined {
  const [, path, tags, value, seconds] = /^([^\s;]+)((?:;[^\s;=]+=[^\s;]*)*) (\S+) (\d+)$/.exec(text) ?? [];
  if (path === undefined || Number.isNaN(Number(value))) return undefined;
  const pairs = tags!.split(';').flatMap((tag) => (tag === '' ? [] : [tag.split('=', 2)]));
  const labels = { ...Object.fromEntries(pairs), __name__: path.replaceAll(/[^a-zA-Z0-9_:]/g, '_') };
  return { labels, timestampMs: Number(seconds) * 1000, value: Number(value) };
}

/** One line is one transaction here; those of connections that wait together share an fsync all the same. */
async function take(text: string): Promise<string> {
  const line = parse(text);
  if (line === undefined) return `wrong ${text.slice(0, 100)}`;
  try {
    const appender = agent.appender();
    appender.append(line.labels, line.timestampMs, line.value);
    await appender.commit();
    return 'ok';
  } catch (error) {
    // Wrong once is wrong always; anything else (no room, a failed fsync, a stop) may be right later.
    return error instanceof InvalidSeriesError ? `wrong ${error.message}` : 'retry';
  }
}

/** Connections that are open: the program ends them, or they would keep it. */
const sockets = new Set<Socket>();

async function serve(socket: Socket): Promise<void> {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  // A sender that goes away without a word costs its connection and nothing else.
  socket.on('error', () => socket.destroy());
  for await (const line of createInterface({ input: socket })) socket.write(`${await take(line)}\n`);
}

const server = createServer((socket) => void serve(socket));
await once(server.listen(Number(port), '127.0.0.1'), 'listening');
console.log(`taking lines at 127.0.0.1:${(server.address() as AddressInfo).port}`);

await once(process, 'SIGTERM');
server.close();
for (const socket of sockets) socket.destroy();
await agent.stop();
const [endpoint] = agent.summary().endpoints;
console.log(`delivered ${endpoint?.deliveredRows} rows, ${endpoint?.waitingRows} wait`);
