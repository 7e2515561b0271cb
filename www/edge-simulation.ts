/**
 * Five edges and one authority in the page, on a clock that is moved by whoever holds it. Leases, verdicts and the receipt are the
 * core's, compiled from the same Rust as the Worker; here are only the network between them, the clocks, and who calls when.
 * Instants are milliseconds on the authority's clock. Nothing here knows the page.
 */
import { type Answer, Authority, Edge, verdictCodes } from 'keyward-playground';

/** A place where keyward runs: how far it is from the authority, and how wrong its clock is. */
export interface Place {
  name: string;
  /** Milliseconds to the authority, one way. */
  away: number;
  /** By how much its clock is off, in milliseconds. */
  offset: number;
  /** How fast its clock runs; the promise holds for clocks that run up to 1 % slow. */
  pace: number;
}

export const PLACES: readonly Place[] = [
  { name: 'Frankfurt', away: 8, offset: 0, pace: 1 },
  { name: 'Ashburn', away: 46, offset: 3_200, pace: 0.996 },
  { name: 'São Paulo', away: 104, offset: -41_000, pace: 1.004 },
  { name: 'Singapore', away: 82, offset: 250, pace: 0.991 },
  { name: 'Sydney', away: 143, offset: -7_900, pace: 1.008 },
];

/** A call and what an edge made of it. */
export interface Dot {
  edge: number;
  /** When the verdict was given. */
  at: number;
  code: string;
  accepted: boolean;
  /** Whether the authority had to be asked. */
  asked: boolean;
}

/** For how long an edge held a lease: from when it had it to its end, or to the next one. */
export interface Held {
  edge: number;
  /** Whether what was leased is a key that works. */
  good: boolean;
  from: number;
  until: number;
}

/** What the authority answers to a revocation. */
export interface Receipt {
  revokedAt: number;
  effectiveBy: number;
}

/** How long an edge waits for the authority, in milliseconds, as in the Worker. */
const PATIENCE = 2_000;
/** By how much a message may take longer than its way, in milliseconds. */
const JITTER = 30;

interface Happening {
  at: number;
  happen(): void;
}

interface Site extends Place {
  edge: Edge;
  /** Whether messages between it and the authority are lost. */
  cut: boolean;
  /** Calls that wait for the answer that is under way. */
  waiting: (() => void)[] | undefined;
  held: Held | undefined;
}

export class EdgeSimulation {
  readonly dots: Dot[] = [];
  readonly leases: Held[] = [];
  receipt: Receipt | undefined;
  /** Calls in a second at each edge. */
  rate: number;
  #now: number;
  #staleness: number;
  readonly #authority: Authority;
  readonly #text: string;
  readonly #codes = verdictCodes();
  readonly #sites: Site[];
  /** What will happen, the next last. */
  readonly #ahead: Happening[] = [];
  readonly #random: () => number;

  /** @param random numbers from 0 to 1, for when calls come and how long messages take */
  constructor({ staleness, rate, now, random = Math.random }: { staleness: number; rate: number; now: number; random?: () => number }) {
    [this.rate, this.#now, this.#staleness, this.#random] = [rate, now, staleness, random];
    this.#authority = new Authority(staleness, now);
    this.#text = this.#authority.text(1)!;
    this.#sites = PLACES.map((place) => ({ ...place, edge: new Edge(this.#authority), cut: false, waiting: undefined, held: undefined }));
    this.#sites.forEach((_, index) => this.#callSoon(index));
  }

  get now(): number {
    return this.#now;
  }

  /** The key as it may be shown. */
  get redacted(): string {
    return this.#authority.redacted();
  }

  get staleness(): number {
    return this.#staleness;
  }

  /** Seconds, 0 to 60. Leases that are out stay as long as they are. */
  set staleness(seconds: number) {
    if (this.receipt) return;
    this.#authority.setStaleness(seconds, this.#now);
    this.#staleness = seconds;
  }

  isCut(edge: number): boolean {
    return this.#sites[edge]!.cut;
  }

  /** Loses messages between an edge and the authority, or lets them through again. */
  cut(edge: number, cut: boolean): void {
    this.#sites[edge]!.cut = cut;
  }

  /** Revokes the key, now. Once. */
  revoke(): Receipt {
    this.receipt ??= { revokedAt: this.#now, effectiveBy: this.#authority.revoke(this.#now) };
    return this.receipt;
  }

  /** Lets everything happen up to an instant. */
  advance(to: number): void {
    for (let next = this.#ahead.at(-1); next && next.at <= to; next = this.#ahead.at(-1)) {
      this.#ahead.pop();
      this.#now = next.at;
      next.happen();
    }
    this.#now = Math.max(this.#now, to);
  }

  /** Forgets what was before an instant. */
  forget(before: number): void {
    for (const list of [this.dots, this.leases]) {
      const kept = list.findIndex((each) => ('at' in each ? each.at : each.until) >= before);
      list.splice(0, kept < 0 ? list.length : kept);
    }
  }

  /** Gives back the memory of the core. The simulation is over with it. */
  free(): void {
    this.#ahead.length = 0;
    for (const { edge } of this.#sites) edge.free();
    this.#authority.free();
  }

  #at(at: number, happen: () => void): void {
    const place = this.#ahead.findLastIndex((other) => other.at > at) + 1;
    this.#ahead.splice(place, 0, { at, happen });
  }

  /** The clock of an edge at an instant of the authority's. */
  #clock({ offset, pace }: Place, at: number): number {
    return Math.floor(at * pace) + offset;
  }

  #callSoon(index: number): void {
    // At random about the rate, as callers do.
    const pause = (0.5 + this.#random()) * (1000 / this.rate);
    this.#at(this.#now + Math.max(1, Math.round(pause)), () => {
      this.#call(index);
      this.#callSoon(index);
    });
  }

  #call(index: number, waited = false): void {
    const site = this.#sites[index]!;
    const clock = this.#clock(site, this.#now);
    const code = site.edge.verify(this.#text, clock);
    if (code !== undefined) {
      this.#told(index, code, waited, this.#now);
      if (site.edge.wantsRenewal(this.#text, clock)) this.#ask(index);
    } else if (site.waiting) site.waiting.push(() => this.#call(index, true));
    else this.#ask(index, (given, at) => this.#told(index, given, true, at));
  }

  #told(edge: number, index: number, asked: boolean, at: number): void {
    const code = this.#codes[index]!;
    this.dots.push({ edge, at, code, accepted: code === 'VALID', asked });
  }

  /** A question to the authority and its answer, both on their way; `verdict` is told what comes of the call that asks. */
  #ask(index: number, verdict?: (code: number, at: number) => void): void {
    const site = this.#sites[index]!;
    const askedAt = this.#clock(site, this.#now);
    const way = (): number => Math.round(site.away + this.#random() * JITTER);
    // Strict keys are asked about anew by each call; otherwise others wait for what this one brings.
    const waiting: (() => void)[] = [];
    const shared = verdict !== undefined && this.#staleness > 0;
    if (shared) site.waiting = waiting;
    const release = (): void => {
      if (site.waiting === waiting) site.waiting = undefined;
      for (const go of waiting) go();
    };
    const lost = (): void => this.#at(this.#now + PATIENCE, () => {
      const unavailable = this.#codes.indexOf('UNAVAILABLE');
      verdict?.(unavailable, this.#now);
      for (const _ of waiting.splice(0)) this.#told(index, unavailable, true, this.#now);
      release();
    });
    if (site.cut) return lost();
    this.#at(this.#now + way(), () => {
      const decidedAt = this.#now;
      const answer = this.#authority.answer(this.#text, decidedAt);
      if (site.cut) {
        answer.free();
        return lost();
      }
      this.#at(decidedAt + way(), () => this.#arrive(index, answer, askedAt, decidedAt, verdict, release));
    });
  }

  #arrive(index: number, answer: Answer, askedAt: number, decidedAt: number, verdict: ((code: number, at: number) => void) | undefined, release: () => void): void {
    const site = this.#sites[index]!;
    const clock = this.#clock(site, this.#now);
    const code = site.edge.take(answer, this.#text, askedAt, clock);
    verdict?.(code, answer.decides ? decidedAt : this.#now);
    answer.free();
    const end = site.edge.leaseEnd(this.#text, clock);
    if (end !== undefined) {
      if (site.held) site.held.until = Math.min(site.held.until, this.#now);
      site.held = { edge: index, good: this.#codes[code] === 'VALID', from: this.#now, until: Math.ceil((end - site.offset) / site.pace) };
      this.leases.push(site.held);
    }
    release();
  }
}
