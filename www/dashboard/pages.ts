/** Lists that are read page by page, at the press of a button; the newest entries come first, and by themselves. */
import { call, query } from './api.ts';
import { button, fill, h, renew } from './dom.ts';
import { liveLine } from './live.ts';
import type { Page } from './model.ts';
import { attempt } from './problems.ts';

/** What a part of a list is after its beginning was read again: what stands behind the last entry that was read stays. */
export function renewed<T>(before: T[], fresh: T[], of: (entry: T) => string | number): T[] {
  const read = new Set(fresh.map(of));
  const last = before.findLastIndex((entry) => read.has(of(entry)));
  // More is new than was read: what stands before and what follows do not meet.
  return last < 0 ? fresh : [...fresh, ...before.slice(last + 1)];
}

/**
 * A list of all that an endpoint answers, a page at a time.
 *
 * @param path of the endpoint, without a cursor
 * @param show what is shown of all that was read so far
 * @param none what is shown where there is nothing
 * @param of what each entry is told apart by; with it the list is kept up to date
 * @param after what is drawn again once it is there
 */
export function paged<T>({ path, parameters = {}, show, none, of, after, signal }: { path: string; parameters?: Record<string, string | number>; show: (all: T[]) => HTMLElement; none: () => HTMLElement; of?: (entry: T) => string | number; after?: Promise<unknown>; signal: AbortSignal }): HTMLElement {
  let all: T[] = [];
  let next: string | null = null;
  let reading = false;
  const [place, end] = [h('div'), h('div')];
  const read = (cursor: string | null, background = false) => call<Page<T>>('GET', path + query({ ...parameters, cursor }), undefined, { signal, background });
  const draw = (): void => {
    renew(place, all.length || next ? show(all) : none());
    renew(end, next && h('p', { class: 'actions' }, button('Show more', more)));
  };
  async function more(): Promise<void> {
    const pressed = end.contains(document.activeElement);
    reading = true;
    await attempt(end, async () => {
      const page = await read(next);
      all.push(...page.data);
      next = page.next_cursor;
      draw();
    });
    reading = false;
    if (pressed) end.querySelector('button')?.focus();
  }
  async function refresh(background: boolean): Promise<void> {
    const { data, next_cursor } = await read(null, background);
    if (reading) return;
    const now = renewed(all, data, of!);
    // Nothing stands behind what was read, or it is not what follows.
    if (now.length === data.length) next = next_cursor;
    if (JSON.stringify(now) === JSON.stringify(all)) return;
    all = now;
    draw();
  }
  void more();
  void after?.then(() => all.length > 0 && !signal.aborted && draw());
  return h('div', { class: 'listed' }, of && liveLine(signal, refresh), place, end);
}
