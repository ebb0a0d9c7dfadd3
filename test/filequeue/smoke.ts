import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { FileQueue } from '../../src/filequeue/file-queue.ts';
import { nodeFileSystem } from '../../src/runtime/fs.ts';
import { ingestV1 } from '../../src/protocol/ingest-v1.ts';
import { Scratch, uncompress } from '../../src/protocol/snappy.ts';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'spill-'));
const open = () => FileQueue.open({ files: nodeFileSystem, dir, codec: 'snappy', roll: { bytes: 1 << 25, ageMs: 3600e3, series: 250000, dictionaryBytes: 64 << 20 }, minNextId: 1, now: Date.now, randomSeed: () => 42, onCommit: (f) => console.log(f.rows, f.bytes, (f.bytes / f.rows).toFixed(2), f.seconds), onFailure: (e) => console.error(e) });
let q = await open();
const scratch = new Scratch();
for (const name of ['prometheus-2.42-agent', 'vmagent-1.79.5']) {
  for (const f of fs.readdirSync(`test/fixtures/captures/${name}`).filter((f) => f.endsWith('.bin')).sort()) {
    const n = uncompress(fs.readFileSync(`test/fixtures/captures/${name}/${f}`), scratch, 1 << 25);
    const { result, durable } = q.append((d, b) => ingestV1(scratch.bytes, scratch.view, n, d, b));
    await durable;
    console.log(f, JSON.stringify(result));
  }
}
console.log(q.segments, q.openSeries);
await q.close();
q = await open();
console.log(q.segments, q.recovery);
await q.close();
fs.rmSync(dir, { recursive: true });
