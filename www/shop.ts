/**
 * The shop that both sides show: a form that asks for a one-time code and shows what becomes of it. How the message reaches the
 * provider is the one thing in which the two differ, and the only thing that they hand in.
 */

import { simulated } from './simulated-wire.ts';

/** A way to the SMS provider. */
export interface Line {
  /** Whom the shop waits for when nobody answers. */
  readonly name: string;
  send(message: { to: string; text: string }): Promise<Response>;
  /** The states of a message, as server-sent events. */
  follow(id: string): Promise<Response>;
}

/** A request of the shop, as the page around it shows it. */
export interface Call {
  number: number;
  method: string;
  url: string;
  /** What the page itself put into `Authorization`. */
  credential: string | null;
  /** Absent while it is under way; 0 when nothing came back. */
  status?: number;
}

let calls = 0;

/** Whether the page around the shop stands alone, with nobody behind it: it says so by the fragment of the shop's address. */
export const alone = (): boolean => parent !== window && location.hash === '#simulation';

/** `fetch`, told to the page around the shop before it goes and when it is answered. */
export async function call(method: string, url: string, credential: string | null, body?: unknown): Promise<Response> {
  const told: Call = { number: (calls += 1), method, url: new URL(url, location.href).href, credential };
  const tell = (status?: number): void => {
    if (parent !== window) parent.postMessage(status === undefined ? told : { ...told, status }, location.origin);
  };
  tell();
  try {
    const response = alone() ? await simulated(method, url, credential, body) : await fetch(url, {
      method,
      headers: { ...(credential === null ? {} : { Authorization: credential }), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    });
    tell(response.status);
    return response;
  } catch (error) {
    tell(0);
    throw error;
  }
}

/** An answer that is no success, in words for the person who waits. */
export class Refused extends Error {}

const WORDS: Record<string, string> = {
  DESTINATION_NOT_ALLOWED: 'We send no codes to numbers of that country.',
  ORIGIN_NOT_LISTED: 'This page’s address is not on the list of the route, so keyward gives it no session.',
  NOT_ON_ROUTE: 'The route does not lead there.',
  SESSION_SPENT: 'The session of this page is used up. Send again for a new one.',
  UPSTREAM_UNREACHABLE: 'The SMS provider does not answer keyward.',
  UPSTREAM_TIMEOUT: 'The SMS provider did not answer keyward in time.',
  NO_UPSTREAM_SECRET: 'keyward has no key of the SMS provider yet. “npm start” in the checkout gives it one.',
  key_revoked: 'The provider’s key in this page was revoked, so the page is broken until it is built and shipped anew.',
  unknown_credential: 'The provider does not know the key in this page. Load the page again.',
};

const span = (seconds: number): string => (seconds < 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`);

/** The code in an answer's body: keyward's problem documents and the provider's errors each have one. */
async function reasonOf(response: Response): Promise<{ code: string; words: string }> {
  const body = await response.json().catch(() => ({})) as { code?: string; detail?: string; error?: { code: string; message: string } };
  return { code: body.code ?? body.error?.code ?? '', words: body.detail ?? body.error?.message ?? '' };
}

/** Passes a success on; throws the words for anything else. */
export async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response;
  const { code, words } = await reasonOf(response);
  const wait = Number(response.headers.get('Retry-After'));
  if (WORDS[code]) throw new Refused(WORDS[code]);
  if (response.status === 429) throw new Refused(`Too many codes for now.${wait > 0 ? ` Try again in ${span(wait)}.` : ''}`);
  throw new Refused(`Not sent (${response.status})${words ? `: ${words}` : ''}.`);
}

/** The events of a stream, as they come. */
async function* eventsOf(response: Response): AsyncGenerator<{ status: string }> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      if (data) yield JSON.parse(data) as { status: string };
    }
  }
}

const STATES = ['queued', 'sent', 'delivered'];

export function openShop(line: Line): void {
  const form = document.querySelector<HTMLFormElement>('#order')!;
  const field = document.querySelector<HTMLInputElement>('#number')!;
  const button = form.querySelector('button')!;
  const outcome = document.querySelector<HTMLElement>('#outcome')!;
  const steps = [...document.querySelectorAll<HTMLElement>('#steps li')];

  const say = (words: string, kind = ''): void => {
    outcome.textContent = words;
    outcome.dataset['kind'] = kind;
  };
  const reach = (status: string): void => {
    const at = status === 'failed' ? STATES.length - 1 : STATES.indexOf(status);
    steps.forEach((step, index) => (step.dataset['reached'] = index > at ? 'no' : index === at && status === 'failed' ? 'failed' : 'yes'));
    if (status === 'queued') say('The code is on its way.');
    if (status === 'delivered') say('Delivered. The code is on that phone now.', 'good');
    if (status === 'failed') say('It could not be delivered: nobody is reached at that number.', 'bad');
  };

  async function order(): Promise<void> {
    const to = field.value.replace(/[\s()./-]/g, '');
    if (!/^\+[1-9]\d{6,14}$/.test(to)) throw new Refused('A number with its country, please: +44 7400 123456.');
    const code = String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000).padStart(6, '0');
    const { id } = await (await accepted(await line.send({ to, text: `Leaf & Kettle: your code is ${code}` }))).json() as { id: string };
    reach('queued');
    for await (const { status } of eventsOf(await accepted(await line.follow(id)))) reach(status);
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (button.getAttribute('aria-disabled') === 'true') return;
    // Not `disabled`, which would take the focus from whoever pressed it.
    button.setAttribute('aria-disabled', 'true');
    reach('none');
    say('Sending…');
    order()
      .catch((error: unknown) => say(error instanceof Refused ? error.message : `${line.name} does not answer. Does it run? “npm start” in the checkout starts it.`, 'bad'))
      .finally(() => button.removeAttribute('aria-disabled'));
  });
}
