/**
 * What a failed handshake means and what to do about it, in place of OpenSSL's own words, which name a line of its
 * source. For people only: what is done about a failure goes by its code (decisions.ts).
 */
import type { ClientTlsConfig, Pem } from '../config/client-tls.ts';

/** With whom, and by which settings. */
export interface TlsPeer {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly serverName?: string | undefined;
}

/** The peer at a URL that `tls_config` is for. */
export function peerOf(href: string, tls: ClientTlsConfig | undefined): TlsPeer {
  const fileOf = (pem: Pem<unknown> | undefined) =>
    pem !== undefined && 'file' in pem ? pem.file : undefined;
  return {
    origin: new URL(href).origin,
    caFile: fileOf(tls?.ca),
    certFile: fileOf(tls?.cert),
    serverName: tls?.serverName,
  };
}

type Explain = (peer: TlsPeer, said: string) => string;

const expired: Explain = ({ origin }) => `the certificate of ${origin} has expired: renew it there`;

const notYetValid: Explain = ({ origin }) =>
  `the certificate of ${origin} is not valid yet: compare the clocks of both machines`;

const selfSigned: Explain = ({ origin, caFile }) =>
  `${origin} has a self-signed certificate: ` +
  (caFile === undefined
    ? 'name a copy of it by `tls_config.ca_file`'
    : `it is not in \`tls_config.ca_file\` (${caFile}), put a copy of it there`);

const unknownAuthority: Explain = ({ origin, caFile }) =>
  `the certificate of ${origin} comes from an authority that is not known here: ` +
  (caFile === undefined
    ? 'name the certificate of that authority by `tls_config.ca_file`'
    : `its certificate is not in \`tls_config.ca_file\` (${caFile})`) +
  ', or have the receiver send the certificates in between';

const anotherName: Explain = ({ origin, serverName }, said) =>
  `the certificate of ${origin} is not for ` +
  (serverName === undefined ? 'the host of the URL' : `\`tls_config.server_name\` (${serverName})`) +
  `: take one of its own names in the URL, or as \`tls_config.server_name\`. ${said}`;

const noTls: Explain = ({ origin }) =>
  `${origin} does not speak TLS: if that is the right port, begin the URL with http://, or turn TLS on there`;

const noCommonVersion: Explain = ({ origin }) =>
  `${origin} and we have no version of TLS in common: see \`tls_config.min_version\` and \`max_version\``;

const noCommonProtocol: Explain = ({ origin }) =>
  `${origin} speaks no HTTP/1.1 on TLS: where it speaks HTTP/2, set \`enable_http2: true\``;

const clientCertificate: Explain = ({ origin, certFile }) =>
  certFile === undefined
    ? `${origin} wants a certificate of ours: name it by \`tls_config.cert_file\` and \`key_file\``
    : `${origin} does not accept our certificate, \`tls_config.cert_file\` (${certFile}): it has expired, or comes from ` +
      'an authority that is not known there';

const explanations: Readonly<Record<string, Explain>> = {
  CERT_HAS_EXPIRED: expired,
  CERT_NOT_YET_VALID: notYetValid,
  DEPTH_ZERO_SELF_SIGNED_CERT: selfSigned,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  ERR_TLS_CERT_ALTNAME_INVALID: anotherName,
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: noCommonVersion,
  ERR_SSL_UNSUPPORTED_PROTOCOL: noCommonVersion,
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: noCommonProtocol,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: clientCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: clientCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: clientCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: clientCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: clientCertificate,
};

/** The explanation of a failure with `code`, which is in it as well; undefined for one that is not about TLS. */
export function tlsWords(code: string, said: string, peer: TlsPeer): string | undefined {
  const explain = Object.hasOwn(explanations, code) ? explanations[code] : undefined;
  if (explain !== undefined) return `${explain(peer, said)} (${code})`;
  const reason = opensslReason(said);
  return reason && `the TLS handshake with ${peer.origin} failed: ${reason} (${code})`;
}

/** `alert handshake failure` of `...:error:0A000410:SSL routines:ssl3_read_bytes:alert handshake failure:../deps/...`. */
function opensslReason(said: string): string | undefined {
  return /:error:[0-9A-F]+:SSL routines:[^:]*:([^:]+)(?::|$)/.exec(said)?.[1];
}
