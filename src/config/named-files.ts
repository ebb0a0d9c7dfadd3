import { propertyName, type Row, type Section } from './rows.ts';

/** A file that a configuration names. */
export interface NamedFile {
  /** `remote_write[0].tls_config.ca_file` */
  readonly path: string;
  /** Absolute. */
  readonly file: string;
}

/** The files that settings name, by the rows of their table; one that is unset names none. */
export function namedFiles(section: Section, settings: object, prefix = ''): readonly NamedFile[] {
  return Object.entries(section).flatMap(([key, row]) => {
    const value: unknown = Reflect.get(settings, propertyName(key, row));
    return filesOf(row, value, prefix === '' ? key : `${prefix}.${key}`);
  });
}

function filesOf(row: Row, value: unknown, path: string): readonly NamedFile[] {
  switch (row.type) {
    case 'path':
      return typeof value === 'string' ? [{ path, file: value }] : [];
    case 'paths':
      return (value as readonly string[]).map((file, i) => ({ path: `${path}[${i}]`, file }));
    case 'section':
      return value === undefined ? [] : namedFiles(row.options, value as object, path);
    case 'list':
      return (value as readonly object[]).flatMap((item, i) =>
        namedFiles(row.options, item, `${path}[${i}]`),
      );
    case 'named':
      return Object.entries(value as object).flatMap(([name, inner]) =>
        filesOf(row.each, inner, `${path}.${name}`),
      );
    default:
      return [];
  }
}
