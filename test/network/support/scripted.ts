import assert from 'node:assert/strict';
import { uncompress } from 'snappyjs';
import type { Destination, Outcome, RequestTraits } from '../../../src/network/destination.ts';
import {
  decodeWriteRequestV1,
  decodeWriteRequestV2,
  type WriteRequestV1,
} from '../../../src/protocol/schema.ts';
import { Progress } from '../../support/progress.ts';
import { type MetadataText, metadataOf, type Row, rowsOf } from '../../support/rows.ts';
import { rowsOfV2 } from '../../support/rows-v2.ts';

/** One request, as the destination was given it. */
export interface Post {
  /** Counts the requests from 0. */
  readonly index: number;
  readonly attempt: number;
  readonly version: '1.0' | '2.0';
  readonly body: Uint8Array;
  readonly rows: readonly Row[];
  readonly metadata: readonly MetadataText[];
  /** Ends the call, once. */
  answer(outcome: Outcome): void;
  /** True until it is answered or cut. */
  readonly open: boolean;
}

/** Says what comes of a request; undefined leaves it open until the test answers it. */
export type PostScript = (post: Post) => Outcome | Promise<Outcome> | undefined;

/**
 * A destination that does what a test says, call by call. A call that is cut is answered `aborted` at once, as
 * the real ones do, unless it is `deaf`.
 */
export class ScriptedDestination implements Destination {
  readonly posts: Post[] = [];
  /** What was answered with a 2xx, in the order of the answers. */
  readonly delivered: Row[] = [];
  inFlight = 0;
  mostInFlight = 0;
  closed = false;
  deaf = false;
  script: PostScript;
  readonly progress: Progress = new Progress();

  constructor(script: PostScript = () => undefined) {
    this.script = script;
  }

  async post(
    body: Uint8Array,
    attempt: number,
    signal: AbortSignal,
    { version = '1.0' }: Partial<RequestTraits> = {},
  ): Promise<Outcome> {
    if (signal.aborted) return { kind: 'aborted', maybeDelivered: false };
    const raw = uncompress(body);
    const content =
      version === '1.0'
        ? contentOf(decodeWriteRequestV1(raw))
        : { rows: rowsOfV2(decodeWriteRequestV2(raw)).rows, metadata: [] };
    let answer = (_: Outcome): void => {};
    let open = true;
    const outcome = new Promise<Outcome>((resolve) => {
      answer = (given) => {
        assert.ok(open, 'a request is answered once');
        open = false;
        resolve(given);
      };
    });
    const post: Post = {
      index: this.posts.length,
      attempt,
      body: body.slice(),
      ...content,
      version,
      answer,
      get open() {
        return open;
      },
    };
    const cut = (): void => {
      if (open && !this.deaf) answer({ kind: 'aborted', maybeDelivered: true });
    };
    signal.addEventListener('abort', cut, { once: true });
    this.posts.push(post);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    const scripted = this.script(post);
    this.progress.made();
    if (scripted !== undefined) {
      const given = await scripted;
      if (post.open) answer(given);
    }
    const given = await outcome;
    signal.removeEventListener('abort', cut);
    this.inFlight--;
    if (given.kind === 'response' && given.status < 300) this.delivered.push(...post.rows);
    // Those who wait look when the caller has seen the answer.
    setImmediate(() => this.progress.made());
    return given;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  /** Resolves when `reached` holds; looks again after each request and each answer. */
  async until(what: string, reached: () => boolean): Promise<void> {
    await this.progress.until(
      () => `${what}: there were ${this.posts.length} requests, ${this.inFlight} are open`,
      reached,
    );
  }

  /** Request number `index`, as soon as it has come. */
  async nth(index: number): Promise<Post> {
    await this.until(`request ${index}`, () => this.posts.length > index);
    return this.posts[index]!;
  }
}

function contentOf(message: WriteRequestV1) {
  return { rows: rowsOf(message), metadata: metadataOf(message) };
}
