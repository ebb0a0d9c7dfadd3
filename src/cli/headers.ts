import { UsageError } from './errors.ts';

/** The headers of `--header 'NAME: VALUE'`. Throws `UsageError`. */
export function headersOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(text) ?? [];
      if (name === undefined) throw new UsageError(`--header ${text} is not NAME: VALUE`);
      return [name, value!];
    }),
  );
}
