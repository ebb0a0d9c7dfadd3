/**
 * Spillway as a library: the agent, its appender, its configuration. `examples/embed.ts` is a whole program.
 *
 *     const text = `remote_write: [{ url: 'http://localhost:9090/api/v1/write' }]`;
 *     const agent = new Agent({ config: { text, file: 'inline', baseDir: process.cwd() }, listen: false });
 *     await agent.start();
 *     const appender = agent.appender();
 *     appender.append({ __name__: 'up', job: 'mine' }, Date.now(), 1);
 *     await appender.commit(); // on disk
 *     await agent.stop();
 */
export { Agent, type AgentOptions, AgentStateError, type AgentSummary, type ConfigText } from './agent.ts';
export { Appender, type Metadata, TransactionEndedError } from './appender/appender.ts';
export { type Histogram, InvalidSeriesError, type Labels, type Value } from './appender/encode.ts';
export type { ListenAddress } from './config/addresses.ts';
export type { EndpointConfig } from './config/endpoints.ts';
export { type Config, defaultConfig, loadConfig, parseConfig } from './config/load.ts';
export { ConfigError, type Problem } from './config/problems.ts';
export { CommitError } from './filequeue/group-commit.ts';
export type { Destination, Outcome } from './network/destination.ts';
export type { IngestReport } from './protocol/ingest-report.ts';
export { InvalidTenantError } from './protocol/tenant-id.ts';
export { ListenError } from './receiver/server.ts';
export type { ReloadOutcome } from './reloads.ts';
export { DirectoryLockedError } from './runtime/directory-lock.ts';
export { SpillwayError } from './runtime/errors.ts';
export { createLogger, type Logger, type LogLevel } from './telemetry/log.ts';
export { doorDrops, doorReasons, endpointReasons } from './telemetry/reasons.ts';
