import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeWriteRequestV1,
  decodeWriteRequestV2,
  encodeWriteRequestV1,
} from '../../src/protocol/schema.ts';
import { brokenRule, withoutInvalidHistograms } from '../reference/histogram-rules.ts';
import { Agent, remote } from '../support/agent.ts';
import { Arrivals } from '../support/arrivals.ts';
import { loadCaptures, v1Captures, v2Captures } from '../support/captures.ts';
import { inV1 } from '../support/messages-v2.ts';
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
      const invalid = message.timeseries.flatMap((one) => one.histograms).filter(brokenRule).length;
      sent.add(rowsOf(withoutInvalidHistograms(message)));
      for (const entry of metadataOf(message)) metadata.add(entry);
      const reply = await sender.post(body, headers);
      assert.equal(reply.status, invalid > 0 ? 400 : 204, name);
      if (invalid > 0) assert.match(reply.body, new RegExp(`^refused rows: ${invalid} invalid_histogram; `));
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
  test(`RLY-06: ${folder} is delivered over 1.0 bit for bit, in order per series, once`, async (t) => {
    const sink = await Sink.start(t);
    const agent = await Agent.start(t, { remote_write: [remote(sink.url)] });
    const sender = new Sender(t, agent.url);
    const sent = new Arrivals();
    for (const { name, raw, body, headers } of await loadCaptures(folder)) {
      const message = inV1(decodeWriteRequestV2(raw));
      const { timeseries } = message;
      sent.add(rowsOf(decodeWriteRequestV1(encodeWriteRequestV1(message))));
      const reply = await sender.post(body, headers);
      assert.equal(reply.status, 204, name);
      const written = ['samples', 'histograms', 'exemplars'].map((kind) =>
        Number(reply.headers[`x-prometheus-remote-write-${kind}-written`]),
      );
      const samples = timeseries.flatMap((one) => one.samples).length;
      const histograms = timeseries.flatMap((one) => one.histograms).length;
      assert.deepEqual(written, [samples, histograms, 0], name);
    }
    await sink.waitForRows([...sent.rows()]);
    assert.equal(await agent.terminate(), 0);
    assert.equal(sink.arrivals.count, sent.count);
    assert.deepEqual(sink.arrivals.sequences(), sent.sequences());
  });
}
