import type { IncomingMessage, ServerResponse } from 'node:http';

/** What answers the requests for a path. */
export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

/** Answers with JSON, in lines that can be read; `replacer` says how to write what JSON has no word for. */
export function answerJson(
  response: ServerResponse,
  status: number,
  value: object,
  replacer?: (key: string, value: unknown) => unknown,
): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json' })
    .end(`${JSON.stringify(value, replacer, 2)}\n`);
}

/** 405: what this path takes is `allow`. */
export function refuseMethod(
  { method = '' }: IncomingMessage,
  response: ServerResponse,
  allow: string,
): void {
  response.setHeader('Allow', allow);
  answerJson(response, 405, { error: `${method} is not known here` });
}
