import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { Agent, remote } from '../support/agent.ts';
import { Arrivals } from '../support/arrivals.ts';
import { loadCaptures, v1Captures, v2Captures } from '../support/captures.ts';
import { type MetadataText, metadataOf, rowsOf } from '../support/rows.ts';
import { Sender } from '../support/sender.ts';
import { Sink } from '../support/sink.ts';

for (const folder of v1Captures) {
  test(`${folder} is delivered bit for bit, in order per series, once (RW1-S-04, -05, -07 to -11, RW1-R-02, RLY-04)`, async (t) => {
    const sink = await Sink.start(t);
    const agent = await Agent.start(t, {
      remote_write: [remote(sink.url, { metadata_config: { send: true } })],
    });
    const sender = new Sender(t, agent.url);

    const sent = new Arrivals();
    const metadata = new Set<MetadataText>();
    for (const { name, raw, body, headers } of await loadCaptures(folder)) {
      const message = decodeWriteRequestV1(raw);
      sent.add(rowsOf(message));
      for (const entry of metadataOf(message)) metadata.add(entry);
      assert.equal((await sender.post(body, headers)).status, 204, name);
    }
    await sink.waitForRows([...sent.rows()]);
    await sink.waitFor('all metadata', () => metadata.size === new Set(sink.metadata).size);
    assert.equal(await agent.terminate(), 0);

    // The captures hold no row twice, so the same count and the same sequences leave no room for another row.
    assert.equal(sent.duplicates, 0);
    assert.equal(sink.arrivals.count, sent.count);
    assert.deepEqual(sink.arrivals.sequences(), sent.sequences());
    assert.deepEqual(new Set(sink.metadata), metadata);
  });
}

for (const folder of v2Captures) {
  test(`${folder} is refused with 415, and nothing of it is delivered`, async (t) => {
    const sink = await Sink.start(t);
    const agent = await Agent.start(t, { remote_write: [remote(sink.url)] });
    const sender = new Sender(t, agent.url);
    for (const { name, body, headers } of await loadCaptures(folder)) {
      assert.equal((await sender.post(body, headers)).status, 415, name);
    }
    assert.equal(await agent.terminate(), 0);
    assert.equal(sink.requests.length, 0);
  });
}
