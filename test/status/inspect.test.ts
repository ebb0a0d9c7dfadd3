import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compress } from 'snappyjs';
import {
  encodeWriteRequestV1,
  encodeWriteRequestV2,
  type Sparse,
  type WriteRequestV1,
  type WriteRequestV2,
} from '../../src/protocol/schema.ts';
import { inspectWriteRequest } from '../../src/status/inspect.ts';
import { loadCaptures, v1Captures, v2Captures } from '../support/captures.ts';
import { bitsOf, labels } from '../support/messages.ts';

/** What the lines say; the sizes of the first are left out. */
function inspect(body: Uint8Array, version?: '1.0' | '2.0'): unknown[] {
  const lines = [...inspectWriteRequest(body, version)];
  for (const line of lines) assert.ok(!line.includes('\n'));
  const [{ bytes, decodedBytes, ...head }, ...rest] = lines.map((line) => JSON.parse(line));
  assert.equal(bytes, body.length);
  assert.ok(decodedBytes >= 0);
  return [head, ...rest];
}

const inspectV1 = (request: Sparse<WriteRequestV1>) => inspect(compress(encodeWriteRequestV1(request)));
const inspectV2 = (request: Sparse<WriteRequestV2>) =>
  inspect(compress(encodeWriteRequestV2(request)), '2.0');

describe('inspectWriteRequest', () => {
  it('shows a 1.0 request in the order of the wire', () => {
    const lines = inspectV1({
      timeseries: [
        {
          labels: [...labels({ job: 'a', __name__: 'up' }), ...labels({ job: 'again' })],
          samples: [
            { timestamp: 1700000000000n, valueBits: 0x7ff0000000000002n },
            { timestamp: 2n ** 63n - 1n, valueBits: bitsOf(-0) },
          ],
          exemplars: [{ labels: labels({ trace: '1' }), timestamp: -1n, valueBits: bitsOf(1.5) }],
        },
        { labels: [] },
      ],
      metadata: [{ type: 1, metricFamilyName: 'up', help: 'h', unit: 'u' }, { type: 42 }],
    });
    assert.deepEqual(lines, [
      { version: '1.0', series: 2, samples: 2, histograms: 0, exemplars: 1, metadata: 2 },
      {
        labels: [
          ['job', 'a'],
          ['__name__', 'up'],
          ['job', 'again'],
        ],
        samples: [
          { timestampMs: 1700000000000, value: 'stale' },
          { timestampMs: '9223372036854775807', value: '-0' },
        ],
        exemplars: [{ timestampMs: -1, value: '1.5', labels: [['trace', '1']] }],
      },
      { labels: [] },
      { family: 'up', type: 'counter', help: 'h', unit: 'u' },
      { family: '', type: 42, help: '', unit: '' },
    ]);
  });

  it('shows histograms of every flavour', () => {
    const spans = [{ offset: -1, length: 2 }];
    const lines = inspectV1({
      timeseries: [
        {
          histograms: [
            {
              timestamp: 7n,
              countInt: 6n,
              sumBits: bitsOf(18.4),
              schema: 3,
              zeroThresholdBits: bitsOf(0.001),
              zeroCountInt: 1n,
              negativeSpans: spans,
              negativeDeltas: [1n, -(2n ** 63n)],
              positiveSpans: spans,
              positiveDeltas: [2n, 0n],
              resetHint: 2,
            },
            {
              countFloatBits: 0n,
              schema: -53,
              zeroCountFloatBits: bitsOf(0.5),
              negativeCountsBits: [bitsOf(0.25)],
              positiveCountsBits: [bitsOf(1.5), 0x7ff0000000000002n],
              customValuesBits: [bitsOf(1), bitsOf(Number.POSITIVE_INFINITY)],
              resetHint: 9,
            },
          ],
        },
      ],
    });
    assert.deepEqual(lines[1], {
      labels: [],
      histograms: [
        {
          timestampMs: 7,
          flavour: 'integer',
          count: '6',
          sum: '18.4',
          schema: 3,
          zeroThreshold: '0.001',
          zeroCount: '1',
          negativeSpans: spans,
          negativeDeltas: [1, '-9223372036854775808'],
          positiveSpans: spans,
          positiveDeltas: [2, 0],
          resetHint: 'no',
        },
        {
          timestampMs: 0,
          flavour: 'float',
          count: '0',
          sum: '0',
          schema: -53,
          zeroThreshold: '0',
          zeroCount: '0.5',
          negativeCounts: ['0.25'],
          positiveCounts: ['1.5', 'stale'],
          customValues: ['1', '+Inf'],
          resetHint: 9,
        },
      ],
    });
  });

  it('shows a 2.0 request with its symbols resolved, and references that lead nowhere', () => {
    const lines = inspectV2({
      symbols: ['', '__name__', 'up', 'helps', 's'],
      timeseries: [
        {
          labelsRefs: [1, 2],
          samples: [{ timestamp: 2n, startTimestamp: 1n, valueBits: bitsOf(1) }, { timestamp: 3n }],
          histograms: [{ timestamp: 5n, startTimestamp: 4n }],
          exemplars: [{ labelsRefs: [3, 4], timestamp: 6n }],
          metadata: { type: 2, helpRef: 3, unitRef: 4 },
          createdTimestamp: 9n,
        },
        { labelsRefs: [1, 7, 4], metadata: {} },
        {},
      ],
    });
    assert.deepEqual(lines, [
      { version: '2.0', series: 3, samples: 2, histograms: 1, exemplars: 1, symbols: 5 },
      {
        labels: [['__name__', 'up']],
        createdTimestampMs: 9,
        samples: [
          { timestampMs: 2, startTimestampMs: 1, value: '1' },
          { timestampMs: 3, value: '0' },
        ],
        histograms: [
          {
            timestampMs: 5,
            startTimestampMs: 4,
            flavour: 'integer',
            count: '0',
            sum: '0',
            schema: 0,
            zeroThreshold: '0',
            zeroCount: '0',
            resetHint: 'unknown',
          },
        ],
        exemplars: [{ timestampMs: 6, value: '0', labels: [['helps', 's']] }],
        metadata: { type: 'gauge', help: 'helps', unit: 's' },
      },
      {
        labels: [['__name__', '<symbol 7 is missing>'], ['s']],
        metadata: { type: 'unknown', help: '', unit: '' },
      },
      { labels: [] },
    ]);
  });

  it('counts in captures what is recorded', async () => {
    for (const folder of [...v1Captures, ...v2Captures]) {
      const isV2 = folder === 'prometheus-3.5-agent-rw2';
      for (const { name, body, holds } of await loadCaptures(folder)) {
        const [head, ...rest] = inspect(body, isV2 ? '2.0' : '1.0') as Record<string, unknown>[];
        for (const what of ['series', 'samples', 'histograms', 'exemplars', isV2 ? 'symbols' : 'metadata']) {
          assert.equal(head?.[what], holds[what], `${what} of ${name}`);
        }
        assert.equal(rest.length, holds.series! + holds.metadata!, name);
      }
    }
  });

  it('throws at the first line of what is no request', () => {
    assert.throws(() => inspect(Buffer.from('not snappy')), /Snappy/);
    assert.throws(() => inspect(compress(Buffer.from([0x0a, 0x05]))), { code: 'MALFORMED_MESSAGE' });
  });
});
