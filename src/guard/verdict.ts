/** What a guard asks and what it is told: the question, the verdict, and how an answer of a deployment is read, which may be anything. */

/** Who calls, as a guard hands it on. */
export interface Principal {
  /** 16 characters of base62; safe to log. */
  key_id: string;
  name: string;
  owner: string;
  environment: string;
  /** What the key holds: `resource:action`, with `*` for either side. */
  scopes: readonly string[];
  /** RFC 3339. */
  expires_at: string | null;
  metadata: Readonly<Record<string, unknown>>;
  /** Until when the secret in use works, where it was replaced. */
  warning?: string;
}

/** A rate limit of the key, and what the call left of it. */
export interface Limit {
  name: string;
  limit: number;
  window_seconds: number;
  remaining: number;
  full_in_seconds: number | null;
}

/** A quota of the key, and what the call left of it. */
export interface Quota {
  name: string;
  limit: number;
  remaining: number;
  /** RFC 3339; `null` for one that never comes back. */
  resets_at: string | null;
}

/** What is asked of a source of verdicts. */
export interface Question {
  /** The text that the caller presents. */
  key: string;
  /** What the call needs: `resource:action`. */
  scopes: readonly string[];
  ip?: string;
  /** ISO 3166-1 alpha-2. */
  country?: string;
  origin?: string;
  environment?: string;
  /** How many calls this one counts for. */
  cost: number;
}

/** What a source says of a question. */
export type Verdict<P = Principal> = (
  | { valid: true; principal: P; warning?: string }
  | { valid: false; code: string; retry_after_seconds?: number }
) & { limits: Limit[]; quotas: Quota[] };

/** Where verdicts come from. Both guards of one source share what it keeps. */
export interface Source<P> {
  /** What its verdicts are about: a caller's key, or the identity that a keyward route vouches for. */
  readonly about: 'key' | 'identity';
  /** How keys of other systems begin. */
  readonly foreign_prefixes: readonly string[];
  /** Never rejects. `waitUntil` keeps work beside the call alive, where the platform needs to be told. */
  judge(question: Question, waitUntil?: (work: Promise<unknown>) => void): Promise<Verdict<P>>;
}

/** A refusal without more to say. */
export const refused = (code: string): Verdict<never> => ({ valid: false, code, limits: [], quotas: [] });

/** What a deployment's answer comes to: the verdict, and for how long it says that it may be kept. */
export interface Told {
  verdict: Verdict;
  /** Milliseconds from before the question, as the deployment has it: not yet believed. 0 for what is never kept. */
  lease_ms: unknown;
  /** Wall-clock instant in milliseconds from which the verdict is another, whatever the lease. */
  until: number;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** Names of rules go into headers. */
const isName = (value: unknown) => isText(value) && /^[\w.-]{1,100}$/.test(value);
const isInstant = (value: unknown): value is string => isText(value) && Number.isFinite(Date.parse(value));

const isLimit = (of: unknown): of is Limit =>
  isObject(of) && isName(of.name) && isCount(of.limit) && isCount(of.window_seconds) && isCount(of.remaining) && (of.full_in_seconds === null || isCount(of.full_in_seconds));
const isQuota = (of: unknown): of is Quota =>
  isObject(of) && isName(of.name) && isCount(of.limit) && isCount(of.remaining) && (of.resets_at === null || isInstant(of.resets_at));

/** Later calls are handed the same one: whatever a handler does to it would be done to them. */
export function frozen<T>(whole: T): T {
  const parts: unknown[] = [whole];
  for (const part of parts) if (typeof part === 'object' && part !== null) parts.push(...Object.values(Object.freeze(part)));
  return whole;
}

/** Refusals that may be kept: the others are another with the next call, or say that nobody knows. */
const NEVER_KEPT = new Set(['RATE_LIMITED', 'QUOTA_EXCEEDED', 'UNAVAILABLE']);

/**
 * Reads what a deployment answered to a question about the key with this id. `undefined` for what is no verdict, or one on another key.
 *
 * @param id of the key that was asked about; `null` where only the deployment can tell it
 */
export function readVerdict(text: string, id: string | null): Told | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(answer)) return undefined;
  const { valid, code, key_id, name, owner, environment, scopes, expires_at, metadata, warning, limits, quotas, retry_after_seconds, freshness } = answer;
  if (!isText(code) || !/^[A-Z_]{1,40}$/.test(code) || valid !== (code === 'VALID')) return undefined;
  const rules = { limits: Array.isArray(limits) ? limits : [], quotas: Array.isArray(quotas) ? quotas : [] };
  if (!rules.limits.every(isLimit) || !rules.quotas.every(isQuota)) return undefined;
  const counted = rules.limits.length > 0 || rules.quotas.length > 0;
  const lease = isObject(freshness) ? freshness.lease_remaining_ms : 0;
  if (!valid) {
    const retry = isCount(retry_after_seconds) ? { retry_after_seconds } : {};
    return { verdict: { valid: false, code, ...retry, ...rules }, lease_ms: counted || NEVER_KEPT.has(code) ? 0 : lease, until: Infinity };
  }
  if (!isText(key_id) || (id !== null && key_id !== id) || !isText(name) || !isText(owner) || !isText(environment)) return undefined;
  if (!Array.isArray(scopes) || !scopes.every(isText) || !isObject(metadata) || (expires_at !== null && !isInstant(expires_at))) return undefined;
  const warned = isText(warning) && /^[\x20-\x7e]{1,300}$/.test(warning) ? { warning } : {};
  // A secret that is being replaced ends at an instant of its own, and its last calls are evidence.
  const retires = warning === undefined ? Infinity : Date.parse(/\d{4}-\d\d-\d\dT[\d:.]+Z/.exec(String(warning))?.[0] ?? '');
  const ends = Math.min(expires_at === null ? Infinity : Date.parse(expires_at), retires);
  const uncounted = Array.isArray(limits) && Array.isArray(quotas) && !counted && !Number.isNaN(ends);
  return {
    verdict: { valid: true, principal: frozen({ key_id, name, owner, environment, scopes, expires_at, metadata, ...warned }), ...warned, ...rules },
    lease_ms: uncounted ? lease : 0,
    until: ends,
  };
}
