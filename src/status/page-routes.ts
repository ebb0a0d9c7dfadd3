import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { programFile } from '../runtime/program-files.ts';
import { type Handler, refuseMethod } from './answers.ts';

const files: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

/** All that the page may do: load what is ours. No script, style or connection of anybody else; no frame around it. */
const securityHeaders = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

/**
 * The status page: static files, made by `npm run build` (src/page/), read when they are first
 * asked for. `/` is the page for browsers, and `text` for curl. Paths in it are relative, so that it works behind a
 * proxy that puts it elsewhere.
 */
export function pageRoutes(text: string): [string, Handler][] {
  const cache = new Map<string, { readonly body: Buffer; readonly tag: string }>();
  const serve = (name: string, request: IncomingMessage, response: ServerResponse): void => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      refuseMethod(request, response, 'GET, HEAD');
      return;
    }
    let file = cache.get(name);
    if (file === undefined) {
      const body = readFileSync(programFile(`page/${name}`));
      file = { body, tag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"` };
      cache.set(name, file);
    }
    const headers = { ...securityHeaders, 'Cache-Control': 'no-cache', ETag: file.tag, Vary: 'Accept' };
    if (request.headers['if-none-match'] === file.tag) {
      response.writeHead(304, headers).end();
      return;
    }
    response
      .writeHead(200, { ...headers, 'Content-Type': files[name]!, 'Content-Length': file.body.length })
      .end(file.body);
  };
  return [
    [
      '/',
      (request, response) => {
        if (request.headers.accept?.includes('text/html') === true) {
          serve('index.html', request, response);
          return;
        }
        response
          .writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', Vary: 'Accept' })
          .end(`${text}\n`);
      },
    ],
    ...Object.keys(files)
      .filter((name) => name !== 'index.html')
      .map((name): [string, Handler] => [
        `/page/${name}`,
        (request, response) => serve(name, request, response),
      ]),
  ];
}
