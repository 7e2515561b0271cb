/** The form of a key: to create one, and to change one. */
import { call, OneCreation, Refusal } from './api.ts';
import { announce, button, fill, h, own, time as instantOf, type Child } from './dom.ts';
import { area, check, draft, field, forgetDraft, form, keepDraft, select, text, value, values, type Wrong } from './forms.ts';
import { forgetList, update } from './keys.ts';
import type { ChangedKey, Key } from './model.ts';
import { problemView } from './problems.ts';
import { go, repeatedly, type Screen } from './screen.ts';
import { showOnce } from './secret.ts';
import { seenScopes, suggestions } from './seen.ts';
import { BLANK, changedFields, creation, faultsOf, patch, settingsOf, type Quota, type RateLimit, type Settings } from './settings.ts';
import { zone } from './text.ts';

/** keyward's own scopes, for keys that manage. */
const OWN: readonly [scope: string, may: string][] = [
  ['keyward.keys:verify', 'verify callers’ keys: all that an API’s backend needs'],
  ['keyward.keys:read', 'read keys and reports'],
  ['keyward.keys:write', 'create and change keys'],
  ['keyward.usage:read', 'read use and anomalies'],
  ['keyward.usage:write', 'report deliveries'],
  ['keyward.leaks:write', 'report and answer leaks'],
  ['keyward.audit:read', 'read the log'],
  ['keyward.routes:read', 'read routes'],
  ['keyward.routes:write', 'write routes and their secrets'],
  ['keyward.sessions:create', 'begin browsers’ sessions'],
  ['keyward.authorize:proxy', 'ask as a proxy, which names the caller’s address'],
  ['keyward.webhooks:manage', 'manage webhooks'],
  ['keyward.metrics:read', 'read metrics'],
  ['keyward.*:*', 'all of these'],
];

const MOST_RULES = 8;
/** Scopes of other keys are offered up to so many. */
const MOST_OFFERED = 40;
/** How often it is looked whether the key that is being changed is still there, in milliseconds. */
const EVERY = 5000;

/** To the minute, unless a time is given to the second. */
const time = (name: string, at: string) => h('input', { type: 'datetime-local', name, value: at, step: /:\d\d:(?!00)\d\d/.test(at) && 1 });
const amount = (name: string, of: string, attributes: Record<string, string | number> = {}) => text(name, of, { inputmode: 'numeric', dir: 'ltr', ...attributes });

/** Rows of rules that can be added and taken away. */
function rules<T>(name: string, label: string, hint: string, given: T[], blank: T, row: (rule: T) => [label: string, control: HTMLElement][]): HTMLElement {
  const rows = h('div', { class: 'rules' });
  const more = button('Add', () => add(blank, true));
  const limit = () => void (more.hidden = rows.children.length >= MOST_RULES);
  function add(rule: T, focus = false): void {
    const controls = row(rule);
    const made = h('div', { class: 'rule', role: 'group', 'aria-label': label }, ...controls.map(([title, control]) => {
      control.setAttribute('aria-describedby', `${name}-error`);
      return h('label', {}, title, control);
    }), button('Remove', () => {
      made.remove();
      limit();
      more.focus();
      rows.dispatchEvent(new Event('input', { bubbles: true }));
    }, { class: 'quiet' }));
    rows.append(made);
    limit();
    if (!focus) return;
    controls[0]![1].focus();
    rows.dispatchEvent(new Event('input', { bubbles: true }));
  }
  given.forEach((rule) => add(rule));
  limit();
  return h('fieldset', { class: 'field wide', 'data-field': name }, h('legend', {}, label), h('p', { class: 'note' }, hint), rows, h('p', { class: 'error', id: `${name}-error` }), more);
}

const ruleRows = (made: HTMLElement, name: string) => [...made.querySelectorAll(`[data-field="${name}"] .rule`)];
const control = (row: Element, name: string) => row.querySelector<HTMLInputElement>(`[name="${name}"]`)!.value;

/** What stands in the form now. */
function typed(made: HTMLFormElement): Settings {
  const lines = (name: string) => String(new FormData(made).get(name) ?? '');
  return {
    name: value(made, 'name'), owner: value(made, 'owner'), environment: value(made, 'environment'), scopes: values(made, 'scopes'), other_scopes: lines('other_scopes'),
    not_before: value(made, 'not_before'), expires_at: value(made, 'expires_at'),
    allowed_ips: lines('allowed_ips'), denied_ips: lines('denied_ips'), allowed_countries: lines('allowed_countries'), allowed_origins: lines('allowed_origins'),
    rate_limits: ruleRows(made, 'rate_limits').map((row): RateLimit => ({ name: control(row, 'rate-name'), limit: control(row, 'rate-limit'), window_seconds: control(row, 'rate-window'), burst: control(row, 'rate-burst'), mode: control(row, 'rate-mode') })),
    quotas: ruleRows(made, 'quotas').map((row): Quota => ({ name: control(row, 'quota-name'), limit: control(row, 'quota-limit'), period: control(row, 'quota-period') })),
    max_staleness_seconds: value(made, 'max_staleness_seconds'), rotation_days: value(made, 'rotation_days'), on_leak: value(made, 'on_leak'), on_anomaly: value(made, 'on_anomaly'), metadata: lines('metadata'),
  };
}

/** The controls of a rule by what the API names them. */
const CONTROLS: Record<string, string> = { name: 'name', limit: 'limit', window_seconds: 'window', burst: 'burst' };

/** What is wrong with the form, as far as this page can tell. `began` is what it began with. */
function wrongIn(made: HTMLFormElement, began: Settings): Wrong[] {
  // A date that is typed by half counts as none otherwise.
  const half = ['not_before', 'expires_at'].filter((name) => made.querySelector<HTMLInputElement>(`[name="${name}"]`)!.validity.badInput);
  const faults = faultsOf(typed(made), began, Date.now()).filter(({ field: name }) => !half.includes(name));
  const all = [...half.map((field): Wrong => ({ field, said: 'Enter the whole date and time, or clear it.' })), ...faults.map(({ field, said, rule, entry }): Wrong => {
    if (rule === undefined) return { field, said };
    const control = ruleRows(made, field)[rule]!.querySelector(`[name="${field === 'quotas' ? 'quota' : 'rate'}-${CONTROLS[entry!]}"]`)!;
    return { field, said: `Rule ${rule + 1}, ${control.parentElement!.firstChild!.textContent}: ${said.charAt(0).toLowerCase()}${said.slice(1)}`, control };
  })];
  const places = [...made.querySelectorAll<HTMLElement>('[data-field]')].map(({ dataset }) => dataset['field']);
  return all.sort((a, b) => places.indexOf(a.field) - places.indexOf(b.field));
}

/** The ends that are offered, in days; without one a copy of a key works until it is revoked. */
const ENDS = [30, 90, 365];

function expiry(at: string): HTMLElement {
  const input = time('expires_at', at);
  const set = (value: string): void => {
    input.value = value;
    input.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const made = field('Expires', input, { hint: `In your time zone, ${zone()}. Without an expiry date, a leaked copy works until it is revoked.` });
  input.after(h('p', { class: 'choices' }, ...ENDS.map((days) => button(`${days} days`, () => set(inDays(days)))), button('Never', () => set(''))));
  return made;
}

function scopes(settings: Settings): HTMLElement {
  // All that the key holds has its box: what is not in the form would be taken away with the next change.
  const held = settings.scopes.filter((scope) => !OWN.some(([own]) => own === scope));
  const seen = seenScopes().filter((scope) => !held.includes(scope)).slice(0, Math.max(0, MOST_OFFERED - held.length));
  const offered = [...held, ...seen].sort();
  const managing = settings.scopes.some((scope) => scope.startsWith('keyward.'));
  const choice = (scope: string, hint?: string) => check('scopes', scope, h('code', {}, scope), settings.scopes.includes(scope), hint);
  return h('fieldset', { class: 'field wide', 'data-field': 'scopes' },
    h('legend', {}, 'Scopes'),
    h('p', { class: 'note' }, 'What the key may be used for, as resource:action; * stands for either side. With none, it grants nothing.'),
    offered.length > 0 && h('div', { class: 'checks' }, ...offered.map((scope) => choice(scope))),
    h('p', { class: 'error' }),
    field(offered.length ? 'Other scopes' : 'Scopes, separated by spaces or commas', text('other_scopes', settings.other_scopes, { placeholder: 'calls:create billing:read', dir: 'ltr', spellcheck: 'false' })),
    h('details', { open: managing }, h('summary', {}, 'keyward’s own scopes, for keys that manage'), h('div', { class: 'checks' }, ...OWN.map(([scope, may]) => choice(scope, may)))));
}

function inputs(settings: Settings, creating: boolean): Child[] {
  return [
    h('div', { class: 'grid' },
      field('Name', text('name', settings.name, { required: true }), { hint: 'What it is for: server-prod, ci-deploy.' }),
      field('Owner', text('owner', settings.owner, { required: true, list: 'owners' }), { hint: 'Whose it is: a customer, a team.' }),
      creating ? field('Environment', text('environment', settings.environment, { list: 'environments', dir: 'ltr' }), { hint: 'live, test, staging or dev, unless configured otherwise. It cannot be changed later.' }) : h('input', { type: 'hidden', name: 'environment', value: settings.environment }),
      expiry(settings.expires_at)),
    scopes(settings),
    h('details', { class: 'more-fields', open: Boolean(settings.allowed_ips || settings.denied_ips || settings.allowed_countries || settings.allowed_origins || settings.not_before) },
      h('summary', {}, 'Where and when it may be used'),
      h('div', { class: 'grid' },
        field('Allowed addresses', area('allowed_ips', settings.allowed_ips), { hint: 'Addresses or CIDR ranges, one per line: 192.0.2.0/24.' }),
        field('Denied addresses', area('denied_ips', settings.denied_ips), { hint: 'These take precedence over allowed addresses.' }),
        field('Allowed countries', text('allowed_countries', settings.allowed_countries, { dir: 'ltr', spellcheck: 'false' }), { hint: 'Two letters each: DE AT CH.' }),
        field('Allowed origins', area('allowed_origins', settings.allowed_origins), { hint: 'One per line: https://app.example.' }),
        field('Valid from', time('not_before', settings.not_before), { hint: `In your time zone, ${zone()}.` }))),
    h('details', { class: 'more-fields', open: settings.rate_limits.length + settings.quotas.length > 0 },
      h('summary', {}, 'Limits'),
      rules('rate_limits', 'Rate limits', 'A number of calls per number of seconds, counted exactly over all edges or approximately by each.', settings.rate_limits, { name: 'requests', limit: '100', window_seconds: '60', burst: '', mode: 'exact' }, (rule) => [
        ['Rule', text('rate-name', rule.name, { dir: 'ltr' })], ['Calls', amount('rate-limit', rule.limit)], ['Window, in seconds', amount('rate-window', rule.window_seconds)], ['Burst', amount('rate-burst', rule.burst, { placeholder: 'all' })],
        ['Counted', select('rate-mode', [['exact', 'exactly'], ['approximate', 'approximately']], rule.mode)],
      ]),
      rules('quotas', 'Quotas', 'A number of calls per day or month (UTC), or in total.', settings.quotas, { name: 'monthly', limit: '10000', period: 'month' }, (rule) => [
        ['Rule', text('quota-name', rule.name, { dir: 'ltr' })], ['Calls', amount('quota-limit', rule.limit)], ['Per', select('quota-period', [['day', 'day'], ['month', 'month'], ['total', 'lifetime']], rule.period)],
      ])),
    h('details', { class: 'more-fields' },
      h('summary', {}, 'Policies and metadata'),
      h('div', { class: 'grid' },
        field('When it leaks', select('on_leak', [['', 'default: revoke'], ['revoke', 'revoke'], ['disable', 'disable'], ['notify', 'notify only']], settings.on_leak)),
        field('When its use is unusual', select('on_anomaly', [['', 'default: notify only'], ['notify', 'notify only'], ['throttle', 'throttle'], ['disable', 'disable'], ['revoke', 'revoke']], settings.on_anomaly)),
        field('Maximum staleness, in seconds', amount('max_staleness_seconds', settings.max_staleness_seconds, { placeholder: '5' }), { hint: '5 if empty. How long an edge may answer without asking again; a revocation takes at most this long. 0 to 60.' }),
        field('Rotation due after, in days', amount('rotation_days', settings.rotation_days), { hint: '90, say; never if empty.' }),
        field('Metadata', area('metadata', settings.metadata), { hint: 'A JSON object; returned with each verdict.', wide: true }))),
  ];
}

/** Keeps what is typed under a name until it is sent. */
function keeping(made: HTMLFormElement, name: string): HTMLFormElement {
  made.addEventListener('input', () => keepDraft(name, typed(made)));
  return made;
}

export const newKeyScreen: Screen = (place) => {
  const once = new OneCreation();
  const name = 'new-key';
  const kept = draft<Settings>(name);
  const made = form({
    submit: 'Create the key',
    cancel: h('a', { class: 'button quiet', href: '#/keys' }, 'Back to the keys'),
    children: inputs(kept ?? BLANK, true),
    check: (of) => wrongIn(of, BLANK),
    send: async (of) => {
      const body = creation(typed(of));
      const created = await call<Key & { key?: string }>('POST', '/v1/keys', body, { idempotencyKey: once.keyFor(body) });
      once.done();
      forgetDraft(name);
      forgetList();
      update(created);
      const { key } = created;
      if (key === undefined) {
        fill(of.querySelector('.form-problem')!, problemView({ status: 0, code: 'SECRET_LOST', title: 'The key was created, but its text was lost', detail: 'an earlier answer did not arrive, and keyward keeps only a digest; revoke that key and create another' },
          { children: [h('p', { class: 'actions' }, h('a', { class: 'button', href: `#/keys/${created.id}` }, 'Show that key'))] }));
        return;
      }
      await showOnce({ title: 'Your key, shown this once', text: key, name: created.name, note: 'Copy it to where it is needed. keyward keeps only a keyed digest, so nobody can show it again.' });
      go(`#/keys/${created.id}`);
    },
  });
  fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Create a key')), kept && h('p', { class: 'note' }, 'Restored what you had typed.'), keeping(made, name), ...suggestions());
};

/** Leads to a key like another; where one was begun already, to that. */
export const another = (like: () => Settings): HTMLElement => (draft('new-key') !== undefined ? h('a', { class: 'button', href: '#/keys/new' }, 'Create another key') : button('Create a key like it', () => {
  keepDraft('new-key', like());
  go('#/keys/new');
}));

/** What somebody else did meanwhile, said above the form, which stays as it is. */
function meanwhile(place: Element, before: Key, now: Key, made: HTMLFormElement): void {
  const lead = now.status === 'revoked' && before.status !== 'revoked' ? 'Somebody else revoked this key while you had it open.' : 'Somebody else changed this key while you had it open.';
  const changed = changedFields(before, now);
  const what = now.status === 'revoked' ? ['It was revoked', now.revoked_at && ' at ', now.revoked_at && instantOf(now.revoked_at, 'exact'), now.revoke_reason && ', with the reason', now.revoke_reason && ' “', now.revoke_reason && own(now.revoke_reason), now.revoke_reason && '”', '. It cannot be changed any more. What you typed is still below, and you can create another key with it.']
    : [changed.length ? `Changed: ${changed.join(', ')}. ` : 'Nothing that this form shows was changed. ', 'What you typed is still below. Save again to apply your changes; fields that you did not touch stay as they are now.'];
  fill(place, h('div', { class: 'problem' }, h('p', { class: 'lead' }, lead), h('p', {}, ...what), h('p', { class: 'actions' }, now.status === 'revoked' && another(() => typed(made)), h('a', { class: 'button', href: `#/keys/${now.id}` }, 'Show the current key'))));
  announce(lead);
}

/** What was saved last, until the key's page has shown it. */
let saved: { what: string; changed: ChangedKey } | undefined;
export function takeSaved(id: string): typeof saved {
  const taken = saved?.changed.id === id ? saved : undefined;
  saved = undefined;
  return taken;
}

export const editKeyScreen: Screen = async (place, { id, signal }) => {
  let key = await call<Key>('GET', `/v1/keys/${id}`, undefined, { signal });
  const name = `key-${id}`;
  const kept = draft<{ before: Key; settings: Settings }>(name);
  // What was typed counts from what was seen when it was typed.
  const first = kept?.before ?? key;
  const began = settingsOf(first);
  const notice = h('div');
  const head = h('h1', { tabindex: -1 }, 'Change ', own(key.name));
  const made = form({
    submit: 'Save',
    cancel: h('a', { class: 'button quiet', href: `#/keys/${id}` }, 'Back to the key'),
    children: inputs(kept?.settings ?? began, false),
    check: (of) => wrongIn(of, began),
    send: async (of) => {
      const body = patch(began, typed(of));
      if (Object.keys(body).length === 0) {
        announce('Nothing was changed.');
        go(`#/keys/${id}`);
        return;
      }
      const now = await call<Key>('GET', `/v1/keys/${id}`);
      const stale = now.version !== key.version;
      const before = key;
      key = now;
      if (stale) return meanwhile(notice, before, now, of);
      try {
        const changed = await call<ChangedKey>('PATCH', `/v1/keys/${id}`, body);
        forgetDraft(name);
        update(changed);
        announce('Saved.');
        saved = { what: `Saved: ${changedFields(now, changed).join(', ').replaceAll('_', ' ')}.`, changed };
        go(`#/keys/${id}`);
      } catch (error) {
        if (!(error instanceof Refusal) || error.problem.code !== 'KEY_REVOKED') throw error;
        const gone = await call<Key>('GET', `/v1/keys/${id}`);
        update(gone);
        meanwhile(notice, key, gone, of);
        key = gone;
      }
    },
  });
  made.addEventListener('input', () => keepDraft(name, { before: first, settings: typed(made) }));
  fill(place, h('header', { class: 'screen-head' }, head), h('p', { class: 'note' }, h('code', {}, key.redacted)), notice, made, ...suggestions());
  if (kept && kept.before.version !== key.version) meanwhile(notice, kept.before, key, made);
  // That it is revoked need not wait until somebody has typed all: what else was changed is said before it is overwritten.
  repeatedly(EVERY, signal, async () => {
    const now = await call<Key>('GET', `/v1/keys/${id}`, undefined, { signal, background: true });
    if (now.status !== 'revoked' || key.status === 'revoked') return;
    update(now);
    meanwhile(notice, key, now, made);
    key = now;
  });
};
