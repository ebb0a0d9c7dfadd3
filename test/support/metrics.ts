/** The value of a metric in Prometheus text format: the sum of its series that carry all of `labels`. */
export function readMetric(
  exposition: string,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  let sum: number | undefined;
  for (const line of exposition.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
    if (match === null || match[1] !== name) continue;
    if (wanted.every((pair) => match[2]?.includes(pair))) sum = (sum ?? 0) + Number(match[3]);
  }
  return sum;
}
