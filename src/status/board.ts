import type { Full } from '../filequeue/retention.ts';
import type { LetterCount } from '../ledger/dead-letters.ts';
import type { DeadLetterReading } from '../telemetry/dead-letter-metrics.ts';
import type { ParkedReading, QueueReading } from '../telemetry/metrics.ts';
import { endpointReasons, harmlessReasons } from '../telemetry/reasons.ts';
import type {
  DiskStatus,
  EndpointStatus,
  HistoryDocument,
  ResendStatus,
  StatusDocument,
} from './document.ts';
import type { EndpointDetail } from './endpoint-detail.ts';
import { History, STEP_MS } from './history.ts';
import {
  type EndpointSample,
  grown,
  Minute,
  perSecond,
  quantile,
  type Sample,
  sampleEndpoint,
} from './samples.ts';
import { type AgentFacts, describeAgent, describeEndpoint, type EndpointFacts, etaSeconds } from './state.ts';
import { bytesText } from './words.ts';

/** What the board reads; all of it is there at any time. */
export interface BoardSources {
  readonly version: string;
  readonly now: () => number;
  readonly phase: () => AgentFacts['phase'];
  readonly receivedRows: () => number;
  readonly refusedRows: () => number;
  readonly queue: () => QueueReading | undefined;
  readonly full: () => Full | undefined;
  readonly endpoints: () => readonly EndpointDetail[];
  readonly parked: () => readonly ParkedReading[];
  readonly letters: () => readonly DeadLetterReading[];
  /** By endpoint and answer: it goes through all letters. */
  readonly letterCounts: () => readonly LetterCount[];
  /** How it went with those of an endpoint that were sent again. */
  readonly resend: (endpoint: string) => ResendStatus | undefined;
}

/** How often a sample is taken, and listeners are told. */
export const TICK_MS = 2000;
/** The backlog of the last seconds says sooner than that of a minute that an endpoint is back. */
const DRAIN_MS = 20_000;
const MINUTE_MS = 60_000;
/** Letters are counted again at most so often; and when somebody has seen to them, who wants to know. */
const COUNT_EVERY_MS = 30_000;
const COUNT_SEEN_TO_MS = 4000;
/** A disk that lasts longer is none of today's sorrows. */
const LONGEST_SECONDS = 365 * 86_400;

/**
 * Knows how things stand: takes a sample every two seconds, keeps a minute of them for rates and an hour in steps, and
 * makes the status document of what there is.
 */
export class StatusBoard {
  readonly #sources: BoardSources;
  readonly #minute = new Minute();
  readonly #history = new History();
  readonly #startedMs: number;
  #lastStep: StepStart | undefined;
  #timer: NodeJS.Timeout | undefined;
  #letterCounts: readonly LetterCount[] = [];
  #countedMs = Number.NEGATIVE_INFINITY;
  #countedKey = '';
  #countedSeenTo = 0;

  constructor(sources: BoardSources) {
    this.#sources = sources;
    this.#startedMs = sources.now();
  }

  /** Begins to take samples; `onTick` is called after each, with whether a step of the history was added. */
  start(onTick: (stepped: boolean) => void): void {
    this.tick();
    this.#timer ??= setInterval(() => onTick(this.tick()), TICK_MS);
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Takes a sample; true when a step of the history came with it. */
  tick(): boolean {
    const { now, receivedRows, queue, endpoints } = this.#sources;
    const sample: Sample = {
      atMs: now(),
      receivedRows: receivedRows(),
      walBytes: queue()?.bytes ?? 0,
      endpoints: new Map(endpoints().map((detail) => [detail.name, sampleEndpoint(detail)])),
    };
    this.#minute.add(sample);
    const last = this.#lastStep;
    if (last === undefined || sample.atMs < last.atMs) {
      this.#lastStep = startOf(sample);
      return false;
    }
    // One that has come since begins with what it had when it came.
    for (const [name, counts] of sample.endpoints) {
      if (!last.endpoints.has(name)) last.endpoints.set(name, counts);
    }
    if (sample.atMs - last.atMs < STEP_MS - TICK_MS / 2) return false;
    this.#step(sample, last);
    this.#lastStep = startOf(sample);
    return true;
  }

  /** The last hour, or its last `steps`. */
  history(steps?: number): HistoryDocument {
    return this.#history.document(steps);
  }

  document(): StatusDocument {
    const { version, now, phase, receivedRows, refusedRows, queue, full, endpoints, parked } = this.#sources;
    const nowMs = now();
    const reading = queue();
    const cap = full();
    const disk = this.#disk(nowMs, reading, cap);
    const letters = this.#letters(nowMs);
    const list = endpoints().map((detail) => this.#endpoint(nowMs, detail, disk, cap, letters));
    const lostLastHour = this.#history.lostLastHour(nowMs);
    const before = this.#minute.before(nowMs, MINUTE_MS);
    return {
      version,
      nowMs,
      startedMs: this.#startedMs,
      status: describeAgent({
        phase: phase(),
        full: cap && {
          text: capText(cap),
          waitsFor: cap.waitsFor.filter((name) =>
            list.every((one) => one.name !== name || one.waitingRows > 0),
          ),
        },
        lostLastHour,
        endpoints: list,
      }),
      receivedRows: receivedRows(),
      refusedRows: refusedRows(),
      receivedPerSecond: perSecond(receivedRows(), before?.receivedRows, nowMs - (before?.atMs ?? nowMs)),
      lostLastHour,
      walBytes: disk.usedBytes,
      disk,
      endpoints: list,
      removedEndpoints: parked(),
    };
  }

  #step(sample: Sample, last: StepStart): void {
    const ms = sample.atMs - last.atMs;
    const lost = new Map(
      [...sample.endpoints].map(([name, now]) => [name, sum(missed(now, last.endpoints.get(name)))]),
    );
    this.#history.add({
      atMs: sample.atMs,
      receivedPerSecond: perSecond(sample.receivedRows, last.receivedRows, ms),
      walBytes: sample.walBytes,
      lostRows: sum(lost),
      endpoints: new Map(
        [...sample.endpoints].map(([name, now]) => {
          const before = last.endpoints.get(name);
          return [
            name,
            {
              deliveredPerSecond: perSecond(now.delivered, before?.delivered, ms),
              lostPerSecond: perSecond(lost.get(name)!, 0, ms),
              backlogRows: now.backlogRows,
              lagSeconds: now.lagSeconds,
            },
          ];
        }),
      ),
    });
  }

  #disk(nowMs: number, reading: QueueReading | undefined, full: Full | undefined): DiskStatus {
    const before = this.#minute.before(nowMs, MINUTE_MS);
    const usedBytes = reading?.bytes ?? 0;
    const capBytes = reading?.capBytes ?? Number.POSITIVE_INFINITY;
    const ms = nowMs - (before?.atMs ?? nowMs);
    const bytesPerSecond = before === undefined || ms <= 0 ? 0 : (1000 * (usedBytes - before.walBytes)) / ms;
    return {
      usedBytes,
      capBytes: Number.isFinite(capBytes) ? capBytes : null,
      freeBytes: reading?.freeBytes ?? null,
      bytesPerSecond,
      secondsUntilFull: untilFull(usedBytes, capBytes, bytesPerSecond) ?? null,
      oldestSeconds: reading?.oldestMs === undefined ? 0 : Math.max(0, (nowMs - reading.oldestMs) / 1000),
      full: full === undefined ? null : capText(full),
    };
  }

  #endpoint(
    nowMs: number,
    detail: EndpointDetail,
    disk: DiskStatus,
    full: Full | undefined,
    letters: ReadonlyMap<string, EndpointStatus['deadLetters']>,
  ): EndpointStatus {
    const { name, url, stats, backlog, delivery, limits, thread, settledNow } = detail;
    const now = sampleEndpoint(detail);
    const minute = this.#minute.before(nowMs, MINUTE_MS, name);
    const before = minute?.endpoints.get(name);
    const ms = nowMs - (minute?.atMs ?? nowMs);
    const recent = this.#minute.before(nowMs, DRAIN_MS, name);
    const recentMs = nowMs - (recent?.atMs ?? nowMs);
    const backlogBefore = recent?.endpoints.get(name)?.backlogRows;
    const drainPerSecond =
      backlogBefore === undefined || recentMs <= 0 ? 0 : (1000 * (backlogBefore - backlog.rows)) / recentMs;
    const backlogGrowth =
      before === undefined || ms <= 0 ? 0 : (1000 * (now.backlogBytes - before.backlogBytes)) / ms;
    const untilOwnCap = untilFull(backlog.bytes, limits.maxBytes, backlogGrowth);
    const deliveredPerSecond = perSecond(now.delivered, before?.delivered, ms);
    const loops = {
      running: stats.get('shards'),
      failing: stats.get('failingLoops'),
      holding: stats.get('holdingLoops'),
      most: detail.maxShards,
    };
    const facts: EndpointFacts = {
      nowMs,
      thread,
      pausedSinceMs: detail.pausedSinceMs,
      loops,
      trouble: delivery?.trouble,
      backlog,
      deliveredPerSecond,
      drainPerSecond,
      throttles: before === undefined ? 0 : now.throttles - before.throttles,
      lostLastMinute: before === undefined ? new Map() : missed(now, before),
      ttlMs: detail.ttlMs,
      whenFull: limits.whenFull,
      full: full?.waitsFor.includes(name) ?? false,
      secondsUntilFull: smallest(disk.secondsUntilFull ?? undefined, untilOwnCap),
    };
    const requests = now.requests.map((count, i) => count - (before?.requests[i] ?? 0));
    const p50 = quantile(0.5, requests);
    return {
      name,
      url,
      ...describeEndpoint(facts),
      deliveredRows: settledNow.delivered,
      droppedRows: settledNow.lost,
      waitingRows: backlog.rows,
      failing: loops.failing > 0,
      receivedPerSecond: perSecond(now.received, before?.received, ms),
      deliveredPerSecond,
      backlog,
      drainPerSecond,
      etaSeconds: etaSeconds(facts) ?? null,
      loops,
      latencySeconds: p50 === undefined ? null : { p50, p99: quantile(0.99, requests)! },
      replies: repliesOf(now, before),
      errors: delivery?.errors ?? [],
      nextTryMs: delivery?.trouble?.nextTryMs ?? null,
      failingSinceMs: delivery?.trouble?.sinceMs ?? null,
      dropped: [...now.lost]
        .sort(([, a], [, b]) => b - a)
        .map(([reason, rows]) => ({
          reason,
          rows,
          means: endpointReasons[reason],
          asked: harmlessReasons.has(reason),
        })),
      deadLetters: letters.get(name) ?? { kept: 0, gone: 0, byReason: [], resend: null },
      messageVersion: stats.get('messageVersion') === 2 ? '2.0' : '1.0',
    };
  }

  /** By endpoint. They are counted by their answers only when their number has changed, and not too often. */
  #letters(nowMs: number): Map<string, EndpointStatus['deadLetters']> {
    const totals = this.#sources.letters();
    // As many as before need not be the same ones.
    const seenTo = totals.reduce(
      (sum, { endpoint, resent, purged }) =>
        sum + resent + purged + (this.#sources.resend(endpoint)?.refused ?? 0),
      0,
    );
    const key = `${seenTo} ${totals.map(({ letters, maxRows, maxAge }) => `${letters} ${maxRows} ${maxAge}`)}`;
    // While they are sent again that is said by itself, and the thread that counts is the one that receives.
    const running = totals.some(({ endpoint }) => this.#sources.resend(endpoint)?.running === true);
    const everyMs = running || seenTo === this.#countedSeenTo ? COUNT_EVERY_MS : COUNT_SEEN_TO_MS;
    if (key !== this.#countedKey && nowMs - this.#countedMs >= everyMs) {
      this.#letterCounts = totals.some(({ letters }) => letters > 0) ? this.#sources.letterCounts() : [];
      this.#countedSeenTo = seenTo;
      this.#countedKey = key;
      this.#countedMs = nowMs;
    }
    return new Map(
      totals.map(({ endpoint, letters, maxRows, maxAge, failed }) => [
        endpoint,
        {
          kept: letters,
          gone: maxRows + maxAge + failed,
          byReason: this.#letterCounts
            .filter((count) => count.endpoint === endpoint)
            .map(({ reason, cause, letters: count, newestAtMs }) => ({
              reason,
              cause,
              letters: count,
              newestAtMs,
            })),
          resend: this.#sources.resend(endpoint) ?? null,
        },
      ]),
    );
  }
}

type StepStart = Omit<Sample, 'endpoints'> & { readonly endpoints: Map<string, EndpointSample> };

function startOf(sample: Sample): StepStart {
  return { ...sample, endpoints: new Map(sample.endpoints) };
}

/** Rows that somebody misses, lost since `before`, by reason. */
function missed(now: EndpointSample, before: EndpointSample | undefined): Map<string, number> {
  if (before === undefined) return new Map();
  const lost = grown<string>(now.lost, before.lost);
  for (const reason of harmlessReasons) lost.delete(reason);
  return lost;
}

function repliesOf(now: EndpointSample, before: EndpointSample | undefined): EndpointStatus['replies'] {
  return Object.entries(now.replies)
    .map(([answer, total]) => ({
      answer,
      total,
      // After its thread was started again the counts are new.
      lastMinute: Math.max(0, total - Math.min(total, before?.replies[answer] ?? 0)),
    }))
    .sort((a, b) => b.lastMinute - a.lastMinute || b.total - a.total);
}

function untilFull(usedBytes: number, capBytes: number, bytesPerSecond: number): number | undefined {
  if (!Number.isFinite(capBytes) || bytesPerSecond <= 0) return undefined;
  const seconds = Math.max(0, capBytes - usedBytes) / bytesPerSecond;
  return seconds > LONGEST_SECONDS ? undefined : seconds;
}

function smallest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}

function capText({ limit, endpoint, usedBytes, limitBytes }: Full): string {
  const used = `${bytesText(usedBytes)} of the ${bytesText(limitBytes)}`;
  switch (limit) {
    case 'disk':
      return 'the disk of the queue has no room left';
    case 'max_bytes':
      return `the queue has ${used} that \`wal.max_bytes\` allows`;
    case 'max_backlog_bytes':
      return `${used} that \`max_backlog_bytes\` of ${endpoint} allows wait for it`;
    default:
      return limit satisfies never;
  }
}
