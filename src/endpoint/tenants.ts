import { crc32 } from 'node:zlib';
import type { TenantConfig } from '../config/tenants.ts';
import { isTenant } from '../protocol/tenant-id.ts';
import type { ChooseTenant, TenantChoice } from '../serialization/leaving-tenants.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';

/**
 * `tenant` of an endpoint: series leave under the value of a label that they leave with, else under the tenant that
 * they came in under, else under the default one. What cannot be the name of a tenant counts as not there.
 *
 * As relabelling, it is decided once for each series of a segment, after relabelling.
 */
export class EndpointTenants implements TenantChoice {
  /** Stands for these settings and what comes before them, since the hash of every series depends on them. Never 0. */
  readonly routing: number;
  readonly #config: TenantConfig;

  /** `before` stands for what changes series first; 0 for nothing. */
  constructor(config: TenantConfig, before: number) {
    this.#config = config;
    const written = [config.fromLabels, config.keepLabel, config.default ?? ''];
    this.routing = crc32(`tenant ${JSON.stringify(written)}`, before) || 1;
  }

  open(dictionary: SegmentDictionary): ChooseTenant {
    return new ChosenTenants(dictionary, this.#config);
  }
}

/** What a slot is found to be: not looked at, none of the labels, one that names no tenant, or `FOUND` + its label. */
const NONE = 1;
const FOUND = 2;

class ChosenTenants implements ChooseTenant {
  left = 0;
  readonly #dictionary: SegmentDictionary;
  readonly #keepLabel: boolean;
  readonly #names: readonly Uint8Array[];
  readonly #default: number;
  /** By slot: what it is, and the tenant that it names. */
  #slots: Uint8Array = new Uint8Array(256);
  #tenants: Uint32Array = new Uint32Array(256);
  /** By string id of what came in: the tenant, plus one. */
  readonly #incoming: Map<number, number> = new Map();

  constructor(dictionary: SegmentDictionary, config: TenantConfig) {
    this.#dictionary = dictionary;
    this.#keepLabel = config.keepLabel;
    this.#names = config.fromLabels.map((name) => new TextEncoder().encode(name));
    this.#default = dictionary.tenants.of(config.default ?? '');
  }

  ofSeries(incoming: number, slots: Uint32Array, count: number): number {
    this.left = count;
    let best = -1;
    if (this.#names.length > 0) {
      for (let i = 0; i < count; i++) {
        const what = this.#look(slots[i]!);
        if (what >= FOUND && (best < 0 || what < this.#slots[slots[best]!]!)) best = i;
      }
    }
    if (best < 0) return this.ofMetadata(incoming);
    const tenant = this.#tenants[slots[best]!]!;
    // A series without any label would be none.
    if (!this.#keepLabel && count > 1) {
      slots.copyWithin(best, best + 1, count);
      this.left = count - 1;
    }
    return tenant;
  }

  ofMetadata(incoming: number): number {
    if (incoming === 0) return this.#default;
    let tenant = this.#incoming.get(incoming);
    if (tenant === undefined) {
      tenant = this.#tenantOf(this.#dictionary.string(incoming));
      this.#incoming.set(incoming, tenant);
    }
    return tenant === 0 ? this.#default : tenant;
  }

  /** The number of a tenant with this name; 0 when there is none, or it cannot be one. */
  #tenantOf(name: Uint8Array | undefined): number {
    const text = Buffer.from(name ?? []).toString('latin1');
    return isTenant(text) ? this.#dictionary.tenants.of(text) : 0;
  }

  #look(slot: number): number {
    if (slot >= this.#slots.length) {
      const room = 2 * Math.max(slot, this.#dictionary.slots);
      const slots = new Uint8Array(room);
      slots.set(this.#slots);
      this.#slots = slots;
      const tenants = new Uint32Array(room);
      tenants.set(this.#tenants);
      this.#tenants = tenants;
    }
    if (this.#slots[slot] === 0) {
      const name = this.#dictionary.slotName(slot);
      const label = this.#names.findIndex((one) => Buffer.compare(one, name) === 0);
      this.#tenants[slot] = label < 0 ? 0 : this.#tenantOf(this.#dictionary.slotValue(slot));
      this.#slots[slot] = this.#tenants[slot] === 0 ? NONE : FOUND + label;
    }
    return this.#slots[slot]!;
  }
}
