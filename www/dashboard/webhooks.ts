/** Webhooks: to whom keyward tells what happens, and what became of it. */
import { call, Refusal } from './api.ts';
import { announce, badge, button, confirmed, empty, facts, fill, h, own, section, table, time, type Child } from './dom.ts';
import { draft, field, forgetDraft, form, keepDraft, text, value } from './forms.ts';
import type { Delivery, Page, Webhook } from './model.ts';
import { paged } from './pages.ts';
import { problemOf, problemView } from './problems.ts';
import { go, type Screen } from './screen.ts';
import { showOnce } from './secret.ts';
import { entries, when } from './text.ts';

const standing = (webhook: Webhook) => (webhook.gone ? badge('gone', 'bad') : webhook.active ? badge('active', 'good') : badge('paused', 'odd'));

const secretOf = (webhook: Webhook) => showOnce({ title: 'The webhook’s secret, shown this once', text: webhook.secret!, name: `keyward ${webhook.name} webhook`, note: 'Your receiver checks with it that a message is keyward’s.' });

interface Typed {
  name: string;
  url: string;
  events: string;
  description: string;
}

export const webhooksScreen: Screen = async (place, { signal }) => {
  const { data } = await call<Page<Webhook>>('GET', '/v1/webhooks', undefined, { signal });
  const kept = draft<Typed>('webhook') ?? { name: '', url: '', events: '', description: '' };
  const made = form({
    submit: 'Save the webhook',
    children: [h('div', { class: 'grid' }, field('Name', text('name', kept.name, { dir: 'ltr' })), field('URL', text('url', kept.url, { type: 'url', dir: 'ltr', placeholder: 'https://hooks.example/keyward' })),
      field('Events', text('events', kept.events, { dir: 'ltr', placeholder: 'all' }), { hint: 'Separated by spaces or commas: key.leaked route.anomaly, or key.* for all of a kind.' }), field('Description', text('description', kept.description)))],
    send: async (of) => {
      const name = value(of, 'name');
      if (!name) throw new Refusal({ status: 0, code: 'INVALID_REQUEST', title: 'The request is not valid', detail: 'A webhook needs a name.', field: 'name' });
      const events = entries(value(of, 'events'));
      const written = await call<Webhook>('PUT', `/v1/webhooks/${encodeURIComponent(name)}`, { url: value(of, 'url'), ...(events.length && { events }), ...(value(of, 'description') && { description: value(of, 'description') }) });
      forgetDraft('webhook');
      if (written.secret) await secretOf(written);
      go(`#/webhooks/${name}`);
    },
  });
  made.addEventListener('input', () => keepDraft('webhook', { name: value(made, 'name'), url: value(made, 'url'), events: value(made, 'events'), description: value(made, 'description') }));
  fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Webhooks')),
    data.length ? table('Webhooks', ['Name', 'URL', 'Events', 'State'], data.map((each) => [h('a', { href: `#/webhooks/${each.name}` }, each.name), own(each.url), each.events.join(', ') || 'all', standing(each)]))
      : empty('No webhooks yet.', h('p', {}, 'keyward tells your servers what happens to keys: created, revoked, leaked, expiring, used unusually. Messages are signed as in Standard Webhooks, and retried for a day.')),
    section('Add a webhook', made));
};

const attemptOf = ({ event_id, attempt, at }: Delivery) => `${event_id} ${attempt} ${at}`;

export const webhookScreen: Screen = async (place, { id: name, signal }) => {
  const path = `/v1/webhooks/${encodeURIComponent(name)}`;
  let webhook = await call<Webhook>('GET', path, undefined, { signal });
  const [head, known, answer] = [h('header', { class: 'screen-head' }), h('div'), h('div')];

  async function tried(act: () => Promise<string>): Promise<void> {
    try {
      const said = await act();
      fill(answer);
      announce(said);
      if (signal.aborted) return;
      webhook = await call<Webhook>('GET', path, undefined, { signal });
      show();
    } catch (error) {
      if (signal.aborted) return;
      fill(answer, problemView(problemOf(error), { retry: () => tried(act) }));
    }
  }
  const settings = (active: boolean) => ({ url: webhook.url, events: webhook.events, ...(webhook.description && { description: webhook.description }), active });
  const deliveries = paged<Delivery>({
    path: `${path}/deliveries`, signal, of: attemptOf,
    none: () => empty('Nothing sent yet.', h('p', {}, '“Send a test” sends the event keyward.test.')),
    show: (all) => table('Deliveries', ['Time', 'Event', 'Attempt', 'Outcome', 'Status', 'Took', 'Id', 'Resend'], all.map((each) => [time(each.at), each.type, each.attempt, badge(each.outcome, each.outcome === 'delivered' ? 'good' : each.outcome === 'retry' ? 'odd' : 'bad'), each.status ?? own(each.error ?? '–'), `${each.duration_ms} ms`, h('code', {}, each.event_id),
      button('Send again', () => tried(async () => {
        await call('POST', `${path}/replay`, { event_id: each.event_id });
        return 'Queued.';
      }))]), all.map(attemptOf)),
  });
  function show(): void {
    fill(head, h('div', {}, h('h1', { tabindex: -1 }, 'Webhook ', own(name)), h('p', { class: 'under' }, own(webhook.url), ' ', standing(webhook))), h('p', { class: 'actions' }, h('a', { class: 'button quiet', href: '#/webhooks' }, 'All webhooks')));
    const { state } = webhook;
    fill(known, facts([
      ['Events', webhook.events.join(', ') || 'all'], ['Description', own(webhook.description ?? '–')], ['Secrets', webhook.secrets.map(({ created_at, until }) => `created ${when(created_at)}${until ? `, signs until ${when(until)}` : ''}`).join('; ')],
      ...(state ? [['Waiting', String(state.pending)], ['Given up', String(state.given_up)], ['Last success', state.last_success_at ? time(state.last_success_at) : 'never'], ['Failing since', state.failing_since ? time(state.failing_since) : '–']] as [string, Child][] : []),
    ]), h('p', { class: 'actions' },
      button('Send a test', () => tried(async () => {
        await call('POST', `${path}/test`, {});
        return 'Sent. Its outcome appears below.';
      }), { class: 'primary' }),
      button(webhook.active ? 'Pause' : 'Resume', () => tried(async () => {
        await call('PUT', path, settings(!webhook.active));
        return webhook.active ? 'Paused: events are kept for two days.' : 'Resumed.';
      })),
      button('New secret', () => tried(async () => {
        await secretOf(await call<Webhook>('POST', `${path}/rotate-secret`, {}));
        return 'The old secret signs as well for a day.';
      })),
      button('Remove', () => tried(async () => {
        if (!(await confirmed('Remove the webhook', `${name} receives no more messages, and those that are waiting are not sent.`, 'Remove it'))) return 'Kept.';
        await call('DELETE', path);
        go('#/webhooks');
        return 'Removed.';
      }), { class: 'danger' })));
  }
  fill(place, head, section('Status', known, answer), section('Deliveries', deliveries));
  show();
};
