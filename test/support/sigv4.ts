import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/**
 * What is wrong with the AWS Signature Version 4 of a request with `body`; undefined when it is right. Written from
 * AWS' description of it, apart from what signs.
 */
export function signatureFault(
  request: IncomingMessage,
  body: Uint8Array,
  secret: string,
): string | undefined {
  const { headers, method, url } = request;
  const [, key, scope, names, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  if (key === undefined || scope === undefined || names === undefined) return 'no signature';
  const { pathname, searchParams } = new URL(url!, 'http://any');
  const encode = (text: string): string =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const query = [...searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
  const hash = createHash('sha256').update(body).digest('hex');
  const canonical = [
    method,
    pathname.split('/').map(encode).join('/'),
    query.join('&'),
    ...names.split(';').map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    names,
    hash,
  ].join('\n');
  const text = [
    'AWS4-HMAC-SHA256',
    headers['x-amz-date'],
    scope,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  let signing: Uint8Array = Buffer.from(`AWS4${secret}`);
  for (const part of [...scope.split('/'), text])
    signing = createHmac('sha256', signing).update(part).digest();
  for (const name of ['host', 'content-type', 'content-encoding', 'x-amz-date']) {
    if (!names.split(';').includes(name)) return `${name} is not signed`;
  }
  return Buffer.from(signing).toString('hex') === signature ? undefined : 'the signature does not match';
}
