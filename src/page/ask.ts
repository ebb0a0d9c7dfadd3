/** The agent refuses, or does not answer: `message` is in words for people. */
export class AskError extends Error {}

/** Asks the agent at `path`, relative to the page. Rejects with `AskError`. */
export async function ask<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new AskError('the agent does not answer; whether it was done shows when it does');
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as T;
  let said = text.trim();
  try {
    said = (JSON.parse(text) as { readonly error?: string }).error ?? said;
  } catch {
    // A text, as the doors of the listener answer: it is shown as it is.
  }
  throw new AskError(said === '' ? `the agent answers ${response.status}` : said);
}

/** For people. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
