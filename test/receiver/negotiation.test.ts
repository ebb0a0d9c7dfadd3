import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { negotiate, parseMediaType } from '../../src/receiver/negotiation.ts';

const v1 = 'application/x-protobuf;proto=prometheus.WriteRequest';
const v2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

describe('negotiate (RW2-R-01 to RW2-R-03)', () => {
  for (const [version, type, encoding, why] of [
    ['1.0', undefined, undefined, 'INT-01'],
    ['1.0', '', '', 'INT-01'],
    ['1.0', undefined, 'snappy', 'INT-01'],
    ['1.0', 'application/x-protobuf', undefined, 'INT-01'],
    ['1.0', 'application/x-protobuf', 'snappy', 'RW2-R-03'],
    ['1.0', v1, 'snappy', 'RW2-R-03'],
    ['2.0', v2, 'snappy', 'RW2-R-01, RW2-R-02, RW2-R-03'],
    ['2.0', v2, undefined, 'INT-01'],
    ['1.0', 'Application/X-PROTOBUF', 'SNAPPY', 'INT-02'],
    ['1.0', 'application/x-protobuf;Proto=prometheus.WriteRequest', ' Snappy ', 'INT-02'],
    ['2.0', v2.replace('x-protobuf', 'X-Protobuf'), 'Snappy', 'INT-02'],
    ['1.0', 'application/x-protobuf ; proto=prometheus.WriteRequest', 'snappy', 'INT-03'],
    ['1.0', 'application/x-protobuf;\tproto="prometheus.WriteRequest"', 'snappy', 'INT-03'],
    ['1.0', 'application/x-protobuf; proto="prometheus.\\WriteRequest"', 'snappy', 'INT-03'],
    ['1.0', 'application/x-protobuf;charset=utf-8; proto=prometheus.WriteRequest ;x=y', 'snappy', 'INT-03'],
    ['1.0', 'application/x-protobuf;note="; proto=io.prometheus.write.v2.Request"', 'snappy', 'INT-03'],
    ['1.0', 'application/x-protobuf;', 'snappy', 'INT-03'],
    ['2.0', v2.replace(';', ' ; '), 'snappy', 'INT-03'],
    ['2.0', v2.replace(/proto=(.*)/, 'PROTO="$1"'), 'snappy', 'INT-03'],
  ] as const) {
    it(`${why}: ${type} in ${encoding} is remote write ${version}`, () => {
      assert.deepEqual(negotiate(type, encoding), { accepted: true, version });
    });
  }

  for (const [type, encoding, says] of [
    ['application/x-protobuf;proto=prometheus.writerequest', 'snappy', /message prometheus\.writerequest/],
    ['application/x-protobuf;proto=io.prometheus.write.v3.Request', 'snappy', /write\.v3\.Request/],
    ['application/x-protobuf;proto=', 'snappy', /message {2}is not taken/],
    ['application/x-protobufs', 'snappy', /application\/x-protobufs/],
    ['application/json', 'snappy', /application\/json/],
    ['text/plain;x=application/x-protobuf', 'snappy', /text\/plain/],
    ['application/x-protobuf, text/plain', 'snappy', /text\/plain/],
    ['x'.repeat(5000), 'snappy', /x{100}\.\.\. is not taken/],
    [v1, 'zstd', /zstd/],
    [v2, 'zstd', /zstd/],
    [v1, 'gzip', /gzip/],
    [v1, 'snappy, gzip', /snappy, gzip/],
    [v1, 'x-snappy-framed', /x-snappy-framed/],
    [v1, 'identity', /identity/],
    [undefined, 'zstd', /zstd/],
  ] as const) {
    it(`RW2-R-04, INT-17: refuses ${type?.slice(0, 80)} in ${encoding}, names it and says what is taken`, () => {
      const answer = negotiate(type, encoding);
      assert.ok(!answer.accepted);
      assert.match(answer.message, says);
      for (const taken of [v1, v2, 'snappy']) assert.ok(answer.message.includes(taken), answer.message);
      assert.ok(answer.message.length < 500);
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
