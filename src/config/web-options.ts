/**
 * The table of the file that `web_config_file` names. Its shape is that of the web configuration file of
 * Prometheus (exporter-toolkit): one that works there works here, unless it has a key that is listed as
 * unsupported. What Prometheus does not have is said in `about`. The page in docs/ derives from this table.
 */
import type { Settings } from './rows.ts';

export const webOptions = {
  tls_server_config: {
    type: 'section',
    optional: true,
    about: 'TLS of the listener. Unset, it speaks plain HTTP; switching between the two takes a restart.',
    unsupported: [
      'cert',
      'key',
      'client_ca',
      'cipher_suites',
      'prefer_server_cipher_suites',
      'curve_preferences',
    ],
    options: {
      cert_file: {
        type: 'path',
        default: null,
        example: './server.crt',
        required: true,
        about: 'The certificate of the listener and those between it and its root, PEM.',
      },
      key_file: {
        type: 'path',
        default: null,
        example: './server.key',
        required: true,
        about: 'The private key of the certificate, PEM, without a passphrase.',
      },
      client_auth_type: {
        type: 'enum',
        values: [
          'NoClientCert',
          'RequestClientCert',
          'RequireAnyClientCert',
          'VerifyClientCertIfGiven',
          'RequireAndVerifyClientCert',
        ],
        default: 'NoClientCert',
        why: 'The default of Prometheus. Only `RequireAndVerifyClientCert` keeps anybody out.',
        about: 'What is asked of clients: whether they must have a certificate, and whether it is verified.',
      },
      client_ca_file: {
        type: 'path',
        default: null,
        example: './clients-ca.crt',
        why: 'Unset: no certificate of a client can be verified. Those of the system are never used for it.',
        about: 'The certificates that client certificates are verified against, PEM.',
      },
      client_allowed_sans: {
        type: 'texts',
        of: 'a name',
        about:
          'Unless empty, the certificate of a client must have one of these as a subject alternative name (DNS name, IP address, e-mail address or URI), to the letter.',
      },
      min_version: {
        type: 'enum',
        values: ['TLS12', 'TLS13'],
        default: 'TLS12',
        why: 'The default of Prometheus. Older versions are broken.',
        about: 'The lowest version of TLS that is spoken.',
      },
      max_version: {
        type: 'enum',
        values: ['TLS12', 'TLS13'],
        default: 'TLS13',
        why: 'The default of Prometheus.',
        about: 'The highest version of TLS that is spoken.',
      },
    },
  },
  basic_auth_users: {
    type: 'map',
    entries: 'user',
    about:
      'Who may come in with HTTP basic authentication: user names, and the bcrypt hashes of their passwords.',
  },
  user_access: {
    type: 'map',
    entries: 'access',
    about:
      'Not in Prometheus: what users of `basic_auth_users` may do. `write` is remote write and nothing else, `read` is looking at everything that changes nothing, `all` is both and the rest; who is not listed has `all`.',
  },
  bearer_tokens: {
    type: 'list',
    optional: true,
    sample: {},
    about: 'Not in Prometheus: who may come in with `Authorization: Bearer TOKEN`.',
    options: {
      name: {
        type: 'string',
        pattern: '^[a-zA-Z0-9_.-]{1,64}$',
        allowed: '1 to 64 letters, digits, `_`, `.` or `-`',
        default: null,
        example: 'scraper',
        required: true,
        about: 'What the holder is called in logs.',
      },
      token_file: {
        type: 'path',
        default: null,
        example: './token',
        about: 'A file with the token, read again when it changes. Excludes `token_sha256`.',
      },
      token_sha256: {
        type: 'string',
        pattern: '^[0-9a-fA-F]{64}$',
        allowed: '64 hexadecimal digits',
        hidden: true,
        default: null,
        example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        about:
          'The SHA-256 of the token in hexadecimal digits. That is as good as bcrypt for a token that is random and long, and only for such a one.',
      },
      access: {
        type: 'enum',
        values: ['write', 'read', 'all'],
        default: 'all',
        why: 'As for users.',
        about: 'What the holder may do, as in `user_access`.',
      },
    },
  },
  protect_probes: {
    type: 'boolean',
    default: false,
    why: 'Those who probe, such as a kubelet, have no credentials; the answers tell nothing else.',
    about: 'Not in Prometheus: whether `/-/healthy` and `/-/ready` need credentials too.',
  },
} as const;

/** Keys of Prometheus that the file may not have. */
export const webUnsupported = ['http_server_config', 'rate_limit'] as const;

/** What the file says, with defaults filled in; see `WebConfig` for what the program works with. */
export type WebSettings = Settings<typeof webOptions>;
