import { fileURLToPath } from 'node:url';

/** The project folder, seen from the compiled `<out>/test/support/`. */
export const projectDir: string = fileURLToPath(new URL('../../../', import.meta.url));

/** What a user runs: the `bin` of package.json. */
export const spillway: string = `${projectDir}dist/main.js`;
