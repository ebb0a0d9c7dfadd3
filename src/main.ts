#!/usr/bin/env node
import type { CommandName } from './cli/commands.ts';
import { type Flags, parseFlags } from './cli/flags.ts';
import {
  asksForHelp,
  checkUsage,
  commandOf,
  helpHint,
  helpText,
  resolveCommand,
  unknownFlag,
} from './cli/usage.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { packageVersion } from './runtime/version.ts';

/**
 * The command line. The agent and the tools are loaded when they are called: a start waits for nothing that it does not
 * use. They are two and no more, so that each is few files (bundle.js).
 *
 * Exit codes: 0 done, 1 it could not be done, 2 the command line or the configuration is wrong. Of `check-config` and
 * `config convert` a wrong configuration is the finding, and not what keeps them from working: 1.
 */
async function main(line: string[]): Promise<number> {
  if (asksForHelp(line)) {
    process.stdout.write(helpText(commandOf(line)));
    return 0;
  }
  const { values: flags, positionals } = parseFlags(line, (flag) => unknownFlag(flag, commandOf(line)));
  const { version, ...others } = flags;
  if (version) {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const { command, args } = resolveCommand(positionals);
  checkUsage(command, args, others);
  return runCommand(command, args, others);
}

async function runCommand(command: CommandName, args: readonly string[], flags: Flags): Promise<number> {
  // Who reads may have enough of it (`| head`): that is no error of the command.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  if (command === 'run') {
    const { run } = await import('./cli/run.ts');
    return run({ config: flags.config, listen: flags.listen, dataDir: flags['data-dir'] });
  }
  const { runTool } = await import('./cli/tools.ts');
  return runTool(command, args, flags);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const known = error instanceof SpillwayError;
    // What the system refuses says so by itself; anything else is a bug, and its stack is wanted.
    const plain = known || (error instanceof Error && 'syscall' in error);
    process.stderr.write(
      `spillway: ${plain ? describeError(error) : error instanceof Error ? error.stack : String(error)}\n`,
    );
    const wrongInput = known && ['USAGE', 'CONFIG_INVALID', 'CONFIG_UNREADABLE'].includes(error.code);
    if (known && error.code === 'USAGE') {
      process.stderr.write(`${helpHint(process.argv.slice(2))}\n`);
    }
    process.exitCode = wrongInput ? 2 : 1;
  },
);
