import { createLogger, type Logger } from '../../src/telemetry/log.ts';

/** A logger whose lines can be read. */
export function logLines(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  return {
    logger: createLogger(
      'debug',
      'logfmt',
      () => 0,
      (line) => lines.push(line),
    ),
    lines,
  };
}
