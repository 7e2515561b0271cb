/**
 * A list of any length in rows of one height, of which only those exist that can be seen, and some around them. Rows come in pages, as
 * one scrolls. It is a grid with one stop for the keyboard: arrows move in it, Enter opens; screen readers are told the row's number.
 */
import { append, h, type Child } from './dom.ts';

/** How many rows stand ready above and below what is seen. */
const AROUND = 8;
/** With fewer rows than this left below, the next page is asked for. */
const AHEAD = 120;

export interface Options {
  label: string;
  columns: string[];
  /** The cells of a row, by column. */
  cells: (index: number) => Child[];
  /** Where a row leads. */
  open: (index: number) => void;
  /** Asks for more rows; it is called when few are left. */
  more: () => void;
}

export class Rows {
  readonly element: HTMLElement;
  readonly #body: HTMLElement;
  readonly #rows = new Map<number, HTMLElement>();
  readonly #options: Options;
  #count = 0;
  #complete = false;
  #active = 0;
  #scheduled = false;
  #height = 44;

  constructor(options: Options) {
    this.#options = options;
    const head = h('div', { class: 'row heads', role: 'row', 'aria-rowindex': 1 }, ...options.columns.map((column) => h('span', { role: 'columnheader' }, column)));
    this.#body = h('div', { class: 'body', role: 'rowgroup' });
    this.element = h('div', { class: 'rows', role: 'grid', tabindex: 0, 'aria-label': options.label, 'aria-rowcount': -1, 'aria-colcount': options.columns.length, 'aria-readonly': 'true' },
      h('div', { role: 'rowgroup', class: 'head-group' }, head), this.#body);
    this.element.addEventListener('scroll', () => this.#schedule(), { passive: true });
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('click', (event) => {
      const row = (event.target as Element).closest<HTMLElement>('.body > .row');
      if (!row || (event.target as Element).closest('a')) return;
      this.#options.open(Number(row.dataset['index']));
    });
    new ResizeObserver(() => this.#measure()).observe(this.element);
  }

  /** How many rows there are by now, and whether that is all. */
  grow(count: number, complete: boolean): void {
    [this.#count, this.#complete] = [count, complete];
    this.element.setAttribute('aria-rowcount', String(complete ? count + 1 : -1));
    this.#body.style.height = `${count * this.#height}px`;
    this.#schedule();
  }

  /** Forgets all rows, to begin at the top. */
  clear(): void {
    this.#drop();
    this.#active = 0;
    this.element.scrollTop = 0;
    this.grow(0, false);
  }

  /** The first row that is seen. */
  get first(): number {
    return Math.floor(this.element.scrollTop / this.#height);
  }

  /** Draws all rows again: what they say has changed, and so many came before them. What is in sight stays there, but at the top. */
  renew(before: number): void {
    this.#drop();
    if (this.#active > 0) this.#active = Math.max(0, this.#active + before);
    if (this.element.scrollTop > 0) this.element.scrollTop += before * this.#height;
    this.#draw();
  }

  get place(): { top: number; active: number } {
    return { top: this.element.scrollTop, active: this.#active };
  }

  set place({ top, active }: { top: number; active: number }) {
    this.#active = active;
    this.element.scrollTop = top;
    this.#draw();
  }

  #drop(): void {
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
  }

  #measure(): void {
    const height = parseFloat(getComputedStyle(this.element).getPropertyValue('--row')) || 44;
    if (height !== this.#height) {
      this.#height = height;
      this.#drop();
      this.grow(this.#count, this.#complete);
    }
    this.#draw();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw(): void {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.#height) - AROUND);
    const last = Math.min(this.#count, Math.ceil((scrollTop + clientHeight) / this.#height) + AROUND);
    for (const [index, row] of this.#rows) {
      if (index >= first && index < last) continue;
      row.remove();
      this.#rows.delete(index);
    }
    const made = document.createDocumentFragment();
    for (let index = first; index < last; index += 1) if (!this.#rows.has(index)) made.append(this.#row(index));
    this.#body.append(made);
    this.#mark();
    if (!this.#complete && last > this.#count - AHEAD) this.#options.more();
  }

  #row(index: number): HTMLElement {
    const row = h('div', { class: 'row', role: 'row', 'aria-rowindex': index + 2, 'data-index': index, id: `row-${index}` });
    append(row, this.#options.cells(index).map((cell) => h('span', { role: 'gridcell' }, cell)));
    row.style.transform = `translateY(${index * this.#height}px)`;
    this.#rows.set(index, row);
    return row;
  }

  #mark(): void {
    for (const [index, row] of this.#rows) row.toggleAttribute('data-active', index === this.#active);
    if (this.#rows.has(this.#active)) this.element.setAttribute('aria-activedescendant', `row-${this.#active}`);
    else this.element.removeAttribute('aria-activedescendant');
  }

  #key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#height) - 2);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === 'Enter' && event.target === this.element && this.#active < this.#count) return this.#options.open(this.#active);
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#active = Math.min(Math.max(0, this.#active + step), Math.max(0, this.#count - 1));
    const [top, head] = [this.#active * this.#height, this.#body.offsetTop];
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.#height + head > scrollTop + clientHeight) this.element.scrollTop = top + this.#height + head - clientHeight;
    this.#draw();
  }
}
