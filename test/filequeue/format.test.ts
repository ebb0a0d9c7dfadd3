import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode } from '@msgpack/msgpack';
import { decodeHistogramV1 } from '../../src/protocol/schema.ts';
import { BodyOpener, decodeFrameHead } from '../../src/serialization/frame.ts';
import { FRAME, HEADER, RECORD_HEAD, recordAt } from '../../src/serialization/record.ts';
import { seriesHash } from '../reference/series-hash.ts';
import type { Message } from '../support/messages.ts';
import { projectDir } from '../support/paths.ts';
import { metadataOf, seriesKey } from '../support/rows.ts';
import { tempDir } from '../support/temp.ts';
import { type GoldenRow, type GoldenSegment, type Labels, readFormat } from './format-reader.ts';
import { type Golden, goldenDir, goldens, writeGolden } from './golden.ts';
import { readSegment, rowTexts } from './read-back.ts';

test('every golden folder has its definition, and every definition its folder', () => {
  assert.deepEqual(readdirSync(goldenDir).sort(), goldens.map(({ name }) => name).sort());
});

for (const golden of goldens) {
  const { name } = golden;

  test(`${name} is read from the document alone, with msgpack, CRC-32 and snappy`, () => {
    const read = Object.keys(expected(golden)).map((file) => [
      file,
      readFormat(content(golden, file), Number.parseInt(file, 10)),
    ]);
    assert.deepEqual(Object.fromEntries(read), expected(golden));
  });

  test(`${name} is read as it always was`, () => {
    for (const [file, { header, frames, rows, end }] of Object.entries(expected(golden))) {
      const read = readSegment(join(goldenDir, name, file));
      assert.deepEqual(read.rows, rows.map(textOf));
      assert.deepEqual(read.frames, frames);
      assert.deepEqual([read.lost, read.damage, read.ended], [0, [], true]);
      assert.deepEqual(read.counts, end!.counts);
      const { segment, codec, created, previous } = header;
      assert.deepEqual(read.header, { segment, codec, createdMs: created, previous: previous ?? undefined });
    }
  });

  test(`${name} is written as it always was`, async (t) => {
    const dir = await tempDir(t, 'golden');
    await writeGolden(golden, dir);
    const files = readdirSync(dir).filter((file) => file.endsWith('.committed'));
    assert.deepEqual(files, Object.keys(expected(golden)));
    for (const file of files) {
      const [now, then] = [readFileSync(join(dir, file)), content(golden, file)];
      // A compressor may become better; what it compresses stays the same.
      if (golden.codec === 'none') assert.equal(now.toString('hex'), then.toString('hex'));
      else
        assert.deepEqual(unpacked(now, Number.parseInt(file, 10)), unpacked(then, Number.parseInt(file, 10)));
    }
  });

  test(`${name}: the hash of each series is that of its tenant and its labels`, () => {
    for (const { rows } of Object.values(expected(golden))) {
      for (const { series } of rows) {
        if (series === null) continue;
        const pairs = series.labels.map(([name, value]) => ({ name, value }));
        const [lo, hi] = seriesHash(pairs, series.tenant);
        const bytes = Buffer.alloc(8);
        bytes.writeUInt32LE(lo, 0);
        bytes.writeUInt32LE(hi, 4);
        assert.equal(series.hash, bytes.toString('hex'), seriesKey(toLabels(series.labels)));
      }
    }
  });
}

test('the golden files hold what the format can say', () => {
  const all = Object.values(expected(goldens[1]!)).flatMap(({ rows }) => rows);
  for (const kind of ['sample', 'histogram', 'exemplar', 'metadata']) {
    assert.ok(all.filter((row) => row.kind === kind).length > 1, kind);
  }
  assert.ok(all.some((row) => row.kind === 'metadata' && row.series !== null));
  assert.ok(all.some((row) => row.kind === 'metadata' && row.series === null));
  assert.deepEqual(expected(goldens[1]!), withoutSizes(expected(goldens[2]!)));
});

test('the worked example of the document is a golden file, byte for byte', () => {
  const document = readFileSync(join(projectDir, 'docs/format.md'), 'utf8');
  const example = document.slice(document.indexOf('## A worked example'));
  // A line of the listing is the offset, two spaces or more, bytes, two spaces or more, words.
  const lines = [...example.matchAll(/^ {4}([0-9a-f]{3}) {2,}((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: {2,}|$)/gm)];
  let hex = '';
  for (const [, offset, bytes] of lines) {
    assert.equal(Number.parseInt(offset!, 16), hex.length / 2, `the line at ${offset}`);
    hex += bytes!.replaceAll(' ', '');
  }
  assert.equal(hex, content(goldens[0]!, '00000000000000000001.committed').toString('hex'));
});

function expected(golden: Golden): Record<string, GoldenSegment> {
  const file = join(goldenDir, golden.name, 'rows.json');
  assert.ok(existsSync(file), `${file} is missing: write-golden.js writes it`);
  return JSON.parse(readFileSync(file, 'utf8'));
}

function content(golden: Golden, file: string): Buffer {
  return readFileSync(join(goldenDir, golden.name, file));
}

/** The segments of the snappy twin as the plain one has them, whose frames are larger. */
function withoutSizes(segments: Record<string, GoldenSegment>): Record<string, GoldenSegment> {
  const plain = expected(goldens[1]!);
  return Object.fromEntries(
    Object.entries(segments).map(([file, segment]) => {
      assert.equal(segment.header.codec, 'snappy');
      const { codec, previous } = plain[file]!.header;
      return [file, { ...segment, header: { ...segment.header, codec, previous } }];
    }),
  );
}

/** The records of a file, frames without their codec. */
function unpacked(bytes: Buffer, segment: number): unknown[] {
  const records: unknown[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = recordAt(bytes, at, { segment, salt: undefined }, 0);
    assert.ok(typeof found === 'object');
    const payload = bytes.subarray(at + RECORD_HEAD, found.end);
    if (found.type === FRAME) {
      const head = decodeFrameHead(payload);
      records.push({ ...head, body: new BodyOpener().open(head, 'snappy') });
    } else if (found.type === HEADER) {
      // It says where the segment before ends, which moves with the compressor.
      const header = decode(payload) as GoldenSegment['header'] & { previous: { segment: number } | null };
      records.push({ ...header, previous: header.previous?.segment });
    } else records.push(payload.toString('hex'));
    at = found.end;
  }
  return records;
}

/** A row as readSegment writes it. */
function textOf(row: GoldenRow): string {
  if (row.kind === 'metadata') {
    const { type, family: metricFamilyName, help, unit, series } = row;
    const text = metadataOf({ timeseries: [], metadata: [{ type, metricFamilyName, help, unit }] })[0]!;
    return series === null ? text : `${text} of ${seriesKey(toLabels(series.labels))}`;
  }
  const timestamp = BigInt(row.time);
  const labels = toLabels(row.series.labels);
  let message: Message;
  if (row.kind === 'sample') {
    message = { timeseries: [{ labels, samples: [{ timestamp, valueBits: BigInt(`0x${row.value}`) }] }] };
  } else if (row.kind === 'histogram') {
    const fields = decodeHistogramV1(Buffer.from(row.bytes, 'hex'));
    message = { timeseries: [{ labels, histograms: [{ ...fields, timestamp }] }] };
  } else {
    const valueBits = BigInt(`0x${row.value}`);
    message = {
      timeseries: [{ labels, exemplars: [{ labels: toLabels(row.labels), valueBits, timestamp }] }],
    };
  }
  return rowTexts(message)[0]!;
}

function toLabels(labels: Labels): { name: string; value: string }[] {
  return labels.map(([name, value]) => ({ name, value }));
}
