import type { FileSystem } from './fs.ts';

/** `files`, of which nothing can be changed: for what reads a backup, or beside whoever owns the directory. */
export function readOnly(files: FileSystem): FileSystem {
  const refuse = (): never => {
    throw new Error('it is only read');
  };
  return {
    makeDir: async () => refuse(),
    list: (dir) => files.list(dir),
    create: async () => refuse(),
    openAppend: async () => refuse(),
    rename: async () => refuse(),
    remove: async () => refuse(),
    truncate: async () => refuse(),
    syncDir: async () => refuse(),
    openRead: (file) => files.openRead(file),
  };
}
