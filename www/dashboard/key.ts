/** The screen of one key: what it is, how it is used, and what can be done with it. */
import { call, OneCreation } from './api.ts';
import { announce, append, button, dialog, facts, fill, h, own, section, type Child } from './dom.ts';
import { area, field, form, select, text, value } from './forms.ts';
import { statusBadge, update } from './keys.ts';
import type { ChangedKey, Incident, Key, Receipt } from './model.ts';
import { problemOf, problemView, quietly } from './problems.ts';
import { boundView, receiptView } from './receipt.ts';
import { rotationSection } from './rotation.ts';
import { go, type Screen } from './screen.ts';
import { showOnce } from './secret.ts';
import { ownId } from './session.ts';
import { instant, span, when } from './text.ts';
import { anomaliesSection, callsSection, usageSection } from './usage.ts';

const list = (entries: string[], none: string): Child | Child[] => (entries.length ? entries.flatMap((entry, at) => [at > 0 && ' ', h('code', {}, entry)]) : none);

function factsOf(key: Key): HTMLElement {
  const limits = [...(key.rate_limits ?? []).map((rule) => `${rule.name}: ${rule.limit.toLocaleString('en-GB')} in ${span(rule.window_seconds)}, ${rule.mode === 'exact' ? 'exactly' : 'approximately'}`),
    ...(key.quotas ?? []).map((rule) => `${rule.name}: ${rule.limit.toLocaleString('en-GB')} ${rule.period === 'total' ? 'altogether' : `a ${rule.period}`}`)];
  return facts([
    ['Owner', own(key.owner)],
    ['Environment', h('code', {}, key.environment)],
    ['Scopes', list(key.scopes, 'none')],
    ['Expires', key.expires_at ? when(key.expires_at) : 'never'],
    ...(key.not_before ? [['Valid from', when(key.not_before)] as [string, string]] : []),
    ['Addresses', list(key.allowed_ips, 'all')],
    ...(key.denied_ips.length ? [['Denied addresses', list(key.denied_ips, '')] as [string, Child[]]] : []),
    ['Countries', list(key.allowed_countries, 'all')],
    ['Origins', list(key.allowed_origins, 'all')],
    ['Limits', limits.length ? limits.join('; ') : 'none'],
    ['Staleness', span(key.max_staleness_seconds)],
    ['When it leaks', key.on_leak ?? 'revoke'],
    ['When use is unusual', key.on_anomaly ?? 'notify'],
    ...(Object.keys(key.metadata).length ? [['Metadata', h('code', { dir: 'auto' }, JSON.stringify(key.metadata))] as [string, Child]] : []),
    ['Created', when(key.created_at)],
    ['Changed', `${when(key.updated_at)} · version ${key.version}`],
    ...(key.revoked_at ? [['Revoked', [when(key.revoked_at), key.revoke_reason && ': “', key.revoke_reason && own(key.revoke_reason), key.revoke_reason && '”']] as [string, Child[]]] : []),
  ]);
}

/** Says in a dialog what will happen, asks for what is needed, and does it. */
function revokeDialog(key: Key, revoked: (receipt: Receipt) => void): void {
  dialog('Revoke the key', (close) => [
    h('p', {}, 'Revoking is final. ', key.max_staleness_seconds > 0 ? `Edges that verified it lately may accept it for up to ${span(key.max_staleness_seconds)} more; the receipt says until when.` : 'It holds at once.'),
    key.id === ownId() && h('p', { class: 'problem' }, 'This is the key that you are logged in with. You will be asked for another.'),
    form({
      submit: 'Revoke', danger: true,
      cancel: h('button', { type: 'button', onclick: close }, 'Keep it'),
      children: [field('Reason', text('reason'), { hint: 'It stands in the log and in the key’s record.' })],
      send: async (of) => {
        const reason = value(of, 'reason');
        const receipt = await call<Receipt>('POST', `/v1/keys/${key.id}/revoke`, reason ? { reason } : {});
        close();
        revoked(receipt);
      },
    }),
  ]);
}

interface Answered extends ChangedKey {
  incident: Incident | null;
  key?: string;
}

function leakDialog(key: Key): void {
  const once = new OneCreation();
  dialog('Answer a leak', (close) => [
    h('p', {}, 'Ends the key, collects what it was used for since, and opens an incident with what remains to be done.'),
    form({
      submit: 'Answer the leak', danger: true,
      cancel: h('button', { type: 'button', onclick: close }, 'Cancel'),
      children: [
        field('Do', select('action', [['revoke', 'revoke the key'], ['rotate', 'replace its secret at once'], ['disable', 'disable the key'], ['none', 'nothing yet: collect the evidence']], 'revoke')),
        field('Suspected since', h('input', { type: 'datetime-local', name: 'suspected_at' }), { hint: 'Without it, since its secret was made.' }),
        field('Reason', text('reason')),
        field('Note', area('note'), { hint: 'Where it was found, by whom.' }),
      ],
      send: async (of) => {
        const suspected = instant(value(of, 'suspected_at'));
        const body = { action: value(of, 'action'), ...(suspected && { suspected_at: suspected }), ...(value(of, 'reason') && { reason: value(of, 'reason') }), ...(value(of, 'note') && { note: value(of, 'note') }) };
        const answered = await call<Answered>('POST', `/v1/keys/${key.id}/leak-response`, body, { idempotencyKey: once.keyFor(body) });
        once.done();
        close();
        if (answered.key) await showOnce({ title: 'The new secret, shown this once', text: answered.key, name: key.name, note: 'The old one has ended. Deploy this one.' });
        go(answered.incident ? `#/incidents/${answered.incident.id}` : `#/keys/${key.id}`);
      },
    }),
  ]);
}

export const keyScreen: Screen = async (place, { id, signal }) => {
  let key = await call<Key>('GET', `/v1/keys/${id}`, undefined, { signal });
  update(key);
  const head = h('header', { class: 'screen-head' });
  const known = h('div', { class: 'known' });
  const answer = h('div');
  const acts = h('div', { class: 'acts' });
  const rotation = h('div');
  let rotating: { status: Key['status']; stop: AbortController } | undefined;

  async function reload(): Promise<void> {
    key = await call<Key>('GET', `/v1/keys/${id}`, undefined, { signal });
    update(key);
    show();
  }
  const changed = async (what: string, path: string): Promise<void> => {
    try {
      const now = await call<ChangedKey>('POST', `/v1/keys/${id}/${path}`, {});
      fill(answer, boundView(what, now, now.updated_at, signal));
      await quietly(reload());
    } catch (error) {
      const problem = problemOf(error);
      fill(answer, problemView(problem, { retry: problem.code === 'KEY_REVOKED' ? undefined : () => changed(what, path) }));
      if (problem.status === 409) await quietly(reload());
    }
  };
  const revoked = (receipt: Receipt): void => {
    fill(answer, receiptView(id, receipt, signal));
    announce('Revoked.');
    answer.scrollIntoView({ block: 'nearest' });
    void quietly(reload());
  };

  function show(): void {
    const final = key.status === 'revoked';
    fill(head, h('div', {}, h('h1', { tabindex: -1 }, own(key.name)), h('p', { class: 'under' }, h('code', {}, key.redacted), ' ', statusBadge(key.status), id === ownId() && ' · the key that you are logged in with')),
      h('p', { class: 'actions' }, !final && h('a', { class: 'button', href: `#/keys/${id}/edit` }, 'Change'), h('a', { class: 'button quiet', href: '#/keys' }, 'All keys')));
    fill(known, factsOf(key));
    const focused = acts.contains(document.activeElement);
    fill(acts, final ? h('p', { class: 'note' }, 'It is revoked: that is final.') : h('p', { class: 'actions' },
      key.status === 'disabled' ? button('Enable', () => changed('Enabled: it is accepted again.', 'enable')) : button('Disable', () => changed('Disabled: refused until you enable it.', 'disable')),
      button('Revoke …', () => revokeDialog(key, revoked), { class: 'danger' }),
      button('It leaked …', () => leakDialog(key), { class: 'danger' })),
    final && h('p', { class: 'actions' }, button('Show the receipt', async () => {
      try {
        // Revoking again changes nothing and answers the receipt again.
        revoked(await call<Receipt>('POST', `/v1/keys/${id}/revoke`, {}));
      } catch (error) {
        fill(answer, problemView(problemOf(error)));
      }
    })));
    if (focused) acts.querySelector('button')?.focus();
    // What may be done with its secrets depends on its status alone; the evidence is read by the section itself.
    if (rotating?.status === key.status) return;
    rotating?.stop.abort();
    rotating = { status: key.status, stop: new AbortController() };
    fill(rotation, rotationSection(key, { signal: AbortSignal.any([signal, rotating.stop.signal]), reload }));
  }

  fill(place, head);
  append(place, [h('div', { class: 'two' },
    h('div', {}, section('The key', known, answer, acts), rotation),
    h('div', {}, usageSection(key, signal), anomaliesSection(key, signal))), callsSection(key, signal)]);
  show();
};
