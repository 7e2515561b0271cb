/** Keeps what a screen shows up to date, and says when it last was. */
import type { Problem } from './api.ts';
import { button, h } from './dom.ts';
import { repeatedly } from './screen.ts';
import { ago } from './text.ts';

/** How often it is read, in milliseconds. */
const EVERY = 5000;

const since = (at: number) => ago(new Date(at).toISOString(), Date.now());

/**
 * A line that says how old what is shown is, with a button that stops the updates. It is no live region: only who goes there hears it.
 *
 * @param read is told whether nobody waits for it
 */
export function liveLine(signal: AbortSignal, read: (background: boolean) => Promise<unknown>): HTMLElement {
  let [updated, next] = [Date.now(), 0];
  let refused: Problem | undefined;
  let [paused, pressed] = [false, false];
  const said = h('span');
  const show = (): void => {
    said.textContent = paused ? `Paused. Updated ${since(updated)}.` : refused ? `Last updated ${since(updated)}: ${refused.title}. Trying again ${since(Math.max(next, Date.now() + 1))}.` : `Updated ${since(updated)}.`;
    act.textContent = paused ? 'Resume updates' : refused ? 'Try now' : 'Pause updates';
  };
  const { now, stop } = repeatedly(EVERY, signal, () => {
    const background = !pressed;
    pressed = false;
    return read(background);
  }, (problem, ms) => {
    refused = problem;
    next = Date.now() + ms;
    if (!problem) updated = Date.now();
    // It was under way when it was paused.
    if (paused) stop();
    show();
  });
  const act = button('', async () => {
    paused = !paused && !refused;
    pressed = !paused;
    show();
    if (paused) stop();
    else await now();
  }, { class: 'quiet' });
  const ticks = setInterval(() => document.visibilityState === 'visible' && show(), 1000);
  signal.addEventListener('abort', () => clearInterval(ticks), { once: true });
  show();
  return h('p', { class: 'live note' }, said, act);
}
