/** Shows why something was not done, and what can be done about it. */
import { Refusal, type Problem } from './api.ts';
import { button, h, type Child } from './dom.ts';

const ADVICE: Record<string, string> = {
  NO_ANSWER: 'Nothing that you typed is lost. Check that you are online and that keyward is running, then try again.',
  NOT_KEYWARD: 'Serve this page from your deployment, or run “npx keyward dev” (in a checkout “npm start”) and open /dashboard.html of the address that it prints.',
  UNAUTHORIZED: 'Log in with a management key that is valid. The Worker’s output says under the request id why this one is refused.',
  INSUFFICIENT_SCOPE: 'Log in with a key that holds that scope, or ask somebody who holds it to add it to yours.',
  SCOPE_NOT_HELD: 'Leave that scope out, or log in with a key that holds it. Disabling and revoking need none.',
  KEY_NOT_FOUND: 'Check that the id is complete, and that this is the deployment that created the key.',
  KEY_REVOKED: 'Revoking is final. Create another key.',
  ROTATION_IN_PROGRESS: 'Complete or cancel the rotation that is under way, then start another.',
  OLD_SECRET_IN_USE: 'The evidence shows where the old secret is still used. Deploy the new one there, or force it if those callers may fail.',
  NEW_SECRET_UNUSED: 'Deploy the new secret first: the evidence shows it as soon as it is used. Or force it, if the callers have it.',
  NEW_SECRET_IN_USE: 'Somebody uses the new secret already. Put the old one back there, or force it if those callers may fail.',
  NO_ROTATION: 'It was completed or cancelled meanwhile. What you see now is the current state.',
  SLOT_IN_USE: 'Shift its traffic to the other slot first and wait until it is quiet, or force it if those calls may fail.',
  UNAVAILABLE: 'Nothing was changed. Try again in a moment.',
  IDEMPOTENCY_KEY_REUSED: 'Try once more: it is sent as a new request.',
  INVALID_REQUEST: 'Correct what is named, then try again.',
};

/** What to do about a problem: one or two sentences. */
export function advice({ code, status }: Pick<Problem, 'code' | 'status'>): string {
  return ADVICE[code] ?? (status >= 500 ? 'Try again in a moment. If the problem persists, look for the request id in the Worker’s output.' : 'The request id finds the details in the Worker’s output.');
}

/** The problem of what was thrown. What is no refusal is a fault of this page, and is thrown on. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Refusal) return error.problem;
  throw error;
}

/** For what is read beside something else: where it cannot be read now, what is shown stays. */
export async function quietly(reading: Promise<unknown>): Promise<void> {
  try {
    await reading;
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof DOMException && error.name === 'AbortError')) throw error;
  }
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');

/** A problem as it is shown: what happened, what to do, and by what it is found. */
export function problemView(problem: Problem, { retry, children = [] }: { retry?: (() => unknown) | undefined; children?: Child[] } = {}): HTMLElement {
  return h('div', { class: 'problem', role: 'alert' },
    h('p', { class: 'lead' }, problem.title),
    h('p', {}, sentence(problem.detail)),
    h('p', {}, advice(problem)),
    ...children,
    retry && h('p', { class: 'actions' }, button('Try again', retry)),
    h('p', { class: 'trace' }, h('code', {}, problem.code), problem.request_id ? ' · request ' : null, problem.request_id ? h('code', {}, problem.request_id) : null));
}

/** Does something; a refusal is shown in `place`, and so is how to try again. Answers whether it was done. */
export async function attempt(place: Element, act: () => Promise<unknown>, options: { again?: boolean } = {}): Promise<boolean> {
  place.replaceChildren();
  try {
    await act();
    return true;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return false;
    const problem = problemOf(error);
    place.replaceChildren(problemView(problem, { retry: options.again === false ? undefined : () => attempt(place, act, options) }));
    return false;
  }
}
