export type Colour = 'red' | 'green' | 'yellow' | 'bold';

const codes: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, bold: 1 };

export type Paint = (text: string, colour: Colour) => string;

/** Colours for a terminal; plain text elsewhere, and where `NO_COLOR` is set (no-color.org) or the terminal has none. */
export function paintFor(output: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Paint {
  const plain = output.isTTY !== true || (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
  return plain ? (text) => text : (text, colour) => `\u001b[${codes[colour]}m${text}\u001b[0m`;
}
