import { type BoardSources, StatusBoard } from '../../src/status/board.ts';

/** The board of an agent to which nothing has happened, but for what `more` says. */
export function quietBoard(more: Partial<BoardSources> = {}): StatusBoard {
  return new StatusBoard({
    version: '',
    now: Date.now,
    phase: () => 'running',
    receivedRows: () => 0,
    refusedRows: () => 0,
    queue: () => undefined,
    full: () => undefined,
    endpoints: () => [],
    parked: () => [],
    letters: () => [],
    letterCounts: () => [],
    resend: () => undefined,
    ...more,
  });
}
