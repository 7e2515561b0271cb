/**
 * The search: a dialog over an index that was made at build time. Loaded on first use. Nothing is sent anywhere.
 * Arrows choose, Enter opens, Escape closes.
 */
import MiniSearch, { type Options, type SearchResult } from 'minisearch';
import made from 'keyward:search-index';

/** How many results are shown. */
const SHOWN = 12;

const { options, index } = JSON.parse(made) as { options: Options; index: Parameters<typeof MiniSearch.loadJS>[0] };
const search = MiniSearch.loadJS(index, options);

/** The site's root, as the header names it from whichever page this is. */
const root = document.querySelector<HTMLAnchorElement>('.wordmark')!.href;

const dialog = document.createElement('dialog');
dialog.className = 'search';
dialog.setAttribute('aria-label', 'Search');
const field = document.createElement('input');
const list = document.createElement('div');
const status = document.createElement('p');
// Not of the type `search`, in which the first Escape empties the field.
Object.assign(field, { type: 'text', enterKeyHint: 'go', placeholder: 'Search the site', autocomplete: 'off', spellcheck: false });
for (const [name, value] of Object.entries({ role: 'combobox', 'aria-label': 'Search the site', 'aria-expanded': 'false', 'aria-controls': 'search-results', 'aria-autocomplete': 'list' })) field.setAttribute(name, value);
list.id = 'search-results';
list.setAttribute('role', 'listbox');
list.setAttribute('aria-label', 'Results');
status.setAttribute('role', 'status');
dialog.append(field, list, status);
document.body.append(dialog);

let chosen = -1;

function choose(at: number): void {
  const items = [...list.children];
  chosen = items.length === 0 ? -1 : (at + items.length) % items.length;
  items.forEach((item, position) => item.setAttribute('aria-selected', String(position === chosen)));
  if (chosen < 0) return field.removeAttribute('aria-activedescendant');
  field.setAttribute('aria-activedescendant', items[chosen]!.id);
  items[chosen]!.scrollIntoView({ block: 'nearest' });
}

function go(item: Element | undefined): void {
  if (!(item instanceof HTMLElement)) return;
  dialog.close();
  location.assign(new URL(item.dataset['path']!, root));
}

function option({ heading, title, path, start }: SearchResult, at: number): HTMLElement {
  const item = document.createElement('div');
  item.id = `search-result-${at}`;
  item.setAttribute('role', 'option');
  item.dataset['path'] = String(path);
  const name = document.createElement('b');
  name.textContent = String(heading);
  const where = document.createElement('span');
  where.textContent = heading === title ? String(start) : `${title} · ${start}`;
  item.append(name, where);
  item.addEventListener('click', () => go(item));
  item.addEventListener('pointermove', () => chosen !== at && choose(at));
  return item;
}

/** What holds all words that were typed; where nothing does, what holds some. */
function find(words: string): SearchResult[] {
  const all = search.search(words, { combineWith: 'AND' });
  return (all.length > 0 ? all : search.search(words, { combineWith: 'OR' })).slice(0, SHOWN);
}

function show(): void {
  const found = find(field.value);
  list.replaceChildren(...found.map(option));
  list.hidden = found.length === 0;
  field.setAttribute('aria-expanded', String(found.length > 0));
  status.textContent = found.length > 0 ? '' : field.value.trim() ? 'Nothing found.' : 'Documents, pages and operations of the API.';
  status.hidden = found.length > 0;
  choose(0);
}

field.addEventListener('input', show);
field.addEventListener('keydown', (event) => {
  if (event.key === 'ArrowDown') choose(chosen + 1);
  else if (event.key === 'ArrowUp') choose(chosen - 1);
  else if (event.key === 'Enter') go(list.children[chosen]);
  else return;
  event.preventDefault();
});
dialog.addEventListener('click', ({ target }) => target === dialog && dialog.close());

/** Opens the search; `opener` has the focus again when it is closed. */
export function openSearch(opener: HTMLElement): void {
  if (dialog.open) return;
  field.value = '';
  show();
  dialog.showModal();
  field.focus();
  dialog.addEventListener('close', () => opener.focus(), { once: true });
}
