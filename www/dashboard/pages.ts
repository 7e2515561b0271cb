/** Lists that are read page by page, at the press of a button. */
import { call, query } from './api.ts';
import { button, fill, h } from './dom.ts';
import type { Page } from './model.ts';
import { attempt } from './problems.ts';

/**
 * A list of all that an endpoint answers, a page at a time.
 *
 * @param path of the endpoint, without a cursor
 * @param show what is shown of all that was read so far
 * @param none what is shown where there is nothing
 */
export function paged<T>({ path, parameters = {}, show, none, signal }: { path: string; parameters?: Record<string, string | number>; show: (all: T[]) => HTMLElement; none: () => HTMLElement; signal: AbortSignal }): HTMLElement {
  const all: T[] = [];
  const [place, end] = [h('div'), h('div')];
  const more = async (cursor: string | null): Promise<void> => {
    await attempt(end, async () => {
      const page = await call<Page<T>>('GET', path + query({ ...parameters, cursor }), undefined, { signal });
      all.push(...page.data);
      fill(place, all.length || page.next_cursor ? show(all) : none());
      fill(end, page.next_cursor && h('p', { class: 'actions' }, button('Show more', () => more(page.next_cursor))));
    });
  };
  void more(null);
  return h('div', {}, place, end);
}
