import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withinTime } from '../../src/status/within-time.ts';

const ms = 100;
const flag = new Int32Array(new SharedArrayBuffer(4));

/** Time passes, and this process has none of it: as on a machine that is busy with others. */
function wait(): void {
  Atomics.wait(flag, 0, 0, 60_000);
}

describe('an action with a time limit', () => {
  it('is begun anew when the process did not run in its time', () => {
    let turns = 0;
    const value = withinTime(ms, () => {
      turns++;
      if (turns < 3) wait();
      return 'done';
    });
    assert.deepEqual([value, turns], ['done', 3]);
  });

  it('is given up after some turns', () => {
    let turns = 0;
    const action = () => {
      turns++;
      wait();
    };
    assert.throws(() => withinTime(ms, action), { code: 'SELECTOR_TIMEOUT' });
    assert.equal(turns, 6);
  });

  it('is given up when it has had its time', () => {
    const started = process.cpuUsage();
    const cpuMs = () => {
      const { user, system } = process.cpuUsage(started);
      return (user + system) / 1000;
    };
    const begun: number[] = [];
    const action = () => {
      begun.push(cpuMs());
      for (;;);
    };
    assert.throws(() => withinTime(ms, action), { code: 'SELECTOR_TIMEOUT' });
    assert.ok(begun.at(-1)! < 2 * ms, `${begun} ms`);
  });

  it('throws what it throws', () => {
    const error = new TypeError('no');
    assert.throws(
      () =>
        withinTime(ms, () => {
          throw error;
        }),
      (thrown) => thrown === error,
    );
  });
});
