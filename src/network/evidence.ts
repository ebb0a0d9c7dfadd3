/** Tenants that are remembered; of one that is forgotten it is as if nothing had been taken, until something is. */
const MOST_TENANTS = 10_000;

/**
 * When the endpoint last took something of a tenant, from any loop: what a row that it refused is judged by
 * (refusals.ts). By tenant, since a receiver that lets one in may refuse all that another one sends.
 */
export class Evidence {
  #takes = 0;
  readonly #last: Map<string, number> = new Map();

  /** Something of `tenant` was taken. */
  take(tenant: string): void {
    this.#last.delete(tenant);
    this.#last.set(tenant, ++this.#takes);
    if (this.#last.size > MOST_TENANTS) this.#last.delete(this.#last.keys().next().value!);
  }

  /** A number that grows with each take of `tenant`. */
  of(tenant: string): number {
    return this.#last.get(tenant) ?? 0;
  }
}
