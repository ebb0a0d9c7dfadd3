import type { WriteVersion } from '../protocol/kernel.ts';

/** What a write request says that it is, or why that is not taken. */
export type Negotiated =
  | { readonly accepted: true; readonly version: WriteVersion }
  /** To be answered with 415 (RW2-R-04). */
  | { readonly accepted: false; readonly message: string };

const V1 = 'prometheus.WriteRequest';
const V2 = 'io.prometheus.write.v2.Request';
const MEDIA_TYPE = 'application/x-protobuf';
/** What is taken, for whoever sent something else. */
const TAKEN =
  `send ${MEDIA_TYPE};proto=${V2} (remote write 2.0), or ` +
  `${MEDIA_TYPE};proto=${V1} or ${MEDIA_TYPE} alone (remote write 1.0), with Content-Encoding: snappy`;

/**
 * Decides by the headers alone what the body is (RW2-R-03): remote write 1.0 or 2.0 in snappy, or nothing that is
 * taken.
 *
 * A missing header means 1.0 and snappy (INT-01); names compare case-blind (INT-02); parameters are read as
 * RFC 9110 says, with blanks and quotes (INT-03).
 */
export function negotiate(contentType: string | undefined, contentEncoding: string | undefined): Negotiated {
  let version: WriteVersion = '1.0';
  if (contentType !== undefined && contentType !== '') {
    const { type, parameters } = parseMediaType(contentType);
    if (type !== MEDIA_TYPE) return refuse(`the Content-Type ${shown(contentType)}`);
    const message = parameters.get('proto') ?? V1;
    if (message === V2) version = '2.0';
    else if (message !== V1) return refuse(`the message ${shown(message)}`);
  }
  const encoding = contentEncoding?.trim().toLowerCase();
  if (encoding !== undefined && encoding !== '' && encoding !== 'snappy') {
    return refuse(`the Content-Encoding ${shown(contentEncoding!)}`);
  }
  return { accepted: true, version };
}

function refuse(what: string): Negotiated {
  return { accepted: false, message: `${what} is not taken; ${TAKEN}` };
}

function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/** A media type in lower case, with its parameters; names of parameters in lower case, values as they are. */
export function parseMediaType(text: string): { type: string; parameters: Map<string, string> } {
  const parameters = new Map<string, string>();
  const semicolon = text.indexOf(';');
  // As most requests of 1.0 say it, and each of them is asked.
  if (semicolon < 0) return { type: text.trim().toLowerCase(), parameters };
  const type = text.slice(0, semicolon).trim().toLowerCase();
  const pattern = /;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g;
  for (const [, name, quoted, plain] of text.matchAll(pattern)) {
    parameters.set(name!.toLowerCase(), quoted === undefined ? plain! : quoted.replace(/\\(.)/g, '$1'));
  }
  return { type, parameters };
}
