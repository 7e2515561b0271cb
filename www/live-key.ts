/** A key on the Worker behind the page: created, called at each edge that the page reaches, revoked. The management key is an argument and is kept nowhere. */
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
  if (response.status === 401) throw new Refused('401: This key is not accepted here. It may be mistyped, expired, disabled, revoked, or of another deployment.');
  if (!response.ok) throw new Refused(`${response.status}: ${answer.title ?? 'refused'}${answer.detail ? `; ${answer.detail}` : ''}. Request ${response.headers.get('Keyward-Request-Id')}.`);
  return answer;
}

interface Made {
  id: string;
  key: string;
  redacted: string;
  created_at: string;
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
  /** How many edges the page reaches. Deployed, it is the nearest alone. */
  readonly edges: number;
  readonly #id: string;
  readonly #text: string;
  /** By how much the Worker's clock is ahead of the page's, as far as the page can tell. */
  readonly #ahead: number;
  #calling = true;

  private constructor({ id, key, redacted }: Made, ahead: number, edges: number) {
    [this.#id, this.#text, this.redacted, this.#ahead, this.edges] = [id, key, redacted, ahead, edges];
  }

  /**
   * Creates a key of that staleness, in seconds.
   * @throws {Refused}
   */
  static async create(management: string, staleness: number): Promise<LiveKey> {
    const sent = Date.now();
    const made = await ask<Made>(management, '/v1/keys', { name: 'playground', owner: 'playground', max_staleness_seconds: staleness, metadata: { made_by: 'edges.html' } });
    const ahead = Date.parse(made.created_at) - (sent + Date.now()) / 2;
    const reached = await fetch('edges.json').then((response) => response.json() as Promise<{ edges: number }>).catch(() => ({ edges: 1 }));
    return new LiveKey(made, ahead, reached.edges);
  }

  /** Now, on the Worker's clock. */
  get now(): number {
    return Date.now() + this.#ahead;
  }

  get calling(): boolean {
    return this.#calling;
  }

  /** Calls `/v1/authorize` at every edge until some time after the receipt; a call stands where it was sent. */
  async call(told: (dot: Dot) => void): Promise<void> {
    await Promise.all(Array.from({ length: this.edges }, (_, edge) => this.#callAt(edge, told)));
  }

  async #callAt(edge: number, told: (dot: Dot) => void): Promise<void> {
    const path = edge === 0 ? '/v1/authorize' : `/edges/${edge + 1}/v1/authorize`;
    while (this.#calling) {
      const at = this.now;
      const response = await fetch(path, { headers: { Authorization: `Bearer ${this.#text}` }, cache: 'no-store' }).catch(() => undefined);
      const status = response?.status ?? 0;
      const dot = { edge, at, accepted: status === 200, code: status === 0 ? 'no answer' : String(status), asked: false };
      this.dots.push(dot);
      told(dot);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  /**
   * Revokes it and tells of the receipt as it is at once; answers it again once no edge accepts the key any more.
   * @throws {Refused}
   */
  async revoke(management: string, told: (answered: Answered) => void): Promise<Answered> {
    const revoke = (more: object): Promise<Answered> => ask(management, `/v1/keys/${this.#id}/revoke`, { reason: 'the playground', ...more });
    const given = await revoke({});
    this.receipt = { revokedAt: Date.parse(given.revoked_at), effectiveBy: Date.parse(given.effective_by) };
    told(given);
    // Revoking again changes nothing.
    const confirmed = await revoke({ wait: true });
    setTimeout(() => (this.#calling = false), AFTER);
    return confirmed;
  }

  /** Calls no more. */
  stop(): void {
    this.#calling = false;
  }
}
