/** Something that recovery came upon, for the log. */
export interface RecoveryEvent {
  readonly kind: 'recovered' | 'tail' | 'damage' | 'unknown_format' | 'duplicate' | 'foreign' | 'unreadable';
  readonly file: string;
  readonly message: string;
  /** Offset and length in bytes, where it is about a part of the file. */
  readonly offset?: number;
  readonly bytes?: number;
}

/** What the disk or the owner of a file refuses for it alone: the others are not to suffer. */
export function isUnreadable(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EIO', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

export function unreadable(file: string, error: unknown): RecoveryEvent {
  const message = `a segment cannot be read (${(error as Error).message}): it is left as it is, and endpoints wait for it`;
  return { kind: 'unreadable', file, message };
}

/** What `read` gives. A disk that refuses to be read costs this segment; one that refuses writes, the start. */
export function readable<T>(file: string, events: RecoveryEvent[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    events.push(unreadable(file, error));
    return undefined;
  }
}
