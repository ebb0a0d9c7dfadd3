import { uncompress } from 'snappyjs';
import type { Destination, Outcome } from '../../src/network/destination.ts';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { rowKey, rowsOf } from '../support/rows.ts';
import type { Toy, ToyEndpoint, ToyRow } from './toy.ts';

/** What comes of a request. */
export const answers = [
  'ok',
  // Stored, or not, and the sender cannot tell.
  'stored, 503',
  '503',
  'stored, reset',
  'reset',
  // It can tell that it was not.
  'connection refused',
  '401',
  '429',
  '400',
] as const;
export type Answer = (typeof answers)[number];

/** A request that waits for its answer. */
export interface OpenPost {
  readonly rows: readonly ToyRow[];
  readonly end: (outcome: Outcome) => void;
}

/**
 * The receiver of one endpoint: outlives the agent, which is connected to it by one `connect` a life.
 *
 * Up, it answers at once; down, requests stay open until a step answers them. A row can be made one that it refuses
 * for ever, and with it any request that holds it, as Prometheus does with a sample that is out of order.
 */
export class ModelReceiver {
  readonly #toy: Toy;
  readonly #endpoint: ToyEndpoint;
  /** The name that a series arrives under. */
  readonly #seriesKey: (series: number) => string;
  up = true;
  /** Up or not, requests with this series stay open: one loop is stuck, and the others are not. */
  heldSeries: number | undefined;
  readonly open: OpenPost[] = [];
  /** Rows of requests that were answered with a 2xx, since it was last connected to. */
  deliveredRows = 0;
  /** Rows that it had already and that came alone: they may have been sent for evidence, and count for nothing. */
  repeatedRows = 0;
  readonly #unwanted = new Set<number>();

  constructor(toy: Toy, endpoint: ToyEndpoint, seriesKey: (series: number) => string) {
    this.#toy = toy;
    this.#endpoint = endpoint;
    this.#seriesKey = seriesKey;
  }

  /** A destination for the next life of the agent's side. */
  connect(): Destination & { cut(stored: boolean): void } {
    this.deliveredRows = 0;
    this.repeatedRows = 0;
    let connected = true;
    const aborted: Outcome = { kind: 'aborted', maybeDelivered: true };
    let storeCut = false;
    return {
      post: (body, _attempt, signal) => {
        if (!connected || signal.aborted) return Promise.resolve(aborted);
        const rows = this.#rowsOf(body);
        this.#endpoint.arrives(rows);
        return new Promise((resolve) => {
          const post: OpenPost = {
            rows,
            end: (outcome) => {
              signal.removeEventListener('abort', abort);
              this.open.splice(this.open.indexOf(post), 1);
              resolve(outcome);
            },
          };
          const abort = (): void => {
            if (storeCut && !this.#isUnwanted(rows)) this.#endpoint.takes(rows);
            this.#endpoint.left(rows);
            post.end(aborted);
          };
          signal.addEventListener('abort', abort, { once: true });
          this.open.push(post);
          // In a turn of its own, as an answer from afar.
          if (!this.holds(post)) setImmediate(() => this.open.includes(post) && this.answer(post, 'ok'));
        });
      },
      close: () => Promise.resolve(),
      /** The agent's side goes away: whether what is under way is stored, and whether it sends anything more. */
      cut: (stored) => {
        storeCut = stored;
        connected = false;
      },
    };
  }

  /** From now on the row is never taken. */
  refuseForEver(row: ToyRow): void {
    if (!this.#endpoint.taken.has(row.at)) this.#unwanted.add(row.at);
  }

  /** True for a request that stays open until a step answers it. */
  holds({ rows }: OpenPost): boolean {
    return !this.up || rows.some(({ series }) => series === this.heldSeries);
  }

  goUp(): void {
    this.up = true;
    this.heldSeries = undefined;
    for (const post of [...this.open]) this.answer(post, 'ok');
  }

  answer(post: OpenPost, answer: Answer): void {
    const { rows } = post;
    const endpoint = this.#endpoint;
    if (this.#isUnwanted(rows) && (answer === 'ok' || answer.startsWith('stored'))) {
      endpoint.refuses(rows);
      post.end(response(400, 'out of order sample'));
      return;
    }
    if (rows.length === 1 && endpoint.taken.has(rows[0]!.at)) this.repeatedRows++;
    if (answer === 'ok' || answer.startsWith('stored')) endpoint.takes(rows);
    switch (answer) {
      case 'ok':
        endpoint.delivered(rows);
        this.deliveredRows += rows.length;
        post.end(response(204));
        return;
      case 'stored, 503':
      case '503':
        endpoint.left(rows);
        post.end(response(503));
        return;
      case '429':
        endpoint.left(rows);
        post.end(response(429));
        return;
      case 'stored, reset':
      case 'reset':
        endpoint.left(rows);
        post.end({ kind: 'network', code: 'ECONNRESET', words: 'reset', maybeDelivered: true });
        return;
      case 'connection refused':
        post.end({ kind: 'network', code: 'ECONNREFUSED', words: 'refused', maybeDelivered: false });
        return;
      case '401':
        post.end(response(401));
        return;
      case '400':
        endpoint.refuses(rows);
        post.end(response(400, 'not in this form'));
        return;
      default:
        answer satisfies never;
    }
  }

  #isUnwanted(rows: readonly ToyRow[]): boolean {
    return rows.some(({ at }) => this.#unwanted.has(at));
  }

  #rowsOf(body: Uint8Array): ToyRow[] {
    const rows: ToyRow[] = [];
    for (const row of rowsOf(decodeWriteRequestV1(uncompress(body)))) {
      const known = this.#toy.rows[Number(row.at)];
      if (known === undefined || rowKey(row) !== known.key || row.series !== this.#seriesKey(known.series)) {
        this.#toy.violated(`endpoint ${this.#endpoint.index}: invented: ${row.series} ${rowKey(row)}`);
      } else rows.push(known);
    }
    return rows;
  }
}

function response(status: number, words = ''): Outcome {
  return { kind: 'response', status, retryAfter: undefined, words };
}
