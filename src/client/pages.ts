/** Lists that come in pages: gone through as one, or page by page. */
import { unexpected } from './send.js';

/** One page of a list. */
export interface Page<T> {
  data: T[];
  /** Where the next page begins; `null` after the last one. */
  next_cursor: string | null;
}

/** A list: `for await` goes through all of it, asking for pages as they are needed. Nothing is asked before. */
export interface Pages<T> extends AsyncIterable<T> {
  /** One page; the first where no cursor is given. */
  page(cursor?: string): Promise<Page<T>>;
  /** All of it at once. */
  all(): Promise<T[]>;
}

/** A list from what asks for its pages. */
export function pages<T>(ask: (cursor: string | undefined) => Promise<Page<T>>, first: string | undefined): Pages<T> {
  const page = async (cursor = first) => {
    const answer = await ask(cursor);
    if (!Array.isArray(answer.data)) throw unexpected({}, 'a page of a list has no data');
    if (typeof (answer.next_cursor ?? '') !== 'string') throw unexpected({}, 'a page of a list names a next one by what is no text');
    return answer;
  };
  async function* each() {
    const seen = new Set([first]);
    for (let cursor = first; ;) {
      const { data, next_cursor: next } = await page(cursor);
      yield* data;
      if (next === null || next === undefined) return;
      // A list that leads back to where it was, at once or over other pages, would never end.
      if (seen.has(next)) throw unexpected({}, 'a page names one as the next that was there before');
      seen.add(next);
      cursor = next;
    }
  }
  return {
    page,
    [Symbol.asyncIterator]: each,
    async all() {
      const found: T[] = [];
      for await (const one of each()) found.push(one);
      return found;
    },
  };
}
