/** Starts the dashboard: who is logged in, which screen stands, where the focus goes. */
import { announce, fill, h } from './dom.ts';
import { auditScreen } from './audit.ts';
import { incidentScreen, incidentsScreen } from './incidents.ts';
import { editKeyScreen, newKeyScreen } from './key-form.ts';
import { keyScreen } from './key.ts';
import { keysScreen } from './keys.ts';
import { attempt } from './problems.ts';
import { newRouteScreen, routeScreen, routesScreen } from './routes.ts';
import { safetyScreen } from './safety.ts';
import type { Screen } from './screen.ts';
import { mayLeave } from './secret.ts';
import { logIn, logOut } from './session.ts';
import { webhookScreen, webhooksScreen } from './webhooks.ts';

const AREAS = [['keys', 'Keys'], ['incidents', 'Incidents'], ['audit', 'Audit'], ['routes', 'Routes'], ['safety', 'Key safety'], ['webhooks', 'Webhooks']] as const;

/** Screens by the pattern of their hash; the first that fits counts, and its group is the id. */
const SCREENS: readonly (readonly [pattern: RegExp, screen: Screen])[] = [
  [/^#\/keys$/, keysScreen],
  [/^#\/keys\/new$/, newKeyScreen],
  [/^#\/keys\/([0-9A-Za-z]{16})$/, keyScreen],
  [/^#\/keys\/([0-9A-Za-z]{16})\/edit$/, editKeyScreen],
  [/^#\/incidents$/, incidentsScreen],
  [/^#\/incidents\/(inc_\w+)$/, incidentScreen],
  [/^#\/audit$/, auditScreen],
  [/^#\/routes$/, routesScreen],
  [/^#\/routes\/new$/, newRouteScreen],
  [/^#\/routes\/([\w.-]+)$/, routeScreen],
  [/^#\/safety$/, safetyScreen],
  [/^#\/webhooks$/, webhooksScreen],
  [/^#\/webhooks\/([\w.-]+)$/, webhookScreen],
];

const main = document.querySelector<HTMLElement>('#main')!;

function lost(): Screen {
  return (place) => fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Page not found')), h('p', {}, 'There is no page at this address. ', h('a', { href: '#/keys' }, 'Go to the keys')));
}

/** The screen of the address, in the place of the one before. */
function router(place: HTMLElement, areas: HTMLElement): void {
  let left: AbortController | undefined;
  let shown = '';
  const show = async (): Promise<void> => {
    const hash = location.hash || '#/keys';
    if (hash === shown) return;
    // A secret that was not copied stands over the page.
    if (left && !mayLeave()) {
      history.pushState(null, '', shown);
      return;
    }
    const first = left === undefined;
    left?.abort();
    left = new AbortController();
    const { signal } = left;
    shown = hash;
    for (const open of document.querySelectorAll('dialog')) open.close();
    const found = SCREENS.map(([pattern, screen]) => ({ match: pattern.exec(hash), screen })).find(({ match }) => match);
    const area = hash.split('/')[1];
    for (const link of areas.querySelectorAll('a')) {
      if (link.hash === `#/${area}`) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    const fresh = h('div', { class: 'screen', 'data-screen': area });
    place.setAttribute('aria-busy', 'true');
    const trouble = h('div');
    place.replaceChildren(fresh);
    // Until it knows its own: a screen without a heading is nowhere.
    fill(fresh, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, AREAS.find(([name]) => name === area)?.[1] ?? 'Dashboard')), trouble);
    await attempt(trouble, async () => {
      await (found?.screen ?? lost())(fresh, { id: found?.match?.[1] ?? '', signal });
    });
    if (signal.aborted) return;
    place.removeAttribute('aria-busy');
    const heading = place.querySelector('h1')!;
    document.title = `${heading.textContent} · Dashboard · keyward`;
    if (first) return;
    heading.focus();
    if (hash !== '#/keys') scrollTo(0, 0);
    announce('');
  };
  addEventListener('hashchange', () => void show());
  void show();
}

/** `/` goes to the list's search where there is one, before the site's own is asked. */
document.addEventListener('keydown', (event) => {
  const search = document.querySelector<HTMLInputElement>('.filters [name="search"]');
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || !search || document.querySelector('dialog[open]')) return;
  if (event.target instanceof HTMLElement && ['INPUT', 'TEXTAREA', 'SELECT'].includes(event.target.tagName)) return;
  event.preventDefault();
  event.stopPropagation();
  search.focus();
  search.select();
});

async function start(): Promise<void> {
  await logIn(main);
  const areas = h('nav', { class: 'areas', 'aria-label': 'Dashboard' },
    h('ul', {}, ...AREAS.map(([name, label]) => h('li', {}, h('a', { href: `#/${name}` }, label)))),
    h('button', { type: 'button', class: 'quiet', onclick: () => mayLeave() && logOut() }, 'Log out'));
  const place = h('div', { class: 'place' });
  fill(main, h('div', { class: 'dashboard' }, areas, place));
  router(place, areas);
  place.querySelector<HTMLElement>('h1')?.focus();
}

void start();
