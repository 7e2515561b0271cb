/** Incidents: what is known of each leak, what was done, and the checklist of what remains. */
import { call } from './api.ts';
import { announce, badge, button, empty, facts, fill, h, own, renew, section, table, time, type Child } from './dom.ts';
import { area, draft, field, forgetDraft, form, keepDraft, value } from './forms.ts';
import { liveLine } from './live.ts';
import type { Incident, IncidentRow } from './model.ts';
import { paged } from './pages.ts';
import { problemOf, problemView } from './problems.ts';
import type { Screen } from './screen.ts';
import { nameOf } from './seen.ts';
import { linkable } from './text.ts';

/** Who did something: a key by its name, where that is known. */
const whoever = (by: string | null): Child => (by === null ? 'keyward' : nameOf(by) === undefined ? by : own(nameOf(by)!));

const state = (status: string) => badge(status, status === 'open' ? 'bad' : 'good');

export const incidentsScreen: Screen = (place, { signal }) => {
  fill(place, h('header', { class: 'screen-head' }, h('h1', { tabindex: -1 }, 'Incidents')),
    paged<IncidentRow>({
      path: '/v1/incidents', signal, of: ({ id }) => id,
      none: () => empty('No incidents.', h('p', {}, 'One is opened when a key is found in the open: by GitHub’s secret scanning, by a report of your own pipelines, or by you with “It leaked …” on a key’s page. It collects what the key was used for and what remains to be done.')),
      show: (all) => table('Incidents', ['Key', 'Owner', 'State', 'Opened', 'Found by', 'Action', 'Steps left'], all.map((each) =>
        [h('a', { href: `#/incidents/${each.id}` }, own(each.key_name)), own(each.owner), state(each.status), time(each.opened_at), each.source, each.action, each.steps_open]), all.map(({ id }) => id)),
    }));
};

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/markdown' }));
  h('a', { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

export const incidentScreen: Screen = async (place, { id, signal }) => {
  let incident = await call<Incident>('GET', `/v1/incidents/${id}`, undefined, { signal });
  const known = h('div');
  const left = h('p', { class: 'note' });
  const notes = h('ul', { class: 'notes' });
  const trouble = h('div');
  const head = h('header', { class: 'screen-head' });
  const path = `/v1/incidents/${id}`;
  // Changes that were begun here: what was read before they ended is not what holds after them.
  let [acting, acted] = [0, 0];

  async function change(body: Record<string, unknown>, said: string): Promise<void> {
    acting += 1;
    try {
      incident = await call<Incident>('PATCH', path, body);
    } finally {
      acting -= 1;
      acted += 1;
    }
    fill(trouble);
    show();
    announce(said);
  }
  /** For what is no form: a refusal is shown, and what was pressed goes back to how it is. */
  async function tried(body: Record<string, unknown>, said: string): Promise<void> {
    try {
      await change(body, said);
    } catch (error) {
      show();
      fill(trouble, problemView(problemOf(error), { retry: () => tried(body, said) }));
    }
  }

  type Step = Incident['steps'][number];

  /** A step of the checklist: made once, so that what is typed or focused there outlives what others do. */
  function stepOf({ name }: Step): { element: HTMLElement; show: (now: Step) => void } {
    const box = h('input', { type: 'checkbox', 'data-step': name });
    box.addEventListener('change', () => void tried({ steps: [{ name, done: box.checked }] }, box.checked ? 'Ticked off.' : 'Open again.'));
    const kept = `${id}-${name}`;
    const typed = area('note', '', 2);
    const note = form({
      submit: 'Save the note',
      children: [field('Note', typed)],
      send: async (of) => {
        await change({ steps: [{ name, done: box.checked, note: value(of, 'note') }] }, 'Noted.');
        forgetDraft(kept);
      },
    });
    note.addEventListener('input', () => keepDraft(kept, typed.value));
    const [said, quote, summary] = [h('span'), h('div'), h('summary')];
    return {
      element: h('li', {}, h('label', { class: 'check-row' }, box, said), quote, h('details', {}, summary, note)),
      show(now) {
        box.checked = now.done_at !== null;
        renew(said, now.title, now.done_at && h('small', {}, 'done ', time(now.done_at), ' by ', whoever(now.by)));
        renew(quote, now.note && h('p', { class: 'quote', dir: 'auto' }, now.note));
        summary.textContent = now.note ? 'Change the note' : 'Add a note';
        typed.value = draft<string>(kept) ?? now.note ?? '';
      },
    };
  }
  const steps = new Map(incident.steps.map((each) => [each.name, stepOf(each)]));

  function sighting(each: Incident['sightings'][number]): Child[] {
    const url = each.url === null ? undefined : linkable(each.url);
    return [time(each.at), each.reporter, url ? h('a', { href: url, rel: 'noreferrer noopener', target: '_blank' }, own(each.url!)) : own(each.url ?? '–'), own(`${each.path ?? '–'}${each.line ? `:${each.line}` : ''}`), each.commit ?? '–'];
  }

  function show(): void {
    const { evidence } = incident;
    renew(head, h('div', {}, h('h1', { tabindex: -1 }, 'Incident of ', own(incident.key_name)), h('p', { class: 'under' }, h('code', {}, incident.id), ' ', state(incident.status))),
      h('p', { class: 'actions' },
        incident.status === 'open' ? button('Close', () => tried({ status: 'closed' }, 'Closed.')) : button('Reopen', () => tried({ status: 'open' }, 'Open again.')),
        button('Markdown', async () => {
          try {
            download(`${id}.md`, await call<string>('GET', `${path}?format=markdown`));
          } catch (error) {
            fill(trouble, problemView(problemOf(error)));
          }
        }), h('a', { class: 'button quiet', href: '#/incidents' }, 'All incidents')));
    const done = incident.steps.filter(({ done_at }) => done_at !== null).length;
    left.textContent = `${done} of ${incident.steps.length} done.`;
    for (const each of incident.steps) steps.get(each.name)?.show(each);
    renew(known,
      facts([
        ['Key', h('a', { href: `#/keys/${incident.key_id}` }, own(incident.key_name))], ['Owner', own(incident.owner)], ['Secret', incident.secret],
        ['Opened', time(incident.opened_at)], ['Suspected since', time(incident.suspected_at)], ['Found by', incident.source], ['Action', incident.action], ...(incident.closed_at ? [['Closed', time(incident.closed_at)] as [string, Child]] : []),
      ]),
      h('h3', {}, 'Evidence'),
      evidence ? facts([
        ['Calls since', `${evidence.calls}: ${evidence.accepted} accepted, ${evidence.refused} refused`],
        ['Compared with before', evidence.times_baseline === null ? 'nothing to compare with' : `${evidence.times_baseline.toPrecision(2)} times as many per hour`],
        ['Countries', Object.entries(evidence.countries).map(([name, calls]) => `${name} ${calls}`).join(', ') || '–'],
        ['Networks', Object.entries(evidence.networks).map(([name, calls]) => `${name} ${calls}`).join(', ') || '–'],
      ]) : h('p', { class: 'note' }, 'Not collected yet. “It leaked …” on the key’s page collects it.'),
      h('h3', {}, 'Where it was found'),
      incident.sightings.length ? table('Sightings', ['Time', 'Reporter', 'URL', 'File', 'Commit'], incident.sightings.map(sighting)) : h('p', { class: 'note' }, 'No sightings reported.'),
      h('h3', {}, 'The owner’s other keys'),
      incident.keys_at_risk.length ? table('Keys at risk', ['Name', 'Environment', 'Status', 'Last used'], incident.keys_at_risk.map((key) => [h('a', { href: `#/keys/${key.key_id}` }, own(key.name)), key.environment, key.status, key.last_used_on ?? 'never'])) : h('p', { class: 'note' }, 'None.'));
    renew(notes, ...incident.notes.map((note) => h('li', {}, h('p', { class: 'quote', dir: 'auto' }, note.text), h('p', { class: 'note' }, time(note.at), ' by ', whoever(note.by)))));
  }

  const addNote = form({
    submit: 'Add the note',
    children: [field('Note', area('note', draft<string>(id) ?? ''))],
    send: async (of) => {
      await change({ note: value(of, 'note') }, 'Noted.');
      of.reset();
      forgetDraft(id);
    },
  });
  addNote.addEventListener('input', () => keepDraft(id, value(addNote, 'note')));
  const line = liveLine(signal, async (background) => {
    const before = acted;
    const now = await call<Incident>('GET', path, undefined, { signal, background });
    if (acting > 0 || before !== acted || JSON.stringify(now) === JSON.stringify(incident)) return;
    if (now.status !== incident.status) announce(now.status === 'open' ? 'This incident was reopened while you had it open.' : 'This incident was closed while you had it open.');
    incident = now;
    show();
  });
  fill(place, head, line, trouble, h('div', { class: 'two' }, h('div', {}, section('What remains to be done', left, h('ul', { class: 'steps' }, ...[...steps.values()].map(({ element }) => element)))), h('div', {}, section('What is known', known))), section('Notes', notes, addNote));
  show();
};
