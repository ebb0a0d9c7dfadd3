import type { Config } from '../config/load.ts';
import { wait } from '../runtime/wait.ts';
import { AgentClient, agentUrl } from './agent-client.ts';
import { type Paint, paintFor } from './colour.ts';
import { CommandError } from './errors.ts';
import { type Answers, isWell, statusView } from './status-view.ts';
import { cutTo } from './text.ts';

export interface StatusCommandOptions {
  readonly config: Config;
  readonly url: string | undefined;
  readonly httpConfig: string | undefined;
  readonly json: boolean;
  /** Say it once, also on a terminal. */
  readonly once: boolean;
  /** Ends the live view. */
  readonly signal: AbortSignal;
}

/** Where it is shown: standard output, in real life. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const EVERY_MS = 1000;
/** Numbers of a live view that are older than this are no numbers of now. */
const LIVE_ANSWER_MS = 5000;

/**
 * `spillway status`: on a terminal a live view, until the signal; elsewhere, with `once` or `json`, the state of this
 * moment. Returns the exit code: 0 when writes are taken and no endpoint fails, else 1. Throws `CommandError`.
 */
export async function statusCommand(options: StatusCommandOptions, screen: Screen): Promise<number> {
  const client = new AgentClient(
    options.url ?? agentUrl(options.config),
    options.httpConfig,
    '',
    options.signal,
  );
  const paint = paintFor(screen);
  const view = (answers: Answers): string[] => statusView(answers, paint, columnsOf(screen));
  if (options.json || options.once || screen.isTTY !== true) {
    const answers = await ask(client);
    if (options.json)
      screen.write(`${JSON.stringify({ ...answers.status, ready: answers.notReady === undefined })}\n`);
    else screen.write(view(answers).join(''));
    return isWell(answers) ? 0 : 1;
  }
  return live(client, screen, paint, view, options.signal);
}

/** Draws the view over itself. An agent that does not answer may be starting again: that is said, and asked again. */
async function live(
  client: AgentClient,
  screen: Screen,
  paint: Paint,
  view: (answers: Answers) => string[],
  signal: AbortSignal,
): Promise<number> {
  let drawn = 0;
  let well = false;
  while (!signal.aborted) {
    let lines: string[];
    try {
      const answers = await ask(client, LIVE_ANSWER_MS);
      well = isWell(answers);
      lines = view(answers);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (signal.aborted) break;
      // At first it is a wrong address, in all likelihood.
      if (drawn === 0) throw error;
      well = false;
      lines = [`${paint('no answer', 'red')}: ${error.message}\n`];
    }
    lines.push(`${new Date().toLocaleTimeString('en-GB')}  Ctrl-C ends this view, not the agent\n`);
    // What does not fit would scroll or take two rows, and the next view would not stand over it.
    const shown = lines.slice(0, (screen.rows || 24) - 1).map((line) => cutTo(columnsOf(screen), line));
    screen.write(`${drawn > 0 ? `\u001b[${drawn}A` : ''}\u001b[J${shown.join('')}`);
    drawn = shown.length;
    await wait(EVERY_MS, signal);
  }
  return well ? 0 : 1;
}

/** A terminal that does not know how wide it is says 0. */
function columnsOf(screen: Screen): number {
  return screen.columns || 100;
}

async function ask(client: AgentClient, answerMs?: number): Promise<Answers> {
  const get = async (path: string): Promise<unknown> => {
    const { status, text } = await client.ask('GET', path, undefined, answerMs);
    if (status === 200) return JSON.parse(text);
    throw new CommandError(`the agent refuses ${path} (${status}): ${text.trim()}`);
  };
  const ready = await client.ask('GET', '/-/ready', undefined, answerMs);
  const status = (await get('/api/v1/status')) as Answers['status'];
  return {
    base: client.base,
    status,
    notReady: ready.status === 200 ? undefined : ready.text.trim(),
  };
}
