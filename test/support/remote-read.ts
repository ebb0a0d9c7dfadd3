import protobuf from 'protobufjs';
import { compress, uncompress } from 'snappyjs';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { type Row, rowsOf } from './rows.ts';

const headers = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf',
  'x-prometheus-remote-read-version': '0.1.0',
};

/**
 * What a Prometheus has of series with that label, bit by bit: the query API shows neither stale markers nor which
 * NaN a NaN is. By remote read, whose results are laid out as write requests are.
 */
export async function readRows(url: string, name: string, value: string): Promise<Row[]> {
  const request = new protobuf.Writer();
  const query = request.uint32(10).fork();
  query.uint32(8).int64(0).uint32(16).int64(Number.MAX_SAFE_INTEGER);
  // Of the type EQ, which is 0.
  query.uint32(26).fork().uint32(18).string(name).uint32(26).string(value).ldelim();
  query.ldelim();
  const response = await fetch(`${url}/api/v1/read`, {
    method: 'POST',
    headers,
    body: compress(request.finish()),
  });
  const body = new Uint8Array(await response.arrayBuffer());
  if (response.status !== 200)
    throw new Error(`remote read: ${response.status} ${new TextDecoder().decode(body)}`);
  const results = new protobuf.Reader(uncompress(body));
  const rows: Row[] = [];
  while (results.pos < results.len) {
    results.uint32();
    rows.push(...rowsOf(decodeWriteRequestV1(results.bytes())));
  }
  return rows;
}
