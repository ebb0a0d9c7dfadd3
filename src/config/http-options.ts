/**
 * The rows of the options table that say how an HTTP client talks to its server, in the words of Prometheus. Part
 * of the table in options.ts, in a file of its own because some of it comes again inside of itself (`oauth2`).
 */

const tlsConfig = {
  type: 'section',
  optional: true,
  about: 'TLS of `https:` URLs. Files are read again when they change.',
  unsupported: ['ca_ref', 'cert_ref', 'key_ref'],
  options: {
    ca: {
      type: 'string',
      hidden: true,
      default: null,
      example: '"-----BEGIN CERTIFICATE-----\\n..."',
      about: 'The same as `ca_file`, as text. Excludes it.',
    },
    ca_file: {
      type: 'path',
      default: null,
      example: './ca.crt',
      why: 'Unset: the roots that Node comes with.',
      about: 'The certificates that the certificate of the server is verified against, PEM.',
    },
    cert: {
      type: 'string',
      hidden: true,
      default: null,
      example: '"-----BEGIN CERTIFICATE-----\\n..."',
      about: 'The same as `cert_file`, as text. Excludes it.',
    },
    cert_file: {
      type: 'path',
      default: null,
      example: './client.crt',
      about: 'Our own certificate, PEM, for servers that ask for one. Needs a key: `key` or `key_file`.',
    },
    key: {
      type: 'secret',
      default: null,
      example: '"-----BEGIN PRIVATE KEY-----\\n..."',
      about: 'The same as `key_file`, as text. Excludes it.',
    },
    key_file: {
      type: 'path',
      default: null,
      example: './client.key',
      about: 'The private key of the certificate, PEM, without a passphrase.',
    },
    server_name: {
      type: 'string',
      pattern: '^[a-zA-Z0-9_.:-]{1,253}$',
      allowed: 'a host name or an IP address',
      default: null,
      example: 'mimir.example',
      why: 'Unset: the host of the URL.',
      about: 'The name that the certificate of the server must have.',
    },
    insecure_skip_verify: {
      type: 'boolean',
      default: false,
      why: 'The default of Prometheus.',
      about:
        'Whether to take any certificate. Whoever is between here and the server can then read everything, credentials too.',
    },
    min_version: {
      type: 'enum',
      values: ['TLS10', 'TLS11', 'TLS12', 'TLS13'],
      default: 'TLS12',
      why: 'The default of Prometheus. Older versions are broken.',
      about:
        'The lowest version of TLS that is spoken. Below `TLS12` the ciphers and signatures of that time are allowed too, also where a newer version is spoken.',
    },
    max_version: {
      type: 'enum',
      values: ['TLS10', 'TLS11', 'TLS12', 'TLS13'],
      default: 'TLS13',
      why: 'The default of Prometheus.',
      about: 'The highest version of TLS that is spoken.',
    },
  },
} as const;

const proxyOptions = {
  proxy_url: {
    type: 'proxy-url',
    default: null,
    example: 'http://proxy.example:3128',
    why: 'Unset: no proxy.',
    about:
      'The proxy to go through, an HTTP one: by a tunnel (CONNECT) to an `https:` URL, and with the whole URL in the request to an `http:` one; or a SOCKS 5 proxy (`socks5:`), which looks the name up. Userinfo in it goes to the proxy: as basic authentication, or as SOCKS has it.',
  },
  no_proxy: {
    type: 'string',
    default: null,
    example: 'localhost,10.0.0.0/8,.internal,mimir.example:9009',
    why: 'Unset: everything goes through the proxy.',
    about:
      'What is reached without `proxy_url`, as Go reads such a list: entries between commas, each an address, a CIDR range, a domain with those below it, `.domain` for only those below it, or `*`; addresses and domains perhaps with a port. With it, this machine itself is never reached through the proxy.',
  },
  proxy_from_environment: {
    type: 'boolean',
    default: false,
    why: 'The default of Prometheus.',
    about:
      'Whether the proxy is that of the environment: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in capitals or small letters, read at the start. Excludes `proxy_url` and `no_proxy`.',
  },
  proxy_connect_header: {
    type: 'named',
    entries: 'connect_header',
    each: { type: 'secrets', of: 'text', about: 'The values of a header.' },
    about: 'Headers that the proxy gets when it is asked for a tunnel: names, each with a list of values.',
  },
} as const;

export const httpOptions = {
  basic_auth: {
    type: 'section',
    optional: true,
    about:
      'Credentials for HTTP basic authentication. Give user name and password each as text or as a file. Excludes `authorization`.',
    unsupported: ['username_ref', 'password_ref'],
    options: {
      username: { type: 'secret', default: null, example: 'spillway', about: 'The user name.' },
      username_file: {
        type: 'path',
        default: null,
        example: './username',
        about: 'A file with the user name.',
      },
      password: { type: 'secret', default: null, example: 'change-me', about: 'The password.' },
      password_file: {
        type: 'path',
        default: null,
        example: './password',
        about: 'A file with the password, read again when it changes.',
      },
      password_env: {
        type: 'string',
        default: null,
        example: 'SPILLWAY_PASSWORD',
        about: 'A variable of the environment with the password, read at the start.',
      },
    },
  },
  authorization: {
    type: 'section',
    optional: true,
    about:
      'Credentials for the `Authorization` header. Give them as text or as a file. Excludes `basic_auth`.',
    unsupported: ['credentials_ref'],
    options: {
      type: {
        type: 'string',
        pattern: '^[a-zA-Z0-9_.-]+$',
        allowed: 'one word of letters, digits, `_`, `.` or `-`',
        hidden: true,
        default: 'Bearer',
        why: 'The default of Prometheus.',
        about: 'The authentication scheme.',
      },
      credentials: { type: 'secret', default: null, example: 'change-me', about: 'The credentials.' },
      credentials_file: {
        type: 'path',
        default: null,
        example: './token',
        about: 'A file with the credentials, read again when it changes.',
      },
      credentials_env: {
        type: 'string',
        default: null,
        example: 'SPILLWAY_TOKEN',
        about: 'A variable of the environment with the credentials, read at the start.',
      },
    },
  },
  oauth2: {
    type: 'section',
    optional: true,
    about:
      'A token from an OAuth 2.0 server, by the client credentials or the JWT bearer grant, for the `Authorization` header. It is kept until shortly before it expires, and replaced once when the endpoint answers 401. While there is none, nothing is sent and nothing is lost. Excludes the other ways to authenticate.',
    unsupported: ['client_secret_ref', 'client_certificate_key_ref'],
    options: {
      client_id: {
        type: 'string',
        default: null,
        example: 'spillway',
        required: true,
        about: 'Who we are for the OAuth 2.0 server.',
      },
      client_secret: {
        type: 'secret',
        default: null,
        example: 'change-me',
        about: 'The secret of the client.',
      },
      client_secret_file: {
        type: 'path',
        default: null,
        example: './client-secret',
        about: 'A file with the secret of the client, read again when it changes.',
      },
      token_url: {
        type: 'http-url',
        default: null,
        example: 'https://login.example/oauth2/token',
        required: true,
        about: 'Where tokens are had.',
      },
      grant_type: {
        type: 'enum',
        values: ['client_credentials', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
        default: 'client_credentials',
        why: 'The default of Prometheus.',
        about:
          'How the token is asked for: with the secret of the client, or with a JWT that is signed for it here (RFC 7523, 2.1).',
      },
      client_certificate_key: {
        type: 'secret',
        default: null,
        example: '"-----BEGIN PRIVATE KEY-----\\n..."',
        about: 'The private RSA key that signs the JWT, PEM.',
      },
      client_certificate_key_file: {
        type: 'path',
        default: null,
        example: './jwt.key',
        about: 'A file with that key, read again when it changes.',
      },
      client_certificate_key_id: {
        type: 'string',
        default: null,
        example: 'key-1',
        about: 'Which key it is, for the head of the JWT (`kid`).',
      },
      signature_algorithm: {
        type: 'enum',
        values: ['RS256', 'RS384', 'RS512'],
        default: 'RS256',
        why: 'The default of Prometheus.',
        about: 'How the JWT is signed.',
      },
      iss: {
        type: 'string',
        default: null,
        example: 'spillway',
        why: 'Unset: `client_id`.',
        about: 'Who the JWT is from.',
      },
      audience: {
        type: 'string',
        default: null,
        example: 'https://login.example',
        why: 'Unset: `token_url`.',
        about: 'Who the JWT is for.',
      },
      claims: { type: 'map', entries: 'param', about: 'More claims of the JWT, as texts.' },
      scopes: { type: 'texts', of: 'a scope', about: 'What the token is to be good for.' },
      endpoint_params: {
        type: 'map',
        entries: 'param',
        about: 'More parameters for the request of a token, for example `audience`.',
      },
      tls_config: tlsConfig as typeof tlsConfig,
      proxy_url: proxyOptions.proxy_url as typeof proxyOptions.proxy_url,
      no_proxy: proxyOptions.no_proxy as typeof proxyOptions.no_proxy,
      proxy_from_environment:
        proxyOptions.proxy_from_environment as typeof proxyOptions.proxy_from_environment,
      proxy_connect_header: proxyOptions.proxy_connect_header as typeof proxyOptions.proxy_connect_header,
    },
  },
  tls_config: tlsConfig as typeof tlsConfig,
  proxy_url: proxyOptions.proxy_url as typeof proxyOptions.proxy_url,
  no_proxy: proxyOptions.no_proxy as typeof proxyOptions.no_proxy,
  proxy_from_environment: proxyOptions.proxy_from_environment as typeof proxyOptions.proxy_from_environment,
  proxy_connect_header: proxyOptions.proxy_connect_header as typeof proxyOptions.proxy_connect_header,
  bearer_token: {
    type: 'secret',
    default: null,
    example: 'change-me',
    about: 'The old name that Prometheus has for `credentials` of `authorization`. Excludes it.',
  },
  bearer_token_file: {
    type: 'path',
    default: null,
    example: './token',
    about: 'The old name that Prometheus has for `credentials_file` of `authorization`. Excludes it.',
  },
  follow_redirects: {
    type: 'boolean',
    default: true,
    why: 'The default of Prometheus, so that its files can be moved over.',
    about:
      'Taken, and without effect: a redirect is never followed, so that neither data nor credentials go where nobody sent them. It holds the endpoint, and the log says where it points to: give that as `url`.',
  },
  enable_http2: {
    type: 'boolean',
    default: false,
    why: 'The default of Prometheus 3 for remote write: loops of their own connections fill a link better than streams of one.',
    about:
      'Whether to speak HTTP/2 to an `https:` URL, when the server agrees (ALPN), and HTTP/1.1 when it does not. All loops then share one connection, or as many as the server wants for their number; each request has a stream to itself, which ends alone when it times out. Without effect for an `http:` URL.',
  },
  round_robin_dns: {
    type: 'boolean',
    default: false,
    why: 'The default of Prometheus.',
    about:
      'Whether a new connection goes to any of the addresses of the host, and not to the first one. Where it does not answer the next one is tried.',
  },
  http_headers: {
    type: 'named',
    entries: 'header',
    each: {
      type: 'section',
      about: 'The values of a header.',
      options: {
        values: { type: 'texts', of: 'text', about: 'Values.' },
        secrets: { type: 'secrets', of: 'text', about: 'Values that are secret.' },
        files: { type: 'paths', of: 'a path', about: 'Files with a value each.' },
      },
    },
    about:
      'Headers that are added to each request, beside those of `headers`: names, each with a section of `values`, `secrets` and `files` (lists). Files are read again when they change. The headers of the protocol cannot be set.',
  },
} as const;
