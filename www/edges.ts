/** The page "Edges and receipts": moves the simulation along, draws it, says what the receipt promises and whether it is kept; beside it a real key. */
import init from 'keyward-playground';
import coreUrl from '../build/playground/playground_bg.wasm?url';
import { clockwork } from './clockwork.ts';
import { EdgeSimulation, PLACES } from './edge-simulation.ts';
import { timeline } from './edge-timeline.ts';
import { byId, make, plural, startPage, write } from './elements.ts';
import { LiveKey, Refused, type Answered } from './live-key.ts';

/** Calls that are remembered; then older ones than the picture shows go. */
const MOST = 100_000;
/** How long after the receipt it is said whether it was kept, in milliseconds. */
const AFTER = 3_000;

/** Below so many pixels the picture shows less time. */
const NARROW = 500;

const staleness = byId('staleness', HTMLInputElement);
const stalenessValue = byId('staleness-value', HTMLOutputElement);
const rate = byId('rate', HTMLInputElement);
const rateValue = byId('rate-value', HTMLOutputElement);
const revoke = byId('revoke', HTMLButtonElement);
const again = byId('again', HTMLButtonElement);
const pause = byId('pause', HTMLButtonElement);
const save = byId('save', HTMLButtonElement);
const receipt = byId('receipt', HTMLElement);
const lanes = byId('edges', HTMLOListElement);
const canvas = byId('timeline', HTMLCanvasElement);
const management = byId('management', HTMLInputElement);
const liveStart = byId('live-start', HTMLButtonElement);
const liveRevoke = byId('live-revoke', HTMLButtonElement);
const liveReceipt = byId('live-receipt', HTMLElement);
const liveLanes = byId('live-lanes', HTMLElement);
const liveEdges = byId('live-edges', HTMLOListElement);
const liveCanvas = byId('live-timeline', HTMLCanvasElement);

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;

/** A receipt in words and figures; `kind` is its colour. */
function say(place: HTMLElement, kind: '' | 'good' | 'bad', words: string, figures: [string, string][] = []): void {
  place.dataset['kind'] = kind;
  const list = make('dl', '', ...figures.flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
  place.replaceChildren(make('p', '', words), ...(figures.length ? [list] : []));
}

function lane(index: number, cut: (index: number, cut: boolean) => void): HTMLElement {
  const { name, offset, pace } = PLACES[index]!;
  const rates = pace === 1 ? '' : `, ${(Math.abs(1 - pace) * 100).toFixed(1)} % ${pace < 1 ? 'slow' : 'fast'}`;
  const clock = offset === 0 ? 'clock right' : `clock ${offset > 0 ? '+' : '−'}${Math.abs(offset / 1000).toFixed(1)} s${rates}`;
  const button = make('button', '', 'Cut off');
  button.type = 'button';
  button.setAttribute('aria-label', `Cut off ${name} from the authority`);
  button.addEventListener('click', () => {
    const pressed = button.dataset['cut'] !== 'true';
    write(button, pressed ? 'Reconnect' : 'Cut off');
    button.setAttribute('aria-label', pressed ? `Reconnect ${name} to the authority` : `Cut off ${name} from the authority`);
    button.dataset['cut'] = String(pressed);
    cut(index, pressed);
  });
  return make('li', '', make('div', '', make('b', '', name), make('span', 'clock', clock), ' ', make('span', 'state')), button);
}

/** The part of the page that simulates. */
function simulate(): void {
  let simulation = new EdgeSimulation({ staleness: Number(staleness.value), rate: Number(rate.value), now: 0 });
  let [paused, said] = [false, false];
  const fillLanes = (): void => lanes.replaceChildren(...PLACES.map((_, index) => lane(index, (edge, cut) => simulation.cut(edge, cut))));
  fillLanes();
  const redraw = timeline(canvas, () => ({
    lanes: PLACES.length, dots: simulation.dots, leases: simulation.leases, receipt: simulation.receipt, now: simulation.now,
    span: Math.max(canvas.clientWidth < NARROW ? 7_500 : 12_000, simulation.staleness * 1_000 + 5_500),
  }));

  /** Once the bound is some time past: what came of it. */
  const conclude = (): void => {
    const { dots, receipt: given } = simulation;
    if (!given || said || simulation.now < given.effectiveBy + AFTER) return;
    said = true;
    const since = dots.filter(({ at }) => at > given.revokedAt);
    const accepted = since.filter((dot) => dot.accepted);
    const late = accepted.filter(({ at }) => at > given.effectiveBy);
    const last = accepted.at(-1);
    const words = late.length > 0 ? `${plural(late.length, 'call was', 'calls were')} accepted after effective_by: the promise is broken. Please report it.`
      : last ? `Kept: no edge accepted a call after effective_by. The last to accept one was ${PLACES[last.edge]!.name}, ${seconds(given.effectiveBy - last.at)} before it.`
        : 'Kept: no edge accepted a single call after the key was revoked.';
    say(receipt, late.length > 0 ? 'bad' : 'good', words, [...figures(given), ['confirmed', 'true'], ['accepted in between', String(accepted.length)], ['refused since', String(since.length - accepted.length)]]);
    canvas.setAttribute('aria-label', `Calls at five edges over time. ${words}`);
  };
  const figures = ({ revokedAt, effectiveBy }: { revokedAt: number; effectiveBy: number }): [string, string][] => [
    ['key', simulation.redacted], ['revoked_at', seconds(revokedAt)], ['effective_by', seconds(effectiveBy)],
  ];
  const latest = (): void => lanes.querySelectorAll('.state').forEach((state, index) => {
    const dot = simulation.dots.findLast(({ edge }) => edge === index);
    write(state, dot === undefined ? '' : dot.code);
  });

  const run = clockwork((milliseconds) => {
    simulation.advance(Math.round(simulation.now + milliseconds));
    if (simulation.dots.length > MOST) simulation.forget(simulation.now - 90_000);
    latest();
    conclude();
    redraw();
  });
  const show = (): void => {
    write(stalenessValue, `${staleness.value} s`);
    write(rateValue, `${rate.value} a second`);
    [revoke.disabled, staleness.disabled] = [simulation.receipt !== undefined, simulation.receipt !== undefined];
    write(pause, paused ? 'Go on' : 'Pause');
    pause.setAttribute('aria-pressed', String(paused));
    run(!paused);
    redraw();
  };

  staleness.addEventListener('input', () => {
    simulation.staleness = Number(staleness.value);
    show();
  });
  rate.addEventListener('input', () => {
    simulation.rate = Number(rate.value);
    show();
  });
  byId('controls', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const given = simulation.revoke();
    const wait = given.effectiveBy - given.revokedAt;
    say(receipt, '', wait > 0 ? `Revoked. Leases that are out end within ${seconds(wait)}.` : 'Revoked. The authority gives every verdict of this key itself, so it holds at once.', [...figures(given), ['confirmed', 'false']]);
    paused = false;
    show();
    // The button that had the focus can no longer be pressed.
    if (document.activeElement === document.body || document.activeElement === revoke) again.focus();
  });
  again.addEventListener('click', () => {
    simulation.free();
    simulation = new EdgeSimulation({ staleness: Number(staleness.value), rate: Number(rate.value), now: 0 });
    [paused, said] = [false, false];
    fillLanes();
    say(receipt, '', 'A new key is in use at all five edges. Revoke it.');
    canvas.setAttribute('aria-label', 'Calls at five edges over time');
    show();
  });
  pause.addEventListener('click', () => {
    paused = !paused;
    show();
  });
  save.addEventListener('click', () => {
    const { dots, receipt: given } = simulation;
    const address = URL.createObjectURL(new Blob([JSON.stringify({ key: simulation.redacted, receipt: given ?? null, calls: dots.map((dot) => ({ ...dot, edge: PLACES[dot.edge]!.name })) })], { type: 'application/json' }));
    const link = make('a', '');
    [link.href, link.download] = [address, 'edges.json'];
    link.click();
    URL.revokeObjectURL(address);
  });
  for (const control of document.querySelectorAll<HTMLInputElement | HTMLButtonElement>('#controls :disabled, #save')) control.disabled = false;
  show();
}

/** The part of the page that does it on the Worker. */
function live(): void {
  let key: LiveKey | undefined;
  const redraw = timeline(liveCanvas, () => key && { lanes: key.edges, dots: key.dots, leases: [], receipt: key.receipt, now: key.now, span: liveCanvas.clientWidth < NARROW ? 10_000 : 15_000, origin: key.dots[0]?.at });
  const run = clockwork(redraw);
  const trouble = (error: unknown): void => {
    if (!(error instanceof Refused)) throw error;
    say(liveReceipt, 'bad', error.message);
  };

  async function begin(): Promise<void> {
    liveStart.disabled = true;
    try {
      key = await LiveKey.create(management.value.trim(), Number(staleness.value));
    } catch (error) {
      trouble(error);
      return;
    } finally {
      liveStart.disabled = key?.calling ?? false;
    }
    const mine = key;
    const states = Array.from({ length: mine.edges }, () => make('span', 'state'));
    liveEdges.replaceChildren(...states.map((state, index) => make('li', '', make('div', '', make('b', '', mine.edges === 1 ? 'The Worker' : `Edge ${index + 1}`), state))));
    liveLanes.hidden = false;
    liveRevoke.disabled = false;
    const where = mine.edges === 1 ? '' : ` at each of ${mine.edges} edges`;
    say(liveReceipt, '', `The Worker made a key, and it is called five times a second${where}. Revoke it.`, [['key', mine.redacted]]);
    run(true);
    await mine.call((dot) => {
      write(states[dot.edge]!, dot.code);
      redraw();
    });
    run(false);
    redraw();
    liveStart.disabled = false;
    if (mine.receipt) conclude(mine);
  }

  function conclude({ dots, edges, receipt: given }: LiveKey): void {
    const late = dots.filter(({ accepted, at }) => accepted && at > given!.effectiveBy).length;
    const refused = dots.filter(({ accepted }) => !accepted).length;
    const last = dots.findLast(({ accepted }) => accepted);
    const before = last && edges > 1 ? ` The last to accept one was edge ${last.edge + 1}, ${seconds(given!.effectiveBy - last.at)} before it.` : '';
    const words = late > 0 ? `${plural(late, 'call was', 'calls were')} accepted that had been sent after effective_by: the promise is broken. Please report it.`
      : `Kept: no call that was sent after effective_by was accepted. ${plural(refused, 'was', 'were')} refused.${before}`;
    liveReceipt.dataset['kind'] = late > 0 ? 'bad' : 'good';
    write(liveReceipt.querySelector('p')!, words);
    liveCanvas.setAttribute('aria-label', `Calls to the Worker over time. ${words}`);
  }

  async function end(): Promise<void> {
    if (!key) return;
    liveRevoke.disabled = true;
    const { redacted } = key;
    const receipt = (kind: '' | 'good', words: string, answered: Answered): void =>
      say(liveReceipt, kind, words, [['key', redacted], ['status', answered.status], ['revoked_at', answered.revoked_at], ['effective_by', answered.effective_by],
        ['confirmed', String(answered.confirmed)], ['log_head', String(answered.log_head ?? 'none')]]);
    try {
      const confirmed = await key.revoke(management.value.trim(), (given) => receipt('', 'Revoked. Edges may accept it from what they hold until effective_by; then the Worker confirms.', given));
      receipt('good', 'The receipt, confirmed:', confirmed);
    } catch (error) {
      liveRevoke.disabled = false;
      trouble(error);
    }
  }

  byId('live', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    if (management.value.trim() === '') return say(liveReceipt, 'bad', 'A management key first. “npx keyward dev” and “npm start” write one to .keyward/admin-key.');
    void begin();
  });
  liveRevoke.addEventListener('click', () => void end());
  addEventListener('pagehide', () => {
    key?.stop();
    management.value = '';
  });
  [management.disabled, liveStart.disabled] = [false, false];
}

async function start(): Promise<void> {
  await init({ module_or_path: coreUrl });
  simulate();
  live();
}

startPage(start);
