/** Is the yardstick straight? Asked once, before anything is measured. */
import { compress, uncompress } from 'snappyjs';
import { Load } from './load.ts';
import { mix } from './series.ts';
import { SinkProcess } from './sink-process.ts';
import { SnappyCompressor } from './snappy-compress.ts';
import { SnappyDecompressor } from './snappy-uncompress.ts';
import { type TrialOptions, workloadOf } from './trial.ts';
import { checkVerifier } from './verifier-check.ts';
import { Workload } from './workload.ts';

/** A backlog may be of billions; the check needs no more than this, but all series once. */
const MOST_SAMPLES = 2_000_000;

/**
 * Holds our snappy against snappyjs and the verifier against deliveries with faults, then sends the workload straight
 * into the sink, which must find every sample. Returns the samples per second of that: what the bench itself can do.
 * Throws if anything is off.
 */
export async function selfCheck(options: TrialOptions, signal: AbortSignal): Promise<number> {
  const whole = workloadOf(options);
  const { series, samplesPerSeries, connections } = options.settings;
  const most = Math.max(1, Math.floor(MOST_SAMPLES / series / samplesPerSeries)) * samplesPerSeries;
  const workload = Workload.fresh({ ...whole, rounds: Math.min(whole.rounds, most) });
  const bodies = workload.bodies();
  checkVerifier(whole);
  checkSnappy(new SnappyDecompressor().uncompress(bodies[0]!));
  const sink = await SinkProcess.start({ shape: workload.shape }, signal);
  try {
    const load = new Load({
      requests: bodies.length,
      body: (index) => bodies[index]!,
      chunks: workload.chunks,
      connections,
      bodiesPerSecond: undefined,
    });
    await Promise.race([load.send(sink.writeUrl), sink.death]);
    const { rows, delivered, inversions, wrong } = await sink.tell('check');
    if (delivered !== workload.samples || rows !== delivered || inversions !== 0) {
      const found = `${rows} rows, ${delivered} samples, ${wrong} wrong, ${inversions} out of order`;
      throw new Error(`the bench fails its own check: ${workload.samples} samples sent; ${found}`);
    }
    return delivered / load.seconds;
  } finally {
    await sink.stop();
  }
}

function checkSnappy(message: Buffer): void {
  const noise = Buffer.from(Array.from({ length: 100_000 }, (_, i) => mix(i, 0)));
  const runs = Buffer.from(Array.from({ length: 100_000 }, (_, i) => Math.floor(i / (1 + (i % 7))) & 3));
  const compressor = new SnappyCompressor();
  const decompressor = new SnappyDecompressor();
  for (const input of [message, noise, runs, Buffer.alloc(70_000), Buffer.from('a'), Buffer.alloc(0)]) {
    const ours = compressor.compress(input);
    const agree =
      input.equals(uncompress(ours)) &&
      input.equals(decompressor.uncompress(ours)) &&
      input.equals(decompressor.uncompress(compress(input)));
    if (!agree) throw new Error(`the snappy of the bench disagrees with snappyjs on ${input.length} bytes`);
  }
}
