import { accessSync, constants, statSync } from 'node:fs';
import type { Auth } from '../config/auth.ts';
import type { ClientTlsConfig } from '../config/client-tls.ts';
import { type ParsedConfig, parseConfigInFull } from '../config/load.ts';
import { namedFiles } from '../config/named-files.ts';
import { options } from '../config/options.ts';
import { ConfigError, describeProblem, type Problem } from '../config/problems.ts';
import { warnOfConfig } from '../config/warnings.ts';
import { ClientTls } from '../network/client-tls.ts';
import { optionalPackage, PackageMissingError } from '../network/optional-package.ts';
import { exposureWarnings } from '../receiver/exposure.ts';
import { loadWebConfig } from '../receiver/web-config-file.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import { readConfig } from './config-text.ts';

/** How `spillway check-config` looks, and says what it has seen. */
export interface CheckFlags {
  readonly json: boolean;
  /** Warnings count as errors. */
  readonly strict: boolean;
  /** The files that the configuration names are not looked at: where it is checked they need not be. */
  readonly syntaxOnly: boolean;
}

/** What is wrong with a configuration, and what may be. */
export interface ConfigReport {
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** `check-config`: 0 when the file can be used, 1 when it cannot, or has warnings and `strict` is set. */
export async function checkConfig(
  file: string,
  { json, strict, syntaxOnly }: CheckFlags,
  out: (text: string) => void,
  err: (text: string) => void,
): Promise<number> {
  const { errors, warnings } = await reportOf(file, syntaxOnly);
  const failed = errors.length > 0 || (strict && warnings.length > 0);
  if (json) {
    out(`${JSON.stringify({ file, valid: !failed, errors, warnings }, null, 2)}\n`);
    return failed ? 1 : 0;
  }
  for (const problem of errors) err(`${describeProblem(problem)}\n`);
  for (const problem of warnings) err(`warning: ${describeProblem(problem)}\n`);
  if (failed) {
    err(`${file} ${errors.length > 0 ? 'cannot be used' : 'has warnings, and --strict takes none'}\n`);
    return 1;
  }
  const hint =
    warnings.length > 0 ? `, with ${warnings.length} warning${warnings.length > 1 ? 's' : ''}` : '';
  out(`${file} is valid${hint}\n`);
  return 0;
}

async function reportOf(file: string, syntaxOnly: boolean): Promise<ConfigReport> {
  try {
    const source = readConfig(file);
    return await reportOfText(source.text, source, syntaxOnly);
  } catch (error) {
    // Also where a file that it names cannot be read or used: the check is done, and this is what it has found.
    if (error instanceof ConfigError) return { errors: error.problems, warnings: [] };
    if (!(error instanceof SpillwayError) || error.code !== 'CONFIG_UNREADABLE') throw error;
    return {
      errors: [{ file, line: 1, column: 1, path: '', message: describeError(error) }],
      warnings: [],
    };
  }
}

/** All that can be seen of the configuration `text` without starting it. Throws `ConfigError` when it is not one. */
export async function reportOfText(
  text: string,
  origin: { readonly file: string; readonly baseDir: string },
  syntaxOnly: boolean,
): Promise<ConfigReport> {
  const parsed = parseConfigInFull(text, origin);
  const { problems } = parsed;
  warnOfConfig(parsed);
  if (syntaxOnly) return { errors: [], warnings: problems.warnings };
  checkFiles(parsed);
  await checkEndpoints(parsed);
  const inside = webProblems(parsed);
  return { errors: [...problems.errors, ...inside], warnings: problems.warnings };
}

/** Those that are there for the agent to read; the data directory it makes for itself. */
function checkFiles({ settings, problems }: ParsedConfig): void {
  for (const { path, file } of namedFiles(options, settings)) {
    // Where nothing is written, a default names what somebody else may bring.
    if (path === 'data_dir' || !problems.isWritten(path)) continue;
    try {
      accessSync(file, constants.R_OK);
      if (!statSync(file).isFile() && !statSync(file).isFIFO()) problems.add(path, `${file} is not a file`);
    } catch (error) {
      problems.add(path, `the file cannot be read: ${describeError(error)}`);
    }
  }
}

/** What a started agent would find out with its first request, and tell in its log. */
async function checkEndpoints({ config, problems }: ParsedConfig): Promise<void> {
  const fails = (path: string): boolean =>
    problems.errors.some((problem) => problem.path.startsWith(`${path}.`));
  for (const [i, { tls, auth }] of config.remoteWrite.entries()) {
    const prefix = `remote_write[${i}]`;
    const checkTls = async (section: ClientTlsConfig | undefined, path: string): Promise<void> => {
      if (section === undefined || fails(path)) return; // a file that is not there is said already
      try {
        await new ClientTls(section).options();
      } catch (error) {
        if (!(error instanceof SpillwayError)) throw error;
        problems.add(path, describeError(error));
      }
    };
    await checkTls(tls, `${prefix}.tls_config`);
    if (auth?.kind === 'oauth2') await checkTls(auth.oauth2.tls, `${prefix}.oauth2.tls_config`);
    for (const [key, name] of packagesOf(auth)) {
      try {
        await optionalPackage(key, name);
      } catch (error) {
        if (!(error instanceof PackageMissingError)) throw error;
        // Not an error: the machine that checks need not be the one that runs.
        problems.warn(`${prefix}.${key}`, error.message);
      }
    }
  }
}

function packagesOf(auth: Auth | undefined): readonly (readonly [string, string])[] {
  switch (auth?.kind) {
    case 'sigv4':
      return [
        ['sigv4', '@smithy/signature-v4'],
        ['sigv4', '@aws-sdk/credential-providers'],
      ];
    case 'google_iam':
      return [['google_iam', 'google-auth-library']];
    case 'azuread':
      return auth.azuread.way.kind === 'sdk' ? [['azuread.sdk', '@azure/identity']] : [];
    default:
      return [];
  }
}

/** What is wrong inside of the web configuration file; what is open because of it, or without it, is warned of. */
function webProblems({ config: { listen, webConfigFile }, problems }: ParsedConfig): readonly Problem[] {
  const key = problems.isWritten('listen') ? 'listen' : 'web_config_file';
  if (problems.errors.some(({ path }) => path === 'web_config_file')) return [];
  try {
    const web = webConfigFile === undefined ? undefined : loadWebConfig(webConfigFile);
    for (const warning of exposureWarnings(listen, web)) problems.warn(key, warning);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
