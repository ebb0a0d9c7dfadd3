import { answerOf, type Destination, type Outcome, type RequestTraits } from './destination.ts';

/** Hands on to `destination`, and tells `onAnswer` the status of each answer, or the code of the network's error. */
export class CountedDestination implements Destination {
  readonly #destination: Destination;
  readonly #onAnswer: (answer: string) => void;

  constructor(destination: Destination, onAnswer: (answer: string) => void) {
    this.#destination = destination;
    this.#onAnswer = onAnswer;
  }

  async post(
    body: Uint8Array,
    attempt: number,
    signal: AbortSignal,
    traits?: RequestTraits,
  ): Promise<Outcome> {
    const outcome = await this.#destination.post(body, attempt, signal, traits);
    if (outcome.kind !== 'aborted') this.#onAnswer(answerOf(outcome));
    return outcome;
  }

  close(): Promise<void> {
    return this.#destination.close();
  }
}
