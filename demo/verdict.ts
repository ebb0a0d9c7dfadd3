/** What the demo ends with: is every sample accounted for? */

/** What sender, agent and receiver say, each for itself. In samples; of the agent in rows, which are the same here. */
export interface Facts {
  /** Acknowledged to the sender. */
  readonly acknowledged: number;
  /** The books of the agent, over all its lives. */
  readonly agent: {
    readonly received: number;
    readonly returned: number;
    readonly delivered: number;
    readonly dropped: number;
    readonly waiting: number;
  };
  /** What the receiver found in the requests. */
  readonly sink: {
    /** Distinct samples, each with the labels, the time and the bits that were sent. */
    readonly exact: number;
    readonly duplicates: number;
    /** Came first after a newer one of its series. */
    readonly outOfOrder: number;
    /** With labels, a time or a value that nobody sent. */
    readonly wrong: number;
  };
}

export interface Verdict {
  readonly good: boolean;
  readonly text: string;
}

/** Duplicates are allowed: delivery is at least once. Whatever else is off makes it bad. */
export function verdictOf({ acknowledged, agent, sink }: Facts): Verdict {
  const { received, returned, delivered, dropped, waiting } = agent;
  const checks = [
    [acknowledged > 0 && received === acknowledged, 'the agent received what was acknowledged'],
    [
      received + returned === delivered + dropped + waiting,
      'its books balance: received + returned = delivered + dropped + waiting',
    ],
    [dropped === 0, 'it gave nothing up'],
    [waiting === 0, 'nothing waits any more'],
    [sink.exact === acknowledged, 'the receiver has every sample, each bit compared'],
    [sink.wrong === 0, 'and nothing that was not sent'],
    [sink.outOfOrder === 0, 'no sample came first after a newer one of its series'],
  ] as const;
  const good = checks.every(([holds]) => holds);
  return {
    good,
    text: [
      'VERDICT',
      `  acknowledged ${count(acknowledged)} samples`,
      `  agent        received ${count(received)} + returned ${count(returned)} = delivered ${count(delivered)} + dropped ${count(dropped)} + waiting ${count(waiting)}`,
      `  receiver     ${count(sink.exact)} exact, ${count(sink.duplicates)} twice, ${count(sink.outOfOrder)} out of order, ${count(sink.wrong)} wrong`,
      '',
      ...checks.map(([holds, what]) => `  ${holds ? 'yes' : 'NO '}  ${what}`),
      '',
      good ? '  All samples are accounted for.' : '  NOT all samples are accounted for.',
      '',
    ].join('\n'),
  };
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}
