/**
 * The page "Exposed or relayed": two shops in frames, and about each what its page sent, what the provider saw, and whether the
 * provider's key is in the code that the frame loaded.
 */
import type { Call } from './shop.ts';

/** How the provider's keys look. */
const KEY_SHAPE = /smsk_[0-9a-f]{32}/;

/** Calls that are shown on each side; older ones go. */
const SHOWN = 8;

const providerLink = document.querySelector<HTMLAnchorElement>('#provider')!;

/** A call as the provider's log has it. */
interface Received {
  at: string;
  key: { name: string; last4: string } | null;
  method: string;
  path: string;
  status: number;
  to: string | null;
  headers: Record<string, string>;
}

/** An element with children. All that is shown here is text; nothing is read as HTML. */
function make(name: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(name);
  element.className = className;
  element.append(...children);
  return element;
}

/** Puts a call on top of a list, or in the place of its earlier state. */
function show(list: Element, item: HTMLElement, earlier?: Element | null): void {
  if (earlier) return earlier.replaceWith(item);
  list.prepend(item);
  if (list.children.length > SHOWN) list.lastElementChild!.remove();
}

const fact = (name: string, value: string, kind = '') => make('p', `fact ${kind}`, make('span', 'of', name), ' ', make('code', '', value));

/** A status with its look: under way, nothing came back, or the number. */
function badge(status: number | undefined): HTMLElement {
  if (status === undefined) return make('span', 'status', '…');
  return make('span', `status ${status > 0 && status < 400 ? 'good' : 'bad'}`, status === 0 ? 'no answer' : String(status));
}

/** A credential as the page sent it. The key is shown whole, for whole is how it lies open. */
function sentCredential(credential: string | null): HTMLElement {
  if (credential === null) return fact('credential', 'none');
  if (KEY_SHAPE.test(credential)) return fact('credential', credential, 'exposed');
  return fact('credential', credential.length > 30 ? `${credential.slice(0, 22)}…${credential.slice(-4)}` : credential);
}

function showSent(list: Element, { number, method, url, credential, status }: Call): void {
  const { origin, pathname, search } = new URL(url);
  const item = make('li', '', make('p', 'what', make('b', '', method), ' ', make('code', '', pathname + search), badge(status)), fact('to', origin), sentCredential(credential));
  item.dataset['number'] = String(number);
  show(list, item, list.querySelector(`[data-number="${number}"]`));
}

function showSeen(list: Element, { at, key, method, path, status, to, headers }: Received): void {
  const origin = headers['origin'] ?? headers['referer'];
  const title = make('p', 'what', make('b', '', method), ' ', make('code', '', path), badge(status));
  const item = make('li', '', title, fact('key', `${key!.name} …${key!.last4}`), fact('from', origin ? `the page ${origin}` : 'a server: no Origin, no Referer', origin ? 'exposed' : ''),
    fact('user agent', headers['user-agent'] ?? 'none'));
  if (to !== null) item.append(fact('number', to));
  item.title = new Date(at).toLocaleTimeString();
  show(list, item);
}

/** The texts that a frame's page consists of, as anybody fetches them: the document, its scripts with what they import, its stylesheets. */
async function codeOf(frame: HTMLIFrameElement): Promise<{ name: string; text: string }[]> {
  const inside = frame.contentDocument!;
  const parts = [...inside.querySelectorAll<HTMLScriptElement | HTMLLinkElement>('script[src], link[rel="modulepreload"], link[rel="stylesheet"]')].map((part) => ('src' in part ? part.src : part.href));
  return Promise.all([inside.URL, ...parts].map(async (url) => ({ name: new URL(url).pathname.split('/').at(-1)!, text: await (await fetch(url)).text() })));
}

async function findKey(frame: HTMLIFrameElement, finding: HTMLElement): Promise<void> {
  try {
    const code = await codeOf(frame);
    const place = code.map(({ name, text }) => ({ name, match: KEY_SHAPE.exec(text) })).find(({ match }) => match);
    const names = code.map(({ name }) => name).join(', ');
    finding.dataset['found'] = place ? 'yes' : 'no';
    finding.replaceChildren('The provider’s key in this page’s code: ', ...(place
      ? [make('strong', '', 'found'), ` in ${place.name} at character ${place.match!.index + 1}, `, make('code', '', place.match![0])]
      : [make('strong', '', 'not found'), ` in ${names}`]), '.');
  } catch {
    finding.textContent = 'This page’s code could not be fetched: keyward does not answer.';
  }
}

/** Gives a frame the height of what is in it. */
function fit(frame: HTMLIFrameElement): void {
  const { body } = frame.contentDocument!;
  new ResizeObserver(() => (frame.style.height = `${Math.ceil(body.getBoundingClientRect().height)}px`)).observe(body);
}

const sides = [...document.querySelectorAll<HTMLElement>('.side')].map((side) => ({
  key: side.dataset['key']!,
  frame: side.querySelector('iframe')!,
  finding: side.querySelector<HTMLElement>('.finding')!,
  sent: side.querySelector('.sent')!,
  seen: side.querySelector<HTMLElement>('.seen')!,
}));

for (const { frame, finding } of sides) {
  const loaded = (): void => {
    fit(frame);
    void findKey(frame, finding);
  };
  frame.addEventListener('load', loaded);
  // It may have been there before this script was. An empty document stands in its place until then.
  if (frame.contentDocument?.readyState === 'complete' && frame.contentDocument.URL === frame.src) loaded();
}

addEventListener('message', ({ origin, source, data }: MessageEvent<Call>) => {
  const side = sides.find(({ frame }) => frame.contentWindow === source);
  if (origin === location.origin && side) showSent(side.sent, data);
});

const opened = new Date().toISOString();
const received = new EventSource(new URL('/log/events', providerLink.href));
received.addEventListener('message', ({ data }: MessageEvent<string>) => {
  const call = JSON.parse(data) as Received;
  const side = sides.find(({ key }) => key === call.key?.name);
  if (side && call.at >= opened) showSeen(side.seen, call);
});
received.addEventListener('open', () => sides.forEach(({ seen }) => delete seen.dataset['silent']));
received.addEventListener('error', () => sides.forEach(({ seen }) => (seen.dataset['silent'] = `The provider’s log does not answer at ${new URL(providerLink.href).host}. “npm start” starts it.`)));
