/** The agent refuses: `message` is in words for people. */
export class AskError extends Error {}

/** No answer came: whether it was done is not known. */
export class NoAnswerError extends AskError {}

/** It was done in part: `message` says how far, and why no further, in whole sentences. */
export class PartlyDoneError extends Error {}

/** Asks the agent at `path`, relative to the page. Rejects with `AskError`. */
export async function ask<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<T> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch {
    throw new NoAnswerError('the agent does not answer');
  }
  if (response.ok) return JSON.parse(text) as T;
  let said = text.trim();
  try {
    said = (JSON.parse(text) as { readonly error?: string }).error ?? said;
  } catch {
    // A text, as the doors of the listener answer: it is shown as it is. Of a proxy before it these two say that it had
    // no answer itself.
    if (response.status === 502 || response.status === 504) {
      throw new NoAnswerError(`the agent does not answer (${response.status})`);
    }
  }
  throw new AskError(said === '' ? `the agent answers ${response.status}` : said);
}

/** For people. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
