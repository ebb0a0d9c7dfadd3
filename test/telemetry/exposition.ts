/** One sample of a page in the Prometheus text format. */
export interface Exposed {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A page as its samples, and the type of each metric. Throws on a line that is none. */
export function parseExposition(text: string): { types: Map<string, string>; samples: Exposed[] } {
  const types = new Map<string, string>();
  const samples: Exposed[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (comment !== null) {
      if (comment[1] === 'TYPE') {
        if (types.has(comment[2]!)) throw new Error(`two types: ${line}`);
        types.set(comment[2]!, comment[3]!);
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`no line of an exposition: ${line}`);
    const labels: Record<string, string> = {};
    let rest = sample[2] ?? '';
    while (rest !== '') {
      const pair = /^([a-zA-Z_]\w*)="((?:[^"\\]|\\[\\n"])*)"(?:,|$)/.exec(rest);
      if (pair === null) throw new Error(`no labels: ${line}`);
      labels[pair[1]!] = pair[2]!.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
      rest = rest.slice(pair[0].length);
    }
    const value = sample[3] === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample[3]);
    // prom-client writes a NaN in a way of its own, which Prometheus reads.
    if (Number.isNaN(value) && !/^nan$/i.test(sample[3]!)) throw new Error(`no number: ${line}`);
    samples.push({ name: sample[1]!, labels, value });
  }
  return { types, samples };
}
