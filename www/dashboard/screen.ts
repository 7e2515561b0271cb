/** What a screen of the dashboard is, and how one gets to another. */

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

/** Does something again and again while the screen is there and the page can be seen. `every` in milliseconds. */
export function repeatedly(every: number, signal: AbortSignal, act: () => Promise<unknown>): void {
  const next = (): void => {
    const timer = setTimeout(async () => {
      if (document.visibilityState === 'visible') await act();
      if (!signal.aborted) next();
    }, every);
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  };
  next();
}
