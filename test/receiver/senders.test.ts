import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { InFlightBytes, NoRoomError } from '../../src/receiver/body.ts';
import { Senders, senderOf, senderOfAddress } from '../../src/receiver/senders.ts';

const limits = { samplesPerSecond: 10, burstMs: 1000, inFlightBytes: 100 };

describe('Senders', () => {
  it('know a sender again, and hold each to its own share', () => {
    let now = 0;
    const all = new InFlightBytes(150);
    const senders = new Senders(limits, all, () => now);
    const a = senders.enter('a');
    senders.charge(a, 30);
    a.inFlight.take(90);
    senders.leave(a);
    assert.equal(senders.enter('a'), a);
    assert.equal(senders.waitMs(a), 2100);
    const b = senders.enter('b');
    assert.equal(senders.waitMs(b), 0);
    assert.throws(
      () => a.inFlight.take(11),
      (error) => error instanceof NoRoomError && error.key === 'per_sender.in_flight_bytes',
    );
    assert.throws(
      () => b.inFlight.take(61),
      (error) => error instanceof NoRoomError && error.key === 'max_in_flight_bytes',
    );
    b.inFlight.take(60);
    assert.equal(all.held, 150);
    a.inFlight.release(90);
    assert.equal(all.held, 60);
    now = 2100;
    assert.equal(senders.waitMs(a), 0);
  });

  it('are forgotten beyond ten thousand: never one with a request under way, nor one in debt before others', () => {
    const senders = new Senders(limits, new InFlightBytes(100), () => 0);
    const busy = senders.enter('busy');
    const indebted = senders.enter('indebted');
    senders.charge(indebted, 1000);
    senders.leave(indebted);
    for (let i = 0; i < 30_000; i++) senders.leave(senders.enter(`forged ${i}`));
    assert.equal(senders.size, 10_000);
    assert.equal(senders.enter('busy'), busy);
    assert.equal(senders.enter('indebted'), indebted);
  });
});

describe('who a sender is', () => {
  it('is its address, of IPv6 the first half', () => {
    for (const [address, name] of [
      ['10.1.2.3', '10.1.2.3'],
      ['::ffff:10.1.2.3', '10.1.2.3'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
      ['2001:db8::1', '2001:db8:0:0::/64'],
      ['2001:DB8:1::', '2001:db8:1:0::/64'],
      ['::1', '0:0:0:0::/64'],
      ['fe80::1%eth0', 'fe80:0:0:0::/64'],
      [undefined, 'unknown'],
    ] as const) {
      assert.equal(senderOfAddress(address), name);
    }
  });

  it('is what a configured header says, else the user, else the address', () => {
    const request = (headers: Record<string, string>): IncomingMessage =>
      ({ headers, socket: { remoteAddress: '10.1.2.3' } }) as unknown as IncomingMessage;
    assert.equal(senderOf(request({ 'x-scope-orgid': 'a' }), undefined), '10.1.2.3');
    assert.equal(senderOf(request({ 'x-scope-orgid': 'a' }), 'X-Scope-OrgID'), 'header a');
    assert.equal(senderOf(request({ 'x-scope-orgid': '' }), 'X-Scope-OrgID'), '10.1.2.3');
    assert.equal(senderOf(request({}), 'X-Scope-OrgID', 'bob'), 'user bob');
    assert.ok(senderOf(request({ a: 'x'.repeat(16_000) }), 'A').length < 300);
  });
});
