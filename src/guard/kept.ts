/**
 * What is kept of verdicts, and for how long: the edge's side of a lease, once more. Time is a value of two clocks, and a verdict ends by
 * whichever of them says so first: a suspended machine's monotonic clock stands still, a wall clock can be set.
 */

/** A reading of both clocks, in milliseconds. */
export interface Now {
  monotonic: number;
  wall: number;
}

/** When a question was asked. What comes of it counts from here. */
export interface Asked extends Now {
  /** How often everything had been dropped by then. */
  readonly epoch: number;
  /** Its place among all questions: clocks may stand still between two of them. */
  readonly order: number;
}

/** What a verdict is kept for at most, whatever an answer says: the longest staleness that a key can have. */
export const MOST_LEASE_MS = 60_000;
/** What a refusal is kept for at most, so that a new secret is known in time. */
export const MOST_REFUSED_MS = 1_000;
/** How long it is remembered that the verdicts on a question are not kept. */
const NOT_KEPT_MS = 60_000;
/** A hundredth shorter than what was granted: a clock that runs up to 1 % slow still ends it in time. */
const RATE = 0.99;

/** How long a verdict counts from before it was asked for: milliseconds, 0 for what is no length of time. */
export const leaseOf = (granted: unknown, most = MOST_LEASE_MS): number => (typeof granted === 'number' && granted > 0 ? Math.min(granted, most) * RATE : 0);

interface Entry<V> {
  /** Absent where it is known that each call has to ask. */
  verdict: V | undefined;
  asked: Asked;
  /** Counted from `asked`, on either clock. */
  ms: number;
  /** On the wall clock alone. */
  until: number;
  size: number;
  /** Monotonic instant until which a renewal is taken to be under way; `Infinity` for what is not renewed. */
  renewing: number;
}

/** Verdicts by the question that they answer, word for word. Bounded in entries, in characters and in time. */
export class Kept<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #underWay = new Map<string, number>();
  readonly #most: { entries: number; characters: number };
  #characters = 0;
  #epoch = 0;
  #order = 0;
  #seen: Now = { monotonic: -Infinity, wall: -Infinity };

  constructor(most: { entries: number; characters: number }) {
    this.#most = most;
  }

  /** How many entries there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** Notes when a question is asked: to be called before it is sent. */
  asked(now: Now): Asked {
    this.#see(now);
    this.#order += 1;
    return { ...now, epoch: this.#epoch, order: this.#order };
  }

  /** The verdict on a question, if one is in hand, and whether this call is the one that should renew it. */
  take(question: string, now: Now, patience_ms: number): { verdict: V; renew: boolean } | undefined {
    this.#see(now);
    const entry = this.#entries.get(question);
    if (entry === undefined) return undefined;
    if (!isLive(entry, now)) {
      this.#drop(question, entry);
      return undefined;
    }
    if (entry.verdict === undefined) return undefined;
    const renew = now.monotonic >= entry.renewing && !isLive({ ...entry, ms: entry.ms / 2 }, now);
    if (renew) entry.renewing = now.monotonic + patience_ms;
    return { verdict: entry.verdict, renew };
  }

  /**
   * Keeps a verdict. One that came after its own end is not kept, nor one that was asked for before what is in hand, or before everything
   * was dropped.
   *
   * @param of.ms from {@link leaseOf}; 0 notes that each call has to ask, as what came after its own end does
   * @param of.until wall-clock instant at which it ends in any case
   * @param of.minor whether others go before it: half of the room is theirs alone, and it is not renewed
   */
  keep(question: string, verdict: V, asked: Asked, now: Now, of: { ms: number; until: number; size: number; minor?: boolean }): void {
    this.#see(now);
    if (asked.epoch !== this.#epoch) return;
    const known = this.#entries.get(question);
    if (of.minor && !known && (this.#entries.size * 2 >= this.#most.entries || this.#characters * 2 >= this.#most.characters)) return;
    if (known && known.asked.order > asked.order) return;
    if (known) this.#drop(question, known);
    const whole: Entry<V> = { verdict, asked, ms: of.ms, until: of.until, size: question.length + of.size, renewing: of.minor ? Infinity : -Infinity };
    // What is over already leaves its place among the questions: the answer to an earlier one may still be on its way.
    const entry = of.ms > 0 && isLive(whole, now) ? whole : { verdict: undefined, asked, ms: NOT_KEPT_MS, until: Infinity, size: question.length, renewing: -Infinity };
    if (!isLive(entry, now) || entry.size > this.#most.characters) return;
    this.#entries.set(question, entry);
    this.#characters += entry.size;
    for (const [oldest, of] of this.#entries) {
      if (this.#entries.size <= this.#most.entries && this.#characters <= this.#most.characters && isLive(of, now)) break;
      this.#drop(oldest, of);
    }
  }

  /** Whether somebody asks the same just now, and what he is told may be kept. */
  isAsked(question: string, now: Now): boolean {
    const until = this.#underWay.get(question);
    const aside = this.#entries.get(question);
    return until !== undefined && now.monotonic < until && !(aside && aside.verdict === undefined && isLive(aside, now));
  }

  /** Says that a question is being asked, for as long as an answer is waited for at most; the runtime may end who asks. */
  begin(question: string, now: Now, patience_ms: number): void {
    if (this.#underWay.size >= this.#most.entries) this.#underWay.clear();
    this.#underWay.set(question, now.monotonic + patience_ms);
  }

  /** Says that it is over. */
  end(question: string): void {
    this.#underWay.delete(question);
  }

  /** A clock that is seen to step back, or that tells no time, drops everything. */
  #see(now: Now): void {
    if (!(now.wall >= this.#seen.wall && now.monotonic >= this.#seen.monotonic)) {
      this.#entries.clear();
      this.#underWay.clear();
      this.#characters = 0;
      this.#epoch += 1;
    }
    this.#seen = { monotonic: Number.isNaN(now.monotonic) ? -Infinity : now.monotonic, wall: Number.isNaN(now.wall) ? -Infinity : now.wall };
  }

  #drop(question: string, entry: Entry<V>): void {
    this.#entries.delete(question);
    this.#characters -= entry.size;
  }
}

/** Whether both clocks say that it has begun and is not over. A clock that tells no time says neither. */
function isLive({ asked, ms, until }: Pick<Entry<unknown>, 'asked' | 'ms' | 'until'>, now: Now): boolean {
  const within = (from: number, at: number) => at >= from && at - from < ms;
  return within(asked.monotonic, now.monotonic) && within(asked.wall, now.wall) && now.wall < until;
}
