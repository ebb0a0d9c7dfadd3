/** The raw samples of a series, oldest first. Values are text as an API prints them: exact, `NaN` included. */
export type Samples = readonly { readonly at: bigint; readonly value: string }[];

/** A real receiver that can be asked for what it has. */
export interface Store {
  /** Where others write to it. */
  readonly writeUrl: string;
  /** Everything stored for `selector`, by series. */
  samples(selector: string): Promise<Map<string, Samples>>;
  /** Ends in good order; the data stays. */
  stop(): Promise<void>;
  /** Starts again on the same data and port. */
  start(): Promise<void>;
}
