/** What stands for the groups of a match in `target_label` and `replacement`, by the rules of Go's `Regexp.Expand`. */
export class Template {
  /** Texts, and between them numbers of groups. */
  readonly #parts: readonly (string | number)[];

  /** `groups` are the names of the groups, by number; what refers to no group is the empty text. */
  constructor(text: string, groupCount: number, groups: ReadonlyMap<string, number>) {
    const parts: (string | number)[] = [];
    let at = 0;
    for (const { 0: found, index, groups: names } of text.matchAll(reference)) {
      if (index > at) parts.push(text.slice(at, index));
      at = index + found.length;
      const name = names?.braced ?? names?.plain;
      if (name === undefined) parts.push('$');
      else {
        // `$01` is a name, and no group can have it.
        const group = /^(?:0|[1-9]\d{0,8})$/.test(name) ? Number(name) : groups.get(name);
        if (group !== undefined && group <= groupCount) parts.push(group);
      }
    }
    if (at < text.length) parts.push(text.slice(at));
    this.#parts = parts;
  }

  /** `group` gives the text of a group; the empty text for one that took no part in the match. */
  expand(group: (group: number) => string): string {
    let text = '';
    for (const part of this.#parts) text += typeof part === 'string' ? part : group(part);
    return text;
  }
}

/** `$$`, `${name}` or `$name`, the name as long as can be. Any other `$` is text. */
const reference = /\$(?:\$|\{(?<braced>[\p{L}\p{Nd}_]+)\}|(?<plain>[\p{L}\p{Nd}_]+))/gu;
