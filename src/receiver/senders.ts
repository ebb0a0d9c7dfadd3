import type { IncomingMessage } from 'node:http';
import { isIPv6, type Socket } from 'node:net';
import { TokenBucket } from '../runtime/token-bucket.ts';
import { InFlightBytes } from './body.ts';

export interface SenderLimits {
  readonly samplesPerSecond: number | undefined;
  readonly burstMs: number;
  readonly inFlightBytes: number | undefined;
}

/** What is kept of one sender. */
export interface Sender {
  readonly name: string;
  readonly bucket: TokenBucket | undefined;
  readonly inFlight: InFlightBytes;
  /** Requests under way. */
  requests: number;
}

/** A few hundred bytes each. Over it those are forgotten that have been away the longest. */
const MAX_SENDERS = 10_000;

/** Headers may be long; what is cut off does not tell senders apart any more. */
const MAX_NAME = 200;

/**
 * The senders and what each of them has used up, at most `MAX_SENDERS`: names may be forged, memory may not grow
 * with them. A sender that was forgotten starts anew with a full bucket; one with a request under way is kept, and
 * there are no more of these than connections.
 */
export class Senders {
  readonly #limits: SenderLimits;
  readonly #all: InFlightBytes;
  readonly #now: () => number;
  /** In the order in which they were last seen. */
  readonly #known = new Map<string, Sender>();

  /** `all` is what the requests of all senders are held against; `now` never goes back, in ms. */
  constructor(limits: SenderLimits, all: InFlightBytes, now: () => number) {
    this.#limits = limits;
    this.#all = all;
    this.#now = now;
  }

  get size(): number {
    return this.#known.size;
  }

  /** The sender of a request that begins; to be given to `leave` at its end. */
  enter(name: string): Sender {
    const sender = this.#known.get(name) ?? this.#create(name);
    this.#known.delete(name);
    this.#known.set(name, sender);
    sender.requests++;
    if (this.#known.size > MAX_SENDERS) this.#forgetOne();
    return sender;
  }

  leave(sender: Sender): void {
    sender.requests--;
  }

  /** How long the sender has to wait by its rate, in ms; 0 when its request may pass. */
  waitMs(sender: Sender): number {
    return sender.bucket?.waitMs(this.#now()) ?? 0;
  }

  /** Charges rows that were taken. */
  charge(sender: Sender, rows: number): void {
    sender.bucket?.take(rows, this.#now());
  }

  #create(name: string): Sender {
    const { samplesPerSecond: rate, burstMs, inFlightBytes } = this.#limits;
    return {
      name,
      bucket:
        rate === undefined
          ? undefined
          : new TokenBucket(rate, Math.max(1, (rate * burstMs) / 1000), this.#now()),
      inFlight:
        inFlightBytes === undefined
          ? this.#all
          : new InFlightBytes(inFlightBytes, 'per_sender.in_flight_bytes', this.#all),
      requests: 0,
    };
  }

  /** Of the first few one whose bucket is full, as nothing is lost with it; else the first that is away. */
  #forgetOne(): void {
    let away: Sender | undefined;
    let looked = 0;
    for (const sender of this.#known.values()) {
      if (sender.requests > 0) continue;
      away ??= sender;
      if (++looked > 10) break;
      if (sender.bucket?.isFull(this.#now()) !== false) {
        away = sender;
        break;
      }
    }
    if (away !== undefined) this.#known.delete(away.name);
  }
}

/**
 * Who sent a request: what it says in `header`, when that is configured and there; else the `user` that has signed
 * in; else its address.
 */
export function senderOf(request: IncomingMessage, header: string | undefined, user?: string): string {
  const named = header === undefined ? undefined : request.headers[header.toLowerCase()];
  const text = Array.isArray(named) ? named.join(',') : named;
  if (text !== undefined && text !== '') return `header ${text.slice(0, MAX_NAME)}`;
  if (user !== undefined) return `user ${user}`;
  const { socket } = request;
  let name = names.get(socket);
  if (name === undefined) {
    name = senderOfAddress(socket.remoteAddress);
    names.set(socket, name);
  }
  return name;
}

/** By connection: its address does not change. */
const names = new WeakMap<Socket, string>();

/** A remote address as a name: of IPv6 the first 64 bits, since the rest is the sender's to choose. */
export function senderOfAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('%', 1)[0]!.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
