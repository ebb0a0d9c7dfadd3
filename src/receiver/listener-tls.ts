import type { ServerOptions as HttpsOptions, Server as HttpsServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { ListenerTls } from '../config/web-config.ts';

/** What node is told about client certificates; `clientRefusal` has the last word. */
function clientOptions({ clientAuthType }: ListenerTls): {
  requestCert: boolean;
  rejectUnauthorized: boolean;
} {
  return {
    requestCert: clientAuthType !== 'NoClientCert',
    // Then it is the handshake that fails, and the client is told why.
    rejectUnauthorized: clientAuthType === 'RequireAndVerifyClientCert',
  };
}

/** Options of an HTTPS server that starts with `tls`. */
export function tlsOptions(tls: ListenerTls): HttpsOptions {
  return { ...tls.context, ...clientOptions(tls) };
}

/**
 * Puts `tls` in force for the connections from now on. Sessions of before cannot be resumed: the keys of their
 * tickets belonged to the context before.
 */
export function putInForce(server: HttpsServer, tls: ListenerTls): void {
  server.setSecureContext(tls.context);
  // Node reads both for each connection, and has no method to set them. Should it cease to, connections are
  // refused by `clientRefusal`, and none comes in that should not.
  Object.assign(server, clientOptions(tls));
}

/** Whether whoever comes in by `a` comes in by `b`. */
export function asksTheSame(a: ListenerTls, b: ListenerTls): boolean {
  const asked = ({ context, clientAuthType, clientAllowedSans }: ListenerTls): unknown[] => [
    context.ca,
    clientAuthType,
    clientAllowedSans,
  ];
  return isDeepStrictEqual(asked(a), asked(b));
}

/** Why a connection whose handshake is done does not come in by its certificate; undefined when it does. */
export function clientRefusal(socket: TLSSocket, tls: ListenerTls): string | undefined {
  const { clientAuthType, clientAllowedSans } = tls;
  if (clientAuthType === 'NoClientCert' || clientAuthType === 'RequestClientCert') return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) {
    return clientAuthType === 'VerifyClientCertIfGiven' ? undefined : 'the client has no certificate';
  }
  if (clientAuthType !== 'RequireAnyClientCert' && !socket.authorized) {
    return `the certificate of the client cannot be verified: ${socket.authorizationError}`;
  }
  if (clientAllowedSans.length === 0) return undefined;
  const names = subjectAltNames(certificate.subjectAltName ?? '');
  return names.some((name) => clientAllowedSans.includes(name))
    ? undefined
    : 'the certificate of the client has none of the names in `client_allowed_sans`';
}

/**
 * The names in node's text of a subject alternative name, such as `DNS:a.example, IP Address:10.0.0.1`. A value
 * in which a comma or the like could be taken for another name comes quoted, as JSON.
 */
export function subjectAltNames(text: string): string[] {
  return [...text.matchAll(/(?:^|, )(?:DNS|IP Address|email|URI):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/g)].map(
    ([, value]) => (value!.startsWith('"') ? (JSON.parse(value!) as string) : value!),
  );
}
