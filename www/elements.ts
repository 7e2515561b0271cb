/** Elements found and made. Whatever a page shows is text; nothing is read as HTML. */

/** The one element of that id; the page is wrong without it. */
export function byId<T extends Element>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return element;
}

/** An element with children. */
export function make<K extends keyof HTMLElementTagNameMap>(name: K, className: string, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Writes a text only where it changes it: a live region would read out the same words again. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** `1 call`, `1,200 calls`. */
export const plural = (count: number, one: string, many = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

/** Begins a page: it is busy until then, and where it cannot begin it says so. */
export function startPage(start: () => Promise<void>): void {
  start().then(
    () => byId('main', HTMLElement).removeAttribute('aria-busy'),
    (error: unknown) => {
      const failure = byId('failure', HTMLElement);
      failure.hidden = false;
      write(failure, `The page could not start: ${error instanceof Error ? error.message : String(error)}. Loading it again may help.`);
      throw error;
    },
  );
}
