import { tenantHash } from './dictionary.ts';
import type { SegmentDictionary } from './segment-dictionary.ts';

/** Says which tenant the series and the metadata of a segment leave under. Without it, under none. */
export interface TenantChoice {
  /** Prepares for a new dictionary. */
  open(dictionary: SegmentDictionary): ChooseTenant;
}

/** For one dictionary. Tenants are numbers of its `tenants`; those that came in are strings of the dictionary. */
export interface ChooseTenant {
  /**
   * The tenant of a series that came in under `incoming` (0 is none) and leaves with the first `count` of `slots`. What
   * it takes out of these says `left`, valid until the next call.
   */
  ofSeries(incoming: number, slots: Uint32Array, count: number): number;
  /** Slots that the last series has left. */
  readonly left: number;
  /** The tenant of metadata that came in under `incoming`. */
  ofMetadata(incoming: number): number;
}

/** The tenants that series of one dictionary leave under, each once. Number 0 is none. */
export class LeavingTenants {
  readonly names: string[] = [''];
  readonly #hashes: (readonly [lo: number, hi: number])[] = [[0, 0]];
  readonly #numbers: Map<string, number> = new Map([['', 0]]);

  /** The number of a tenant. */
  of(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.names.length;
    this.names.push(name);
    this.#hashes.push(tenantHash(new TextEncoder().encode(name)));
    this.#numbers.set(name, number);
    return number;
  }

  /** What the tenant adds to the hash of its series. Not for 0. */
  hash(number: number): readonly [lo: number, hi: number] {
    return this.#hashes[number]!;
  }
}
