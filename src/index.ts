/**
 * Spillway as a library: the agent, its appender, its configuration.
 *
 *     const { config, source } = ...
 *     const agent = new Agent({ config, configSource: source, logger });
 *     await agent.start();
 *     const appender = agent.appender();
 *     appender.append({ __name__: 'up', job: 'mine' }, Date.now(), 1);
 *     await appender.commit(); // on disk
 *     await agent.stop();
 */
export { Agent, type AgentOptions, type AgentSummary } from './agent.ts';
export { Appender, type Metadata, TransactionEndedError } from './appender/appender.ts';
export { type Histogram, InvalidSeriesError, type Labels, type Value } from './appender/encode.ts';
export type { EndpointConfig } from './config/endpoints.ts';
export { type Config, defaultConfig, loadConfig, parseConfig } from './config/load.ts';
export { ConfigError } from './config/problems.ts';
export { CommitError } from './filequeue/group-commit.ts';
export type { Destination, Outcome } from './network/destination.ts';
export { SpillwayError } from './runtime/errors.ts';
export { createLogger, type Logger, type LogLevel } from './telemetry/log.ts';
export { doorReasons, endpointReasons } from './telemetry/reasons.ts';
