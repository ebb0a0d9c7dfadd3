import { METADATA } from '../serialization/rows.ts';
import { SHARDS } from './progress.ts';
import { LIVE, type RowContext, type RowQueue, SETTLED } from './row-queue.ts';

/** A tenant that the endpoint does not let in, or slows down. */
interface Parked {
  readonly attempts: number;
  /** When it is its turn again, by the clock. */
  readonly untilMs: number;
  readonly holding: boolean;
}

/** A tenant that was not chosen. */
const NOBODY = -1;

/**
 * The tenants in the queue of a loop: whose turn it is, and which of them have to wait. A request is of one tenant.
 *
 * Rows come as senders wrote them, so those of one tenant stand between those of others, and a request of the rows at
 * the head alone would be a short one. Therefore the rows of the tenant that has the oldest row are brought to the
 * head, up to a full request; they keep their order, and so do all others. Rows of a series are of one tenant: their
 * order does not change. Those of a shard may be of several, which `OldestRows` is for.
 *
 * Time for company is given to all tenants at once: when it is up, the rows that are there by then are sent, tenant
 * after tenant, and only then the time begins anew. Otherwise a hundred tenants would each wait for the deadlines of
 * those before them.
 *
 * A tenant that is refused (401, 403, 404, 407, or a 400 for all that it sends) or slowed down (429) is parked with its
 * own backoff: its rows stay, and those of others have their turns, as long as the queue has room for more of them.
 * Only rows of one segment share a request, so those of the next segments come to the head when all of the first one
 * have to wait.
 */
export class TenantTurns {
  readonly #queue: RowQueue;
  readonly #now: () => number;
  #nowMs = 0;
  readonly #parked: Map<string, Parked> = new Map();
  /** Whose turn it is, a number of the dictionary at the head. */
  #tenant: number = NOBODY;
  /** Rows at the head that may go together. */
  #together = 0;
  /** Behind these and before this one there are none. */
  #seen = 0;
  /** Rows from the head on that have had their time for company. */
  #due = 0;
  #order: Uint32Array = new Uint32Array(256);

  constructor(queue: RowQueue, now: () => number) {
    this.#queue = queue;
    this.#now = now;
  }

  /**
   * Brings rows of one tenant to the head, at most `most` in all, and returns how many there are. Rows that are not to
   * be sent go along with any tenant. 0 when all tenants are parked. To be called again when rows came.
   */
  gather(most: number): number {
    const queue = this.#queue;
    // One look at the clock: a tenant whose time comes now must not have it for its newer rows alone.
    this.#nowMs = this.#now();
    if (this.#tenant === NOBODY) {
      this.#seen = 0;
      this.#tenant = this.#choose(queue.context, 0, this.#end);
      if (this.#tenant === NOBODY && this.#due > 0) {
        this.#due = 0;
        this.#tenant = this.#choose(queue.context, 0, this.#end);
      }
    }
    const end = this.#end;
    let i = Math.max(this.#seen, this.#together);
    while (i === this.#together && i < end && i < most && this.#goesAlong(i)) {
      this.#together++;
      i++;
    }
    i = this.#bring(i, end, most);
    this.#seen = i;
    if (this.#together === 0 && this.#gatherBehind(most) === 0) this.#forgetOver();
    return this.#together;
  }

  /** All of the context at the head have to wait: they must not stop those of the next segments. */
  #gatherBehind(most: number): number {
    const queue = this.#queue;
    let start = queue.contextRows;
    for (const { context, rows } of queue.runs.slice(1)) {
      this.#tenant = this.#choose(context, start, start + rows);
      if (this.#tenant !== NOBODY) {
        this.#bring(start, start + rows, most, context);
        this.#seen = this.#together;
        break;
      }
      start += rows;
    }
    return this.#together;
  }

  /** Nobody was chosen: whose time has come has no rows here any more, and nobody must wait for it. */
  #forgetOver(): void {
    for (const [name, { untilMs }] of this.#parked) if (untilMs <= this.#nowMs) this.#parked.delete(name);
  }

  /** Whether the first `fitting` rows, which are not as many as a request may have, need not wait for more. */
  cuts(fitting: number): boolean {
    const { contextRows, length } = this.#queue;
    return this.#due > 0 || fitting < this.#together || contextRows < length;
  }

  /** The rows at the head leave; returns how often their tenant was refused. */
  begin(): number {
    if (this.#due === 0) this.#due = this.#queue.contextRows;
    const name = this.#name;
    return (name === undefined ? undefined : this.#parked.get(name))?.attempts ?? 0;
  }

  /** The first `rows` rows are settled, and about to be forgotten. */
  settled(rows: number): void {
    const name = this.#name;
    if (name !== undefined) this.#parked.delete(name);
    this.#due = Math.max(0, this.#due - rows);
    // What is parked and has no rows any more, since they were dropped, must not be kept for good.
    if (rows === this.#queue.length) this.#parked.clear();
    this.#restart();
  }

  /** Sets the tenant at the head aside. */
  park(attempts: number, waitMs: number, holding: boolean): void {
    const name = this.#name;
    if (name !== undefined) this.#parked.set(name, { attempts, untilMs: this.#now() + waitMs, holding });
    this.#restart();
  }

  /** Some tenant has to wait. */
  get parks(): boolean {
    return this.#parked.size > 0;
  }

  /** What is to be known while all tenants are parked. */
  get parked(): { readonly attempts: number; readonly holding: boolean; readonly waitMs: number } {
    const all = [...this.#parked.values()];
    return {
      attempts: Math.max(0, ...all.map(({ attempts }) => attempts)),
      holding: all.some(({ holding }) => holding),
      waitMs: Math.max(0, Math.min(...all.map(({ untilMs }) => untilMs)) - this.#now()),
    };
  }

  get #end(): number {
    const { contextRows } = this.#queue;
    return this.#due > 0 ? Math.min(this.#due, contextRows) : contextRows;
  }

  get #name(): string | undefined {
    return this.#tenant === NOBODY ? undefined : this.#queue.context.dictionary.tenants.names[this.#tenant]!;
  }

  #restart(): void {
    this.#tenant = NOBODY;
    this.#together = 0;
    this.#seen = 0;
  }

  /** The tenant of the first row that may be sent now, of rows of one context. */
  #choose(context: RowContext, from: number, end: number): number {
    const queue = this.#queue;
    const { head, mask, skip } = queue;
    let waits = NOBODY;
    for (let i = from; i < end; i++) {
      const at = (head + i) & mask;
      if (skip[at] !== LIVE) continue;
      const tenant = tenantAt(queue, at, context);
      if (tenant === waits) continue;
      if (this.#parked.size === 0) return tenant;
      const parked = this.#parked.get(context.dictionary.tenants.names[tenant]!);
      if (parked === undefined || parked.untilMs <= this.#nowMs) return tenant;
      waits = tenant;
    }
    return NOBODY;
  }

  #goesAlong(i: number, context: RowContext = this.#queue.context): boolean {
    const queue = this.#queue;
    const at = (queue.head + i) & queue.mask;
    return queue.skip[at] !== LIVE || tenantAt(queue, at, context) === this.#tenant;
  }

  /** Brings what goes along of the rows from `from` to `end` to the others; returns how far it has looked. */
  #bring(from: number, end: number, most: number, context: RowContext = this.#queue.context): number {
    const first = this.#together;
    if (this.#order.length < end - first) this.#order = new Uint32Array(2 * (end - first));
    const order = this.#order;
    let brought = 0;
    let last = first;
    let i = from;
    for (; i < end && first + brought < most; i++) {
      if (!this.#goesAlong(i, context)) continue;
      order[brought++] = i;
      last = i + 1;
    }
    if (brought === 0) return i;
    // Behind them, what they pass.
    let next = 0;
    let at = brought;
    for (let k = first; k < last; k++) {
      if (next < brought && order[next] === k) next++;
      else order[at++] = k;
    }
    this.#queue.reorder(first, order.subarray(0, at));
    this.#together = first + brought;
    return i;
  }
}

/** The tenant of the row at index `at` of the columns, a number of the dictionary of its context. */
function tenantAt(queue: RowQueue, at: number, { dictionary }: RowContext): number {
  if (queue.kind[at] === METADATA) return queue.payload?.note[at] ?? 0;
  return dictionary.tenantOf(queue.series[at]!);
}

/** The tenant of row `i` from the head on, by name; empty for none. */
export function tenantOfRow(queue: RowQueue, i: number): string {
  const context = queue.contextAt(i);
  return context.dictionary.tenants.names[tenantAt(queue, (queue.head + i) & queue.mask, context)]!;
}

/**
 * The oldest row of each shard that stays in a queue when others are settled. Where tenants take turns, newer rows of a
 * shard may be settled before it: the shard has come no further then, and what is settled already would be sent once
 * more after a crash, as rows that may have been delivered (RLY-13).
 */
export class OldestRows {
  /** By shard; a segment of 0 says that no row stays. */
  readonly segment: Float64Array = new Float64Array(SHARDS);
  readonly row: Uint32Array = new Uint32Array(SHARDS);

  /** Looks at all rows of `queue` but `rows` rows from row `from` on. */
  find(queue: RowQueue, from: number, rows: number): this {
    const { segment, row } = this;
    segment.fill(0);
    let i = 0;
    for (const { context, rows: ofContext } of queue.runs) {
      for (const end = i + ofContext; i < end; i++) {
        const at = (queue.head + i) & queue.mask;
        if ((i >= from && i < from + rows) || queue.skip[at] === SETTLED) continue;
        const s = queue.shard[at]!;
        const known = segment[s]!;
        if (
          known !== 0 &&
          (known < context.segment || (known === context.segment && row[s]! < queue.row[at]!))
        )
          continue;
        segment[s] = context.segment;
        row[s] = queue.row[at]!;
      }
    }
    return this;
  }
}
