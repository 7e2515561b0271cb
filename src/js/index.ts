/**
 * keyward's core for JavaScript: make, take apart, digest and verify API keys. Everything here is synchronous; only
 * {@link ready} waits, and only in a browser, where the WebAssembly module has to arrive first.
 */
import * as core from 'keyward-core';

/** Whatever keyward refuses. `code` is stable; `message` is for people and never repeats a secret. */
export class KeywardError extends Error {
  /** `LENGTH`, `ALPHABET`, `STRUCTURE`, `BRAND`, `CHECK`, `INVALID_REQUEST`, `INVALID_SECRET`, `TYPE`. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'KeywardError';
    this.code = code;
  }
}

/** The public parts of a key. */
export interface KeyParts {
  /** Who issues: two to twelve of `a-z0-9`. */
  brand: string;
  /** What for: `live`, `test`. */
  environment: string;
  /** 16 characters of base62; safe to log. */
  id: string;
  /** `psk_live_7Qm2ZxT0aBcD3fGh_…`: the only form to show or log. */
  redacted: string;
}

/** What is stored of a secret. */
export interface Digest {
  /** Public name of the root secret that keyed it: 8 hexadecimal digits. */
  root: string;
  /** HMAC-SHA-256 of `id_secret`: 64 hexadecimal digits. */
  hmac: string;
}

/** A key's record: what keyward's API answers of a key, without its text. Times are RFC 3339; empty lists do not restrict. */
export interface KeyRecord {
  /** 16 characters of base62. */
  id: string;
  brand: string;
  environment: string;
  /** One line, up to 100 characters. */
  name: string;
  /** One line, up to 200 characters. */
  owner: string;
  /** `resource:action`, with `*` for either side. */
  scopes: string[];
  created_at: string;
  updated_at: string;
  /** First instant at which it is valid. */
  not_before: string | null;
  /** First instant at which it is no longer valid. */
  expires_at: string | null;
  /** CIDRs. */
  allowed_ips: string[];
  /** CIDRs; they win over what is allowed. */
  denied_ips: string[];
  /** ISO 3166-1 alpha-2. */
  allowed_countries: string[];
  allowed_origins: string[];
  /** Seconds, 0 to 60. */
  max_staleness_seconds: number;
  /** Days after which its secret should be replaced; 90 where it is absent. */
  rotation_days?: number;
  /** Token buckets. Counted by a deployment over all its edges; a {@link Verifier} in hand counts nothing. */
  rate_limits?: { name: string; limit: number; window_seconds: number; burst: number; mode: 'exact' | 'approximate' }[];
  /** Calls in a day, a month or for ever, counted likewise. */
  quotas?: { name: string; limit: number; period: 'day' | 'month' | 'total' }[];
  /** What a deployment does about unusual use; `notify` where it is absent. */
  on_anomaly?: 'notify' | 'throttle' | 'disable' | 'revoke';
  /** What a deployment does when a secret of the key was found in the open; `revoke` where it is absent. */
  on_leak?: 'notify' | 'disable' | 'revoke';
  metadata: Record<string, unknown>;
  status: 'active' | 'disabled' | 'revoked';
  revoked_at: string | null;
  revoke_reason: string | null;
  /** Counts the changes, from 1. */
  version: number;
}

/** What is stored of one secret of a key: a digest, and where the secret stands. */
export interface StoredSecret extends Digest {
  /** Counts the secrets of a key, from 1; 1 where it is absent. */
  number?: number;
  /** `active` where it is absent. */
  status?: 'pending' | 'active' | 'retiring' | 'gone';
  /** First instant at which it is no longer accepted, where it is retiring. */
  until?: string;
  /** RFC 3339. */
  created_at?: string;
}

/** What is stored of a key. */
export interface StoredKey {
  record: KeyRecord;
  /** Its secrets: those that verify, and those of which it is known that they were replaced. */
  secrets: StoredSecret[];
}

/** The outcome of a verification. */
export type VerdictCode =
  | 'VALID' | 'MALFORMED' | 'ENVIRONMENT_MISMATCH' | 'NOT_FOUND' | 'REVOKED' | 'DISABLED' | 'NOT_YET_VALID' | 'EXPIRED' | 'ROTATED_OUT'
  | 'IP_NOT_ALLOWED' | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INSUFFICIENT_SCOPE'
  | 'RATE_LIMITED' | 'QUOTA_EXCEEDED' | 'UNAVAILABLE';

/** Runs a call into the core; its failures become {@link KeywardError}s. */
function guarded<T>(call: () => T): T {
  try {
    return call();
  } catch (failure) {
    const { code, message } = failure as { code?: unknown; message?: unknown };
    if (failure instanceof Error || typeof code !== 'string') throw failure;
    throw new KeywardError(code, String(message));
  }
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new KeywardError('TYPE', `${name} must be a string, not ${typeof value}`);
  return value;
}

/** A moment that is no finite number would be read as the epoch, at which nothing has expired. */
function moment(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new KeywardError('TYPE', 'now must be a finite number of milliseconds');
  return value;
}

function object<T extends object>(value: T, name: string): T {
  if (typeof value !== 'object' || value === null) throw new KeywardError('TYPE', `${name} must be an object`);
  return value;
}

/**
 * Makes a key from the runtime's random source.
 *
 * @param options.brand two to twelve of `a-z0-9`, a letter first
 * @param options.environment likewise; `live` if left out
 * @param options.tagKey 64 hexadecimal digits: the id then carries a tag that proves offline that it was issued here
 * @throws {KeywardError} `INVALID_REQUEST`, `INVALID_SECRET`, `TYPE`
 */
export function generateKey(options: { brand: string; environment?: string; tagKey?: string }): string {
  const { brand, environment = 'live', tagKey } = options ?? {};
  if (tagKey !== undefined) text(tagKey, 'tagKey');
  return guarded(() => core.generateKey(text(brand, 'brand'), text(environment, 'environment'), tagKey));
}

/**
 * Takes a key apart. Needs no secret and says nothing of whether the key was ever issued.
 *
 * @param key the key text
 * @param options.brand the brand expected; any if left out
 * @throws {KeywardError} `LENGTH`, `ALPHABET`, `STRUCTURE`, `BRAND` or `CHECK`: the first that applies
 */
export function parseKey(key: string, options: { brand?: string } = {}): KeyParts {
  const { brand } = object(options, 'options');
  if (brand !== undefined) text(brand, 'brand');
  return guarded(() => core.parseKey(text(key, 'key'), brand));
}

/**
 * The loggable form of a key: `psk_live_7Qm2ZxT0aBcD3fGh_…`. For what is no key, `[not a key]`: never the text itself.
 */
export function redactKey(key: string): string {
  try {
    return parseKey(key).redacted;
  } catch {
    return '[not a key]';
  }
}

/**
 * Whether the deployment with this tag key made the key's id. Needs no storage; says nothing of the secret.
 *
 * @throws {KeywardError} where the key is malformed or the tag key is not 64 hexadecimal digits
 */
export function wasIssued(key: string, tagKey: string): boolean {
  return guarded(() => core.wasIssued(text(key, 'key'), text(tagKey, 'tagKey')));
}

let codes: VerdictCode[] | undefined;
/** The core's memory; a view of it is void once that has grown. */
let bytes = new Uint8Array(0);

/** Longest key text, in characters. */
const MAX_LENGTH = 76;

/** Digests keys for storing and verifies them against records in hand. */
export class Verifier {
  readonly #inner: core.Verifier;
  readonly #input: number;

  /**
   * @param options.brand the brand of the keys
   * @param options.rootSecret 64 hexadecimal digits: `openssl rand -hex 32`
   * @param options.retiredRootSecrets root secrets it replaced, under which digests still verify
   * @throws {KeywardError} `INVALID_SECRET`
   */
  constructor(options: { brand: string; rootSecret: string; retiredRootSecrets?: string[] }) {
    const { brand, rootSecret, retiredRootSecrets = [] } = object(options, 'options');
    if (!Array.isArray(retiredRootSecrets)) throw new KeywardError('TYPE', 'retiredRootSecrets must be an array');
    for (const secret of retiredRootSecrets) text(secret, 'retiredRootSecrets');
    this.#inner = guarded(() => new core.Verifier(text(brand, 'brand'), text(rootSecret, 'rootSecret'), retiredRootSecrets));
    this.#input = this.#inner.input;
    codes ??= core.verdictCodes() as VerdictCode[];
  }

  /** Writes a text where the core checks it. False for what cannot be a key, which is then not written. */
  #write(key: unknown): key is string {
    if (typeof key !== 'string' || key.length > MAX_LENGTH) return false;
    if (bytes.length === 0) bytes = new Uint8Array(core.linearMemory().buffer);
    const view = bytes;
    const at = this.#input;
    const { length } = key;
    let all = 0;
    for (let i = 0; i < length; i += 1) {
      const code = key.charCodeAt(i);
      all |= code;
      view[at + i] = code;
    }
    return all < 128;
  }

  /**
   * What to store of a key. The text itself is stored nowhere.
   * @throws {KeywardError} where the key is malformed or of another brand
   */
  digest(key: string): Digest {
    return guarded(() => this.#inner.digest(text(key, 'key')));
  }

  /**
   * Takes a stored key in hand, replacing one of the same id.
   * @throws {KeywardError} `INVALID_REQUEST`
   */
  hold(stored: StoredKey): void {
    object(stored, 'stored');
    let json: string | undefined;
    try {
      json = JSON.stringify(stored);
    } catch {
      // A circle, a bigint or a throwing toJSON; its message may hold anything.
    }
    if (json === undefined) throw new KeywardError('TYPE', 'stored must be plain JSON');
    guarded(() => this.#inner.hold(json));
  }

  /** Lets a stored key go; whether it was held. */
  release(id: string): boolean {
    return this.#inner.release(text(id, 'id'));
  }

  /**
   * The verdict on a key.
   * @param now milliseconds since the epoch; the runtime's clock if left out
   */
  check(key: string, now: number = Date.now()): VerdictCode {
    return this.#write(key) ? codes![this.#inner.check(key.length, moment(now))]! : 'MALFORMED';
  }

  /**
   * The verdict on a key for a request that needs `scope`.
   * @throws {KeywardError} `INVALID_REQUEST` where `scope` is not `resource:action`
   */
  checkScope(key: string, scope: string, now: number = Date.now()): VerdictCode {
    if (!this.#write(key)) return 'MALFORMED';
    return guarded(() => codes![this.#inner.checkScope(key.length, text(scope, 'scope'), moment(now))]!);
  }
}
