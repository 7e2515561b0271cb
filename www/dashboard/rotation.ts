/** The rotation of a key: begun, watched by its evidence, completed or cancelled. */
import { write } from '../elements.ts';
import { call, OneCreation, Refusal } from './api.ts';
import { announce, badge, button, dialog, empty, facts, fill, h, renew, section, time, type Child } from './dom.ts';
import { field, form, select, value } from './forms.ts';
import type { Key, Rotation, Seen } from './model.ts';
import { problemView, quietly } from './problems.ts';
import { boundView } from './receipt.ts';
import { repeatedly } from './screen.ts';
import { showOnce } from './secret.ts';
import { ago, span } from './text.ts';

/** How often the evidence is read while a rotation is under way, in milliseconds. */
const EVERY = 3000;

const running = ({ status }: Rotation) => status === 'waiting' || status === 'overlap';

/** What is said after a rotation's status. */
const STATES: Record<Rotation['status'], string> = {
  waiting: 'for the first call with the new secret', overlap: 'both secrets work', completed: 'only the new secret works', cancelled: 'only the old secret works',
};

/** What was seen of one secret. */
function evidence(seen: Seen, now: number, revoked: boolean): HTMLElement {
  const status = revoked ? 'gone' : seen.status;
  return h('div', { class: 'secret-seen', 'data-secret': seen.number },
    h('h3', {}, `Secret ${seen.number} `, badge(status, status === 'active' ? 'good' : status === 'gone' ? 'bad' : 'odd'), seen.in_use && badge(revoked ? 'still called' : 'in use', seen.status === 'active' && !revoked ? 'good' : 'odd')),
    facts([
      ['Calls', seen.calls.toLocaleString('en-GB')],
      ['Last seen', seen.last_seen ? h('time', { class: 'ago', datetime: seen.last_seen, title: seen.last_seen }, ago(seen.last_seen, now)) : 'never'],
      ['From', seen.addresses.length ? h('span', {}, seen.addresses.join(', ')) : 'nowhere yet'],
      ['Countries', seen.countries.join(', ') || '–'],
      ['Created', time(seen.created_at)],
      ...(seen.until && !revoked ? [['Works until', time(seen.until)] as [string, Child]] : []),
    ]));
}

/** Both secrets beside each other; of a key that is revoked neither works. */
function evidenceView(rotation: Rotation, revoked: boolean): HTMLElement {
  const now = Date.now();
  return h('div', { class: 'evidence' }, ...rotation.secrets.map((seen) => evidence(seen, now, revoked)));
}

interface Ended {
  rotation: Rotation;
  effective_by: string;
  confirmed: boolean;
}

const SECONDS: [string, string][] = [['0', 'none: the old one ends at once'], ['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week'], ['2592000', '30 days']];

/** Asks how to rotate; answers once it was begun and the new secret was shown. */
function begin(key: Key, done: (rotation: Rotation) => void): void {
  const once = new OneCreation();
  dialog('Rotate the key', (close) => [
    h('p', {}, 'This creates a second secret under the same id. Both work until the overlap ends; deploy the new one meanwhile.'),
    form({
      submit: 'Create the new secret',
      cancel: h('button', { type: 'button', onclick: close }, 'Cancel'),
      children: [
        field('The overlap begins', select('activate', [['first_use', 'when the new secret is first seen'], ['now', 'now']], 'first_use')),
        field('Overlap', select('grace_seconds', SECONDS, '86400')),
        field('The old secret counts as quiet after', select('quiet_seconds', [['0', 'at once'], ['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week']], '86400'), { hint: 'Completing is refused if it was used within this time.' }),
      ],
      send: async (of) => {
        const body = { activate: value(of, 'activate'), grace_seconds: Number(value(of, 'grace_seconds')), quiet_seconds: Number(value(of, 'quiet_seconds')) };
        const begun = await call<{ rotation: Rotation; key?: string }>('POST', `/v1/keys/${key.id}/rotations`, body, { idempotencyKey: once.keyFor(body) });
        once.done();
        if (begun.key === undefined) {
          fill(of.querySelector('.form-problem')!, problemView({ status: 0, code: 'SECRET_LOST', title: 'The new secret was created, but its text was lost', detail: 'an earlier answer did not arrive; cancel the rotation and begin again' }));
        } else {
          close();
          await showOnce({ title: 'The new secret, shown this once', text: begun.key, name: key.name, note: 'Deploy it where the old one is. Both work until the overlap ends; the key’s page shows which of them is used.' });
        }
        done(begun.rotation);
      },
    }),
  ]);
}

/**
 * The section of a key's screen; `refresh` reads the rotation, which somebody else may have begun or ended.
 * @param reload reads the key's facts again
 */
export function rotationSection(key: Key, { signal, reload }: { signal: AbortSignal; reload: () => Promise<unknown> }): { element: HTMLElement; refresh: () => Promise<void> } {
  const place = h('div');
  const answer = h('div');
  let shown: Rotation | undefined;

  const started = (rotation: Rotation): void => {
    show(rotation);
    announce('The rotation is under way.');
    void quietly(reload());
  };

  async function end(how: 'complete' | 'cancel', force: boolean): Promise<void> {
    try {
      const ended = await call<Ended>('POST', `/v1/keys/${key.id}/rotations/current/${how}`, force ? { force: true } : {});
      fill(answer, boundView(how === 'complete' ? 'Completed: only the new secret works.' : 'Cancelled: only the old secret works.', ended, new Date(Date.parse(ended.effective_by) - key.max_staleness_seconds * 1000).toISOString(), signal));
      show(ended.rotation);
      await quietly(reload());
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { problem } = error;
      const found = problem['rotation'] as Rotation | undefined;
      // The evidence stands above.
      if (found) show(found);
      const may = ['OLD_SECRET_IN_USE', 'NEW_SECRET_UNUSED', 'NEW_SECRET_IN_USE'].includes(problem.code);
      fill(answer, problemView(problem, { retry: may || problem.code === 'KEY_REVOKED' ? undefined : () => end(how, force), children: [
        may && h('p', { class: 'actions' }, button(how === 'complete' ? 'Complete anyway' : 'Cancel anyway', () => end(how, true), { class: 'danger' }), button('Leave it', () => fill(answer)))] }));
      if (problem.code === 'KEY_REVOKED' || problem.code === 'NO_ROTATION') await quietly(reload());
    }
  }

  function show(rotation: Rotation | undefined): void {
    shown = rotation;
    const revoked = key.status === 'revoked';
    const open = rotation !== undefined && running(rotation) && !revoked;
    const may = !revoked && !open;
    const rotate = may && button('Rotate the key', () => begin(key, started), { class: rotation ? '' : 'primary' });
    if (!rotation) {
      renew(place, empty('Not rotated yet.', h('p', {}, 'Rotating creates a second secret under the same id. You see where the old one is still used before you end it.'), rotate && h('p', { class: 'actions' }, rotate)));
      return;
    }
    const focused = place.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset['act'] : undefined;
    renew(place,
      revoked && running(rotation) ? h('p', { class: 'lead' }, `Rotation ${rotation.number} ended with the revocation: neither secret works.`)
        : h('p', { class: 'lead' }, `Rotation ${rotation.number} `, badge(rotation.status, open ? 'odd' : 'plain'), ` ${revoked ? 'until the key was revoked: no secret works' : STATES[rotation.status]}`),
      open && h('p', { class: 'note' }, ...(rotation.ends_at ? ['The overlap ends ', time(rotation.ends_at), '. '] : [`The overlap of ${span(rotation.grace_seconds)} begins with the first call. `]), 'Every edge has accepted the new secret since ', time(rotation.usable_by), '.'),
      evidenceView(rotation, revoked),
      open && h('p', { class: 'actions' }, button('Complete', () => end('complete', false), { class: 'primary', 'data-act': 'complete' }), button('Cancel the rotation', () => end('cancel', false), { 'data-act': 'cancel' })),
      rotate && h('p', { class: 'actions' }, rotate));
    if (focused && !place.contains(document.activeElement)) place.querySelector<HTMLElement>(`[data-act="${focused}"]`)?.focus();
  }

  const read = async (background = false): Promise<void> => {
    try {
      const rotation = await call<Rotation>('GET', `/v1/keys/${key.id}/rotations/current`, undefined, { signal, background });
      if (!signal.aborted && JSON.stringify(rotation) !== JSON.stringify(shown)) show(rotation);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refusal)) throw error;
      if (background && error.problem.code === 'NO_ROTATION') return show(undefined);
      if (background) throw error;
      if (!shown) fill(place, problemView(error.problem, { retry: read }));
    }
  };

  // A key whose only secret is the first was never rotated, or the rotation was cancelled: there is nothing to ask for.
  if (key.secrets.some(({ number }) => number > 1)) void read();
  else show(undefined);
  repeatedly(EVERY, signal, async () => shown && running(shown) && read(true));
  const ticks = setInterval(() => {
    for (const seen of place.querySelectorAll<HTMLTimeElement>('time.ago')) write(seen, ago(seen.dateTime, Date.now()));
  }, 1_000);
  signal.addEventListener('abort', () => clearInterval(ticks), { once: true });
  return { element: section('Rotation', place, answer), refresh: () => read(true) };
}
