import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import type { JwtConfig } from '../config/oauth2.ts';
import { SpillwayError } from '../runtime/errors.ts';

/** The key that is to sign JWTs cannot be used now. A mounted one may still appear: try again. */
export class JwtKeyError extends SpillwayError {
  readonly code = 'JWT_KEY_UNUSABLE';
  override readonly retryable = true;
}

const hashes = { RS256: 'sha256', RS384: 'sha384', RS512: 'sha512' } as const;

/** A JWT is good for so long: enough for any difference of clocks, too short to be of use to a thief. */
const lifeSeconds = 600;

/**
 * The assertion that is handed in for a token (RFC 7523, 3), for `subject`, signed with RSA (RFC 7518, 3.3).
 * Throws `JwtKeyError` and `SecretError`.
 */
export async function signedAssertion(
  { key, keyId, algorithm, issuer, audience, claims }: JwtConfig,
  subject: string,
  scopes: readonly string[],
  nowMs: number,
): Promise<string> {
  const seconds = Math.floor(nowMs / 1000);
  const header = { alg: algorithm, typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) };
  const payload = {
    iss: issuer,
    sub: subject,
    jti: randomUUID(),
    aud: audience,
    iat: seconds,
    exp: seconds + lifeSeconds,
    ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
    ...claims,
  };
  const text = `${encoded(header)}.${encoded(payload)}`;
  const signature = sign(hashes[algorithm], Buffer.from(text), privateKey(await key.reveal()));
  return `${text}.${signature.toString('base64url')}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function privateKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new JwtKeyError(
      '`client_certificate_key` is not a private key (PEM, without a passphrase)',
      {},
      error,
    );
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new JwtKeyError(`\`client_certificate_key\` is not a key of RSA, but ${key.asymmetricKeyType}`);
  }
  return key;
}
