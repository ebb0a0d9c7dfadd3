import { SpillwayError } from '../runtime/errors.ts';

/** A setting needs packages that are not installed. The endpoint waits; a restart finds them. */
export class PackageMissingError extends SpillwayError {
  readonly code = 'PACKAGE_MISSING';
}

/**
 * The package `name`, for the setting `key`; `install` are all that it takes. Its types are the caller's: what is not
 * installed has none, and Spillway builds without it. Throws `PackageMissingError`.
 */
export async function optionalPackage<T>(key: string, name: string, install: string = name): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new PackageMissingError(
      `\`${key}\` needs packages that are not installed: run \`npm install ${install}\` in the folder of Spillway, and start it again`,
    );
  }
}
