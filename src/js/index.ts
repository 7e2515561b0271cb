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

/** The outcome of a verification. */
export type VerdictCode =
  | 'VALID' | 'MALFORMED' | 'ENVIRONMENT_MISMATCH' | 'NOT_FOUND' | 'REVOKED' | 'DISABLED' | 'NOT_YET_VALID' | 'EXPIRED'
  | 'IP_NOT_ALLOWED' | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INSUFFICIENT_SCOPE' | 'UNAVAILABLE';

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
  return guarded(() => core.parseKey(text(key, 'key'), options.brand));
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

/** Digests keys for storing and verifies them against records in hand. */
export class Verifier {
  readonly #inner: core.Verifier;

  /**
   * @param options.brand the brand of the keys
   * @param options.rootSecret 64 hexadecimal digits: `openssl rand -hex 32`
   * @param options.retiredRootSecrets root secrets it replaced, under which digests still verify
   * @throws {KeywardError} `INVALID_SECRET`
   */
  constructor(options: { brand: string; rootSecret: string; retiredRootSecrets?: string[] }) {
    const { brand, rootSecret, retiredRootSecrets = [] } = options;
    this.#inner = guarded(() => new core.Verifier(text(brand, 'brand'), text(rootSecret, 'rootSecret'), retiredRootSecrets));
    codes ??= core.verdictCodes() as VerdictCode[];
  }

  /**
   * What to store of a key. The text itself is stored nowhere.
   * @throws {KeywardError} where the key is malformed or of another brand
   */
  digest(key: string): Digest {
    return guarded(() => this.#inner.digest(text(key, 'key')));
  }

  /**
   * Takes a stored key (`{record, secrets}`) in hand, replacing one of the same id.
   * @throws {KeywardError} `INVALID_REQUEST`
   */
  hold(stored: object): void {
    guarded(() => this.#inner.hold(JSON.stringify(stored)));
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
    if (typeof key !== 'string') return 'MALFORMED';
    return codes![this.#inner.check(key, now)]!;
  }

  /**
   * The verdict on a key for a request that needs `scope`.
   * @throws {KeywardError} `INVALID_REQUEST` where `scope` is not `resource:action`
   */
  checkScope(key: string, scope: string, now: number = Date.now()): VerdictCode {
    if (typeof key !== 'string') return 'MALFORMED';
    return guarded(() => codes![this.#inner.checkScope(key, text(scope, 'scope'), now)]!);
  }
}
