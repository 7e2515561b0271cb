/** What a screen of the dashboard is, how one gets to another, and what is done again and again while one is there. */
import { hasKey, Refusal, type Problem } from './api.ts';

export interface Visit {
  /** What the path of the screen named, such as a key's id. */
  id: string;
  /** Aborted when the screen is left. */
  signal: AbortSignal;
}

/** Puts itself into `place`, under an `h1` of its own. What it throws is shown in its place. */
export type Screen = (place: HTMLElement, visit: Visit) => void | Promise<void>;

/** Goes to another screen. */
export const go = (hash: string) => void (location.hash = hash);

/** The longest pause after refusals, in milliseconds, unless a refusal asks for a longer one. */
const LONGEST = 120_000;

/** Milliseconds until the next attempt, after so many refusals in a row. `retryAfter` is what the last one asked for, in seconds. */
export const pause = (every: number, failures: number, retryAfter: number) => Math.max(Math.min(LONGEST, every * 2 ** failures), retryAfter * 1000);

/**
 * Does something again and again while the screen is there, the page can be seen and somebody is logged in; less often while it is
 * refused. What was due while the page was hidden is done when it is seen again.
 *
 * @param every in milliseconds
 * @param told after each attempt: why it was refused, if it was, and how many milliseconds there are until the next
 * @returns does it now; `stop` is until then
 */
export function repeatedly(every: number, signal: AbortSignal, act: () => Promise<unknown>, told: (refused: Problem | undefined, next: number) => void = () => undefined): { now: () => Promise<void>; stop: () => void } {
  let failures = 0;
  let due = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    clearTimeout(timer);
    due = false;
  };
  const plan = (ms: number): void => {
    stop();
    if (!signal.aborted) timer = setTimeout(() => void now(), ms);
  };
  async function now(): Promise<void> {
    if (signal.aborted || !hasKey()) return;
    stop();
    due = document.visibilityState !== 'visible';
    if (due) return;
    try {
      await act();
      failures = 0;
      plan(every);
      told(undefined, every);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refusal)) throw error;
      failures += 1;
      const next = pause(every, failures, error.retryAfter);
      plan(next);
      told(error.problem, next);
    }
  }
  document.addEventListener('visibilitychange', () => due && void now(), { signal });
  signal.addEventListener('abort', stop, { once: true });
  plan(every);
  return { now, stop };
}
