/** The page "Rotation": lets days pass, shows who calls with which secret, and asks the core whether the rotation may be completed. */
import init from 'keyward-playground';
import coreUrl from '../build/playground/playground_bg.wasm?url';
import { clockwork } from './clockwork.ts';
import { byId, make, startPage, write } from './elements.ts';
import { HOUR, RotationSimulation, type Shown } from './rotation-simulation.ts';
import { PAST, traffic } from './rotation-timeline.ts';

const deploy = byId('deploy', HTMLInputElement);
const speed = byId('speed', HTMLInputElement);
const straggler = byId('straggler', HTMLInputElement);
const begin = byId('begin', HTMLButtonElement);
const complete = byId('complete', HTMLButtonElement);
const force = byId('force', HTMLButtonElement);
const pause = byId('pause', HTMLButtonElement);
const again = byId('again', HTMLButtonElement);
const outcome = byId('outcome', HTMLElement);
const evidence = byId('evidence', HTMLOListElement);
const canvas = byId('traffic', HTMLCanvasElement);

const units = (count: number, unit: string) => `${count} ${unit}${count === 1 ? '' : 's'}`;
const ago = (milliseconds: number) => (milliseconds < HOUR ? 'within the hour' : milliseconds < 48 * HOUR ? `${(milliseconds / HOUR).toFixed(0)} h ago` : `${(milliseconds / HOUR / 24).toFixed(1)} days ago`);

function say(kind: '' | 'good' | 'bad', words: string, detail = ''): void {
  outcome.dataset['kind'] = kind;
  outcome.replaceChildren(make('p', '', words), ...(detail ? [make('p', '', detail)] : []));
}

/** A refusal of the core, in words. */
function refusal(code: string, { secrets, rotation }: Shown, now: number): void {
  const old = secrets.find(({ number }) => number === rotation?.from)?.evidence;
  const seen = old ? `Secret ${rotation!.from} was last seen ${ago(now - Date.parse(old.last_seen))}, from ${old.addresses.at(-1)} (${old.countries.at(-1)}).` : '';
  const WORDS: Record<string, string> = {
    OLD_SECRET_IN_USE: `${seen} It counts as in use for a day after its last call. Deploy the new one there, or force it.`,
    NEW_SECRET_UNUSED: 'The new secret was never seen: whoever calls may not have it yet.',
  };
  say('bad', `Refused: ${code}.`, WORDS[code] ?? '');
}

/** The facts of a secret, in the order in which they are shown. */
const FACTS = ['Calls', 'Last seen', 'Networks', 'Countries'] as const;

function card(): HTMLElement {
  const facts = FACTS.map((name) => make('div', '', make('dt', '', name), make('dd', '')));
  return make('li', 'panel', make('p', 'head', make('b', ''), ' ', make('span', 'stands'), ' ', make('span', 'use')), make('dl', '', ...facts));
}

function showEvidence({ secrets }: Shown, now: number): void {
  // Written into the cards that are there: replaced, they could not be read.
  while (evidence.children.length > secrets.length) evidence.lastElementChild!.remove();
  while (evidence.children.length < secrets.length) evidence.append(card());
  secrets.forEach(({ number, status, in_use: used, evidence: seen }, index) => {
    const place = evidence.children[index] as HTMLElement;
    place.dataset['used'] = String(used);
    write(place.querySelector('b')!, `Secret ${number}`);
    write(place.querySelector('.stands')!, status);
    write(place.querySelector('.use')!, used ? 'in use' : 'not in use');
    const facts = [(seen?.calls ?? 0).toLocaleString('en'), seen ? ago(now - Date.parse(seen.last_seen)) : 'never', seen?.addresses.join(', ') ?? 'none', seen?.countries.join(', ') ?? 'none'];
    place.querySelectorAll('dd').forEach((fact, at) => write(fact, facts[at]!));
  });
}

function simulate(): void {
  const fresh = (): RotationSimulation => new RotationSimulation({ days: Number(deploy.value), straggles: straggler.checked, now: 0 });
  let simulation = fresh();
  let paused = false;
  let status: string | undefined;
  const redraw = traffic(canvas, () => {
    const { rotation } = simulation.shown;
    return { buckets: simulation.buckets, marks: simulation.marks, now: simulation.now, endsAt: rotation?.status === 'overlap' && rotation.ends_at ? Date.parse(rotation.ends_at) : undefined };
  });

  const show = (): void => {
    const shown = simulation.shown;
    const open = shown.rotation?.status === 'waiting' || shown.rotation?.status === 'overlap';
    begin.disabled = open;
    [complete.disabled, force.disabled] = [!open, !open];
    // A refusal is left to be read.
    if (shown.rotation?.status === 'overlap' && status === 'waiting' && outcome.dataset['kind'] === '') say('', 'The new secret was seen: the overlap has begun. Both verify for a week.', 'Traffic moves over as clients deploy. Try to complete it.');
    status = shown.rotation?.status;
    showEvidence(shown, simulation.now);
    redraw();
  };
  const run = clockwork((milliseconds) => {
    const ended = simulation.advance(Math.round(simulation.now + milliseconds * Number(speed.value) * (HOUR / 1000)));
    simulation.forget(simulation.now - PAST - 24 * HOUR);
    if (ended) say(straggler.checked ? 'bad' : 'good', 'The overlap ended by itself, after a week.', straggler.checked ? 'The report that kept the old secret is refused from now on: ROTATED_OUT.' : 'Nobody had the old secret any more.');
    show();
  });
  const settings = (): void => {
    write(byId('deploy-value', HTMLOutputElement), units(Number(deploy.value), 'day'));
    write(byId('speed-value', HTMLOutputElement), units(Number(speed.value), 'hour'));
    [simulation.days, simulation.straggles] = [Number(deploy.value), straggler.checked];
    write(pause, paused ? 'Go on' : 'Pause');
    pause.setAttribute('aria-pressed', String(paused));
    run(!paused);
    show();
  };
  const end = (forced: boolean): void => {
    const before = simulation.shown;
    try {
      simulation.complete(forced);
    } catch (code) {
      if (typeof code !== 'string') throw code;
      refusal(code, simulation.shown, simulation.now);
      show();
      return;
    }
    const old = before.secrets.find(({ number }) => number === before.rotation!.from)!;
    const wait = (Date.parse(simulation.shown.settled.effective_by) - simulation.now) / 1000;
    say(forced && old.in_use ? 'bad' : 'good', `Completed${forced ? ' by force' : ''}: secret ${old.number} is gone. No edge accepts it ${wait} seconds from now.`,
      forced && old.in_use ? 'It was in use: whoever still has it is refused from now on, ROTATED_OUT.' : 'Nobody had called with it for a day. The id is the same as ever.');
    show();
    begin.focus();
  };

  byId('controls', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    simulation.begin();
    say('', 'Begun: the key has a second secret, which waits for its first use.', 'Until somebody calls with it, the old one is as good as ever.');
    show();
    complete.focus();
  });
  complete.addEventListener('click', () => end(false));
  force.addEventListener('click', () => end(true));
  pause.addEventListener('click', () => {
    paused = !paused;
    settings();
  });
  again.addEventListener('click', () => {
    simulation.free();
    simulation = fresh();
    [paused, status] = [false, undefined];
    say('', 'All clients call with the first secret. Begin a rotation.');
    settings();
  });
  for (const control of [deploy, speed, straggler]) control.addEventListener('input', settings);
  for (const control of [deploy, speed, straggler, pause, again]) control.disabled = false;
  settings();
}

async function start(): Promise<void> {
  await init({ module_or_path: coreUrl });
  simulate();
}

startPage(start);
