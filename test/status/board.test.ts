import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TICK_MS } from '../../src/status/board.ts';
import { Player, play, scenes } from '../page/scenes.ts';
import { quietBoard } from './quiet-board.ts';

test('an endpoint that comes after the start has rates and losses from its first seconds on', () => {
  let nowMs = 1_000_000;
  const players: Player[] = [];
  const board = quietBoard({
    now: () => nowMs,
    endpoints: () => players.map((player) => player.detail(nowMs)),
  });
  board.tick();
  players.push(new Player({ name: 'a', url: '', at: () => 'up', most: 1e6, refuses: 2 }));
  const seconds = (count: number): void => {
    for (let second = 0; second < count; second += TICK_MS / 1000) {
      nowMs += TICK_MS;
      players[0]!.step(second / 60, nowMs, 200);
      board.tick();
    }
  };
  seconds(2);
  const unseen = players[0]!.letters;
  seconds(2);
  const [first] = board.document().endpoints;
  assert.equal(first!.deliveredPerSecond, 98);
  assert.match(first!.says, /given up in the last minute: 4 samples/);
  seconds(8);
  const { deliveredPerSecond, lostPerSecond } = board.history().endpoints.a!;
  assert.deepEqual([deliveredPerSecond.length, lostPerSecond.length], [1, 1]);
  const before = board.document().lostLastHour;
  assert.equal(before, Math.round(10 * lostPerSecond[0]!));
  assert.ok(before >= 12);
  // The process stands still for a minute, and what is lost in it comes with one step.
  nowMs += 60_000;
  for (let i = 0; i < 30; i++) players[0]!.step(1, nowMs, 200);
  board.tick();
  assert.equal(board.document().lostLastHour, players[0]!.letters - unseen);
});

test('dead letters that came in the place of others are told by their own answer', () => {
  let nowMs = 1_000_000;
  const player = new Player({ name: 'a', url: '', at: () => 'up', most: 1e6 });
  const none = { purged: 0, maxRows: 0, maxAge: 0, failed: 0 };
  let [resent, cause, running] = [0, '400', false];
  const told = { endpoint: 'a', reason: 'rejected', letters: 1, oldestAtMs: 1, newestAtMs: 1 };
  const board = quietBoard({
    now: () => nowMs,
    endpoints: () => [player.detail(nowMs)],
    letters: () => [{ endpoint: 'a', letters: 1, resent, ...none }],
    letterCounts: () => [{ ...told, cause }],
    resend: () => ({ running, startedMs: 0, endedMs: null, total: 9, resent, refused: 0, says: '' }),
  });
  board.tick();
  const shown = () => board.document().endpoints[0]!.deadLetters.byReason.map((letters) => letters.cause);
  assert.deepEqual(shown(), ['400']);
  // Not over and over while they are being sent.
  [resent, cause, running] = [1, '422', true];
  nowMs += 5000;
  assert.deepEqual(shown(), ['400']);
  running = false;
  assert.deepEqual(shown(), ['422']);
});

test('the facts of an hour become sentences', () => {
  const said = Object.fromEntries(
    Object.entries(scenes).map(([name, scene]) => {
      const { status, endpoints } = play(scene).document();
      return [name, [status.says, ...endpoints.map(({ says }) => says)]];
    }),
  );
  assert.match(said.healthy!.join(' '), /^All is well.*Delivering: 2\d,\d+\/s delivered, 0\.3 s behind\.$/);
  assert.match(
    said.holding![2]!,
    /^Holding: 401 since 03:07 UTC, .* the disk lasts 3 d \d+ h at this rate\.$/,
  );
  assert.match(said.draining![2]!, /^Draining: caught up in about 1\d min; 17 min behind/);
  assert.match(said.poison!.join(' '), /1,39\d samples were given up in the last hour.*\(rejected, see/);
  assert.match(said.full![0]!, /^Writes are refused: the queue has 174 MiB of the 174 MiB/);
});
