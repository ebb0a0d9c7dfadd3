import type { FixedAuth } from '../config/auth.ts';

/** The value of the `Authorization` header. Secrets in files are looked at each time, so they can be rotated. */
export async function authorizationOf(auth: FixedAuth): Promise<string> {
  if (auth.kind === 'token') return `${auth.type} ${await auth.credentials.reveal()}`;
  return basicAuthorization(await auth.username.reveal(), await auth.password.reveal());
}

/** The same, of a name and a password (RFC 7617). */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
