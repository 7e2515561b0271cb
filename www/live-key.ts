/** A key on the Worker behind the page: created, called, revoked. The management key is an argument and is kept nowhere. */
import type { Dot, Receipt } from './edge-simulation.ts';

/** Milliseconds from one call to the next. */
const PAUSE = 200;
/** For how long it is called after its receipt is confirmed, in milliseconds. */
const AFTER = 2_000;

/** What the Worker refused, in words for the visitor. */
export class Refused extends Error {}

interface Problem {
  title?: string;
  detail?: string;
}

async function ask<T>(management: string, path: string, body: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { method: 'POST', headers: { Authorization: `Bearer ${management}` }, body: JSON.stringify(body) });
  } catch {
    throw new Refused('Nobody answers at this address.');
  }
  if (!response.headers.has('Keyward-Request-Id')) throw new Refused('No keyward stands behind this page. “npx keyward dev” runs one, and so does “npm start” in a checkout.');
  const answer = await response.json().catch(() => ({})) as T & Problem;
  if (!response.ok) throw new Refused(`${response.status}: ${answer.title ?? 'refused'}${answer.detail ? `; ${answer.detail}` : ''}.`);
  return answer;
}

/** The receipt as the Worker answers it. */
export interface Answered {
  status: string;
  revoked_at: string;
  effective_by: string;
  confirmed: boolean;
  log_head?: unknown;
}

export class LiveKey {
  readonly dots: Dot[] = [];
  receipt: Receipt | undefined;
  readonly redacted: string;
  readonly #id: string;
  readonly #text: string;
  /** By how much the Worker's clock is ahead of the page's, as far as the page can tell. */
  readonly #ahead: number;
  #calling = true;

  private constructor({ id, key, redacted, created_at }: { id: string; key: string; redacted: string; created_at: string }, sent: number) {
    [this.#id, this.#text, this.redacted] = [id, key, redacted];
    this.#ahead = Date.parse(created_at) - (sent + Date.now()) / 2;
  }

  /**
   * Creates a key of that staleness, in seconds.
   * @throws {Refused}
   */
  static async create(management: string, staleness: number): Promise<LiveKey> {
    const sent = Date.now();
    return new LiveKey(await ask(management, '/v1/keys', { name: 'playground', owner: 'playground', max_staleness_seconds: staleness, metadata: { made_by: 'edges.html' } }), sent);
  }

  /** Now, on the Worker's clock. */
  get now(): number {
    return Date.now() + this.#ahead;
  }

  get calling(): boolean {
    return this.#calling;
  }

  /** Calls `/v1/authorize` until some time after the receipt; a call stands where it was sent. */
  async call(told: () => void): Promise<void> {
    while (this.#calling) {
      const at = this.now;
      const response = await fetch('/v1/authorize', { headers: { Authorization: `Bearer ${this.#text}` }, cache: 'no-store' }).catch(() => undefined);
      const status = response?.status ?? 0;
      this.dots.push({ edge: 0, at, accepted: status === 200, code: status === 0 ? 'no answer' : String(status), asked: false });
      told();
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  /**
   * Revokes it; answers once no edge accepts it any more.
   * @throws {Refused}
   */
  async revoke(management: string): Promise<Answered> {
    const answered = await ask<Answered>(management, `/v1/keys/${this.#id}/revoke`, { reason: 'the playground', wait: true });
    this.receipt = { revokedAt: Date.parse(answered.revoked_at), effectiveBy: Date.parse(answered.effective_by) };
    setTimeout(() => (this.#calling = false), AFTER);
    return answered;
  }

  /** Calls no more. */
  stop(): void {
    this.#calling = false;
  }
}
