/** A series as a selector writes it. */
export function seriesText({ __name__: name = '', ...labels }: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `${name}${pairs.length === 0 && name !== '' ? '' : `{${pairs.join(', ')}}`}`;
}
