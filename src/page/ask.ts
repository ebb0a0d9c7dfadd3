/** The agent refuses: `message` is in words for people. */
export class AskError extends Error {}

/** No answer came: whether it was done is not known. */
export class NoAnswerError extends AskError {}

/** It was done in part: `message` says how far, and why no further, in whole sentences. */
export class PartlyDoneError extends Error {}

/** Longer than anything takes that may be asked: an endpoint that is moved delivers first what it has read. */
const PATIENCE_MS = 120_000;

/** Asks the agent at `path`, relative to the page. Rejects with `AskError`. */
export async function ask<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<T> {
  const { ok, status, text } = await answerOf(path, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (ok) return JSON.parse(text) as T;
  // A proxy before the agent had no answer itself.
  if (status === 502 || status === 504) throw new NoAnswerError(`the agent does not answer (${status})`);
  let said = text.trim();
  try {
    said = (JSON.parse(text) as { readonly error?: string }).error ?? said;
  } catch {
    // A text, as the doors of the listener answer: it is shown as it is.
  }
  throw new AskError(said === '' ? `the agent answers ${status}` : said);
}

async function answerOf(
  path: string,
  init: RequestInit,
): Promise<{ readonly ok: boolean; readonly status: number; readonly text: string }> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const response = await fetch(path, { ...init, signal: patience.signal });
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch (cause) {
    const late = patience.signal.aborted ? ` within ${PATIENCE_MS / 1000} s` : '';
    throw new NoAnswerError(`the agent does not answer${late}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** For people. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
