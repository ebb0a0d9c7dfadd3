/** Elements that are made once and changed where something changed: nothing flickers, and a selection stays. */

type Child = Node | string;

/** An element with attributes and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function show(element: HTMLElement, visible: boolean): void {
  if (element.hidden === visible) element.hidden = !visible;
}

/** A sentence in which what stands between backticks is code. */
export function setSentence(element: Element, text: string): void {
  if (element.getAttribute('data-text') === text) return;
  element.setAttribute('data-text', text);
  element.replaceChildren(...text.split('`').map((part, i) => (i % 2 === 1 ? make('code', {}, part) : part)));
}

/** Brings the children of `list` to `rows`, by key: what is there already is changed, not made anew. */
export function setRows<T>(
  list: Element,
  rows: readonly T[],
  keyOf: (row: T) => string,
  create: () => HTMLElement,
  update: (element: HTMLElement, row: T) => void,
): void {
  const before = new Map([...list.children].map((child) => [child.getAttribute('data-key'), child]));
  rows.forEach((row, i) => {
    const key = keyOf(row);
    const known = before.get(key) as HTMLElement | undefined;
    const element = known ?? create();
    before.delete(key);
    if (known === undefined) element.setAttribute('data-key', key);
    update(element, row);
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
  });
  for (const gone of before.values()) gone.remove();
}

/** Names and values, in the order in which names are first set. */
export class Numbers {
  readonly element: HTMLDListElement = make('dl', { class: 'numbers' });
  readonly #values = new Map<
    string,
    { readonly row: HTMLElement; readonly value: HTMLElement; readonly more: HTMLElement }
  >();

  /** Undefined hides the row. */
  set(name: string, value: string | undefined, more = ''): void {
    let entry = this.#values.get(name);
    if (entry === undefined) {
      entry = {
        row: make('div'),
        value: make('span', { class: 'value' }),
        more: make('span', { class: 'more' }),
      };
      entry.row.append(make('dt', {}, name), make('dd', {}, entry.value, ' ', entry.more));
      this.#values.set(name, entry);
      this.element.append(entry.row);
    }
    show(entry.row, value !== undefined);
    setText(entry.value, value ?? '');
    setText(entry.more, more);
  }
}
