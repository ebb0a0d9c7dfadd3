import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { AuthRefusal } from '../telemetry/reasons.ts';
import { answerEarly } from './early-answer.ts';

const texts: Readonly<Record<AuthRefusal, readonly [status: number, text: string]>> = {
  no_credentials: [401, 'credentials are needed here\n'],
  wrong_credentials: [401, 'these credentials are not known here\n'],
  no_access: [403, 'these credentials are not good for this\n'],
  other_site: [
    403,
    'a browser may change something here from the page of this agent alone; a proxy in front has to leave Host as it is\n',
  ],
  no_login: [403, 'from a browser nothing can be changed here without a login: set web_config_file\n'],
  busy: [503, 'too many passwords are being checked; send it again\n'],
};

/** Answers requests that are not let in: counted, and in the log, where the same is not said again and again. */
export class Refusals {
  readonly #logger: Logger;
  readonly #repetition: Repetition;
  readonly #onRefused: (reason: AuthRefusal) => void;

  constructor(logger: Logger, now: () => number, onRefused: (reason: AuthRefusal) => void) {
    this.#logger = logger;
    this.#repetition = new Repetition(now);
    this.#onRefused = onRefused;
  }

  /** `user` is whose credentials they are, where that is known; `more` goes beside the usual headers. */
  refuse(
    request: IncomingMessage,
    response: ServerResponse,
    reason: AuthRefusal,
    { path, user, more = {} }: { path: string; user?: string | undefined; more?: OutgoingHttpHeaders },
  ): void {
    this.#onRefused(reason);
    const [status, text] = texts[reason];
    answerEarly(request, response, status, more, text);
    const from = request.socket.remoteAddress ?? '';
    const before = this.#repetition.tell(`${reason} ${from}`);
    if (before === undefined) return;
    const { origin } = request.headers;
    // Not the name of a user who is not known: people type passwords there.
    this.#logger.log('warn', `a request was not let in: ${text.trimEnd()}`, {
      status,
      from,
      method: request.method ?? '',
      path,
      ...(origin === undefined ? {} : { origin }),
      ...(user === undefined ? {} : { user }),
      ...(before > 0 ? { repeated: before } : {}),
    });
  }
}
