/**
 * A key whose secret is replaced, and the clients that call with it, in days that pass in seconds. Who may still call, what counts as
 * use and whether the rotation may be completed is decided by the core; here is only who calls when, and who deployed what.
 * Instants are milliseconds. Nothing here knows the page.
 */
import { Authority, verdictCodes } from 'keyward-playground';

const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** How long the old secret is accepted beside the new one, in seconds: a week. */
export const GRACE_SECONDS = 7 * 86_400;
/** A secret that was seen within this many seconds is in use: a day, as where nothing is said. */
export const QUIET_SECONDS = 86_400;

/** Calls of so long a time are counted together. */
export const BUCKET = 2 * HOUR;

/** Calls from `from` on, for a {@link BUCKET}. */
export interface Bucket {
  from: number;
  /** With the secret that is being replaced, or with the only one. */
  old: number;
  /** With the new one. */
  fresh: number;
  refused: number;
}

/** Something that happened, for the picture. */
export interface Mark {
  at: number;
  kind: 'begun' | 'refused' | 'completed' | 'ended';
}

/** What is known of a secret, as the core tells it. */
export interface Secret {
  number: number;
  status: 'pending' | 'active' | 'retiring' | 'gone';
  until: string | null;
  in_use: boolean;
  evidence: { calls: number; first_seen: string; last_seen: string; addresses: string[]; countries: string[] } | null;
}

/** Where the key stands, as the core tells it. */
export interface Shown {
  rotation: { number: number; status: 'waiting' | 'overlap' | 'completed' | 'cancelled'; usable_by: string; ends_at: string | null; from: number; to: number } | null;
  secrets: Secret[];
  settled: { effective_by: string; confirmed: boolean };
}

interface Client {
  address: string;
  country: string;
  /** Milliseconds from one call to the next, about. */
  pause: number;
  /** When it deploys the new secret, as a part of the time that all take. */
  share: number;
  /** Number of the secret that it holds. */
  secret: number;
  next: number;
}

/** Servers of three regions, in the networks that are reserved for examples. */
const REGIONS = [
  { network: '198.51.100.', country: 'DE', servers: 10 },
  { network: '203.0.113.', country: 'US', servers: 10 },
  { network: '2001:db8:5a::', country: 'SG', servers: 4 },
];
/** The one that was forgotten: a report that runs every few hours. */
export const STRAGGLER = { address: '192.0.2.77', network: '192.0.2.0/24', country: 'PT', pause: 6 * HOUR };

export class RotationSimulation {
  readonly buckets: Bucket[] = [];
  readonly marks: Mark[] = [];
  /** Days within which the clients deploy a new secret. */
  days: number;
  /** Whether one client keeps the old secret. */
  straggles: boolean;
  #now: number;
  #begunAt = 0;
  readonly #authority: Authority;
  readonly #codes = verdictCodes();
  readonly #clients: Client[];
  readonly #straggler: Client;
  readonly #random: () => number;
  /** Number of the newest secret. */
  #newest = 1;

  constructor({ days, straggles, now, random = Math.random }: { days: number; straggles: boolean; now: number; random?: () => number }) {
    [this.days, this.straggles, this.#now, this.#random] = [days, straggles, now, random];
    this.#authority = new Authority(5, now);
    const servers = REGIONS.flatMap(({ network, country, servers: count }) => Array.from({ length: count }, (_, index) => ({ address: `${network}${index + 10}`, country })));
    this.#clients = servers.map(({ address, country }) => this.#client(address, country, 30 * MINUTE));
    // Somebody is always the first and somebody the last; the others are in between.
    this.#clients.forEach((client, index) => (client.share = (index + random() * 0.6) / servers.length));
    this.#straggler = this.#client(STRAGGLER.address, STRAGGLER.country, STRAGGLER.pause);
    this.#straggler.share = 0.9;
    this.#clients.push(this.#straggler);
  }

  get now(): number {
    return this.#now;
  }

  get redacted(): string {
    return this.#authority.redacted();
  }

  /** What the core knows now. */
  get shown(): Shown {
    return JSON.parse(this.#authority.shown(this.#now)) as Shown;
  }

  /** How many clients hold the newest secret, of all. */
  get deployed(): [number, number] {
    return [this.#clients.filter(({ secret }) => secret === this.#newest).length, this.#clients.length];
  }

  /** Begins a rotation; the overlap begins with the first use of the new secret. @throws the code of a refusal */
  begin(): void {
    this.#newest = this.#authority.beginRotation(true, GRACE_SECONDS, QUIET_SECONDS, this.#now);
    this.#begunAt = this.#now;
    this.#mark('begun');
  }

  /** Completes it. @throws the code of a refusal, a string */
  complete(force: boolean): void {
    try {
      this.#authority.endRotation(true, force, this.#now);
    } catch (code) {
      this.#mark('refused');
      throw code;
    }
    this.#mark('completed');
  }

  /** Lets everything happen up to an instant. Answers whether the overlap ended by itself. */
  advance(to: number): boolean {
    let ended = false;
    for (;;) {
      const next = this.#clients.reduce((first, client) => (client.next < first.next ? client : first));
      const at = Math.min(next.next, to);
      this.#now = Math.max(this.#now, at);
      if (this.#authority.due(this.#now)) {
        ended = true;
        this.#mark('ended');
      }
      if (next.next > to) return ended;
      this.#call(next);
    }
  }

  /** Forgets what was before an instant. */
  forget(before: number): void {
    while (this.buckets[0] && this.buckets[0].from < before) this.buckets.shift();
    while (this.marks[0] && this.marks[0].at < before) this.marks.shift();
  }

  /** Gives back the memory of the core. The simulation is over with it. */
  free(): void {
    this.#authority.free();
  }

  #client(address: string, country: string, pause: number): Client {
    return { address, country, pause, share: 0, secret: 1, next: this.#now + Math.round(this.#random() * pause) };
  }

  #mark(kind: Mark['kind']): void {
    this.marks.push({ at: this.#now, kind });
  }

  #call(client: Client): void {
    const straggles = this.straggles && client === this.#straggler;
    if (!straggles && client.secret !== this.#newest && this.#now >= this.#begunAt + client.share * this.days * DAY) client.secret = this.#newest;
    const code = this.#codes[this.#authority.call(this.#authority.text(client.secret)!, client.address, client.country, this.#now)];
    const bucket = this.#bucket();
    if (code !== 'VALID') bucket.refused += 1;
    else if (client.secret === this.#newest && this.#newest > 1) bucket.fresh += 1;
    else bucket.old += 1;
    client.next = this.#now + Math.round(client.pause * (0.5 + this.#random()));
  }

  #bucket(): Bucket {
    const from = Math.floor(this.#now / BUCKET) * BUCKET;
    const last = this.buckets.at(-1);
    if (last?.from === from) return last;
    const bucket = { from, old: 0, fresh: 0, refused: 0 };
    this.buckets.push(bucket);
    return bucket;
  }
}
