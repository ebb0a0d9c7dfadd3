import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { projectDir } from './paths.ts';

const folder = join(projectDir, 'test', 'fixtures', 'tls');

/** The path of a file of `test/fixtures/tls`. */
export function tlsFile(name: string): string {
  return join(folder, name);
}

/** Options of a client that trusts the test authority, and comes with the certificate `name` if there is one. */
export function tlsClient(name?: string): RequestOptions {
  return {
    ca: readFileSync(tlsFile('ca.crt')),
    ...(name === undefined
      ? {}
      : { cert: readFileSync(tlsFile(`${name}.crt`)), key: readFileSync(tlsFile(`${name}.key`)) }),
  };
}

/** The value of an `Authorization` header. */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The common name in the certificate of the server. */
  readonly server: string | undefined;
}

/** Asks on a connection of its own, or on those of `options.agent`. Rejects when there is no answer. */
export function ask(url: string, options: RequestOptions = {}, body?: Uint8Array): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const make = url.startsWith('https:') ? httpsRequest : httpRequest;
    const asked = make(url, { agent: false, ...options }, (response) => {
      const { socket } = response;
      const certificate =
        'getPeerCertificate' in socket ? (socket as TLSSocket).getPeerCertificate() : undefined;
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: Buffer.concat(parts).toString(),
          server: [certificate?.subject?.CN].flat()[0],
        }),
      );
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
