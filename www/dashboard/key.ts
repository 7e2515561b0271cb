/** The screen of one key: what it is, how it is used, and what can be done with it. */
import { call, OneCreation } from './api.ts';
import { announce, append, button, dialog, facts, fill, h, own, renew, section, time, type Child } from './dom.ts';
import { area, field, form, select, text, value } from './forms.ts';
import { another, takeSaved } from './key-form.ts';
import { statusBadge, update } from './keys.ts';
import { liveLine } from './live.ts';
import type { ChangedKey, Incident, Key, Receipt } from './model.ts';
import { problemOf, problemView, quietly } from './problems.ts';
import { boundView, receiptView } from './receipt.ts';
import { rotationSection } from './rotation.ts';
import { go, type Screen } from './screen.ts';
import { showOnce } from './secret.ts';
import { ownId } from './session.ts';
import { settingsOf } from './settings.ts';
import { instant, span, zone } from './text.ts';
import { anomaliesSection, callsSection, usageSection } from './usage.ts';

const list = (entries: string[], none: string): Child | Child[] => (entries.length ? entries.flatMap((entry, at) => [at > 0 && ' ', h('code', {}, entry)]) : none);

function factsOf(key: Key): HTMLElement {
  const limits = [...(key.rate_limits ?? []).map((rule) => `${rule.name}: ${rule.limit.toLocaleString('en-GB')} per ${span(rule.window_seconds).replace(/^1 /, '')}, ${rule.mode === 'exact' ? 'exact' : 'approximate'}`),
    ...(key.quotas ?? []).map((rule) => `${rule.name}: ${rule.limit.toLocaleString('en-GB')} ${rule.period === 'total' ? 'in total' : `per ${rule.period}`}`)];
  return facts([
    ['Owner', own(key.owner)],
    ['Environment', h('code', {}, key.environment)],
    ['Scopes', list(key.scopes, 'none')],
    ['Expires', key.expires_at ? time(key.expires_at) : 'never'],
    ...(key.not_before ? [['Valid from', time(key.not_before)] as [string, Child]] : []),
    ['Addresses', list(key.allowed_ips, 'all')],
    ...(key.denied_ips.length ? [['Denied addresses', list(key.denied_ips, '')] as [string, Child[]]] : []),
    ['Countries', list(key.allowed_countries, 'all')],
    ['Origins', list(key.allowed_origins, 'all')],
    ['Limits', limits.length ? limits.join('; ') : 'none'],
    ['Maximum staleness', span(key.max_staleness_seconds)],
    ['When it leaks', key.on_leak ?? 'revoke'],
    ['When use is unusual', key.on_anomaly ?? 'notify'],
    ...(Object.keys(key.metadata).length ? [['Metadata', h('code', { dir: 'auto' }, JSON.stringify(key.metadata))] as [string, Child]] : []),
    ['Created', time(key.created_at)],
    ['Changed', [time(key.updated_at), ` · version ${key.version}`]],
    ...(key.revoked_at ? [['Revoked', [time(key.revoked_at, 'exact'), key.revoke_reason && ': “', key.revoke_reason && own(key.revoke_reason), key.revoke_reason && '”']] as [string, Child[]]] : []),
  ]);
}

/** Does what somebody asked for here: what is read meanwhile may not tell of it as of another's doing. */
type Act = <T>(does: () => Promise<T>) => Promise<T>;

/** Says in a dialog what will happen, asks for what is needed, and does it. */
function revokeDialog(key: Key, act: Act, revoked: (receipt: Receipt) => void): void {
  dialog('Revoke the key', (close) => [
    h('p', {}, 'Revoking is final. ', key.max_staleness_seconds > 0 ? `Edges that verified it lately may accept it for up to ${span(key.max_staleness_seconds)} more; the receipt says until when.` : 'It takes effect at once.'),
    key.id === ownId() && h('p', { class: 'problem' }, 'This is the key that you are logged in with. You will be asked for another.'),
    form({
      submit: 'Revoke', danger: true,
      cancel: h('button', { type: 'button', onclick: close }, 'Keep it'),
      children: [field('Reason', text('reason'), { hint: 'Shown in the log and on the key’s page.' })],
      send: (of) => act(async () => {
        const reason = value(of, 'reason');
        const receipt = await call<Receipt>('POST', `/v1/keys/${key.id}/revoke`, reason ? { reason } : {});
        close();
        revoked(receipt);
      }),
    }),
  ]);
}

interface Answered extends ChangedKey {
  incident: Incident | null;
  key?: string;
}

function leakDialog(key: Key, act: Act): void {
  const once = new OneCreation();
  dialog('Respond to a leak', (close) => [
    h('p', {}, 'Ends the key, collects what it has been used for, and opens an incident with a checklist of what remains to be done.'),
    form({
      submit: 'Respond', danger: true,
      cancel: h('button', { type: 'button', onclick: close }, 'Cancel'),
      children: [
        field('Action', select('action', [['revoke', 'revoke the key'], ['rotate', 'replace its secret at once'], ['disable', 'disable the key'], ['none', 'only collect evidence for now']], 'revoke')),
        field('Suspected since', h('input', { type: 'datetime-local', name: 'suspected_at' }), { hint: `In your time zone, ${zone()}. If empty, since its secret was created.` }),
        field('Reason', text('reason')),
        field('Note', area('note'), { hint: 'Where it was found, and by whom.' }),
      ],
      send: (of) => act(async () => {
        const suspected = instant(value(of, 'suspected_at'));
        const body = { action: value(of, 'action'), ...(suspected && { suspected_at: suspected }), ...(value(of, 'reason') && { reason: value(of, 'reason') }), ...(value(of, 'note') && { note: value(of, 'note') }) };
        const answered = await call<Answered>('POST', `/v1/keys/${key.id}/leak-response`, body, { idempotencyKey: once.keyFor(body) });
        once.done();
        close();
        if (answered.key) await showOnce({ title: 'The new secret, shown this once', text: answered.key, name: key.name, note: 'The old secret no longer works. Deploy this one.' });
        go(answered.incident ? `#/incidents/${answered.incident.id}` : `#/keys/${key.id}`);
      }),
    }),
  ]);
}

/** What became of a key while its page was open, and what can be done now. */
function became(key: Key): { lead: string; next: Child[] } {
  if (key.status === 'revoked') {
    return { lead: 'This key was revoked while you had it open.',
      next: [...(key.revoked_at ? ['Revoked at ', time(key.revoked_at, 'exact')] : ['Revoked']), key.revoke_reason && ', with the reason “', key.revoke_reason && own(key.revoke_reason), key.revoke_reason && '”', '. This is final. Callers need another key: create one and deploy it where this one was used. The audit log says who revoked it.'] };
  }
  if (key.status === 'expired') return { lead: 'This key expired while you had it open.', next: ['Its calls are refused. Change its expiry to accept them again.'] };
  return key.status === 'disabled' ? { lead: 'This key was disabled while you had it open.', next: ['Its calls are refused. The audit log says who disabled it; you can enable it again below.'] }
    : { lead: 'This key was enabled while you had it open.', next: ['Its calls are accepted again. The audit log says who enabled it.'] };
}

/** How often use and anomalies are read while there are no calls, in milliseconds. */
const SELDOM = 60_000;

export const keyScreen: Screen = async (place, { id, signal }) => {
  let key = await call<Key>('GET', `/v1/keys/${id}`, undefined, { signal });
  update(key);
  const head = h('header', { class: 'screen-head' });
  const notice = h('div');
  const known = h('div', { class: 'known' });
  const answer = h('div');
  const acts = h('div', { class: 'acts' });
  const rotation = h('div');
  let rotating: { status: Key['status']; stop: AbortController; refresh: () => Promise<void> } | undefined;
  let [acting, acted] = [0, 0];
  const saved = takeSaved(id);
  if (saved) fill(answer, boundView(saved.what, saved.changed, saved.changed.updated_at, signal));

  const act: Act = async (does) => {
    acting += 1;
    try {
      return await does();
    } finally {
      acting -= 1;
      acted += 1;
    }
  };
  async function reload(): Promise<void> {
    const now = await call<Key>('GET', `/v1/keys/${id}`, undefined, { signal });
    if (now.status !== key.status) fill(notice);
    key = now;
    update(key);
    show();
  }
  const changed = (what: string, path: string): Promise<void> => act(async () => {
    try {
      const now = await call<ChangedKey>('POST', `/v1/keys/${id}/${path}`, {});
      announce('');
      fill(answer, boundView(what, now, now.updated_at, signal));
      await quietly(reload());
    } catch (error) {
      const problem = problemOf(error);
      fill(answer, problemView(problem, { retry: problem.code === 'KEY_REVOKED' ? undefined : () => changed(what, path) }));
      if (problem.status === 409) await quietly(reload());
    }
  });
  const revoked = (receipt: Receipt): void => {
    fill(answer, receiptView(id, receipt, signal));
    announce('Revoked.');
    answer.scrollIntoView({ block: 'nearest' });
    void act(() => quietly(reload()));
  };
  const receipt = async (): Promise<void> => {
    try {
      // Revoking again changes nothing and answers the receipt again.
      revoked(await call<Receipt>('POST', `/v1/keys/${id}/revoke`, {}));
    } catch (error) {
      fill(answer, problemView(problemOf(error)));
    }
  };

  function show(): void {
    const focused = document.activeElement;
    const final = key.status === 'revoked';
    renew(head, h('div', {}, h('h1', { tabindex: -1 }, own(key.name)), h('p', { class: 'under' }, h('code', {}, key.redacted), ' ', statusBadge(key.status), id === ownId() && ' · the key that you are logged in with')),
      h('p', { class: 'actions' }, !final && h('a', { class: 'button', href: `#/keys/${id}/edit` }, 'Change'), h('a', { class: 'button quiet', href: '#/keys' }, 'All keys')));
    renew(known, factsOf(key));
    renew(acts, final ? h('p', { class: 'note' }, 'This key is revoked; that is final.') : h('p', { class: 'actions' },
      key.status === 'disabled' ? button('Enable', () => changed('Enabled: it is accepted again.', 'enable')) : button('Disable', () => changed('Disabled: refused until you enable it.', 'disable')),
      button('Revoke …', () => revokeDialog(key, act, revoked), { class: 'danger' }),
      button('It leaked …', () => leakDialog(key, act), { class: 'danger' })),
    final && !answer.querySelector('.receipt') && h('p', { class: 'actions' }, button('Show the receipt', receipt)));
    // What was focused is no more: where somebody else did that, what he did is read next, and no other button pressed by mistake.
    if (focused && !focused.isConnected) (notice.querySelector<HTMLElement>('[tabindex]') ?? acts.querySelector('button'))?.focus();
    // What may be done with its secrets depends on its status alone; the evidence is read by the section itself.
    if (rotating?.status === key.status) return;
    rotating?.stop.abort();
    const stop = new AbortController();
    const made = rotationSection(key, { signal: AbortSignal.any([signal, stop.signal]), reload });
    rotating = { status: key.status, stop, refresh: made.refresh };
    fill(rotation, made.element);
  }

  /** Says that the key's status changed, here and over the page, where something may be half typed. */
  function tell(): void {
    const { lead, next } = became(key);
    fill(notice, h('div', { class: 'problem', tabindex: -1 }, h('p', { class: 'lead' }, lead), h('p', {}, ...next),
      h('p', { class: 'actions' }, key.status === 'revoked' && another(() => settingsOf(key)), h('a', { class: 'button', href: '#/audit' }, 'Audit log'))));
    for (const open of document.querySelectorAll('dialog[open]:not(.search)')) {
      open.querySelector('.meanwhile')?.remove();
      open.querySelector('h2')!.after(h('p', { class: 'problem meanwhile' }, `${lead} What you typed stays here until you close this; the page behind says what can be done.`));
    }
    announce(lead);
  }

  const usage = usageSection(key, signal);
  const calls = callsSection(key, signal);
  const anomalies = anomaliesSection(key, signal);
  let seldom = Date.now();
  const line = liveLine(signal, async (background) => {
    const before = acted;
    const now = await call<Key>('GET', `/v1/keys/${id}`, undefined, { signal, background });
    // What was begun here meanwhile reads the key itself.
    if (acting === 0 && before === acted && JSON.stringify(now) !== JSON.stringify(key)) {
      const was = key;
      key = now;
      update(key);
      if (was.status !== key.status) tell();
      show();
      if (JSON.stringify(was.secrets) !== JSON.stringify(key.secrets) && was.status === key.status) await rotating!.refresh();
    }
    const called = await calls.refresh();
    if (!called && Date.now() - seldom < SELDOM) return;
    seldom = Date.now();
    await Promise.all([usage.refresh(), anomalies.refresh()]);
  });

  fill(place, head, line, notice);
  append(place, [h('div', { class: 'two' },
    h('div', {}, section('The key', known, answer, acts), rotation),
    h('div', {}, usage.element, anomalies.element)), calls.element]);
  show();
};
