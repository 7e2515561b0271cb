/**
 * keyward's core for JavaScript: make, take apart, digest and verify API keys, and what goes with them. Everything here is
 * synchronous, and the same in every runtime.
 */
import type * as glue from 'keyward-core';
import { KeywardError } from './error.js';
import { core, startLater } from './instance.js';
import { type Digest, type KeyRecord, type Reading, type StoredKey, type StoredSecret, isTimeless, readStored, stillSays, textsOf } from './stored.js';

export { KeywardError, type Digest, type KeyRecord, type StoredKey, type StoredSecret };

/**
 * Starts the core ahead of the first call, off the main thread. Needed only where WebAssembly cannot be compiled at once: on a page in Chrome before 115.
 * @throws {KeywardError} `NOT_READY` where WebAssembly is not to be had
 */
export function ready(): Promise<void> {
  return startLater();
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

/** The outcome of a verification. */
export type VerdictCode =
  | 'VALID' | 'MALFORMED' | 'ENVIRONMENT_MISMATCH' | 'NOT_FOUND' | 'REVOKED' | 'DISABLED' | 'NOT_YET_VALID' | 'EXPIRED' | 'ROTATED_OUT'
  | 'IP_NOT_ALLOWED' | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INSUFFICIENT_SCOPE'
  | 'RATE_LIMITED' | 'QUOTA_EXCEEDED' | 'UNAVAILABLE';

/** A key that is accepted, and whose it is. */
export interface Accepted {
  valid: true;
  code: 'VALID';
  key_id: string;
  name: string;
  owner: string;
  environment: string;
  /** Frozen. */
  scopes: readonly string[];
  /** RFC 3339. */
  expires_at: string | null;
  /** The record's own. */
  metadata: Record<string, unknown>;
  /** Where the secret that was presented is being replaced: until when it works. */
  warning?: string;
}

/** A key that is refused, and why. An outsider should be told less: that it is not accepted. */
export interface Refused {
  valid: false;
  code: Exclude<VerdictCode, 'VALID'>;
  /** Whose it is; `null` where the text is none of the stored key's. */
  key_id: string | null;
}

export type Verdict = Accepted | Refused;

/** What is known of a request besides the key. What is not known is left out, and fails wherever the key is restricted by it. */
export interface Facts {
  /** Scopes that the request needs, all of them: `resource:action` without wildcards. */
  scopes?: readonly string[];
  /** The environment that the key must be of. */
  environment?: string;
  /** The caller's address, IPv4 or IPv6. */
  ip?: string;
  /** The caller's country, ISO 3166-1 alpha-2. */
  country?: string;
  /** The web origin that the caller names. */
  origin?: string;
  /** Milliseconds since the epoch; the runtime's clock if left out. */
  now?: number;
}

/** Runs a call into the core; its failures become {@link KeywardError}s. */
function guarded<T>(call: () => T): T {
  try {
    return call();
  } catch (failure) {
    if (failure instanceof KeywardError) throw failure;
    const { code, message } = (failure ?? {}) as { code?: unknown; message?: unknown };
    if (failure instanceof Error || typeof code !== 'string') throw new KeywardError('INTERNAL', `keyward failed: ${failure instanceof WebAssembly.RuntimeError ? failure.message : 'a value could not be read'}`);
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

/** A key's text, so much of it that what is too long stays so: the core copies all that it is handed. */
const keyText = (key: unknown): string => text(key, 'key').slice(0, 2 * MAX_LENGTH);

/** One line of at most so many characters, as a deployment takes it. */
function line(value: unknown, name: string, most: number): string {
  if (value === undefined) throw new KeywardError('INVALID_REQUEST', `${name} is missing`);
  const { length } = [...text(value, name).slice(0, 3 * most)];
  if (length === 0 || length > most || /[\p{Cc}\u2028\u2029]/u.test(value as string)) throw new KeywardError('INVALID_REQUEST', `${name} must be one line of up to ${most} characters`);
  return value as string;
}

function texts(value: unknown, name: string): string[] {
  if (!Array.isArray(value)) throw new KeywardError('TYPE', `${name} must be an array`);
  // A hole is an entry, and no text.
  return Array.from(value, (entry, index) => text(entry, `${name}[${index}]`));
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
  return guarded(() => core().generateKey(text(brand, 'brand'), text(environment, 'environment'), tagKey));
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
  return guarded(() => core().parseKey(keyText(key), brand));
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
  return guarded(() => core().wasIssued(keyText(key), text(tagKey, 'tagKey')));
}

/** What a key may be issued with; what is left out does not restrict. */
export type Grant = Partial<Pick<KeyRecord, 'scopes' | 'not_before' | 'expires_at' | 'allowed_ips' | 'denied_ips' | 'allowed_countries' | 'allowed_origins'
  | 'max_staleness_seconds' | 'rotation_days' | 'rate_limits' | 'quotas' | 'on_anomaly' | 'on_leak' | 'metadata'>>;

/** What a record says of itself from its making on. */
const MADE_HERE = /* @__PURE__ */ new Set(['id', 'brand', 'created_at', 'updated_at', 'status', 'revoked_at', 'revoke_reason', 'version', 'redacted', 'secrets', 'effective_by']);
/** 9999-12-31T23:59:59.999Z: RFC 3339 knows no year after it. */
const LAST_INSTANT = 253_402_300_799_999;

/** A copy of what is stored, which is JSON: what the caller does to his own later is done to no key. */
function owned(value: unknown, field: string): unknown {
  try {
    return JSON.parse(JSON.stringify(Array.isArray(value) ? Array.from(value) : value));
  } catch {
    throw new KeywardError('TYPE', `${field} must be what JSON can say`);
  }
}

/** The `Verifier` that options name. */
function verifying(verifier: Verifier | undefined): Verifier {
  if (typeof verifier?.verify !== 'function') throw new KeywardError('TYPE', 'verifier must be a Verifier');
  return verifier;
}

/**
 * Makes a key with its record and digest: `key` is shown to its holder once, `stored` is kept under `stored.record.id`.
 *
 * @param options.name what the key is for, in a line
 * @param options.owner whose it is
 * @param options.environment `live` if left out
 * @param options.tagKey as for {@link generateKey}
 * @param options.now milliseconds since the epoch; the runtime's clock if left out
 * @throws {KeywardError} `INVALID_REQUEST`, `INVALID_SECRET`, `TYPE`
 */
export function issueKey(options: Grant & { verifier: Verifier; name: string; owner: string; environment?: string; tagKey?: string; now?: number }): { key: string; stored: StoredKey } {
  const { verifier, environment = 'live', tagKey, now = Date.now(), name, owner, ...given } = object(options, 'options');
  const at = new Date(moment(now));
  if (Number.isNaN(at.getTime()) || at.getTime() > LAST_INSTANT || at.getTime() < 0) throw new KeywardError('TYPE', 'now must be a moment from 1970 to 9999');
  const { brand } = verifying(verifier);
  const grant: Record<string, unknown> = { name: line(name, 'record.name', 100), owner: line(owner, 'record.owner', 200) };
  for (const [field, value] of Object.entries(given)) {
    if (MADE_HERE.has(field)) throw new KeywardError('INVALID_REQUEST', `record.${field} is made here and not given`);
    if (value !== undefined) grant[field] = owned(value, field);
  }
  const key = generateKey(tagKey === undefined ? { brand, environment } : { brand, environment, tagKey });
  const stored: StoredKey = {
    record: {
      id: parseKey(key).id, brand, environment, scopes: [], created_at: at.toISOString(), updated_at: at.toISOString(), not_before: null, expires_at: null,
      allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [], max_staleness_seconds: 5, rotation_days: 90, metadata: {},
      ...(grant as Grant & { name: string; owner: string }), status: 'active', revoked_at: null, revoke_reason: null, version: 1,
    },
    secrets: [verifier.digest(key)],
  };
  guarded(() => core().prepare(textsOf(readStored(stored))).free());
  return { key, stored };
}

/**
 * What to store of a key. The text itself is stored nowhere.
 *
 * @throws {KeywardError} where the key is malformed or of another brand than the verifier's
 */
export function digestKey(key: string, options: { verifier: Verifier }): Digest {
  return verifying(object(options, 'options').verifier).digest(key);
}

/**
 * The verdict on a key by what is stored of it: depends on nothing but its arguments (and the clock, where `now` is left out).
 * Limits and quotas are not counted: that takes a deployment.
 *
 * @param stored what is stored under the id of the key; `undefined` or `null` where nothing is
 * @throws {KeywardError} `INVALID_REQUEST`, `TYPE` where what is stored is no stored key, or a needed scope none; whatever the key is, it is answered and not thrown
 */
export function verifyKey(key: string, stored: StoredKey | null | undefined, options: Facts & { verifier: Verifier }): Verdict {
  return verifying(object(options, 'options').verifier).verify(key, stored, options);
}

/**
 * Whether scopes that are held grant all that are needed: `calls:*` grants `calls:create`.
 *
 * @throws {KeywardError} `INVALID_REQUEST` for what is no scope
 */
export function grants(held: readonly string[], needed: readonly string[]): boolean {
  return guarded(() => core().grants(texts(held, 'held'), texts(needed, 'needed')));
}

/**
 * Whether an address passes lists of ranges (CIDR, RFC 4632 and 4291): none of `denied`, and one of `allowed` where there are any. What is no
 * address, or not known, passes only where there is neither.
 *
 * @throws {KeywardError} `INVALID_REQUEST` for what is no range
 */
export function addressAllowed(address: string | null | undefined, ranges: { allowed?: readonly string[]; denied?: readonly string[] }): boolean {
  const { allowed = [], denied = [] } = object(ranges, 'ranges');
  const known = address === null || address === undefined ? undefined : text(address, 'address').slice(0, 100);
  return guarded(() => core().addressAllowed(known, texts(allowed, 'allowed'), texts(denied, 'denied')));
}

/** What the token of a browser's session says. */
export interface SessionClaims {
  /** Public, safe to log. */
  id: string;
  /** The route that it is good for. */
  route: string;
  /** The origin of the pages that may use it. */
  origin: string;
  /** RFC 3339; exclusive. */
  expires_at: string;
  /** Calls in all. */
  calls: number;
  /** Whether it is answered from the route's mock. */
  mock: boolean;
  /** Id of the key that it was made with and ends with, if it was made with one. */
  parent: string | null;
}

/**
 * What the token of a session says, for showing and for beginning a new one in time. Only the deployment can tell whether it is genuine.
 *
 * @throws {KeywardError} `SESSION` for what is no token
 */
export function sessionClaims(token: string): SessionClaims {
  const { ends, parent, ...claims } = guarded(() => core().sessionClaims(text(token, 'token')));
  const at = new Date(ends);
  if (Number.isNaN(at.getTime())) throw new KeywardError('SESSION', 'this is no token of a session');
  return { ...claims, expires_at: at.toISOString(), parent: parent ?? null };
}

let codes: VerdictCode[] | undefined;
const encoder = /* @__PURE__ */ new TextEncoder();
/** A stored key that was judged by. */
interface Kept {
  /** As the core has it. */
  held: glue.Held;
  /** What it said: it is read again where it no longer says the same. */
  reading: Reading;
  /** What verdicts answer, and not the list of the store: what is done to it changes no record. The reading's own stays as it is, since comparing with a frozen list takes longer. */
  scopes: readonly string[];
  /** Whether it says the same at any time. */
  timeless: boolean;
  /** Whether the core still has it. */
  live: boolean;
}

const prepared = /* @__PURE__ */ new WeakMap<StoredKey, Kept>();

/** Longest key text, in characters. */
const MAX_LENGTH = 76;
/** Where the facts of a request are written, from the input's begin; most characters of one, and of all together. */
const FACTS = 128;
const MAX_FACT = 1000;
const MAX_FACTS = 16_000;
const NO_FACTS: Facts = {};

/** One fact as the core reads it: empty where it is not known. What no request can have matches nothing. */
function fact(value: string | undefined, field: string): string {
  if (value === undefined) return '';
  return text(value, field).length <= MAX_FACT && /^[\x21-\x7e]+$/.test(value) ? value : '\x01';
}

function same(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** Digests keys for storing and verifies them. */
export class Verifier {
  /** The brand of the keys. */
  readonly brand: string;
  readonly #inner: glue.CoreVerifier;
  /** Where the core reads a key's text. */
  #key = new Uint8Array(0);
  /** Whether a verdict by what is held may depend on the clock, which takes a tenth of all the rest. */
  #timed = false;
  /** The facts that the core was handed last. */
  #last: { [name in keyof Omit<Facts, 'now'>]-?: Facts[name] | undefined } | undefined;

  /**
   * @param options.brand the brand of the keys
   * @param options.rootSecret 64 hexadecimal digits: `openssl rand -hex 32`
   * @param options.retiredRootSecrets root secrets it replaced, under which digests still verify
   * @throws {KeywardError} `INVALID_SECRET`
   */
  constructor(options: { brand: string; rootSecret: string; retiredRootSecrets?: string[] }) {
    const { brand, rootSecret, retiredRootSecrets = [] } = object(options, 'options');
    const retired = texts(retiredRootSecrets, 'retiredRootSecrets');
    this.brand = text(brand, 'brand');
    this.#inner = guarded(() => new (core().CoreVerifier)(brand, text(rootSecret, 'rootSecret'), retired));
    codes ??= core().verdictCodes() as VerdictCode[];
  }

  /** Writes a text where the core reads it. False for what cannot be a key. */
  #write(key: unknown): key is string {
    if (typeof key !== 'string' || key.length > MAX_LENGTH) return false;
    // A view is void once the memory has grown.
    if (this.#key.length === 0) this.#key = new Uint8Array(core().linearMemory().buffer, this.#inner.input, MAX_LENGTH);
    const { read, written } = encoder.encodeInto(key, this.#key);
    return read === written && read === key.length;
  }

  /** Hands over the facts of a request, unless they are those that were handed over last; whether there are any. */
  #ask(scopes: readonly string[] | undefined, environment: string | undefined, ip: string | undefined, country: string | undefined, origin: string | undefined): boolean {
    if (scopes === undefined && environment === undefined && ip === undefined && country === undefined && origin === undefined) return false;
    if (scopes !== undefined && !Array.isArray(scopes)) throw new KeywardError('TYPE', 'scopes must be an array');
    const last = this.#last;
    // Looking at the scopes may run code of the caller's, and that may ask something else meanwhile.
    if (last !== undefined && environment === last.environment && ip === last.ip && country === last.country && origin === last.origin && same(scopes, last.scopes) && this.#last === last) return true;
    // What is read once is what is asked for, and what is told; a hole is no text.
    const asked = scopes && Array.from(scopes, (scope, index) => text(scope, `scopes[${index}]`));
    const needed = asked?.map((scope) => fact(scope, 'scopes'));
    const written = `\n${[fact(environment, 'environment'), fact(ip, 'ip'), fact(country, 'country'), fact(origin, 'origin'), ...(needed ?? [])].join('\n')}`;
    if (written.length > MAX_FACTS) throw new KeywardError('INVALID_REQUEST', 'the facts of a request are too long');
    this.#last = undefined;
    encoder.encodeInto(written, new Uint8Array(core().linearMemory().buffer, this.#inner.input + FACTS, MAX_FACTS));
    const unknown = this.#inner.ask(written.length);
    if (unknown > 0) throw new KeywardError('INVALID_REQUEST', `scopes[${unknown - 1}]: ${core().scopeProblem(asked![unknown - 1]!)}`);
    this.#last = { scopes: needed, environment, ip, country, origin };
    return true;
  }

  /** A stored key as the core has it. */
  #kept(stored: StoredKey): Kept {
    const kept = prepared.get(object(stored, 'stored'));
    try {
      // Looking at it may run code of the caller's, and that may have it read anew meanwhile.
      if (kept !== undefined && stillSays(stored, kept.reading) && kept.live) return kept;
    } catch {
      // It no longer has the shape that it had: said below, of which field.
    }
    const reading = readStored(stored);
    const held = core().prepare(textsOf(reading));
    const replaced = prepared.get(stored);
    if (replaced) {
      replaced.live = false;
      replaced.held.free();
    }
    const made = { held, reading, scopes: Object.freeze([...reading.scopes]), timeless: isTimeless(reading), live: true };
    prepared.set(stored, made);
    return made;
  }

  /**
   * What to store of a key. The text itself is stored nowhere.
   * @throws {KeywardError} where the key is malformed or of another brand
   */
  digest(key: string): Digest {
    return guarded(() => this.#inner.digest(keyText(key)));
  }

  /** As {@link verifyKey}. */
  verify(key: string, stored: StoredKey | null | undefined, facts: Facts = NO_FACTS): Verdict {
    try {
      // All that may run code of the caller's comes before what it may change is used.
      const { scopes, environment, ip, country, origin, now } = object(facts, 'facts');
      const asked = this.#ask(scopes, environment, ip, country, origin);
      const last = this.#last;
      const kept = stored === null || stored === undefined ? undefined : this.#kept(stored);
      if (asked && this.#last !== last) this.#ask(last!.scopes, last!.environment, last!.ip, last!.country, last!.origin);
      const at = now !== undefined ? moment(now) : kept === undefined || kept.timeless ? 0 : Date.now();
      if (!this.#write(key)) return { valid: false, code: 'MALFORMED', key_id: null };
      const answer = kept === undefined ? this.#inner.inspect(key.length, asked) : this.#inner.judge(kept.held, key.length, asked, at);
      const code = codes![answer & 0xff]!;
      const secret = answer >>> 8;
      if (code !== 'VALID') return { valid: false, code, key_id: secret > 0 ? stored!.record.id : null };
      const { record, secrets } = stored!;
      const accepted: Accepted = { valid: true, code, key_id: record.id, name: record.name, owner: record.owner, environment: record.environment,
        scopes: kept!.scopes, expires_at: record.expires_at, metadata: record.metadata };
      const presented = secrets[secret - 1]!;
      if (presented.status === 'retiring') accepted.warning = `this secret of the key was replaced and works until ${presented.until}; deploy the new one`;
      return accepted;
    } catch (failure) {
      return guarded(() => {
        throw failure;
      });
    }
  }

  /**
   * Takes a stored key in hand, replacing one of the same id.
   * @throws {KeywardError} `INVALID_REQUEST`
   */
  hold(stored: StoredKey): void {
    const reading = guarded(() => readStored(object(stored, 'stored')));
    guarded(() => this.#inner.hold(textsOf(reading)));
    this.#timed ||= !isTimeless(reading);
  }

  /** Lets a stored key go; whether it was held. */
  release(id: string): boolean {
    return this.#inner.release(text(id, 'id'));
  }

  /**
   * The verdict on a key by what is held under its id.
   * @param now milliseconds since the epoch; the runtime's clock if left out
   */
  check(key: string, now: number = this.#timed ? Date.now() : 0): VerdictCode {
    return this.#write(key) ? codes![this.#inner.check(key.length, false, moment(now)) & 0xff]! : 'MALFORMED';
  }

  /**
   * The verdict on a key for a request that needs `scope`.
   * @throws {KeywardError} `INVALID_REQUEST` where `scope` is not `resource:action`
   */
  checkScope(key: string, scope: string, now: number = this.#timed ? Date.now() : 0): VerdictCode {
    if (!this.#write(key)) return 'MALFORMED';
    const scopes = [text(scope, 'scope')];
    return codes![this.#inner.check(key.length, this.#ask(scopes, undefined, undefined, undefined, undefined), moment(now)) & 0xff]!;
  }
}
