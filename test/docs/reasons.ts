import { doorDrops, doorReasons, endpointReasons } from '../../src/telemetry/reasons.ts';

/** By the marker that they stand behind. */
const lists: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  endpoint: endpointReasons,
  door: doorReasons,
  dropped: doorDrops,
};

/** The page with the reasons of the program between its markers. */
export function withReasons(page: string): string {
  return page.replaceAll(/(<!-- reasons: (\w+) -->\n)[\s\S]*?(<!-- \/reasons -->)/g, (_, head, name, end) => {
    const rows = Object.entries(lists[name]!).map(([reason, text]) => `| \`${reason}\` | ${text} |\n`);
    return `${head}\n| reason | |\n| --- | --- |\n${rows.join('')}\n${end}`;
  });
}
