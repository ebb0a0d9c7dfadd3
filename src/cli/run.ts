import { resolve } from 'node:path';
import { Agent, AgentStateError } from '../agent.ts';
import { parseListenAddress } from '../config/addresses.ts';
import { describeError } from '../runtime/errors.ts';
import { optimizeLate } from '../runtime/optimize-late.ts';
import { keepYoungHeapSmall } from '../runtime/young-heap.ts';
import { progressText, startText } from '../status/console.ts';
import { readConfig } from './config-text.ts';
import { UsageError } from './errors.ts';

const STATUS_EVERY_MS = 5000;

/** What the command line says. */
export interface RunFlags {
  /** The configuration file. */
  readonly config: string | undefined;
  /** In place of its `listen`: HOST:PORT. */
  readonly listen: string | undefined;
  /** In place of its `data_dir`. */
  readonly dataDir: string | undefined;
}

/** Runs the agent until a signal ends it; the only place that handles signals. Returns the exit code. */
export async function run(flags: RunFlags): Promise<number> {
  keepYoungHeapSmall();
  optimizeLate();
  const listen = flags.listen === undefined ? undefined : parseListenAddress(flags.listen);
  if (flags.listen !== undefined && listen === undefined) {
    throw new UsageError(`--listen ${flags.listen} is not HOST:PORT`);
  }
  const dataDir = flags.dataDir === undefined ? undefined : resolve(flags.dataDir);
  const agent = new Agent({
    config: readConfig(flags.config),
    ...(flags.config === undefined ? {} : { readConfig: () => readConfig(flags.config) }),
    ...(listen === undefined ? {} : { listen }),
    ...(dataDir === undefined ? {} : { dataDir }),
  });
  const { logger } = agent;
  const ended = new Promise<NodeJS.Signals>((resolveSignal) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => resolveSignal(signal));
    }
  });
  // From the first moment on: by default the signal would end the process. What is wrong is logged by the agent.
  const onHangup = (): void => {
    agent.reload().catch((error: unknown) => {
      if (error instanceof AgentStateError) {
        logger.log('warn', 'a signal to reload was left out', { why: describeError(error) });
      }
    });
  };
  // Without a file there is nothing to read again, and the end of the terminal is the end of what was tried in it.
  if (flags.config !== undefined) process.on('SIGHUP', onHangup);
  const url = await agent.start();
  if (url !== undefined) process.stdout.write(startText(agent.config, url, agent.warnings));
  const stopStatus =
    flags.config === undefined || process.stdout.isTTY ? showProgress(agent) : () => undefined;
  const signal = await ended;
  stopStatus();
  logger.log('info', 'stopping: delivering what is possible in the time, the rest stays on disk', {
    signal,
    grace_ms: agent.config.shutdownGraceMs,
  });
  // A second signal ends the wait; what is unsent is on disk already.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => process.exit(1));
  await agent.stop();
  const waiting = agent.summary().endpoints.reduce((sum, endpoint) => sum + endpoint.waitingRows, 0);
  logger.log(
    'info',
    waiting === 0 ? 'stopped: all is delivered' : 'stopped: what waits is delivered after the next start',
    {
      waiting_rows: waiting,
    },
  );
  return 0;
}

function showProgress(agent: Agent): () => void {
  let last = '';
  const timer = setInterval(() => {
    const text = progressText(agent.summary());
    if (text !== last) process.stdout.write(`${new Date().toLocaleTimeString('en-GB')}  ${text}\n`);
    last = text;
  }, STATUS_EVERY_MS);
  return () => clearInterval(timer);
}
