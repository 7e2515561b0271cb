/** Logging in: with a management key that is kept in memory only. When it is refused later, it is asked for over the page. */
import { call, hasKey, onRefusedKey, Refusal, useKey, type Problem } from './api.ts';
import { command, dialog, fill, h } from './dom.ts';
import { field, form, value } from './forms.ts';
import { problemView } from './problems.ts';
import { idIn } from './text.ts';

/** A field for a key, hidden until it is asked to show. */
function keyField(): HTMLElement {
  const input = h('input', { type: 'password', name: 'key', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', required: true });
  const reveal = h('button', { type: 'button', 'aria-pressed': 'false' }, 'Show');
  reveal.addEventListener('click', () => {
    const shown = input.type === 'password';
    input.type = shown ? 'text' : 'password';
    reveal.setAttribute('aria-pressed', String(shown));
    reveal.textContent = shown ? 'Hide' : 'Show';
  });
  const made = field('Management key', input, { hint: 'Kept in this page’s memory only: a reload asks again, and nothing is stored.' });
  const row = h('div', { class: 'joined' });
  input.replaceWith(row);
  row.append(input, reveal);
  return made;
}

/** Tries a key; whoever lacks a scope is logged in, and sees what he may. */
async function tryKey(key: string): Promise<void> {
  const wrong = (detail: string): Problem => ({ status: 0, code: 'INVALID_REQUEST', title: 'That is not a key', detail, field: 'key' });
  if (key === '') throw new Refusal(wrong('Type or paste a management key.'));
  // A header can carry nothing else.
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Refusal(wrong('A key has letters, digits and underscores only; this has something else in it.'));
  try {
    await call('GET', '/v1/keys?limit=1', undefined, { key });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.problem.status === 403) return;
    throw error.problem.status === 401 ? new Refusal({ ...error.problem, field: 'key', detail: 'This key is not accepted here. It may be mistyped, expired, disabled, revoked, or of another deployment.' }) : error;
  }
}

/** The id of the key that is logged in with, to know it among others; never the key. */
let managerId: string | undefined;
export const ownId = () => managerId;

function keyForm(done: () => void): HTMLFormElement {
  return form({
    submit: 'Log in',
    children: [keyField()],
    send: async (made) => {
      const key = value(made, 'key');
      await tryKey(key);
      useKey(key);
      managerId = idIn(key);
      made.querySelector<HTMLInputElement>('[name="key"]')!.value = '';
      done();
    },
  });
}

/** The screen that stands where nobody is logged in. Resolves when somebody is. */
export function logIn(place: HTMLElement): Promise<void> {
  return new Promise((resolve) => {
    fill(place,
      h('div', { class: 'login' },
        h('h1', { tabindex: -1 }, 'Dashboard'),
        h('p', {}, 'Keys, incidents, routes and the log of your deployment.'),
        keyForm(resolve),
        h('div', { class: 'about' },
          h('h2', {}, 'Where is my key?'),
          h('p', {}, 'This page needs a keyward behind it. On your own machine, “npx keyward dev” (in a checkout “npm start”) runs one and serves this page at /dashboard.html; the first management key is in a file beside it:'),
          command('npx keyward dev\ncat .keyward/admin-key'),
          h('p', {}, 'Better than the first key is one of your own, with only the scopes that you need and an expiry date. You can create it here.'))));
    place.querySelector<HTMLInputElement>('[name="key"]')!.focus();
  });
}

/** Asks for another key over the page, whatever stands on it; what is typed there stays. Answers whether there is one. */
function askAgain(problem: Problem): Promise<boolean> {
  return new Promise((resolve) => {
    let given = false;
    const asked = dialog('Log in again', (close) => [
      h('p', {}, 'Your management key is no longer accepted: it was revoked or disabled, or it expired. Nothing was done, and nothing that you typed is lost. Log in with another key to continue from here.'),
      keyForm(() => {
        given = true;
        close();
      }),
      h('details', {}, h('summary', {}, 'What keyward answered'), problemView(problem)),
    ], { closed: () => resolve(given) });
    asked.querySelector<HTMLInputElement>('[name="key"]')!.focus();
  });
}

onRefusedKey((problem) => (hasKey() ? askAgain(problem) : Promise.resolve(false)));

/** Forgets the key and all that was read with it. */
export function logOut(): void {
  useKey(undefined);
  managerId = undefined;
  // Everything that was read is in this document's memory: a new document has none of it.
  location.replace(location.pathname);
}

