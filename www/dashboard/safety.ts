/** The key-safety report: what about which key is less safe than it need be, and the request that mends it. */
import { call, OneCreation } from './api.ts';
import { announce, badge, button, dialog, empty, fill, h, own } from './dom.ts';
import { form } from './forms.ts';
import { forgetList } from './keys.ts';
import type { Finding, UnsafeKey } from './model.ts';
import { paged } from './pages.ts';
import type { Screen } from './screen.ts';
import { showOnce } from './secret.ts';
import { words } from './text.ts';

const SEVERITY = { high: 'bad', medium: 'odd', low: 'plain' } as const;

/** What a fix does, in a word for its button. */
function verb({ fix }: Finding): string {
  const last = fix.path.split('/').at(-1)!;
  return { rotations: 'Rotate …', disable: 'Disable …', revoke: 'Revoke …' }[last] ?? `Set ${Object.keys(fix.body).map(words).join(', ')} …`;
}

/** Shows the request before it is sent, and what to know about it. */
function mend(key: UnsafeKey, { fix }: Finding, done: () => void): void {
  const once = new OneCreation();
  dialog('Fix this finding', (close) => [
    h('p', {}, 'This request is sent for ', own(key.name), ':'),
    h('pre', { class: 'command', tabindex: 0, role: 'region', 'aria-label': 'Request' }, `${fix.method} ${fix.path}\n${JSON.stringify(fix.body, null, 2)}`),
    h('p', {}, fix.note),
    form({
      submit: 'Send the request', danger: /revoke$/.test(fix.path), cancel: h('button', { type: 'button', onclick: close }, 'Not now'), children: [],
      send: async () => {
        const making = fix.path.endsWith('/rotations');
        const answered = await call<{ key?: string }>(fix.method, fix.path, fix.body, making ? { idempotencyKey: once.keyFor(fix.body) } : {});
        close();
        if (answered.key) await showOnce({ title: 'The new secret, shown this once', text: answered.key, name: key.name, note: 'Deploy it where the old one is; the key’s page shows where each of them is used.' });
        forgetList();
        done();
      },
    }),
  ]);
}

export const safetyScreen: Screen = (place, { signal }) => {
  const report = h('div');
  const read = (): void => fill(report, paged<UnsafeKey>({
    path: '/v1/reports/key-safety', signal,
    none: () => empty('No findings.', h('p', {}, 'This report lists keys that never expire, are overdue for rotation, are unused, hold more scopes than they use, or are shared between environments.')),
    show: (all) => {
      const unsafe = all.filter(({ findings }) => findings.length > 0);
      if (unsafe.length === 0) return empty('No findings among the keys checked so far.');
      return h('ul', { class: 'findings' }, ...unsafe.map((key) => h('li', {},
        h('h2', {}, h('a', { href: `#/keys/${key.key_id}` }, own(key.name))), h('p', { class: 'under' }, h('code', {}, key.redacted), ' · ', own(key.owner)),
        h('ul', {}, ...key.findings.map((finding) => h('li', { class: 'finding' }, badge(finding.severity, SEVERITY[finding.severity]), h('p', {}, h('b', {}, words(finding.code)), ': ', finding.reason, '.'),
          button(verb(finding), () => mend(key, finding, () => {
            read();
            announce('Fixed.');
          }))))))));
    },
  }));
  fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Key safety'), h('p', { class: 'actions' }, button('Refresh', read))), report);
  read();
};
