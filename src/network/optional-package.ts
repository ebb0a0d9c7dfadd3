import { SpillwayError } from '../runtime/errors.ts';

/** A setting needs packages that are not installed. The endpoint waits; a restart finds them. */
export class PackageMissingError extends SpillwayError {
  readonly code = 'PACKAGE_MISSING';
}

/** What `load` imports, for the setting `key`; `packages` are those that it takes. Throws `PackageMissingError`. */
export async function optionalPackage<T>(key: string, packages: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new PackageMissingError(
      `\`${key}\` needs packages that are not installed: run \`npm install ${packages}\` in the folder of Spillway, and start it again`,
    );
  }
}
