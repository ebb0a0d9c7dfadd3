/**
 * A program that embeds Spillway: what it appends is on disk when `commit` resolves, and delivered from there.
 *
 *     node embed.js http://localhost:9090/api/v1/write ./data
 *
 * In a program of your own: `import { Agent } from 'spillway'`.
 */
import { Agent } from '../src/index.ts';

const [url, dataDir] = process.argv.slice(2);
if (url === undefined || dataDir === undefined) {
  console.error('usage: embed URL DATA_DIR');
  process.exit(2);
}

// JSON is YAML: a program that has its settings as an object need not write YAML.
const settings = { data_dir: dataDir, remote_write: [{ url, metadata_config: { send: true } }] };
const config = { text: JSON.stringify(settings), file: 'embed', baseDir: process.cwd() };
const agent = new Agent({ config, listen: false });
await agent.start();

const appender = agent.appender();
const now = Date.now();
const labels = { __name__: 'demo_seconds', job: 'embed' };
appender.updateMetadata('demo_seconds', { type: 3, help: 'How long something took.', unit: 'seconds' });
appender.append({ __name__: 'demo_up', job: 'embed' }, now - 1000, 1);
// The stale marker is a NaN of its own, so it is given by its bits.
appender.append({ __name__: 'demo_up', job: 'embed' }, now, 0x7ff0000000000002n);
// Three observations in the two buckets from 1 s: 2, then 1 more than before, minus 2.
appender.appendHistogram(labels, now, {
  schema: 0,
  countInt: 3n,
  sumBits: 0x4012000000000000n, // 4.5
  positiveSpans: [{ offset: 0, length: 2 }],
  positiveDeltas: [2n, -1n],
});
appender.appendExemplar(labels, { labels: { trace_id: '4bf92f35' }, timestampMs: now, value: 2.5 });
await appender.commit();
console.log(`committed ${agent.summary().receivedRows} rows`);

// Delivers for `shutdown_grace` at most; what is left is delivered after the next start.
await agent.stop();
const [endpoint] = agent.summary().endpoints;
console.log(`delivered ${endpoint?.deliveredRows} rows, ${endpoint?.waitingRows} wait`);
