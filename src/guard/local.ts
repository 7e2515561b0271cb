/** Verdicts of the core in this process, on records of the user's own store. */
import type { KeyRecord, StoredKey } from 'keyward';
import { presented } from './credential.js';
import { known, teller } from './notice.js';
import type { Problem } from './notice.js';
import { frozen, refused } from './verdict.js';
import type { Principal, Question, Source, Verdict } from './verdict.js';

/** What the core is told of a call. */
export interface Facts {
  scopes?: string[];
  environment?: string;
  ip?: string;
  country?: string;
  origin?: string;
  /** Milliseconds since the epoch. */
  now?: number;
}

/** The verdict of the core. */
export type CoreVerdict = ({ valid: true; code: 'VALID'; warning?: string } & Omit<Principal, 'warning'>) | { valid: false; code: string; key_id: string | null };

export interface LocalOptions {
  /** A `Verifier` of `keyward`. */
  verifier: { verify(key: string, stored: StoredKey, facts: Facts): CoreVerdict };
  /** Where the records are, by the key's id. */
  store: { get(id: string): StoredKey | undefined | null | Promise<StoredKey | undefined | null> };
  /** Counts a call that passed all else. Without it a key with limits or quotas is refused: they are never silently ignored. */
  limit?: (record: KeyRecord, cost: number) => Allowance | Promise<Allowance>;
  /** Told of what only the operator can mend, each at most once a minute; lines of `console.error` where it is absent. */
  onProblem?: (problem: Problem) => void;
}

/** Whether a call is within the limits of its key. */
export interface Allowance {
  allowed: boolean;
  /** Whole seconds. */
  retry_after_seconds?: number;
}

const NAMES = ['verifier', 'store', 'limit', 'onProblem'];

class Local implements Source<Principal> {
  readonly about = 'key';
  readonly foreign_prefixes = [];
  readonly #options: LocalOptions;
  readonly #tell: (problem: Problem) => void;

  constructor(options: LocalOptions) {
    known(options, NAMES, 'local()');
    if (typeof options.verifier?.verify !== 'function') throw new TypeError('local() needs a Verifier of keyward');
    if (typeof options.store?.get !== 'function') throw new TypeError('local() needs a store with get(id)');
    this.#options = options;
    this.#tell = teller(options.onProblem);
  }

  async judge({ key, scopes, cost, ...where }: Question): Promise<Verdict> {
    const id = presented(key)?.id;
    if (typeof id !== 'string') return refused('MALFORMED');
    let stored: StoredKey | undefined | null;
    let verdict: CoreVerdict;
    let principal: Principal;
    try {
      stored = await this.#options.store.get(id);
      if (stored === undefined || stored === null) return refused('NOT_FOUND');
      verdict = this.#options.verifier.verify(key, stored, { ...where, scopes: [...scopes] });
      if (!verdict.valid) return refused(verdict.code);
      const { valid: _, code: __, ...of } = verdict;
      // What a handler does to it is done to no record.
      principal = frozen({ ...of, scopes: [...of.scopes], metadata: JSON.parse(JSON.stringify(of.metadata)) as Principal['metadata'] });
    } catch (cause) {
      this.#tell({ code: 'STORE_FAILED', message: 'the store of the guard failed, or holds what is no record; these calls are answered 503', cause });
      return refused('UNAVAILABLE');
    }
    const held = { principal, ...(principal.warning === undefined ? {} : { warning: principal.warning }), limits: [], quotas: [] };
    return (await this.#overLimit(stored.record, cost)) ?? { valid: true, ...held };
  }

  /** The refusal of a call that its key's limits do not allow, or that nobody counts. */
  async #overLimit(record: KeyRecord, cost: number): Promise<Verdict | undefined> {
    if (!record.rate_limits?.length && !record.quotas?.length) return undefined;
    const { limit } = this.#options;
    if (limit === undefined) {
      this.#tell({ code: 'LIMITS_NOT_COUNTED', message: `the key ${record.id} has limits, which nobody counts: give local() a limit, or guard with deployment(); its calls are answered 503` });
      return refused('LIMITS_NOT_COUNTED');
    }
    try {
      const { allowed, retry_after_seconds } = await limit(record, cost);
      if (allowed === true) return undefined;
      const retry = Number.isFinite(retry_after_seconds) ? { retry_after_seconds: Math.max(0, Math.ceil(retry_after_seconds!)) } : {};
      return { valid: false, code: 'RATE_LIMITED', ...retry, limits: [], quotas: [] };
    } catch (cause) {
      this.#tell({ code: 'LIMIT_FAILED', message: 'the limit of the guard failed; these calls are answered 503', cause });
      return refused('UNAVAILABLE');
    }
  }
}

/**
 * Verdicts of the core in this process: no deployment is asked. A revocation holds as soon as the store says so.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export const local = (options: LocalOptions): Source<Principal> => new Local(options);
