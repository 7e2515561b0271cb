/** Routes: where they lead, who may call, and the upstream's secrets, which are written and never read. */
import { call, Refusal } from './api.ts';
import { announce, badge, button, confirmed, empty, facts, fill, h, own, renew, section, table, time, type Child } from './dom.ts';
import { draft, field, forgetDraft, form, keepDraft, text, value } from './forms.ts';
import type { Page, Route, RouteUse, Slot, SlotUse } from './model.ts';
import { attempt, problemOf, problemView, quietly } from './problems.ts';
import { boundView } from './receipt.ts';
import { go, repeatedly, type Screen } from './screen.ts';

/** How often what was seen of the secrets is read, in milliseconds. */
const EVERY = 5000;

type SlotName = 'current' | 'next';

const NEW = {
  upstream: 'https://api.provider.example/v1',
  callers: { session: { origins: ['https://shop.example'], mint: 'public', calls: 5 }, key: { scopes: ['messages:send'] } },
  allow: [{ methods: ['POST'], path: '/messages' }],
  credential: { type: 'header', name: 'Authorization', prefix: 'Bearer ' },
};

/** What of a route is written with PUT: the rest is what keyward says of it. */
function written(route: Route): Record<string, unknown> {
  const { name: _, secrets: __, created_at: ___, updated_at: ____, effective_by: _____, ...settings } = route;
  return Object.fromEntries(Object.entries(settings).filter(([, of]) => of !== null && JSON.stringify(of) !== '{}'));
}

function parsed(typed: string): unknown {
  try {
    return JSON.parse(typed);
  } catch (error) {
    throw new Refusal({ status: 0, code: 'INVALID_REQUEST', title: 'The request is not valid', detail: `This is not JSON: ${(error as Error).message}`, field: 'settings' });
  }
}

const editor = (settings: unknown, kept: string | undefined) => field('Settings', h('textarea', { name: 'settings', rows: 22, class: 'code', spellcheck: 'false', autocomplete: 'off' }, kept ?? JSON.stringify(settings, null, 2)), { hint: 'The body of PUT /v1/routes/{name}. What is left out is not allowed.', wide: true });

/** A refusal names a field of the settings: it is one text here, so the name is said with what is wrong. */
async function put(name: string, settings: unknown): Promise<Route & { effective_by: string }> {
  try {
    return await call('PUT', `/v1/routes/${encodeURIComponent(name)}`, settings);
  } catch (error) {
    if (error instanceof Refusal && error.problem.field) throw new Refusal({ ...error.problem, field: 'settings' });
    throw error;
  }
}

export const routesScreen: Screen = async (place, { signal }) => {
  const { data } = await call<Page<Route>>('GET', '/v1/routes', undefined, { signal });
  const slot = (of: Slot | null) => (of ? `${of.share} %` : '–');
  fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Routes'), h('p', { class: 'actions' }, h('a', { class: 'button primary', href: '#/routes/new' }, 'Create a route'))),
    data.length ? table('Routes', ['Name', 'Upstream', 'Environment', 'Current', 'Next', 'Changed'], data.map((route) => [h('a', { href: `#/routes/${route.name}` }, route.name), own(route.upstream), h('code', {}, route.environment), slot(route.secrets.current), slot(route.secrets.next), time(route.updated_at)]))
      : empty('No routes yet.', h('p', {}, 'A route lets a front end call a provider without the provider’s key: keyward adds the key on the way. The route says which pages and keys may call, which paths, how often, and to which countries.'), h('p', { class: 'actions' }, h('a', { class: 'button primary', href: '#/routes/new' }, 'Create a route'))));
};

export const newRouteScreen: Screen = (place) => {
  const kept = draft<{ name: string; settings: string }>('new-route');
  const made = form({
    submit: 'Create the route', cancel: h('a', { class: 'button quiet', href: '#/routes' }, 'Back to the routes'),
    children: [field('Name', text('name', kept?.name ?? '', { dir: 'ltr', spellcheck: 'false' }), { hint: 'Part of the path: /r/{name}/…' }), editor(NEW, kept?.settings)],
    send: async (of) => {
      const name = value(of, 'name');
      if (!name) throw new Refusal({ status: 0, code: 'INVALID_REQUEST', title: 'The request is not valid', detail: 'A route needs a name.', field: 'name' });
      await put(name, parsed(value(of, 'settings')));
      forgetDraft('new-route');
      go(`#/routes/${name}`);
    },
  });
  made.addEventListener('input', () => keepDraft('new-route', { name: value(made, 'name'), settings: value(made, 'settings') }));
  fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Create a route')), made);
};

/** What was seen of a secret. */
const useOf = (use: SlotUse | undefined): [string, Child][] => (use ? [
  ['Calls', use.calls.toLocaleString('en-GB')], ['Failures', String(use.failures)], ['Answered 401', String(use.unauthorized)], ['Last used', use.last_used_at ? time(use.last_used_at) : 'never'],
] : []);

export const routeScreen: Screen = async (place, { id: name, signal }) => {
  const path = `/v1/routes/${encodeURIComponent(name)}`;
  let route = await call<Route>('GET', path, undefined, { signal });
  let use: RouteUse = { slots: [], anomalies: [] };
  const [slots, unusual, answer, stands] = [h('div', { class: 'evidence' }), h('div'), h('div'), h('div')];

  async function reload(background = false): Promise<void> {
    [route, use] = await Promise.all([call<Route>('GET', path, undefined, { signal, background }), call<RouteUse>('GET', `${path}/use`, undefined, { signal, background })]);
    showUse();
  }
  async function tried(act: () => Promise<string>): Promise<void> {
    try {
      const said = await act();
      fill(answer);
      announce(said);
      await quietly(reload());
      showSlots();
    } catch (error) {
      fill(answer, problemView(problemOf(error), { retry: () => tried(act) }));
    }
  }
  async function retire(slot: SlotName, force: boolean): Promise<void> {
    try {
      await call('DELETE', `${path}/secrets/${slot}${force ? '?force=true' : ''}`);
      fill(answer);
      announce('Retired.');
      await quietly(reload());
      showSlots();
    } catch (error) {
      const problem = problemOf(error);
      const found = problem['use'] as SlotUse[] | undefined;
      fill(answer, problemView(problem, { children: [found && table('Use', ['Slot', 'Calls', 'Last used'], found.map((each) => [each.slot, each.calls, each.last_used_at ? time(each.last_used_at) : 'never'])),
        problem.code === 'SLOT_IN_USE' && h('p', { class: 'actions' }, button('Retire it anyway', () => retire(slot, true), { class: 'danger' }), button('Leave it', () => fill(answer)))] }));
    }
  }

  function slotView(slot: SlotName): HTMLElement {
    const of = route.secrets[slot];
    const secret = h('input', { type: 'password', name: 'secret', autocomplete: 'off', spellcheck: 'false' });
    const write = form({
      submit: of ? 'Replace it' : 'Set it',
      children: [field(of ? 'Another secret' : 'Secret', secret, { hint: 'Written, sealed for this route and never shown again.' })],
      send: async (made) => {
        await call('PUT', `${path}/secrets/${slot}`, { secret: value(made, 'secret') });
        made.reset();
        announce('Sealed.');
        await quietly(reload());
        showSlots();
      },
    });
    const weight = h('input', { type: 'number', name: 'weight', min: 0, max: 100, value: of?.share ?? 0 });
    return h('div', { class: 'secret-seen', 'data-slot': slot },
      h('h3', {}, slot === 'current' ? 'Current ' : 'Next ', of ? badge(`${of.share} %`, of.share > 0 ? 'good' : 'plain') : badge('empty', 'plain')),
      h('div', { class: 'use-of' }),
      slot === 'next' && of && form({
        submit: 'Shift', children: [field('Share of the calls, in %', weight)],
        send: async () => {
          await call('PUT', `${path}/secrets/next`, { weight: Number(weight.value) });
          announce('Shifted.');
          await quietly(reload());
          showSlots();
        },
      }),
      of?.environment ? h('p', { class: 'note' }, 'Bound from the environment: ', h('code', {}, of.environment)) : h('details', { open: !of && slot === 'current' }, h('summary', {}, of ? 'Replace the secret' : 'Set the secret'), write),
      of && h('p', { class: 'actions' }, button('Retire it', () => retire(slot, false))));
  }
  const showSlots = (): void => {
    fill(slots, slotView('current'), slotView('next'));
    showUse();
  };
  function showUse(): void {
    for (const slot of ['current', 'next'] as const) {
      const of = route.secrets[slot];
      renew(slots.querySelector(`[data-slot="${slot}"] .use-of`)!, of ? facts([['Set', time(of.set_at)], ...useOf(use.slots.find((each) => each.slot === slot))])
        : h('p', { class: 'note' }, slot === 'current' ? 'Without it, calls are answered with 503.' : 'A second secret, for moving to another of the provider’s keys without a failed call.'));
    }
    renew(unusual, use.anomalies.length ? table('Limits reached', ['Limit', 'Subject', 'Refused', 'First', 'Last', 'Last by'], use.anomalies.map((each) => [each.kind, own(each.of), each.refused, time(each.first_at), time(each.last_at), each.last_by]))
      : empty('No limits reached.', h('p', {}, 'A number, a range or a country that is called too often is listed here: that is what toll fraud looks like.')));
  }

  const settings = form({
    submit: 'Save the settings',
    children: [editor(written(route), draft<string>(`route-${name}`))],
    send: async (of) => {
      const changed = await put(name, parsed(value(of, 'settings')));
      forgetDraft(`route-${name}`);
      fill(stands, boundView('Saved.', { effective_by: changed.effective_by, confirmed: false }, changed.updated_at, signal));
      await quietly(reload());
      showSlots();
    },
  });
  settings.addEventListener('input', () => keepDraft(`route-${name}`, value(settings, 'settings')));
  fill(place, h('header', { class: 'screen-head' }, h('div', {}, h('h1', { tabindex: -1 }, 'Route ', own(name)), h('p', { class: 'under' }, h('code', {}, `/r/${name}/`), ' → ', own(route.upstream))), h('p', { class: 'actions' }, h('a', { class: 'button quiet', href: '#/routes' }, 'All routes'))),
    section('The upstream’s secrets', answer, slots), section('Limits reached', unusual),
    section('Settings', stands, h('details', { class: 'more-fields', open: draft(`route-${name}`) !== undefined }, h('summary', {}, 'Show and change them'), settings)),
    section('Remove', h('p', { class: 'actions' }, button('Remove the route', () => tried(async () => {
      if (!(await confirmed('Remove the route', `${name} will stop answering calls, its sessions end, and its sealed secrets are deleted.`, 'Remove it'))) return 'Kept.';
      await call('DELETE', path);
      go('#/routes');
      return 'Removed.';
    }), { class: 'danger' }))));
  showSlots();
  await attempt(unusual, () => reload());
  repeatedly(EVERY, signal, () => reload(true));
};
