/** The log of every change, and whether it is whole. */
import { call, query } from './api.ts';
import { badge, copyButton, empty, facts, fill, h, own, table, time, type Child } from './dom.ts';
import { field, form, text, value } from './forms.ts';
import type { Entry, Key, LogCheck, Page } from './model.ts';
import { paged } from './pages.ts';
import { attempt } from './problems.ts';
import type { Screen } from './screen.ts';
import { nameOf, remember } from './seen.ts';
import { words } from './text.ts';

/** A key by its name, where that is known, with its id for whoever points at it. */
function keyOf(id: string): Child {
  const name = nameOf(id);
  return h('a', { href: `#/keys/${id}`, title: id }, name === undefined ? h('code', {}, id) : own(name));
}

function subject(entry: Entry): Child {
  if (entry.key_id) return keyOf(entry.key_id);
  if (entry.route) return h('a', { href: `#/routes/${entry.route}` }, entry.route);
  if (entry.webhook) return h('a', { href: `#/webhooks/${entry.webhook}` }, entry.webhook);
  if (entry.incident) return h('a', { href: `#/incidents/${entry.incident}` }, entry.incident);
  return '–';
}

/** More changed fields than this are counted and not named. */
const MOST_NAMED = 3;

const shown = (of: unknown) => (of === undefined ? '–' : typeof of === 'string' ? of : JSON.stringify(of));

/** What was before and after; or what was set, where nothing is told of before. */
function difference(of: unknown): Child[] {
  if (typeof of !== 'object' || of === null || !('before' in of || 'after' in of)) return [h('ins', { dir: 'auto' }, shown(of ?? undefined))];
  const { before, after } = of as { before?: unknown; after?: unknown };
  return [h('del', { dir: 'auto' }, shown(before)), ' → ', h('ins', { dir: 'auto' }, shown(after))];
}

function changes(entry: Entry): Child {
  const all = Object.entries(entry.changes ?? {});
  const named = all.length > MOST_NAMED ? `${all.length} fields` : all.map(([name]) => words(name)).join(', ');
  return h('details', {}, h('summary', {}, named || (entry.reason ? own(`“${entry.reason}”`) : 'no fields')), named && entry.reason && h('p', {}, own(`“${entry.reason}”`)),
    all.length > 0 && h('ul', {}, ...all.map(([name, of]) => h('li', {}, h('b', {}, name), ': ', ...difference(of)))),
    h('p', { class: 'note' }, 'Request ', h('code', {}, entry.request_id)));
}

function chainView(check: LogCheck): HTMLElement {
  const head = h('code', {}, check.head ?? 'none');
  return h('div', { class: check.whole ? 'chain whole' : 'chain broken', role: 'status' },
    h('p', { class: 'lead' }, badge(check.whole ? 'Whole' : 'Broken', check.whole ? 'good' : 'bad'), check.whole ? ' No row was altered, removed or moved.' : ' Rows were altered, removed or moved.'),
    check.problem && h('p', {}, `At row ${check.problem.position}: ${words(check.problem.what)}. ${check.problem.detail}`),
    facts([['Rows', `${check.rows.toLocaleString('en-GB')}, ${check.authenticated.toLocaleString('en-GB')} of them authenticated by the audit key`], ['Head', [head, ' ', check.head && copyButton('Copy', () => check.head!, () => head)]]]));
}

export const auditScreen: Screen = (place, { signal }) => {
  const chain = h('div');
  const verify = (head: string) => call<LogCheck>('GET', `/v1/audit/verify${query({ head })}`, undefined, { signal });
  void attempt(chain, async () => fill(chain, chainView(await verify(''))));
  // Rows name keys by their ids: the names of the newest keys, for those that no other screen has read.
  const named = call<Page<Key>>('GET', `/v1/keys${query({ limit: 100 })}`, undefined, { signal, background: true }).then(({ data }) => data.forEach(remember), () => undefined);
  const held = form({
    submit: 'Check the log against it',
    children: [field('A log head that you saved', text('head', '', { dir: 'ltr', spellcheck: 'false' }), { hint: 'The log_head of a receipt or an export. It shows whether the end of the log was cut off since.' })],
    send: async (of) => fill(chain, chainView(await verify(value(of, 'head')))),
  });
  fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Audit')), chain, h('details', { class: 'more-fields' }, h('summary', {}, 'Check that the end was not cut off'), held),
    paged<Entry>({
      path: '/v1/audit', signal, of: ({ position, request_id }) => position ?? request_id, after: named,
      none: () => empty('No changes yet.', h('p', {}, 'Every change to a key, a route, a webhook or an incident is listed here: who made it, from where, and what it was before and after. Rows are chained, so altering one shows.')),
      show: (all) => table('Log', ['Row', 'Time', 'Event', 'Subject', 'Changes', 'By', 'From'], all.map((entry) =>
        [entry.position ?? '–', time(entry.at), words(entry.kind), subject(entry), changes(entry), /^[0-9A-Za-z]{16}$/.test(entry.by) ? keyOf(entry.by) : entry.by, [entry.address, entry.country].filter(Boolean).join(' ') || '–']), all.map(({ position, request_id }) => position ?? request_id)),
    }));
};
