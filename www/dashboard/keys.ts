/** The list of keys: searched and filtered by the server, read page by page as one scrolls. */
import { call, query } from './api.ts';
import { badge, button, empty, fill, h, own, type Child } from './dom.ts';
import { field, select, text, wrongWith } from './forms.ts';
import { liveLine } from './live.ts';
import type { Key, Page } from './model.ts';
import { renewed } from './pages.ts';
import { problemOf, problemView } from './problems.ts';
import { Rows } from './rows.ts';
import type { Screen } from './screen.ts';
import { go } from './screen.ts';
import { remember, suggestions } from './seen.ts';
import { day, idIn, looksSecret } from './text.ts';

const PAGE = 100;
/** How long nothing is typed before it is searched, in milliseconds. */
const PAUSE = 200;

interface Filters {
  search: string;
  environment: string;
  status: string;
  owner: string;
}

/** A page of the list: what was read, and the cursor that it was read from. */
interface Part {
  cursor: string | null;
  keys: Key[];
}

/** What the list showed when it was left: it is found again as it was. */
const kept = { filters: { search: '', environment: '', status: '', owner: '' } as Filters, parts: [] as Part[], keys: [] as Key[], cursor: null as string | null, complete: false, place: { top: 0, active: 0 } };

/** The list is read again when it is next shown: something was created. */
export function forgetList(): void {
  Object.assign(kept, { parts: [], keys: [], cursor: null, complete: false, place: { top: 0, active: 0 } });
}

/** A key is shown in the list as it is now. */
export function update(key: Key): void {
  remember(key);
  for (const part of kept.parts) part.keys = part.keys.map((before) => (before.id === key.id ? { ...key, last_used_on: before.last_used_on ?? null } : before));
  kept.keys = kept.parts.flatMap(({ keys }) => keys);
}

export const statusBadge = (status: Key['status']) => badge(status, status === 'active' ? 'good' : status === 'revoked' ? 'bad' : 'odd');

/** A day, with the whole of what is known of it for whoever points at it: of the last use, that is a day in UTC. */
const dayOf = (iso: string) => h('time', { datetime: iso, title: iso.length > 10 ? iso : `${iso} (UTC)` }, day(iso));

function cells(key: Key): Child[] {
  return [
    h('a', { href: `#/keys/${key.id}`, tabindex: -1, class: 'name', title: key.name }, own(key.name)),
    h('code', { title: key.redacted }, key.redacted),
    h('span', { title: key.owner }, own(key.owner)),
    h('code', {}, key.environment),
    statusBadge(key.status),
    key.last_used_on ? dayOf(key.last_used_on) : 'never',
    key.expires_at ? dayOf(key.expires_at) : 'never',
  ];
}

const firstKey = () => empty('No keys yet.',
  h('p', {}, 'A key is what a caller of your API presents. Create one for each purpose and environment, with only the scopes that it needs and an expiry date: then a leak costs little, and replacing it affects nobody else.'),
  h('p', { class: 'actions' }, h('a', { class: 'button primary', href: '#/keys/new' }, 'Create a key')),
  h('p', { class: 'note' }, 'You can import existing keys by their SHA-256: see “Migrate” in the documentation.'));

export const keysScreen: Screen = (place, { signal }) => {
  const end = h('div', { class: 'list-end' });
  const said = h('p', { class: 'note', role: 'status' });
  const hint = h('p', { class: 'error', role: 'alert' });
  // What is under way: another question makes its answer moot.
  let asked: AbortController | undefined;

  const rows = new Rows({
    label: 'Keys', columns: ['Name', 'Key', 'Owner', 'Environment', 'Status', 'Last used', 'Expires'],
    cells: (index) => cells(kept.keys[index]!),
    open: (index) => go(`#/keys/${kept.keys[index]!.id}`),
    more: () => void more(),
  });
  const count = (): void => {
    const total = kept.keys.length;
    said.textContent = kept.complete ? (total === 1 ? '1 key.' : `${total.toLocaleString('en-GB')} keys.`) : total ? `${total.toLocaleString('en-GB')} loaded; more load as you scroll.` : '';
    rows.grow(total, kept.complete);
  };
  const none = (): void => {
    const filtered = Object.values(kept.filters).some(Boolean);
    const nothing = kept.complete && kept.keys.length === 0;
    rows.element.hidden = nothing;
    if (!nothing) return;
    fill(end, filtered ? empty('No keys match.', h('p', {}, 'The search matches the beginning of a name and is case-sensitive; the owner must match in full.'), h('p', { class: 'actions' }, button('Show all keys', clear))) : firstKey());
  };

  async function more(): Promise<void> {
    if (asked || kept.complete) return;
    const own = (asked = new AbortController());
    const stop = () => own.abort();
    signal.addEventListener('abort', stop, { once: true });
    const first = kept.keys.length === 0;
    if (first) rows.element.setAttribute('aria-busy', 'true');
    try {
      const page = await call<Page<Key>>('GET', `/v1/keys${query({ ...kept.filters, limit: PAGE, cursor: kept.cursor })}`, undefined, { signal: own.signal });
      if (own.signal.aborted) return;
      page.data.forEach(remember);
      kept.parts.push({ cursor: kept.cursor, keys: page.data });
      kept.keys.push(...page.data);
      [kept.cursor, kept.complete] = [page.next_cursor, page.next_cursor === null];
      fill(end);
      asked = undefined;
      count();
      none();
    } catch (error) {
      if (own.signal.aborted) return;
      asked = undefined;
      const problem = problemOf(error);
      const wrong = problem.field && controls.querySelector<HTMLElement>(`[data-field="${CSS.escape(problem.field)}"] .error`);
      if (wrong) fill(wrong, wrongWith(problem));
      else fill(end, problemView(problem, { retry: more }));
    } finally {
      signal.removeEventListener('abort', stop);
      if (asked === own) asked = undefined;
      rows.element.removeAttribute('aria-busy');
    }
  }

  /** Reads again what is in sight: a page, since the list may have thousands of keys. */
  async function refresh(background: boolean): Promise<void> {
    if (asked) return;
    let before = 0;
    const part = kept.parts.find(({ keys }) => (before += keys.length) > rows.first) ?? kept.parts[0];
    if (!part) return more();
    const read = await call<Page<Key>>('GET', `/v1/keys${query({ ...kept.filters, limit: PAGE, cursor: part.cursor })}`, undefined, { signal, background });
    if (asked || !kept.parts.includes(part)) return;
    read.data.forEach(remember);
    const [was, { length }] = [JSON.stringify(part.keys), kept.keys];
    // Where keys no longer match, those of the next page move up.
    const others = new Set(kept.parts.flatMap((other) => (other === part ? [] : other.keys.map(({ id }) => id))));
    const fresh = read.data.filter(({ id }) => !others.has(id));
    // More is new than a page holds: nothing says what stands between.
    if (part.keys.length > 0 && !part.keys.some(({ id }) => fresh.some((key) => key.id === id))) return restart();
    const now = renewed(part.keys, fresh, ({ id }) => id);
    if (JSON.stringify(now) === was) return;
    part.keys = now;
    kept.keys = kept.parts.flatMap(({ keys }) => keys);
    fill(end);
    rows.element.hidden = false;
    count();
    none();
    rows.renew(kept.parts[0] === part ? kept.keys.length - length : 0);
  }

  function restart(): void {
    asked?.abort();
    asked = undefined;
    forgetList();
    fill(end);
    rows.element.hidden = false;
    for (const error of controls.querySelectorAll('.error')) error.textContent = '';
    said.textContent = '';
    rows.clear();
  }

  const { filters } = kept;
  const search = text('search', filters.search, { type: 'search', 'aria-keyshortcuts': '/', placeholder: 'Name begins with … or a key’s id', spellcheck: 'false' });
  const status = select('status', [['', 'any'], ['active', 'active'], ['disabled', 'disabled'], ['revoked', 'revoked']], filters.status);
  const environment = text('environment', filters.environment, { list: 'environments', placeholder: 'any' });
  const owner = text('owner', filters.owner, { list: 'owners', placeholder: 'any' });
  const controls = h('form', { class: 'filters', role: 'search', 'aria-label': 'Keys' }, field('Search', search), field('Environment', environment), field('Status', status), field('Owner', owner), hint);

  function clear(): void {
    for (const control of [search, environment, owner, status]) control.value = '';
    changed();
    search.focus();
  }
  function changed(): void {
    // A key that is pasted must not get into a URL: its id finds it, and the field forgets the rest.
    const id = idIn(search.value);
    if (id) {
      search.value = '';
      go(`#/keys/${id}`);
      return;
    }
    fill(hint, looksSecret(search.value) && 'That looks like a secret. It is not searched for, because it would appear in a URL. Search for the name, or paste a key in keyward’s format.');
    if (looksSecret(search.value)) return;
    const next = { search: search.value, environment: environment.value.trim(), status: status.value, owner: owner.value.trim() };
    if (JSON.stringify(next) === JSON.stringify(kept.filters)) return;
    kept.filters = next;
    restart();
  }
  let pause: ReturnType<typeof setTimeout> | undefined;
  controls.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(changed, PAUSE);
  });
  controls.addEventListener('submit', (event) => {
    event.preventDefault();
    clearTimeout(pause);
    changed();
  });
  search.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown') return;
    event.preventDefault();
    rows.element.focus();
  });

  fill(place,
    h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Keys'), h('p', { class: 'actions' }, button('Refresh', restart), h('a', { class: 'button primary', href: '#/keys/new' }, 'Create a key'))),
    liveLine(signal, refresh), controls, rows.element, end, said, ...suggestions());
  const at = kept.place;
  count();
  none();
  rows.place = at;
  signal.addEventListener('abort', () => {
    clearTimeout(pause);
    kept.place = rows.place;
  }, { once: true });
};
