/**
 * The picture of the path of a call: a packet that goes from the browser to the provider, past keyward where there is one, and back.
 * It moves with real calls and never by itself; with less motion asked for, it stands where the call is.
 */

/** Milliseconds from one station to the next. */
const LEG = 450;
/** Moves that wait at most; a picture that lags behind is worse than one that leaves something out. */
const MOST = 8;

/** What a packet carries. */
export type Load = 'key' | 'session' | 'nothing' | 'answer' | 'refusal';

/** Where a packet may be; each is an element `[data-station]` of the picture. */
export type Station = 'browser' | 'edge' | 'provider';

interface Move {
  from: Station;
  to: Station;
  load: Load;
  words: string;
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class CallPath {
  readonly #packet: SVGGElement;
  readonly #words: SVGTextElement;
  readonly #at = new Map<Station, number>();
  readonly #moves: Move[] = [];
  #moving = false;

  constructor(picture: SVGSVGElement) {
    this.#packet = picture.querySelector<SVGGElement>('.packet')!;
    this.#words = this.#packet.querySelector('text')!;
    for (const station of picture.querySelectorAll<SVGGElement>('[data-station]')) this.#at.set(station.dataset['station'] as Station, Number(station.dataset['x']));
  }

  /** Whether keyward stands on this path. */
  get relayed(): boolean {
    return this.#at.has('edge');
  }

  /** Shows something under way from one station to another. */
  move(from: Station, to: Station, load: Load, words: string): void {
    if (this.#moves.length >= MOST) this.#moves.shift();
    this.#moves.push({ from, to, load, words });
    if (!this.#moving) void this.#go();
  }

  async #go(): Promise<void> {
    this.#moving = true;
    for (let next = this.#moves.shift(); next; next = this.#moves.shift()) {
      const { from, to, load, words } = next;
      this.#packet.dataset['load'] = load;
      this.#words.textContent = words;
      const place = (station: Station): string => `translate(${this.#at.get(station)}px, 0)`;
      this.#packet.style.transform = place(to);
      if (!calm.matches) await this.#packet.animate({ transform: [place(from), place(to)] }, { duration: LEG, easing: 'ease-in-out' }).finished.catch(() => undefined);
    }
    this.#moving = false;
  }
}
