import { SpillwayError } from '../runtime/errors.ts';

/** The command line is wrong; where its help is found is said with it. */
export class UsageError extends SpillwayError {
  readonly code = 'USAGE';
}

/** What was asked for could not be done. */
export class CommandError extends SpillwayError {
  readonly code = 'COMMAND_FAILED';
}
