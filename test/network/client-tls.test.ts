import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { parseConfig } from '../../src/config/load.ts';
import { createDestination } from '../../src/network/create-destination.ts';
import type { Destination, Outcome } from '../../src/network/destination.ts';
import { tlsWords } from '../../src/network/tls-words.ts';
import { atEnd } from '../support/cleanup.ts';
import { tlsFile } from '../support/https.ts';
import { listenAnywhere } from '../support/ports.ts';
import { tempDir } from '../support/temp.ts';

const never = new AbortController().signal;
const body = Uint8Array.of(1, 2, 3);

interface Receiver {
  readonly port: number;
  /** The common name of the client at each request, and the name that it asked for. */
  readonly clients: [client: string | undefined, servername: unknown][];
}

async function receive(t: TestContext, certificate = 'server', more: TlsOptions = {}): Promise<Receiver> {
  const clients: Receiver['clients'] = [];
  const server = createServer(
    {
      cert: readFileSync(tlsFile(`${certificate}.crt`)),
      key: readFileSync(tlsFile(`${certificate}.key`)),
      ca: readFileSync(tlsFile('ca.crt')),
      requestCert: true,
      rejectUnauthorized: false,
      ...more,
    },
    (request, response) => {
      const socket = request.socket as TLSSocket & { servername?: unknown };
      clients.push([[socket.getPeerCertificate().subject?.CN].flat()[0], socket.servername]);
      request.resume();
      response.writeHead(204).end();
    },
  );
  const port = await listenAnywhere(server);
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return { port, clients };
}

function destination(t: TestContext, { port }: Receiver, tls: object, host = '127.0.0.1'): Destination {
  const remote_write = [{ url: `https://${host}:${port}/push`, tls_config: tls }];
  const config = parseConfig(JSON.stringify({ remote_write }), { file: 'test', baseDir: '/' });
  const created = createDestination(config.remoteWrite[0]!, 'spillway/9.9');
  atEnd(t, () => created.close());
  return created;
}

const ca_file = tlsFile('ca.crt');

/** The status, or the code of what went wrong. */
function outcome(result: Outcome): number | string {
  return result.kind === 'response' ? result.status : result.kind === 'network' ? result.code : result.kind;
}

test('the endpoint is verified: its root, its name, its version', async (t) => {
  const server = await receive(t);
  const elsewhere = await receive(t, 'elsewhere');
  const oldest = await receive(t, 'server', {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT:@SECLEVEL=0',
  });
  const newest = await receive(t, 'server', { minVersion: 'TLSv1.3' });
  for (const [at, tls, expected] of [
    [server, { min_version: 'TLS12' }, 'SELF_SIGNED_CERT_IN_CHAIN'],
    [server, { ca_file: tlsFile('other-ca.crt') }, 'SELF_SIGNED_CERT_IN_CHAIN'],
    [server, { ca_file }, 204],
    [server, { insecure_skip_verify: true }, 204],
    [server, { ca_file, server_name: 'localhost' }, 204],
    [server, { ca_file, server_name: '127.0.0.1' }, 204],
    [server, { ca_file, server_name: 'another.example' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    [server, { ca_file, server_name: '127.0.0.2' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    [elsewhere, { ca_file }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    [elsewhere, { ca_file, server_name: 'elsewhere.example' }, 204],
    [newest, { ca_file }, 204],
    [oldest, { ca_file }, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
    [oldest, { ca_file, min_version: 'TLS11' }, 204],
    [newest, { ca_file, max_version: 'TLS12' }, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
  ] as const) {
    const result = await destination(t, at, tls).post(body, 0, never);
    assert.equal(outcome(result), expected, JSON.stringify(tls));
  }
  assert.deepEqual(elsewhere.clients, [[undefined, 'elsewhere.example']]);
  // A host name in the URL is asked for by itself.
  assert.equal(outcome(await destination(t, server, { ca_file }, 'localhost').post(body, 0, never)), 204);
  assert.deepEqual(server.clients.at(-1), [undefined, 'localhost']);
});

test('our own certificate is shown, and another one as soon as the file has it', async (t) => {
  const server = await receive(t);
  const folder = await tempDir(t, 'certificates');
  const [cert_file, key_file] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  const become = async (name: string, ...parts: string[]): Promise<void> => {
    for (const part of parts)
      await writeFile(join(folder, `tls.${part}`), await readFile(tlsFile(`${name}.${part}`)));
  };
  const writer = destination(t, server, { ca_file, cert_file, key_file });
  const post = async (): Promise<number | string> => outcome(await writer.post(body, 0, never));

  assert.equal(await post(), 'NO_CREDENTIALS');
  await become('client', 'crt', 'key');
  assert.equal(await post(), 204);
  assert.equal(await post(), 204);
  // Half of a change: nothing is sent, and the rows are tried again.
  await become('renewed', 'crt');
  assert.equal(await post(), 'NO_CREDENTIALS');
  await become('renewed', 'key');
  assert.equal(await post(), 204);
  assert.deepEqual(
    server.clients.map(([client]) => client),
    ['Spillway test client', 'Spillway test client', 'Spillway test renewed'],
  );
});

test('what is wrong with a handshake is said in words that name the endpoint, the file and the next step', async (t) => {
  const server = await receive(t);
  const expired = await receive(t, 'expired');
  const newest = await receive(t, 'server', { minVersion: 'TLSv1.3' });
  const clear = createHttpServer((_request, response) => response.end());
  const clearPort = await listenAnywhere(clear);
  atEnd(t, () => void clear.close());
  const other = tlsFile('other-ca.crt');
  for (const [{ port }, tls, says] of [
    [
      expired,
      { ca_file, server_name: 'sender.example' },
      /has expired: renew it there \(CERT_HAS_EXPIRED\)$/,
    ],
    [server, {}, /an authority that is not known here: name .* `tls_config.ca_file`, .*\([A-Z_]+\)$/],
    [server, { ca_file: other }, / is not in `tls_config.ca_file` \(\S+other-ca\.crt\)/],
    [
      server,
      { ca_file, server_name: 'a.example' },
      /is not for `tls_config.server_name` \(a\.example\).*DNS:localhost/,
    ],
    [{ port: clearPort }, { ca_file }, /does not speak TLS: .*http:\/\/.* \(ERR_SSL_WRONG_VERSION_NUMBER\)$/],
    [newest, { ca_file, max_version: 'TLS12' }, /no version of TLS in common: see `tls_config.min_version`/],
  ] as const) {
    const result = await destination(t, { port, clients: [] }, tls).post(body, 0, never);
    assert.ok(result.kind === 'network', JSON.stringify(result));
    assert.match(result.words, says);
    assert.ok(result.words.includes(`https://127.0.0.1:${port}`), result.words);
    assert.doesNotMatch(result.words, /routines|deps\/openssl|\n/);
    assert.equal(result.maybeDelivered, false);
  }
  // These come or do not come: the endpoint may just as well have closed the connection.
  const required = 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED';
  const origin = 'https://a:1';
  assert.match(
    tlsWords(required, '', { origin })!,
    /wants a certificate of ours: name it by `tls_config.cert_file`/,
  );
  assert.match(
    tlsWords(required, '', { origin, certFile: 'c.crt' })!,
    /does not accept our certificate.*\(c\.crt\)/,
  );
  const alert =
    'write EPROTO 80FC:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:../deps/x.c:1:SSL alert';
  assert.equal(
    tlsWords('EPROTO', alert, { origin }),
    'the TLS handshake with https://a:1 failed: sslv3 alert handshake failure (EPROTO)',
  );
  assert.equal(tlsWords('ECONNREFUSED', 'connect ECONNREFUSED', { origin }), undefined);
});

test('a file of `tls_config` that cannot be used is named', async (t) => {
  const server = await receive(t);
  const folder = await tempDir(t, 'certificates');
  const junk = join(folder, 'junk');
  await writeFile(junk, 'junk');
  const [cert_file, key_file] = [tlsFile('client.crt'), tlsFile('client.key')];
  for (const [tls, says] of [
    [{ ca_file: junk }, /`tls_config.ca_file` \(\S+junk\) cannot be used as certificates/],
    [{ ca_file: `${junk}2` }, /`tls_config.ca_file` \(\S+junk2\) cannot be read: ENOENT/],
    [
      { ca_file, cert_file: junk, key_file },
      /`tls_config.cert_file` \(\S+junk\) cannot be used as certificates/,
    ],
    [
      { ca_file, cert_file, key_file: junk },
      /`tls_config.key_file` \(\S+junk\) cannot be used as a private key/,
    ],
    [
      { ca_file, cert_file, key_file: tlsFile('server.key') },
      /`tls_config.key_file` \(\S+server\.key\) is not the key of `tls_config.cert_file` \(\S+client\.crt\)/,
    ],
  ] as const) {
    const result = await destination(t, server, tls).post(body, 0, never);
    assert.ok(result.kind === 'network' && result.code === 'NO_CREDENTIALS', JSON.stringify(result));
    assert.match(result.words, says);
  }
  assert.deepEqual(server.clients, []);
});

test('certificates and keys as text', async (t) => {
  const server = await receive(t);
  const [ca, cert, key] = ['ca.crt', 'client.crt', 'client.key'].map((name) =>
    readFileSync(tlsFile(name), 'utf8'),
  );
  const writer = destination(t, server, { ca, cert, key });
  assert.equal(outcome(await writer.post(body, 0, never)), 204);
  assert.equal(outcome(await writer.post(body, 0, never)), 204);
  assert.deepEqual(
    server.clients.map(([client]) => client),
    ['Spillway test client', 'Spillway test client'],
  );
  const broken = await destination(t, server, { ca, cert, key: 's3cret' }).post(body, 0, never);
  assert.equal(outcome(broken), 'NO_CREDENTIALS');
  assert.doesNotMatch(JSON.stringify(broken), /s3cret/);
});

test('a server that insists on a certificate gets ours', async (t) => {
  const server = await receive(t, 'server', { rejectUnauthorized: true });
  // How it says no is its own business; with TLS 1.3 it comes after the handshake.
  assert.equal((await destination(t, server, { ca_file }).post(body, 0, never)).kind, 'network');
  const [cert_file, key_file] = [tlsFile('client.crt'), tlsFile('client.key')];
  const writer = destination(t, server, { ca_file, cert_file, key_file });
  assert.equal(outcome(await writer.post(body, 0, never)), 204);
});
