/** Forms: fields with their hint and what is wrong with them beside them, and drafts, so that nothing typed is lost. */
import { Refusal, type Problem } from './api.ts';
import { busy, fill, h, type Child } from './dom.ts';
import { problemView } from './problems.ts';

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

let fields = 0;

/** A control with its label, a hint, and a place for what is wrong with it. Found again by the control's name. */
export function field(label: string, control: Control, { hint, wide = false }: { hint?: Child; wide?: boolean } = {}): HTMLElement {
  const id = `field-${(fields += 1)}`;
  control.id = id;
  control.setAttribute('aria-describedby', `${hint ? `${id}-hint ` : ''}${id}-error`);
  return h('div', { class: wide ? 'field wide' : 'field', 'data-field': control.name },
    h('label', { for: id }, label), control, hint && h('p', { class: 'note', id: `${id}-hint` }, hint), h('p', { class: 'error', id: `${id}-error` }));
}

export const text = (name: string, value = '', attributes: Record<string, string | number | boolean | undefined> = {}) =>
  h('input', { type: 'text', name, value, autocomplete: 'off', dir: 'auto', ...attributes });

export const area = (name: string, value = '', rows = 3) => h('textarea', { name, rows, autocomplete: 'off', spellcheck: 'false' }, value);

export function select(name: string, choices: (readonly [value: string, label: string])[], value = ''): HTMLSelectElement {
  const made = h('select', { name }, ...choices.map(([of, label]) => h('option', { value: of }, label)));
  made.value = value;
  return made;
}

export const check = (name: string, value: string, label: Child, checked = false, hint?: string) =>
  h('label', { class: 'check-row' }, h('input', { type: 'checkbox', name, value, checked }), h('span', {}, label, hint && h('small', {}, hint)));

export const value = (form: HTMLFormElement, name: string) => String(new FormData(form).get(name) ?? '').trim();
export const values = (form: HTMLFormElement, name: string) => new FormData(form).getAll(name).map(String);

function clearProblems(form: HTMLFormElement): void {
  for (const place of form.querySelectorAll('.form-problem, .form-summary')) place.replaceChildren();
  for (const wrong of form.querySelectorAll('[aria-invalid]')) wrong.removeAttribute('aria-invalid');
  for (const error of form.querySelectorAll('.error')) error.textContent = '';
}

/** What is wrong with a field, said beside it: the server names the field first. */
export function wrongWith({ detail, field: name = '' }: Problem): string {
  const said = detail.startsWith(`${name}: `) ? detail.slice(name.length + 2) : detail;
  return said.charAt(0).toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? '' : '.');
}

/** Shows a refusal in a form: beside the field that it names, or at its end. What was typed stays. */
export function showProblem(form: HTMLFormElement, problem: Problem): void {
  const name = problem.field?.split(/[.[]/)[0];
  const place = name && [...form.querySelectorAll<HTMLElement>('[data-field]')].find((each) => each.dataset['field'] === name);
  if (!place) {
    form.querySelector('.form-problem')!.replaceChildren(problemView(problem));
    return;
  }
  place.closest('details')?.setAttribute('open', '');
  fill(place.querySelector('.error')!, wrongWith(problem));
  const control = place.querySelector<HTMLElement>('input, select, textarea, button')!;
  control.setAttribute('aria-invalid', 'true');
  control.focus();
}

/** What can be said of a field before it is sent. */
export interface Wrong {
  /** The name of the field. */
  field: string;
  said: string;
  /** Where a field has several controls: which. */
  control?: Element | null;
}

/** Shows all that is wrong, each beside its field, and before them a list of them where there are several. */
function showWrong(form: HTMLFormElement, all: Wrong[]): void {
  const found = all.flatMap(({ field: name, said, control }) => {
    const place = [...form.querySelectorAll<HTMLElement>('[data-field]')].find((each) => each.dataset['field'] === name)!;
    place.closest('details')?.setAttribute('open', '');
    const error = place.querySelector('.error')!;
    error.textContent = error.textContent ? `${error.textContent} ${said}` : said;
    const wrong = (control ?? place.querySelector('input, select, textarea')) as HTMLElement;
    wrong.setAttribute('aria-invalid', 'true');
    return { wrong, said, label: place.querySelector('label, legend')!.textContent };
  });
  if (found.length === 1) return found[0]!.wrong.focus();
  const summary = h('div', { class: 'problem', tabindex: -1, role: 'group', 'aria-label': 'What to correct' }, h('p', { class: 'lead' }, `${found.length} entries need correcting. Nothing was sent.`),
    h('ul', {}, ...found.map(({ wrong, said, label }) => h('li', {}, h('a', { href: location.hash, onclick: (event) => {
      // The hash names the screen.
      event.preventDefault();
      wrong.focus();
    } }, `${label}: ${said}`)))));
  fill(form.querySelector('.form-summary')!, summary);
  summary.focus();
}

/**
 * A form that sends what it holds and shows what is wrong with it.
 *
 * @param check what is wrong as far as this page can tell; it is sent where nothing is
 * @param send what is done with it; a refusal is shown
 */
export function form({ submit, children, check: wrongOf = () => [], send, cancel, danger = false }: { submit: string; children: Child[]; check?: (form: HTMLFormElement) => Wrong[]; send: (form: HTMLFormElement) => Promise<void>; cancel?: Child; danger?: boolean }): HTMLFormElement {
  const go = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, submit);
  // The server's sentences and no second set of the browser's.
  const made = h('form', { novalidate: true, autocomplete: 'off' }, h('div', { class: 'form-summary' }), ...children, h('div', { class: 'form-problem' }), h('p', { class: 'actions' }, go, cancel));
  made.addEventListener('submit', (event) => {
    event.preventDefault();
    void busy(go, async () => {
      clearProblems(made);
      const wrong = wrongOf(made);
      if (wrong.length > 0) return showWrong(made, wrong);
      try {
        await send(made);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        showProblem(made, error.problem);
      }
    });
  });
  return made;
}

const drafts = new Map<string, unknown>();

/** What was typed into a form and not sent, by the form's name. In memory alone: a reload forgets it. */
export const draft = <T>(name: string) => drafts.get(name) as T | undefined;
export const keepDraft = (name: string, typed: unknown) => void drafts.set(name, typed);
export const forgetDraft = (name: string) => void drafts.delete(name);
