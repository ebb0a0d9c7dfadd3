import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Negotiation, STAY_MS, type Try, type VersionSetting } from '../../src/network/version.ts';
import { notWritten, versionWord, writtenOf } from '../../src/network/written.ts';

const now = Date.UTC(2026, 10, 21);
const some = { samples: 3, histograms: 0, exemplars: 0 };
const none = { samples: 0, histograms: 0, exemplars: 0 };

/** How a try reads in the tables. */
function brief({ version, why }: Try): string {
  return why === 'standing' ? version : `${version} ${why}`;
}

/** Endpoints in each of the states that `auto` has. */
const states = {
  trying: () => new Negotiation('auto'),
  proved: () => {
    const negotiation = new Negotiation('auto');
    negotiation.hear(negotiation.begin(now), 'understood', now);
    return negotiation;
  },
  fallen: () => new Negotiation('auto', now - 1),
  'fallen for an hour': () => new Negotiation('auto', now - STAY_MS),
} as const;

type Reply = readonly [status: number, written?: typeof some];

/**
 * Section 6 row by row: in which state what is sent, what the receiver says, how the same rows go again at once (or
 * not at all), and how the next request is sent.
 */
const rows: [
  id: string,
  state: keyof typeof states,
  sent: string,
  reply: Reply,
  again: string,
  next: string,
][] = [
  ['RW2-S-11', 'trying', '2.0', [204, some], '', '2.0'],
  ['RW2-S-11', 'proved', '2.0', [200, some], '', '2.0'],
  ['RW2-S-12, RW2-S-17', 'trying', '2.0', [204], '1.0', '1.0'],
  ['RW2-S-12, RW2-S-17', 'proved', '2.0', [204], '1.0', '1.0'],
  ['section 6, nothing written', 'trying', '2.0', [204, none], '', '2.0'],
  ['section 6, nothing written', 'proved', '2.0', [204, none], '', '2.0'],
  ['RW2-S-17', 'trying', '2.0', [415], '1.0', '1.0'],
  ['RW2-S-17', 'proved', '2.0', [415], '1.0', '1.0'],
  ['RW2-S-15', 'trying', '2.0', [400], '1.0 down', '2.0'],
  ['RW2-S-15', 'proved', '2.0', [400], '', '2.0'],
  ['RLY-12', 'trying', '2.0', [400, some], '', '2.0'],
  ['RLY-12', 'trying', '2.0', [400, none], '', '2.0'],
  ['RW2-S-13', 'fallen', '1.0', [204, some], '', '1.0'],
  ['RW2-S-13', 'fallen', '1.0', [204], '', '1.0'],
  ['section 6, 415 to 1.0', 'fallen', '1.0', [415], '', '1.0'],
  ['RW1-S-18', 'fallen', '1.0', [400], '', '1.0'],
  ['RW2-S-19', 'trying', '2.0', [500], '', '2.0'],
  ['RW2-S-19', 'proved', '2.0', [503, none], '', '2.0'],
  ['RW2-S-19', 'fallen', '1.0', [503], '', '1.0'],
  ['RW2-S-18', 'trying', '2.0', [429], '', '2.0'],
  ['RW2-S-16', 'trying', '2.0', [401], '', '2.0'],
  ['RW2-S-16', 'trying', '2.0', [404], '', '2.0'],
  ['RW2-S-16', 'proved', '2.0', [422], '', '2.0'],
  ['section 6, after an hour', 'fallen for an hour', '2.0 up', [204, some], '', '2.0'],
  ['section 6, after an hour', 'fallen for an hour', '2.0 up', [204], '1.0', '1.0'],
  ['section 6, after an hour', 'fallen for an hour', '2.0 up', [204, none], '1.0', '1.0'],
  ['section 6, after an hour', 'fallen for an hour', '2.0 up', [415], '1.0', '1.0'],
  ['section 6, after an hour', 'fallen for an hour', '2.0 up', [400], '1.0', '1.0'],
  ['section 6, after an hour', 'fallen for an hour', '2.0 up', [400, some], '', '2.0'],
];

for (const [id, state, sent, reply, again, next] of rows) {
  const [status, written] = reply;
  const counts = written === undefined ? 'no counts' : written === none ? 'zeros' : 'counts';
  test(`${id}: ${state}, ${sent} -> ${status} with ${counts}: ${again === '' ? 'no other version' : again}, then ${next}`, () => {
    const negotiation = states[state]();
    const begun = negotiation.begin(now);
    assert.equal(brief(begun), sent);
    const heard = negotiation.hear(begun, versionWord(begun.version, status, written), now);
    assert.equal(heard.atOnce ? brief(heard.try) : '', again);
    negotiation.end(heard.try);
    assert.equal(brief(negotiation.begin(now + 1)), next);
  });
}

test('RW2-S-15: rows that 2.0 answered with 400 and 1.0 takes: the receiver is of 1.x', () => {
  const negotiation = new Negotiation('auto');
  const down = negotiation.hear(negotiation.begin(now), 'bad', now).try;
  assert.deepEqual(negotiation.hear(down, 'taken', now), { try: down, atOnce: false });
  assert.equal(negotiation.version, '1.0');
});

test('RW2-S-15: rows that are refused as both are at fault themselves, and their parts say nothing of the version', () => {
  const negotiation = new Negotiation('auto');
  const down = negotiation.hear(negotiation.begin(now), 'bad', now).try;
  const refused = negotiation.hear(down, 'bad', now);
  assert.equal(refused.atOnce, false);
  assert.equal(brief(negotiation.again(refused.try, 1, now)), '1.0 refused', 'its parts go as they do');
  negotiation.hear(refused.try, 'taken', now);
  assert.equal(negotiation.version, '2.0');
});

test('RW2-S-15: a receiver that refuses the rows as 2.0 and does not know 1.0 takes 2.0', () => {
  const negotiation = new Negotiation('auto');
  const down = negotiation.hear(negotiation.begin(now), 'bad', now).try;
  const heard = negotiation.hear(down, 'unsupported', now);
  assert.deepEqual([brief(heard.try), heard.atOnce], ['2.0', true]);
  assert.equal(negotiation.hear(heard.try, 'bad', now).atOnce, false, 'now 400 means bad data');
});

test('section 6: after an hour one request probes, the others stay with 1.0', () => {
  const negotiation = new Negotiation('auto', now - STAY_MS);
  const probe = negotiation.begin(now);
  assert.deepEqual([brief(probe), brief(negotiation.begin(now))], ['2.0 up', '1.0']);
  negotiation.end(probe);
  assert.equal(brief(negotiation.begin(now)), '2.0 up', 'one that came to no end is made up for');
});

test('section 6: it stays for an hour after each fallback, and not longer when the clock is set back', () => {
  const negotiation = new Negotiation('auto', now - STAY_MS);
  negotiation.hear(negotiation.begin(now), 'unsupported', now);
  assert.equal(brief(negotiation.begin(now + STAY_MS - 1)), '1.0');
  assert.equal(brief(negotiation.begin(now + STAY_MS)), '2.0 up');
  assert.equal(brief(new Negotiation('auto', now + 1000).begin(now)), '2.0 up');
});

test('section 6: a request that is tried again for long probes as well', () => {
  const negotiation = new Negotiation('auto', now);
  const held = negotiation.begin(now);
  assert.equal(brief(negotiation.again(held, 500, now + STAY_MS)), '2.0 up');
});

test('RW2-S-19: no answer to a probe leaves it in its version for a while; then 1.0 goes on, which is known to work', () => {
  const negotiation = new Negotiation('auto', now - STAY_MS);
  const probe = negotiation.begin(now);
  assert.equal(negotiation.again(probe, 1, now), probe);
  assert.equal(negotiation.again(probe, 2, now), probe);
  assert.equal(brief(negotiation.again(probe, 3, now)), '1.0');
  assert.equal(brief(negotiation.begin(now + 1)), '1.0');
});

test('a probe of a tenant that is set aside comes back a few times, and then 1.0 goes on', () => {
  const negotiation = new Negotiation('auto', now - STAY_MS);
  for (const attempts of [1, 2, 3]) {
    const probe = negotiation.begin(now);
    assert.equal(brief(probe), '2.0 up');
    negotiation.setAside(probe, attempts, now);
  }
  assert.equal(brief(negotiation.begin(now + 1)), '1.0');
});

test('RW2-S-19: without a version that works, 2.0 is kept however often nothing answers', () => {
  const negotiation = new Negotiation('auto');
  const sent = negotiation.begin(now);
  assert.equal(brief(negotiation.again(sent, 1000, now + 10 * STAY_MS)), '2.0');
});

test('section 6: an answer that was under way when another loop fell back does not take that back', () => {
  const negotiation = new Negotiation('auto');
  const sent = negotiation.begin(now);
  negotiation.hear(negotiation.begin(now), 'unsupported', now);
  negotiation.hear(sent, 'understood', now);
  assert.equal(negotiation.version, '1.0');
  assert.equal(brief(negotiation.hear(sent, 'bad', now).try), '1.0');
});

test('changes of version are told: a fallback with its time, 2.0 when it was 1.0 before', () => {
  const told: (number | undefined)[] = [];
  const negotiation = new Negotiation('auto', undefined, (ms) => told.push(ms));
  negotiation.hear(negotiation.begin(now), 'understood', now);
  assert.deepEqual(told, []);
  negotiation.hear(negotiation.begin(now), 'unsupported', now);
  const probe = negotiation.begin(now + STAY_MS);
  negotiation.hear(probe, 'understood', now + STAY_MS);
  assert.deepEqual(told, [now, undefined]);
});

for (const [setting, version] of [
  ['1.0', '1.0'],
  ['2.0', '2.0'],
] as [VersionSetting, string][]) {
  test(`RW2-S-21: ${setting} stays what it is, whatever is answered`, () => {
    const negotiation = new Negotiation(setting);
    for (const word of ['unsupported', 'bad', 'unwritten', 'taken', 'understood', 'silent'] as const) {
      const sent = negotiation.begin(now);
      assert.equal(brief(sent), version);
      assert.deepEqual(negotiation.hear(sent, word, now), { try: sent, atOnce: false });
    }
  });
}

test('RW2-S-11: a header that is missing counts as 0, none of them as no count', () => {
  assert.equal(writtenOf({ 'content-type': 'text/plain' }), undefined);
  const header = (kind: string) => `x-prometheus-remote-write-${kind}-written`;
  assert.deepEqual(writtenOf({ [header('samples')]: '7' }), { samples: 7, histograms: 0, exemplars: 0 });
  assert.deepEqual(
    writtenOf({ [header('samples')]: '', [header('histograms')]: ' 2 ', [header('exemplars')]: '-1' }),
    { samples: 0, histograms: 2, exemplars: 0 },
  );
});

test('RLY-12: what is missing is counted by kind, and a receiver that counts more than it got misses nothing', () => {
  assert.deepEqual(
    notWritten([5, 2, 1, 0], { samples: 3, histograms: 2, exemplars: 0 }),
    Uint32Array.of(2, 0, 1, 0),
  );
  assert.equal(notWritten([5, 2, 1, 0], { samples: 5, histograms: 9, exemplars: 1 }), undefined);
});
