/**
 * The page "Exposed or relayed": two shops in frames, and about each what its page sent, what the provider saw, the way that the key
 * takes, and what the leak scanner finds in the code that the frame loaded.
 */
import { CallPath } from './call-path.ts';
import { make, plural } from './elements.ts';
import { shown } from './finding.ts';
import { Scanner } from './scanner.ts';
import type { Call } from './shop.ts';
import type { Received } from './simulated-wire.ts';

/** How the provider's keys look. */
const KEY_SHAPE = /smsk_[0-9a-f]{32}/;

/** Calls that are shown on each side; older ones go. */
const SHOWN = 8;

const providerLink = document.querySelector<HTMLAnchorElement>('#provider')!;

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
    fact(origin ? 'user agent' : 'user agent, passed on', headers['user-agent'] ?? 'none'));
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

/** Has the scanner read what the frame's page consists of, as it is served, and shows what it found: redacted, as always. */
async function scanCode(scanner: Promise<Scanner>, frame: HTMLIFrameElement, finding: HTMLElement): Promise<void> {
  try {
    const code = await codeOf(frame);
    const reader = await scanner;
    const outcomes = await Promise.all(code.map(async ({ name, text }) => ({ name, findings: (await reader.scan(name, new Blob([text])).outcome)?.findings ?? [] })));
    const found = outcomes.flatMap(({ name, findings }) => findings.map((each) => shown(each, name)));
    finding.dataset['found'] = found.length > 0 ? 'yes' : 'no';
    finding.replaceChildren(make('p', '', make('strong', '', found.length > 0 ? plural(found.length, 'finding') : 'No finding'), ` by the leak scanner in this shop’s code: ${code.map(({ name }) => name).join(', ')}.`), ...found);
  } catch (error) {
    finding.replaceChildren(make('p', '', error instanceof TypeError ? 'This shop’s code could not be fetched: keyward does not answer.' : 'The leak scanner could not start here.'));
  }
}

/** Gives a frame the height of what is in it. */
function fit(frame: HTMLIFrameElement): void {
  const { body } = frame.contentDocument!;
  new ResizeObserver(() => (frame.style.height = `${Math.ceil(body.getBoundingClientRect().height)}px`)).observe(body);
}

/** Whether keyward and the provider are simulated: the start that runs them says that they are there. */
const alone = document.querySelector<HTMLElement>('#main')!.dataset['behind'] === 'nobody';
const scanner = Scanner.start();

const sides = [...document.querySelectorAll<HTMLElement>('.side')].map((side) => ({
  name: side.querySelector('h2')!.textContent!,
  key: side.dataset['key']!,
  frame: side.querySelector('iframe')!,
  finding: side.querySelector<HTMLElement>('.finding')!,
  sent: side.querySelector('.sent')!,
  seen: side.querySelector<HTMLElement>('.seen')!,
  path: new CallPath(side.querySelector<SVGSVGElement>('.path svg')!),
  /** Calls of this side that the provider has seen and the page has had no answer to. */
  passed: 0,
}));
type Side = (typeof sides)[number];

for (const { frame, finding } of sides) {
  const loaded = (): void => {
    // Without a new entry in the history: going back leads away from here.
    if (alone && frame.contentWindow!.location.hash === '') frame.contentWindow!.location.replace(`${frame.src}#simulation`);
    fit(frame);
    void scanCode(scanner, frame, finding);
  };
  frame.addEventListener('load', loaded);
  // It may have been there before this script was. An empty document stands in its place until then.
  if (frame.contentDocument?.readyState === 'complete' && frame.contentDocument.URL === frame.src) loaded();
}

/** Moves the picture of a side with a call of its page: the credential that it sent, and where its answer came from. */
function follow({ path, passed }: Side, { url, credential, status }: Call): void {
  const next = path.relayed ? 'edge' : 'provider';
  const key = credential !== null && KEY_SHAPE.test(credential);
  if (status === undefined) return path.move('browser', next, key ? 'key' : credential === null ? 'nothing' : 'session', key ? 'the key' : credential === null ? 'no key' : 'session');
  const load = status > 0 && status < 400 ? 'answer' : 'refusal';
  const words = status === 0 ? 'silence' : new URL(url).pathname.endsWith('/v1/relay/sessions') && load === 'answer' ? 'session' : String(status);
  if (path.relayed && passed > 0) path.move('provider', 'edge', load, words);
  path.move(next, 'browser', load, words);
}

function onSent(side: Side, call: Call): void {
  showSent(side.sent, call);
  follow(side, call);
  if (call.status !== undefined) side.passed = Math.max(0, side.passed - 1);
}

function onReceived(side: Side, received: Received): void {
  showSeen(side.seen, received);
  if (received.method === 'OPTIONS') return;
  side.passed += 1;
  // Seen there with the key: from keyward on it was in the call.
  if (side.path.relayed) side.path.move('edge', 'provider', 'key', 'the key');
}

addEventListener('message', ({ origin, source, data }: MessageEvent<Call | { received: Received }>) => {
  const side = sides.find(({ frame }) => frame.contentWindow === source);
  if (origin !== location.origin || !side) return;
  if ('received' in data) onReceived(side, data.received);
  else onSent(side, data);
});

/** Listens to the provider's own log. */
function listen(): void {
  const opened = new Date().toISOString();
  const received = new EventSource(new URL('/log/events', providerLink.href));
  received.addEventListener('message', ({ data }: MessageEvent<string>) => {
    const call = JSON.parse(data) as Received;
    const side = sides.find(({ key }) => key === call.key?.name);
    if (side && call.at >= opened) onReceived(side, call);
  });
  received.addEventListener('open', () => sides.forEach(({ seen }) => delete seen.dataset['silent']));
  received.addEventListener('error', () => sides.forEach(({ seen }) => (seen.dataset['silent'] = `The provider’s log does not answer at ${new URL(providerLink.href).host}. “npm start” in the checkout starts it.`)));
}

/** Sends a code from a side's shop as a visitor would; resolves to what the shop says at the end. */
async function send({ frame }: Side, number: string): Promise<string> {
  const inside = frame.contentDocument!;
  const [form, field, outcome] = ['#order', '#number', '#outcome'].map((part) => inside.querySelector<HTMLElement>(part)!) as [HTMLFormElement, HTMLInputElement, HTMLElement];
  const button = form.querySelector('button')!;
  const free = (): Promise<void> => new Promise((resolve) => {
    const look = (): void => {
      if (button.getAttribute('aria-disabled') === 'true') return;
      observer.disconnect();
      resolve();
    };
    const observer = new MutationObserver(look);
    observer.observe(button, { attributeFilter: ['aria-disabled'] });
    look();
  });
  await free();
  field.value = number;
  form.requestSubmit(button);
  await free();
  return outcome.textContent!;
}

const tries: HTMLButtonElement[] = [];
for (const place of document.querySelectorAll<HTMLElement>('[data-try]')) {
  const [button, outcomes] = [place.querySelector('button')!, place.querySelector('p')!];
  button.hidden = false;
  tries.push(button);
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    // One at a time: both would write into the same shops.
    for (const each of tries) each.setAttribute('aria-disabled', 'true');
    outcomes.textContent = 'Sending…';
    // A number of each attempt's own: what is left of a limit is of the last one's.
    const number = place.dataset['try']!.replaceAll('?', () => String(1 + Math.floor(Math.random() * 9)));
    const times = Number(place.dataset['times'] ?? 1);
    const said = await Promise.all(sides.map(async (side) => {
      const answers: string[] = [];
      while (answers.length < times) answers.push(await send(side, number));
      const last = answers.at(-1)!;
      const alike = answers.filter((answer) => answer === answers[0]).length;
      const words = times === 1 ? last : alike === times ? `${times} times: ${last}` : `${alike} times: ${answers[0]} Then: ${last}`;
      return make('span', '', make('b', '', side.name), ` ${words}`);
    }));
    outcomes.replaceChildren(...said);
    outcomes.scrollIntoView({ block: 'nearest' });
    for (const each of tries) each.removeAttribute('aria-disabled');
  });
}

if (!alone) listen();
