import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Trouble } from '../../src/endpoint/delivery-watch.ts';
import type { EndpointState, Level } from '../../src/status/document.ts';
import { describeAgent, describeEndpoint, type EndpointFacts, etaSeconds } from '../../src/status/state.ts';

const nowMs = Date.UTC(2026, 10, 21, 3, 20);
const since = Date.UTC(2026, 10, 21, 3, 12);

const calm: EndpointFacts = {
  nowMs,
  thread: 'running',
  loops: { running: 4, failing: 0, most: 50 },
  trouble: undefined,
  backlog: { rows: 40, seconds: 0.2 },
  deliveredPerSecond: 3400,
  drainPerSecond: 0,
  throttles: 0,
  lostLastMinute: new Map(),
  ttlMs: 0,
  whenFull: 'reject',
  full: false,
  secondsUntilFull: undefined,
};
const late = { backlog: { rows: 1_200_000, seconds: 1800 }, deliveredPerSecond: 5000 };

function trouble(more: Partial<Trouble>): Partial<EndpointFacts> {
  return {
    backlog: { rows: 120_000, seconds: 480 },
    loops: { running: 4, failing: 4, most: 50 },
    deliveredPerSecond: 0,
    trouble: {
      action: 'hold',
      cause: '401',
      answer: '401',
      words: 'who are you?',
      sinceMs: since,
      nextTryMs: nowMs + 20_000,
      asked: false,
      ...more,
    },
  };
}

const retry = { action: 'retry', cause: '5xx', answer: '503' } as const;
const refused = { action: 'retry', cause: 'network', answer: 'ECONNREFUSED' } as const;
const waits = '120,000 samples wait on disk';

const cases: readonly [string, Partial<EndpointFacts>, EndpointState, Level, string, RegExp][] = [
  ['flows', {}, 'delivering', 'ok', 'Delivering: 3,400/s delivered, 0.2 s behind.', /^$/],
  [
    'has delivered all',
    { backlog: { rows: 0, seconds: 0 } },
    'delivering',
    'ok',
    'Delivering: 3,400/s delivered, nothing waits.',
    /^$/,
  ],
  [
    'has nothing to do',
    { backlog: { rows: 0, seconds: 0 }, deliveredPerSecond: 0 },
    'idle',
    'ok',
    'Up to date: nothing waits, and hardly anything comes in.',
    /^$/,
  ],
  [
    'starts',
    { thread: 'starting', backlog: { rows: 1, seconds: 0 } },
    'starting',
    'note',
    'Starting: 1 sample waits on disk; nothing is sent yet.',
    /^$/,
  ],
  [
    'lost its thread',
    { thread: 'restarting', ...late },
    'restarting',
    'warning',
    'Its thread failed and is started again: 1.2 million samples wait on disk; nothing is lost.',
    /stack/,
  ],
  [
    'is paused, whatever else is the matter',
    { ...trouble({}), pausedSinceMs: since },
    'paused',
    'note',
    `Paused by somebody since 03:12 UTC: ${waits}; nothing is lost.`,
    /Resume/,
  ],
  [
    'is not let in',
    { ...trouble({}), secondsUntilFull: 14 * 3600 },
    'holding',
    'critical',
    'Holding: 401 since 03:12 UTC, next try in 20 s; nothing is lost; the disk lasts 14 h at this rate.',
    /credentials/,
  ],
  [
    'is not let in, and time is up for the oldest',
    { ...trouble({ nextTryMs: nowMs - 1 }), ttlMs: 7_200_000, lostLastMinute: new Map([['expired', 90]]) },
    'holding',
    'critical',
    'Holding: 401 since 03:12 UTC, trying now; given up in the last minute: 90 samples (expired); samples older than 2 h are given up (ttl).',
    /credentials/,
  ],
  [
    'is not found by its name',
    trouble({ cause: 'dns', answer: 'ENOTFOUND' }),
    'holding',
    'critical',
    'Holding: its name cannot be resolved (ENOTFOUND) since 03:12 UTC, next try in 20 s; nothing is lost.',
    /name servers/,
  ],
  [
    'answers 503, with a queue that gives up the oldest',
    { ...trouble(retry), secondsUntilFull: 3600, whenFull: 'drop_oldest' },
    'retrying',
    'critical',
    'Retrying: 503 since 03:12 UTC, next try in 20 s; nothing is lost; the disk lasts 60 min at this rate, then its oldest samples are given up.',
    /it is healthy/,
  ],
  [
    'cannot be reached, in some loops',
    { ...trouble(refused), loops: { running: 4, failing: 1, most: 50 } },
    'retrying',
    'critical',
    'Retrying in 1 of 4 loops: ECONNREFUSED since 03:12 UTC, next try in 20 s; nothing is lost.',
    /runs and can be reached/,
  ],
  [
    'hiccups',
    trouble({ ...retry, sinceMs: nowMs - 3000 }),
    'retrying',
    'note',
    'Retrying: 503 since 03:19 UTC, next try in 20 s; nothing is lost.',
    /healthy/,
  ],
  [
    'asks for a slower pace',
    trouble({ action: 'retry', cause: '429', answer: '429', asked: true }),
    'retrying',
    'critical',
    'Retrying: 429, it asks for a slower pace since 03:12 UTC, next try in 20 s; nothing is lost.',
    /rate_limit/,
  ],
  [
    'is down while the queue is full',
    { ...trouble(retry), full: true, secondsUntilFull: 0 },
    'retrying',
    'critical',
    'Retrying: 503 since 03:12 UTC, next try in 20 s; nothing is lost; the queue is full: senders are told to keep theirs.',
    /healthy/,
  ],
  [
    'is down while the queue is full and gives up the oldest',
    {
      ...trouble(retry),
      full: true,
      whenFull: 'drop_oldest',
      lostLastMinute: new Map([['dropped_full', 5]]),
    },
    'retrying',
    'critical',
    'Retrying: 503 since 03:12 UTC, next try in 20 s; given up in the last minute: 5 samples (dropped_full); the queue is full: its oldest samples are given up.',
    /healthy/,
  ],
  [
    'drains',
    { ...late, drainPerSecond: 1430 },
    'draining',
    'note',
    'Draining: caught up in about 14 min; 30 min behind, 1.2 million samples wait on disk, 5,000/s delivered; nothing is lost.',
    /^$/,
  ],
  [
    'drains as fast as it may',
    { ...late, drainPerSecond: 1430, throttles: 9 },
    'throttled',
    'note',
    'Draining: caught up in about 14 min; 30 min behind, 1.2 million samples wait on disk, 5,000/s delivered, held back by `rate_limit`; nothing is lost.',
    /^$/,
  ],
  [
    'may not be sent enough',
    { ...late, throttles: 9 },
    'throttled',
    'warning',
    'Held back by `rate_limit`: 30 min behind and not catching up, 1.2 million samples wait on disk, 5,000/s delivered; nothing is lost.',
    /Raise `rate_limit`/,
  ],
  [
    'is too slow, with all loops',
    { ...late, drainPerSecond: -100, loops: { running: 50, failing: 0, most: 50 } },
    'behind',
    'warning',
    'Falling behind: 30 min behind, 1.2 million samples wait on disk, 5,000/s delivered, and no less comes in; nothing is lost.',
    /max_shards/,
  ],
  [
    'refuses some',
    { lostLastMinute: new Map([['rejected', 1]]) },
    'delivering',
    'warning',
    'Delivering: 3,400/s delivered, 0.2 s behind; given up in the last minute: 1 sample (rejected, see the dead letters).',
    /dead letters/,
  ],
];

describe('an endpoint that', () => {
  for (const [name, facts, state, level, says, advice] of cases) {
    it(name, () => {
      const said = describeEndpoint({ ...calm, ...facts });
      assert.deepEqual({ ...said, advice: '' }, { state, level, says, advice: '' });
      assert.match(said.advice, advice);
    });
  }
});

describe('the time until all is delivered', () => {
  it('is unknown while the backlog does not shrink, and of no interest while it is that of two requests', () => {
    assert.equal(etaSeconds({ ...late, drainPerSecond: 0 }), undefined);
    assert.equal(etaSeconds({ ...late, drainPerSecond: -5 }), undefined);
    assert.equal(etaSeconds({ backlog: { rows: 100, seconds: 1 }, drainPerSecond: 5 }), undefined);
    assert.equal(etaSeconds({ ...late, drainPerSecond: 1200 }), 1000);
  });
});

describe('the whole', () => {
  const ok = { name: 'near', etaSeconds: null, ...describeEndpoint(calm) };
  const holding = { name: 'far', etaSeconds: null, ...describeEndpoint({ ...calm, ...trouble({}) }) };
  const draining = {
    name: 'far',
    etaSeconds: 840,
    ...describeEndpoint({ ...calm, ...late, drainPerSecond: 1430 }),
  };
  const behind = { name: 'far', etaSeconds: null, ...describeEndpoint({ ...calm, ...late }) };
  const paused = {
    name: 'far',
    etaSeconds: null,
    ...describeEndpoint({ ...calm, ...late, pausedSinceMs: since }),
  };
  const running = { phase: 'running', full: undefined, lostLastHour: 0 } as const;
  const full = { text: 'the queue has 1 GiB of the 1 GiB that `wal.max_bytes` allows', waitsFor: ['far'] };

  for (const [name, facts, state, level, says] of [
    ['is well', { endpoints: [ok] }, 'ok', 'ok', 'All is well: writes are taken and delivered.'],
    [
      'is well by now',
      { endpoints: [ok], lostLastHour: 3 },
      'ok',
      'warning',
      'Writes are taken and delivered. 3 samples were given up in the last hour: see below why.',
    ],
    [
      'waits for one',
      { endpoints: [ok, holding] },
      'failing',
      'critical',
      'Data is safe on disk, but far does not take it. The other endpoint goes on.',
    ],
    [
      'waits for one, and has lost some',
      { endpoints: [holding], lostLastHour: 3 },
      'failing',
      'critical',
      'Data waits on disk, but far does not take it. 3 samples were given up in the last hour: see below why.',
    ],
    [
      'drains',
      { endpoints: [draining, ok] },
      'late',
      'note',
      'Data is safe; far is behind, caught up in about 14 min.',
    ],
    ['is behind', { endpoints: [behind, ok] }, 'late', 'warning', 'Data is safe; far is behind.'],
    ['is paused', { endpoints: [paused, ok] }, 'late', 'note', 'Data is safe; far is paused.'],
    [
      'is full',
      { endpoints: [holding, ok], full },
      'full',
      'critical',
      'Writes are refused: the queue has 1 GiB of the 1 GiB that `wal.max_bytes` allows. What was taken is safe; senders keep the rest and try again.',
    ],
    [
      'starts',
      { endpoints: [], phase: 'starting' },
      'starting',
      'note',
      'Starting: writes are put off until the queue is open; senders keep their data.',
    ],
  ] as const) {
    it(name, () => {
      const said = describeAgent({ ...running, ...facts });
      assert.deepEqual({ ...said, advice: '' }, { state, level, says, advice: '' });
    });
  }

  it('says what to do', () => {
    const hiccup = { ...calm, ...trouble({ ...retry, sinceMs: nowMs - 1000 }) };
    const retrying = { name: 'far', etaSeconds: null, ...describeEndpoint(hiccup) };
    assert.deepEqual([retrying.level, retrying.advice === ''], ['note', false]);
    assert.equal(describeAgent({ ...running, endpoints: [ok, retrying] }).advice, '');
    const rejecting = describeEndpoint({ ...calm, lostLastMinute: new Map([['rejected', 3]]) });
    const losing = { name: 'far', etaSeconds: null, ...rejecting };
    assert.match(describeAgent({ ...running, endpoints: [ok, losing] }).advice, /dead letters/);
    assert.equal(describeAgent({ ...running, endpoints: [ok, holding] }).advice, holding.advice);
    assert.match(describeAgent({ ...running, endpoints: [holding], full }).advice, /^Bring back far/);
    const byOthers = { ...full, waitsFor: [] };
    assert.match(
      describeAgent({ ...running, endpoints: [ok], full: byOthers }).advice,
      /^Nothing waits .*make room/,
    );
  });
});
