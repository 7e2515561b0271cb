/** Makes elements. What an API answered goes in as text, never as markup. */
import { exactly, when } from './text.ts';

export type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

/** An element; attributes that are `false` or `undefined` are left out, functions are listeners for the event of their name after `on`. */
export function h<K extends keyof HTMLElementTagNameMap>(name: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : String(value));
  }
  append(element, children);
  return element;
}

export function append(element: Element, children: Child[]): void {
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => (typeof child === 'number' ? String(child) : child)));
}

/** Puts children in the place of what was there. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

/** What keeps what it does beside what it looks like: never made into another of its kind. */
const HANDLES = 'button, input, select, textarea, form';

/** What an element is the picture of, where that was said. */
const ofWhat = (node: Node) => (node instanceof HTMLElement ? node.dataset['of'] : undefined);

/** Whether one node may be made into the other. */
const alike = (old: Node, fresh: Node) => old.nodeName === fresh.nodeName && ofWhat(old) === ofWhat(fresh) && !(old instanceof Element && old.matches(HANDLES));

function become(old: Node, fresh: Node): void {
  if (!(old instanceof Element && fresh instanceof Element)) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  // What the visitor opened stays open.
  for (const { name } of [...old.attributes]) if (name !== 'open' && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (name !== 'open' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  match(old, [...fresh.childNodes]);
}

/** Makes the children of an element equal to others: what stays as it is stays itself, what is no more goes, what is new comes between. */
function match(place: Element, fresh: Node[]): void {
  let at = place.firstChild;
  fresh.forEach((node, index) => {
    let kept = at;
    const same = ofWhat(node);
    while (kept && !(same === undefined ? kept.isEqualNode(node) : ofWhat(kept) === same)) kept = kept.nextSibling;
    if (kept) {
      if (same !== undefined) become(kept, node);
      while (at !== kept) {
        const next: ChildNode | null = at!.nextSibling;
        at!.remove();
        at = next;
      }
      at = kept.nextSibling;
    } else if (at && alike(at, node) && !fresh.slice(index + 1).some((later) => later.isEqualNode(at))) {
      become(at, node);
      at = at.nextSibling;
    } else place.insertBefore(node, at);
  });
  while (at) {
    const next: ChildNode | null = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** As `fill`, and leaves alone what would be the same: so focus, selection, what was opened and how far it was scrolled stay. */
export function renew(place: Element, ...children: Child[]): void {
  const fresh = h('div', {}, ...children);
  match(place, [...fresh.childNodes]);
}

/** An instant in the reader's time zone, and in UTC for whoever points at it; to the millisecond where that is what is told. */
export const time = (iso: string, how: 'plain' | 'exact' = 'plain') => h('time', { datetime: iso, title: new Date(iso).toISOString() }, how === 'exact' ? exactly(iso) : when(iso));

/** Words of people: in their own direction, without turning the words around them. */
export const own = (text: string) => h('bdi', { dir: 'auto' }, text);

/** A button that says so while what it began is under way, and cannot be pressed twice. */
export function button(label: Child, act: () => unknown, attributes: Attributes = {}): HTMLButtonElement {
  const made = h('button', { type: 'button', ...attributes, onclick: () => void busy(made, act) }, label);
  return made;
}

/** Does something while a button cannot be pressed; the focus stays where it was. */
export async function busy(pressed: HTMLButtonElement, act: () => unknown): Promise<void> {
  if (pressed.getAttribute('aria-disabled') === 'true') return;
  pressed.setAttribute('aria-disabled', 'true');
  try {
    await act();
  } catch (error) {
    // The screen was left meanwhile.
    if (!(error instanceof DOMException && error.name === 'AbortError')) throw error;
  } finally {
    pressed.removeAttribute('aria-disabled');
  }
}

/**
 * A table with a name, in a frame that scrolls sideways where it is narrow.
 *
 * @param of what each row is of: where rows come and go, one that stays is still the same element
 */
export function table(name: string, heads: string[], rows: Child[][], of?: (string | number)[]): HTMLElement {
  return h('div', { class: 'scroll', role: 'region', 'aria-label': name, tabindex: 0 },
    h('table', {}, h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
      h('tbody', {}, ...rows.map((cells, index) => h('tr', { 'data-of': of?.[index] }, ...cells.map((cell) => h('td', {}, cell)))))));
}

/** Names with what they stand for. */
export function facts(entries: [string, Child | Child[]][]): HTMLElement {
  return h('dl', { class: 'facts' }, ...entries.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, ...(Array.isArray(value) ? value : [value])))));
}

/** A part of a screen under a heading of its own. */
export function section(title: string, ...children: Child[]): HTMLElement {
  const heading = h('h2', {}, title);
  return h('section', { class: 'part-of' }, heading, ...children);
}

/** What a screen says where there is nothing yet: what would stand here, and how it comes there. */
export const empty = (title: string, ...children: Child[]) => h('div', { class: 'empty' }, h('p', { class: 'lead' }, title), ...children);

/** A command to be typed. */
export const command = (text: string) => h('pre', { class: 'command', tabindex: 0, role: 'region', 'aria-label': 'Command' }, text);

/** A status with its look. */
export function badge(text: string, kind: 'good' | 'bad' | 'odd' | 'plain' = 'plain'): HTMLElement {
  return h('span', { class: `badge ${kind}` }, text);
}

/** Copies a text; where the browser does not allow it, selects `shown` for the visitor's own copying. Answers whether it was copied. */
export async function copy(text: string, shown: Element): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}

/** A button that copies, and says so for two seconds. */
export function copyButton(label: string, text: () => string, shown: () => Element, copied?: () => void): HTMLButtonElement {
  const made = h('button', { type: 'button', class: 'copy' }, h('span', {}, label), h('span', { 'aria-hidden': 'true' }, 'Copied'));
  made.addEventListener('click', async () => {
    if (await copy(text(), shown())) {
      made.dataset['copied'] = 'yes';
      announce(`${label}: copied.`);
      setTimeout(() => delete made.dataset['copied'], 2000);
      copied?.();
    } else announce('Your browser did not allow copying; the text is selected instead.');
  });
  return made;
}

/** Tells those who hear the page what those who see it see. Under an open dialog the page is not heard: the dialog says it then. */
export function announce(text: string): void {
  [...document.querySelectorAll('#said, dialog[open] > .said')].at(-1)!.textContent = text;
}

let dialogs = 0;

/** Opens a dialog over the page. `close` ends it; Escape asks `mayClose` first. The focus goes back to where it was. */
export function dialog(title: string, build: (close: () => void) => Child[], { mayClose = () => true, closed, wide = false }: { mayClose?: () => boolean; closed?: () => void; wide?: boolean } = {}): HTMLDialogElement {
  const before = document.activeElement;
  const id = `dialog-${(dialogs += 1)}`;
  const made = h('dialog', { 'aria-labelledby': id, class: wide ? 'wide' : undefined });
  const close = () => made.close();
  append(made, [h('h2', { id }, title), ...build(close), h('p', { class: 'said unseen', role: 'status' })]);
  made.addEventListener('cancel', (event) => {
    if (!mayClose()) event.preventDefault();
  });
  // A second Escape would close it whatever the listener above says.
  made.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    if (mayClose()) close();
  });
  made.addEventListener('close', () => {
    made.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
    closed?.();
  });
  document.body.append(made);
  made.showModal();
  return made;
}

/** Asks whether something is to be done that cannot be undone. */
export function confirmed(title: string, what: string, yes: string): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = false;
    dialog(title, (close) => [h('p', {}, what), h('p', { class: 'actions' },
      h('button', { type: 'button', class: 'danger', onclick: () => {
        answer = true;
        close();
      } }, yes), h('button', { type: 'button', onclick: close }, 'Keep it'))], { closed: () => resolve(answer) });
  });
}
