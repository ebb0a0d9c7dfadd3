/** Does the verifier find what is wrong? A small workload of the kind at hand, delivered with one fault at a time. */
import { SeriesSet } from './series.ts';
import { SnappyDecompressor } from './snappy-uncompress.ts';
import { Verifier } from './verifier.ts';
import { CHURN_LABEL_BYTES, CHURN_NAME, Workload, type WorkloadOptions } from './workload.ts';

const SERIES = 150;
/** Enough for two requests with each series, and for pods that make way for others. */
const REQUESTS_PER_SERIES = 6;

/** Of the name in the label of churn: tag and length of the label, then of the name. */
const CHURN_NAME_AT = 4;

/** Throws when a fault goes unseen, or an untouched delivery is found fault with. */
export function checkVerifier(kind: Omit<WorkloadOptions, 'series' | 'rounds' | 'perRequest'>): void {
  const { samplesPerSeries = 1, lifetime = 0 } = kind;
  const rounds = REQUESTS_PER_SERIES * samplesPerSeries;
  const workload = Workload.fresh({ ...kind, series: new SeriesSet(SERIES), rounds, perRequest: SERIES });
  const decompressor = new SnappyDecompressor();
  const messages = workload.bodies().map((body) => Buffer.from(decompressor.uncompress(body)));

  const whole = verify(workload, messages);
  expect(whole, 'an untouched delivery', { delivered: workload.samples });

  // A message ends with a row, and that with its time in seven bytes, after eight of a value or some buckets.
  const [first, ...rest] = messages as [Buffer, ...Buffer[]];
  const end = first.length;
  const places = [
    ['time', end - 4],
    ['high word of a value, or bucket', end - 9],
    ['low word of a value, or bucket', end - 14],
    ['label', 20],
    ...(lifetime > 0 ? ([['generation', lastGenerationDigit(first)]] as const) : []),
  ] as const;
  for (const [part, at] of places) {
    const altered = Buffer.from(first);
    altered[at]! ^= 1;
    const found = verify(workload, [altered, ...rest]);
    if (found.wrong === 0 || found.delivered >= workload.samples)
      fail(`a changed ${part} goes unseen`, found);
  }

  const twice = verify(workload, [...messages, first]);
  expect(twice, 'a repeated request', {
    delivered: workload.samples,
    duplicates: workload.samples / messages.length,
  });

  expect(verify(workload, rest), 'a lost request', {
    delivered: workload.samples - workload.samples / messages.length,
  });

  const inversions = expectedInversions(workload);
  expect(verify(workload, [...rest, first]), 'an overtaken request', {
    delivered: workload.samples,
    inversions,
  });
}

function lastGenerationDigit(message: Buffer): number {
  return message.lastIndexOf(CHURN_NAME) - CHURN_NAME_AT + CHURN_LABEL_BYTES - 1;
}

/** Rows of the first request whose series has a newer one in a later request. */
function expectedInversions(workload: Workload): number {
  const { samplesPerSeries } = workload.shape;
  let count = 0;
  for (let series = 0; series < SERIES; series++) {
    const next = workload.generationOf(series, samplesPerSeries);
    for (let round = 0; round < samplesPerSeries; round++) {
      if (workload.generationOf(series, round) === next) count++;
    }
  }
  return count;
}

function verify(workload: Workload, messages: readonly Buffer[]): Verifier {
  const verifier = new Verifier(workload);
  for (const message of messages) verifier.accept(message, 1);
  return verifier;
}

function expect(
  found: Verifier,
  what: string,
  {
    delivered,
    duplicates = 0,
    inversions = 0,
  }: { delivered: number; duplicates?: number; inversions?: number },
): void {
  const asExpected =
    found.delivered === delivered &&
    found.duplicates === duplicates &&
    found.inversions === inversions &&
    found.wrong === 0;
  if (!asExpected) fail(`${what} is not told as what it is`, found);
}

function fail(what: string, { rows, delivered, duplicates, inversions, wrong }: Verifier): never {
  throw new Error(
    `the verifier of the bench: ${what}: ` +
      `${rows} rows, ${delivered} delivered, ${duplicates} twice, ${inversions} out of order, ${wrong} wrong`,
  );
}
