/**
 * What explaining a series gives: by the configuration alone, and what a running agent adds. No types of node, since the
 * browser's code is checked against it.
 */

export type Labels = Readonly<Record<string, string>>;

/** A rule that changed something, or dropped the series. */
export interface RuleStep {
  /** Counted from 1, as a person does. */
  readonly rule: number;
  readonly action: string;
  /** File, line and column of the rule; undefined where the text is not at hand. */
  readonly at: string | undefined;
  readonly dropped: boolean;
  /** Labels that it gave a value. */
  readonly set: Labels;
  readonly removed: readonly string[];
}

/** What happens to a series, by the configuration alone. */
export interface Explanation {
  readonly labels: Labels;
  /** Empty for none. */
  readonly tenant: string;
  readonly door: {
    readonly verdict: 'taken' | 'dropped' | 'refused';
    /** Of what is dropped or refused: the reason that it is counted under, and what that means. */
    readonly reason?: string;
    readonly means?: string;
    /** Rules of `relabel_configs` that did something. */
    readonly steps: readonly RuleStep[];
    /** As it is stored; empty when it is not. */
    readonly labels: Labels;
  };
  /** Empty when the door does not let it in. */
  readonly endpoints: readonly ExplainedEndpoint[];
}

export interface ExplainedEndpoint {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  readonly verdict: 'sent' | 'dropped';
  /** External labels that it is given: those that it has already win. */
  readonly externalLabels: Labels;
  /** Rules of `write_relabel_configs` that did something. */
  readonly steps: readonly RuleStep[];
  /** As it leaves; empty when it is dropped. */
  readonly labels: Labels;
  /** The tenant that it leaves under; empty for none. */
  readonly tenant: string;
  /** Its part of the hash space, which one loop delivers. Of a dropped one, that which settles its rows. */
  readonly shard: number;
}

/** What only a running agent knows of a series at an endpoint. */
export interface LiveFacts {
  /** The loop that delivers it, of `loops`. */
  readonly loop: number;
  readonly loops: number;
  readonly paused: boolean;
  /** Some loop of the endpoint is failing. */
  readonly failing: boolean;
  /** Its dead letters among the newest; `more`: there are older ones that were not looked at. */
  readonly deadLetters: { readonly count: number; readonly more: boolean; readonly words?: string };
  /** Where the destination can be asked: the built-in one. Null: nothing of it is there. */
  readonly lastDelivered?: { readonly timestampMs: number; readonly value: string } | null;
}

export type LiveExplanation = Omit<Explanation, 'endpoints'> & {
  readonly endpoints: readonly (Explanation['endpoints'][number] & { readonly live?: LiveFacts })[];
};
