import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { negotiate, parseMediaType } from '../../src/receiver/negotiation.ts';

const v1 = 'application/x-protobuf;proto=prometheus.WriteRequest';
const v2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

describe('negotiate', () => {
  for (const [type, encoding] of [
    // INT-01
    [undefined, undefined],
    ['', ''],
    [undefined, 'snappy'],
    ['application/x-protobuf', undefined],
    ['application/x-protobuf', 'snappy'],
    [v1, 'snappy'],
    // INT-02
    ['Application/X-PROTOBUF', 'SNAPPY'],
    ['application/x-protobuf;Proto=prometheus.WriteRequest', ' Snappy '],
    // INT-03
    ['application/x-protobuf ; proto=prometheus.WriteRequest', 'snappy'],
    ['application/x-protobuf;\tproto="prometheus.WriteRequest"', 'snappy'],
    ['application/x-protobuf; proto="prometheus.\\WriteRequest"', 'snappy'],
    ['application/x-protobuf;charset=utf-8; proto=prometheus.WriteRequest ;x=y', 'snappy'],
    ['application/x-protobuf;note="; proto=io.prometheus.write.v2.Request"', 'snappy'],
    ['application/x-protobuf;', 'snappy'],
  ] as const) {
    it(`takes ${type} in ${encoding}`, () => {
      assert.deepEqual(negotiate(type, encoding), { accepted: true });
    });
  }

  for (const [type, encoding, says] of [
    [v2, 'snappy', /2\.0/],
    [v2.replace(';', ' ; '), 'snappy', /2\.0/],
    [v2.replace(/proto=(.*)/, 'PROTO="$1"'), 'snappy', /2\.0/],
    [v2.replace('x-protobuf', 'X-Protobuf'), 'snappy', /2\.0/],
    ['application/x-protobuf;proto=prometheus.writerequest', 'snappy', /prometheus\.writerequest/],
    ['application/x-protobuf;proto=', 'snappy', /unknown/],
    ['application/x-protobufs', 'snappy', /application\/x-protobufs/],
    ['application/json', 'snappy', /application\/json/],
    ['text/plain;x=application/x-protobuf', 'snappy', /text\/plain/],
    ['application/x-protobuf, text/plain', 'snappy', /text\/plain/],
    [v1, 'zstd', /zstd/],
    [v1, 'gzip', /gzip/],
    [v1, 'snappy, gzip', /snappy, gzip/],
    [v1, 'x-snappy-framed', /x-snappy-framed/],
    [v1, 'identity', /identity/],
    [undefined, 'zstd', /zstd/],
  ] as const) {
    it(`refuses ${type} in ${encoding}, and names it (RW2-R-04)`, () => {
      const answer = negotiate(type, encoding);
      assert.ok(!answer.accepted);
      assert.match(answer.message, says);
      assert.ok(answer.message.length < 300);
    });
  }
});

describe('parseMediaType', () => {
  it('reads types and parameters as RFC 9110 says', () => {
    for (const [text, type, parameters] of [
      ['A/B', 'a/b', {}],
      [' a/b ;c=d', 'a/b', { c: 'd' }],
      ['a/b;C=D; e="f;g=\\"h\\\\"', 'a/b', { c: 'D', e: 'f;g="h\\' }],
      ['a/b;;c=d;', 'a/b', { c: 'd' }],
      ['', '', {}],
    ] as const) {
      const parsed = parseMediaType(text);
      assert.deepEqual([parsed.type, Object.fromEntries(parsed.parameters)], [type, parameters], text);
    }
  });
});
