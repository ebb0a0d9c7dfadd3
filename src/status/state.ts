import type { Trouble } from '../endpoint/delivery-watch.ts';
import type { EndpointState, Level, Said, StatusDocument } from './document.ts';
import { clockText, durationText, rateText, samplesText } from './words.ts';

/**
 * States in words. Functions of values: the first thing that somebody reads at three in the morning has a table of
 * cases that it is tested with.
 *
 * A sentence says what is happening, since when, and what follows for the data, in this order: first whether anything
 * is lost, then how long it stays so.
 */

/** What an endpoint is judged by. */
export interface EndpointFacts {
  readonly nowMs: number;
  readonly thread: 'starting' | 'running' | 'restarting' | 'stopped';
  /** Since when somebody has it paused, ms; undefined when nobody has. */
  readonly pausedSinceMs?: number | undefined;
  readonly loops: { readonly running: number; readonly failing: number; readonly most: number };
  readonly trouble: Trouble | undefined;
  readonly backlog: { readonly rows: number; readonly seconds: number };
  /** Rows per second. */
  readonly deliveredPerSecond: number;
  /** By which the backlog shrinks; negative when it grows. */
  readonly drainPerSecond: number;
  /** Requests that waited for `rate_limit` in the last minute. */
  readonly throttles: number;
  /** Rows that were given up in the last minute, not as asked, by reason. */
  readonly lostLastMinute: ReadonlyMap<string, number>;
  /** Rows older than this are given up, ms; 0 is never. */
  readonly ttlMs: number;
  readonly whenFull: 'reject' | 'drop_oldest';
  /** A cap is reached, and this endpoint holds the oldest data. */
  readonly full: boolean;
  /** Until a cap is reached at this rate; undefined when none will be. */
  readonly secondsUntilFull: number | undefined;
}

const LETTERS_ADVICE = 'Look at its dead letters: which series they are of, and why they are refused.';

/** Behind by less is the ordinary time between two requests, or a pause for breath. */
const LATE_SECONDS = 15;

export function describeEndpoint(facts: EndpointFacts): Said<EndpointState> {
  const { thread, trouble, backlog, pausedSinceMs, nowMs, loops } = facts;
  const said = (state: EndpointState, level: Level, says: string, advice = ''): Said<EndpointState> => ({
    state,
    level: facts.lostLastMinute.size > 0 && level !== 'critical' ? 'warning' : level,
    says: `${says}.`,
    advice: advice === '' && facts.lostLastMinute.has('rejected') ? LETTERS_ADVICE : advice,
  });
  const waiting = `${samplesText(backlog.rows)} wait${backlog.rows === 1 ? 's' : ''} on disk`;

  if (pausedSinceMs !== undefined) {
    const since = clockText(pausedSinceMs, nowMs);
    return said(
      'paused',
      'note',
      `Paused by somebody since ${since}: ${waiting}; ${safety(facts)}`,
      'Resume it when the reason is gone.',
    );
  }
  if (thread === 'stopped') return said('stopped', 'note', `Stopped: ${waiting}; ${safety(facts)}`);
  if (thread === 'restarting') {
    return said(
      'restarting',
      'warning',
      `Its thread failed and is started again: ${waiting}; ${safety(facts)}`,
      'The log has the error with its stack; it is a defect: please report it.',
    );
  }
  if (thread === 'starting') {
    return said('starting', 'note', `Starting: ${waiting}; nothing is sent yet`);
  }
  if (trouble !== undefined) {
    const { action, sinceMs, nextTryMs } = trouble;
    const some = loops.failing < loops.running ? ` in ${loops.failing} of ${loops.running} loops` : '';
    const next = nextTryMs > nowMs ? `next try in ${durationText((nextTryMs - nowMs) / 1000)}` : 'trying now';
    return said(
      action === 'hold' ? 'holding' : 'retrying',
      // A hiccup is not worth getting up for; a door that is shut does not open by itself.
      action === 'hold' || nowMs - sinceMs >= 1000 * LATE_SECONDS ? 'critical' : 'note',
      `${action === 'hold' ? 'Holding' : 'Retrying'}${some}: ${troubleText(trouble)} since ` +
        `${clockText(sinceMs, nowMs)}, ${next}; ${safety(facts)}`,
      troubleAdvice(trouble),
    );
  }
  return describeFlow(facts, said, waiting);
}

function describeFlow(
  facts: EndpointFacts,
  said: (state: EndpointState, level: Level, says: string, advice?: string) => Said<EndpointState>,
  waiting: string,
): Said<EndpointState> {
  const { backlog, deliveredPerSecond, loops, throttles } = facts;
  const rate = `${rateText(deliveredPerSecond)} delivered`;
  const lost = facts.lostLastMinute.size > 0 ? `; ${safety(facts)}` : '';
  if (backlog.rows > 0 && backlog.seconds >= LATE_SECONDS) {
    const behind = `${durationText(backlog.seconds)} behind`;
    const eta = etaSeconds(facts);
    if (eta !== undefined) {
      const limited = throttles > 0 ? ', held back by `rate_limit`' : '';
      return said(
        throttles > 0 ? 'throttled' : 'draining',
        'note',
        `Draining: caught up in about ${durationText(eta)}; ${behind}, ${waiting}, ${rate}${limited}; ${safety(facts)}`,
      );
    }
    if (throttles > 0) {
      return said(
        'throttled',
        'warning',
        `Held back by \`rate_limit\`: ${behind} and not catching up, ${waiting}, ${rate}; ${safety(facts)}`,
        'Raise `rate_limit` of this endpoint, or send it less.',
      );
    }
    const most = loops.running >= loops.most;
    return said(
      'behind',
      'warning',
      `Falling behind: ${behind}, ${waiting}, ${rate}, and no less comes in; ${safety(facts)}`,
      most
        ? 'All its loops are busy: look at the latency of the receiver, or raise `queue_config.max_shards`.'
        : 'Look at the latency of the receiver; more loops are started as long as that helps.',
    );
  }
  if (deliveredPerSecond < 0.05 && backlog.rows === 0) {
    return said('idle', 'ok', `Up to date: nothing waits, and hardly anything comes in${lost}`);
  }
  const behind = backlog.rows === 0 ? 'nothing waits' : `${durationText(backlog.seconds)} behind`;
  return said('delivering', 'ok', `Delivering: ${rate}, ${behind}${lost}`);
}

/** Until the backlog is gone; undefined when it does not shrink, or is none to speak of. */
export function etaSeconds({
  backlog,
  drainPerSecond,
}: Pick<EndpointFacts, 'backlog' | 'drainPerSecond'>): number | undefined {
  if (backlog.rows === 0 || backlog.seconds < LATE_SECONDS || drainPerSecond <= 0) return undefined;
  return backlog.rows / drainPerSecond;
}

/** What becomes of data meanwhile. */
function safety(facts: EndpointFacts): string {
  const { lostLastMinute, full, whenFull, secondsUntilFull, ttlMs } = facts;
  const parts: string[] = [];
  if (lostLastMinute.size > 0) {
    const reasons = [...lostLastMinute].map(
      ([reason, rows]) =>
        `${samplesText(rows)} (${reason}${reason === 'rejected' ? ', see the dead letters' : ''})`,
    );
    parts.push(`given up in the last minute: ${reasons.join(', ')}`);
  } else {
    parts.push('nothing is lost');
  }
  if (full) {
    parts.push(
      whenFull === 'reject'
        ? 'the queue is full: senders are told to keep theirs'
        : 'the queue is full: its oldest samples are given up',
    );
  } else if (secondsUntilFull !== undefined) {
    const then = whenFull === 'drop_oldest' ? ', then its oldest samples are given up' : '';
    parts.push(`the disk lasts ${durationText(secondsUntilFull)} at this rate${then}`);
  }
  if (ttlMs > 0 && (facts.trouble !== undefined || facts.pausedSinceMs !== undefined)) {
    parts.push(`samples older than ${durationText(ttlMs / 1000)} are given up (ttl)`);
  }
  return parts.join('; ');
}

const holdTexts: Readonly<Record<string, string>> = {
  refused: 'it refuses whatever it is sent',
  unread: 'it answers as if it read nothing',
  dns: 'its name cannot be resolved',
  tls: 'no secure connection',
  credentials: 'our credentials cannot be had',
  proxy: 'the proxy does not let us through',
};

function troubleText({ cause, answer, asked }: Trouble): string {
  const text = holdTexts[cause];
  if (text !== undefined) return `${text} (${answer})`;
  if (cause === '429') return '429, it asks for a slower pace';
  if (cause === 'timeout') return 'no answer in time';
  return asked ? `${answer}, and it asks us to wait` : answer;
}

function troubleAdvice({ cause, answer }: Trouble): string {
  switch (cause) {
    case '401':
    case '403':
      return 'Put its credentials right: who we are, and what that one may do. A file that holds a secret is read again by itself; else reload.';
    case '404':
    case '3xx':
      return 'Check its `url`: the path of a remote-write receiver, as it is answered without a redirect.';
    case '407':
    case 'proxy':
      return 'Check `proxy_url` and the credentials for the proxy.';
    case '415':
    case 'unread':
      return 'Check its `url`, and `protobuf_message`: it may take another version of remote write.';
    case 'dns':
      return 'Check the host in its `url`, and the name servers of this machine.';
    case 'tls':
      return 'Check its certificate and `tls_config`: it may have expired, or be signed by somebody unknown here.';
    case 'credentials':
      return 'Check the file or token service that its credentials come from.';
    case 'refused':
      return 'Read below what it says: a limit of it may be reached, or its tenant may be unknown.';
    case '429':
      return 'Its limit for us is reached: have it raised, or set `rate_limit` to spread the load.';
    default:
      return `The receiver needs somebody: see whether ${
        /^\d/.test(answer) ? 'it is healthy' : 'it runs and can be reached from here'
      }. Nothing is to be done here; delivery goes on by itself.`;
  }
}

/** What the whole is judged by. */
export interface AgentFacts {
  /** What it is while it does not run: `starting`, `stopping`. */
  readonly phase: 'starting' | 'running' | 'stopping';
  /** Which cap is reached, in words, and who stands at the oldest data, if anything waits for them. */
  readonly full: { readonly text: string; readonly waitsFor: readonly string[] } | undefined;
  readonly lostLastHour: number;
  readonly endpoints: readonly (Said<EndpointState> & {
    readonly name: string;
    readonly etaSeconds: number | null;
  })[];
}

const badStates: readonly EndpointState[] = ['holding', 'retrying', 'restarting'];
const lateStates: readonly EndpointState[] = ['behind', 'throttled', 'draining', 'paused'];

export function describeAgent(facts: AgentFacts): StatusDocument['status'] {
  const { phase, full, lostLastHour, endpoints } = facts;
  const lost =
    lostLastHour > 0
      ? ` ${samplesText(lostLastHour)} ${lostLastHour === 1 ? 'was' : 'were'} given up in the last hour: see below why.`
      : '';
  if (phase !== 'running') {
    const says =
      phase === 'starting'
        ? 'Starting: writes are put off until the queue is open; senders keep their data.'
        : 'Stopping: what was taken is on disk, and is delivered after the next start.';
    return { state: phase, level: 'note', says: says + lost, advice: '' };
  }
  const named = (list: readonly { readonly name: string }[]): string =>
    list.map(({ name }) => name).join(', ');
  if (full !== undefined) {
    return {
      state: 'full',
      level: 'critical',
      says: `Writes are refused: ${full.text}. What was taken is safe; senders keep the rest and try again.${lost}`,
      advice:
        full.waitsFor.length > 0
          ? `Bring back ${full.waitsFor.join(', ')}, or give the queue more room.`
          : 'Nothing waits for an endpoint: make room on the disk of `data_dir`, or give the queue more.',
    };
  }
  const bad = endpoints.filter(({ state, level }) => badStates.includes(state) && level !== 'note');
  if (bad.length > 0) {
    const rest = endpoints.length - bad.length;
    const others =
      rest === 0 ? '' : rest === 1 ? ' The other endpoint goes on.' : ` The other ${rest} go on.`;
    const safe = lost === '' ? 'Data is safe on disk' : 'Data waits on disk';
    return {
      state: 'failing',
      level: 'critical',
      says: `${safe}, but ${named(bad)} ${bad.length === 1 ? 'does' : 'do'} not take it.${others}${lost}`,
      advice: bad.length === 1 ? bad[0]!.advice : 'See below what each of them needs.',
    };
  }
  const late = endpoints.filter(({ state }) => lateStates.includes(state));
  if (late.length > 0) {
    const level = late.some((endpoint) => endpoint.level === 'warning') || lost !== '' ? 'warning' : 'note';
    const safe = lost === '' ? 'Data is safe; ' : 'Data flows; ';
    const eta = Math.max(...late.map(({ etaSeconds: seconds }) => seconds ?? Number.POSITIVE_INFINITY));
    const until = Number.isFinite(eta) ? `, caught up in about ${durationText(eta)}` : '';
    const how = late.every(({ state }) => state === 'paused') ? 'paused' : 'behind';
    const says = `${safe}${named(late)} ${late.length === 1 ? 'is' : 'are'} ${how}${until}.${lost}`;
    return { state: 'late', level, says, advice: late.length === 1 ? late[0]!.advice : '' };
  }
  return {
    state: 'ok',
    level: lost === '' ? 'ok' : 'warning',
    says: `${lost === '' ? 'All is well: w' : 'W'}rites are taken and delivered.${lost}`,
    // What an endpoint that is tried again needs is nothing to get up for yet.
    advice: endpoints.find(({ level, advice }) => level === 'warning' && advice !== '')?.advice ?? '',
  };
}
