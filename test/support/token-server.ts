import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { tlsFile } from './https.ts';
import { listenAnywhere } from './ports.ts';

/** A request for a token. */
export interface TokenRequest {
  /** `client:secret` of basic authentication, decoded; undefined for none. */
  readonly basic: string | undefined;
  readonly params: Readonly<Record<string, string>>;
}

export interface TokenAnswer {
  readonly status?: number;
  readonly type?: string;
  readonly body?: string;
  /** Never answers. */
  readonly hang?: boolean;
}

/** A real OAuth 2.0 token endpoint; by default its tokens are `token-1`, `token-2`, ... and live for an hour. */
export class TokenServer {
  readonly requests: TokenRequest[] = [];
  /** How many connections are open. */
  open = 0;
  script: (request: TokenRequest, index: number) => TokenAnswer | Promise<TokenAnswer> = () => ({});
  readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  static async start(t: TestContext, { tls = false } = {}): Promise<TokenServer> {
    const server: Server = tls
      ? createTlsServer({
          cert: readFileSync(tlsFile('server.crt')),
          key: readFileSync(tlsFile('server.key')),
        })
      : createServer();
    const port = await listenAnywhere(server);
    const tokens = new TokenServer(`${tls ? 'https' : 'http'}://127.0.0.1:${port}/oauth2/token`);
    server.on('connection', (socket) => {
      tokens.open++;
      socket.on('close', () => tokens.open--);
    });
    server.on('request', async (request, response) => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      const [, encoded] = /^Basic (.*)$/.exec(request.headers.authorization ?? '') ?? [];
      const basic = encoded && decodeURIComponent(Buffer.from(encoded, 'base64').toString());
      const asked = { basic, params: Object.fromEntries(new URLSearchParams(body)) };
      tokens.requests.push(asked);
      const index = tokens.requests.length;
      const { status = 200, type = 'application/json', body: text, hang } = await tokens.script(asked, index);
      if (hang) return;
      response.writeHead(status, { 'content-type': type });
      response.end(
        text ?? JSON.stringify({ access_token: `token-${index}`, token_type: 'bearer', expires_in: 3600 }),
      );
    });
    atEnd(t, () => {
      server.closeAllConnections();
      server.close();
    });
    return tokens;
  }
}
