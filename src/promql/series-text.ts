/**
 * A series as a selector writes it: `up{job="node"}`. A name that is not of plain letters stands in quotes between the
 * braces, as PromQL and OpenMetrics 1.0 have it. No types of node: the page in the browser uses it as well.
 */
export function seriesText({ __name__: name = '', ...labels }: Readonly<Record<string, string>>): string {
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
  const pairs = Object.entries(labels).map(([label, value]) => {
    const key = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) ? label : quoted(label);
    return `${key}=${quoted(value)}`;
  });
  if (!plain && name !== '') pairs.unshift(quoted(name));
  return `${plain ? name : ''}${plain && pairs.length === 0 ? '' : `{${pairs.join(',')}}`}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
