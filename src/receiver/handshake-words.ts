import { describeError } from '../runtime/errors.ts';

/** What became of a handshake at our listener, by OpenSSL's code, and who has to do what. */
const explanations: Readonly<Record<string, string>> = {
  ERR_SSL_HTTP_REQUEST: 'the client speaks plain HTTP: its URL has to begin with https://',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the client does not speak TLS',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    'the client has no certificate, and `client_auth_type` wants one: set `cert_file` and `key_file` in its `tls_config`',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the client speaks no version of TLS from `min_version` to `max_version`',
  ERR_SSL_NO_SHARED_CIPHER: 'the client has no cipher in common with us',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA:
    'the client does not know the authority of our certificate: name its certificate by `ca_file` in its `tls_config`',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE:
    'the client does not accept our `cert_file`: it may be for another name, expired, or of an authority that the client does not know',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'our `cert_file` has expired: renew it',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    'the client does not accept our `cert_file`: it may be for another name, or of an authority that the client does not know',
};

/** For the log, beside the code; what OpenSSL says where there are no better words. */
export function handshakeWords(code: string, error: Error): string {
  return (Object.hasOwn(explanations, code) ? explanations[code] : undefined) ?? describeError(error).trim();
}
