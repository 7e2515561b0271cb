/**
 * Reads a stored key out of whatever object it was given as: every field once, its type checked, so that neither a proxy nor a
 * getter is ever met inside the core.
 */
import { KeywardError } from './error.js';

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
  /** Token buckets. Counted by a deployment over all its edges; a verdict in hand counts nothing. */
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

/** What is stored of a secret. */
export interface Digest {
  /** Public name of the root secret that keyed it: 8 hexadecimal digits. */
  root: string;
  /** HMAC-SHA-256 of `id_secret`: 64 hexadecimal digits. */
  hmac: string;
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

const invalid = (field: string, problem: string) => new KeywardError('INVALID_REQUEST', `not a stored key: ${field} ${problem}`);

/** Longest text of a stored key that is looked at. */
const LONGEST = 1024;

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw invalid(field, value === undefined ? 'is missing' : `must be a string, not ${value === null ? 'null' : typeof value}`);
  if (value.length > LONGEST) throw invalid(field, `must have at most ${LONGEST} characters`);
  if (/\p{Surrogate}/u.test(value)) throw invalid(field, 'has half of a character');
  return value;
}

function instant(value: unknown, field: string): string | null {
  if (value === null) return null;
  const read = text(value, field);
  if (read === '') throw invalid(field, 'is no RFC 3339 instant');
  return read;
}

/** Every field that a record may have. One that is not known may be a restriction, and is not passed over. */
const FIELDS = new Set<string>(['id', 'brand', 'environment', 'name', 'owner', 'scopes', 'allowed_ips', 'denied_ips', 'allowed_countries', 'allowed_origins', 'created_at', 'updated_at', 'not_before', 'expires_at',
  'max_staleness_seconds', 'rotation_days', 'rate_limits', 'quotas', 'on_anomaly', 'on_leak', 'metadata', 'status', 'revoked_at', 'revoke_reason', 'version',
  // What the API answers beside them.
  'redacted', 'secrets', 'effective_by']);

/** Most entries of a list, and most secrets. */
const MOST = 1000;

function list(value: unknown, field: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(field, value === undefined ? 'is missing' : 'must be an array');
  if (value.length > MOST) throw invalid(field, `must have at most ${MOST} entries`);
  // A hole is an entry, and none that a list may have.
  return Array.from(value);
}

function object(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(field, value === undefined ? 'is missing' : 'must be an object');
  return value as Record<string, unknown>;
}

/** Every field that what is stored of a secret may have. */
const FIELDS_OF_SECRET = new Set<string>(['number', 'root', 'hmac', 'status', 'until', 'created_at']);

/** What was read of a stored key: all that a verdict depends on, as it was given. */
export interface Reading {
  id: string;
  brand: string;
  environment: string;
  status: string;
  not_before: string | null;
  expires_at: string | null;
  scopes: string[];
  allowed_ips: string[];
  denied_ips: string[];
  allowed_countries: string[];
  allowed_origins: string[];
  secrets: { root: string; hmac: string; status: string | undefined; until: string | null | undefined }[];
}

/**
 * Reads a stored key.
 * @throws {KeywardError} `INVALID_REQUEST`, with the name of the field
 */
export function readStored(stored: unknown): Reading {
  const { record: given, secrets: kept } = object(stored, 'it');
  const record = object(given, 'record');
  const unknown = Object.keys(record).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) throw invalid(`record.${unknown.slice(0, 40).replace(/[^\w.-]/g, '?')}`, 'is not known to this version, and may be a restriction');
  for (const field of ['created_at', 'updated_at']) {
    if (Number.isNaN(Date.parse(text(record[field], `record.${field}`)))) throw invalid(`record.${field}`, 'is no RFC 3339 instant');
  }
  const staleness = record['max_staleness_seconds'];
  if (!Number.isInteger(staleness) || Number(staleness) < 0 || Number(staleness) > 60) throw invalid('record.max_staleness_seconds', 'must be a whole number from 0 to 60');
  if (typeof record['version'] !== 'number') throw invalid('record.version', record['version'] === undefined ? 'is missing' : 'must be a number');
  // Nobody counts them here, but whoever does must not pass over them.
  for (const field of ['rate_limits', 'quotas']) if (record[field] !== undefined) list(record[field], `record.${field}`);
  text(record['name'], 'record.name');
  text(record['owner'], 'record.owner');
  object(record['metadata'], 'record.metadata');
  const line = (field: string) => text(record[field], `record.${field}`);
  const lines = (field: string) => list(record[field], `record.${field}`).map((entry, index) => text(entry, `record.${field}[${index}]`));
  return {
    id: line('id'), brand: line('brand'), environment: line('environment'), status: line('status'),
    not_before: instant(record['not_before'], 'record.not_before'), expires_at: instant(record['expires_at'], 'record.expires_at'),
    scopes: lines('scopes'), allowed_ips: lines('allowed_ips'), denied_ips: lines('denied_ips'),
    allowed_countries: lines('allowed_countries'), allowed_origins: lines('allowed_origins'),
    secrets: list(kept, 'secrets').map((entry, index) => {
      const secret = object(entry, `secrets[${index}]`);
      if (Object.keys(secret).some((field) => !FIELDS_OF_SECRET.has(field))) throw invalid(`secrets[${index}]`, 'has a field that is not known to this version, and may be a restriction');
      const { root, hmac, status, until } = secret;
      const of = (value: unknown, field: string) => text(value, `secrets[${index}].${field}`);
      // Without its end it would work for ever.
      if (status === 'retiring' && (until ?? null) === null) throw invalid(`secrets[${index}].until`, 'is missing');
      return {
        root: of(root, 'root'), hmac: of(hmac, 'hmac'),
        status: status === undefined ? undefined : of(status, 'status'), until: until === undefined ? undefined : instant(until, `secrets[${index}].until`),
      };
    }),
  };
}

/** Whether what was read says the same at any time. */
export const isTimeless = ({ not_before, expires_at, secrets }: Reading): boolean => not_before === null && expires_at === null && secrets.every(({ until }) => (until ?? null) === null);

/** As the core takes it: text after text; a list is its length and its entries. */
export function textsOf(reading: Reading): string[] {
  const { id, brand, environment, status, not_before, expires_at, scopes, allowed_ips, denied_ips, allowed_countries, allowed_origins, secrets } = reading;
  const lists = [scopes, allowed_ips, denied_ips, allowed_countries, allowed_origins].flatMap((entries) => [String(entries.length), ...entries]);
  const ofSecrets = secrets.flatMap((secret) => [secret.root, secret.hmac, secret.status ?? 'active', secret.until ?? '']);
  return [id, brand, environment, status, not_before ?? '', expires_at ?? '', ...lists, String(secrets.length), ...ofSecrets];
}

function same(entries: readonly string[], read: readonly string[]): boolean {
  const { length } = read;
  if (entries.length !== length) return false;
  for (let i = 0; i < length; i += 1) if (entries[i] !== read[i]) return false;
  return true;
}

/** Whether a stored key still says, in everything that a verdict depends on, what was read of it. Allocates nothing. */
export function stillSays({ record, secrets }: StoredKey, read: Reading): boolean {
  const { length } = read.secrets;
  if (record.status !== read.status || record.id !== read.id || record.brand !== read.brand || record.environment !== read.environment
    || record.not_before !== read.not_before || record.expires_at !== read.expires_at || !same(record.scopes, read.scopes)
    || !same(record.allowed_ips, read.allowed_ips) || !same(record.denied_ips, read.denied_ips)
    || !same(record.allowed_countries, read.allowed_countries) || !same(record.allowed_origins, read.allowed_origins) || secrets.length !== length) return false;
  for (let i = 0; i < length; i += 1) {
    const secret = secrets[i]!;
    const was = read.secrets[i]!;
    if (secret.hmac !== was.hmac || secret.root !== was.root || secret.status !== was.status || secret.until !== was.until) return false;
  }
  return true;
}
