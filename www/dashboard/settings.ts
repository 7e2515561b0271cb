/** The settings of a key as a form holds them, and as the API takes them. Nothing here knows the page. */
import { Refusal } from './api.ts';
import type { Key } from './model.ts';
import { differences, entries, instant, localTime } from './text.ts';

export interface RateLimit {
  name: string;
  limit: string;
  window_seconds: string;
  burst: string;
  mode: string;
}

export interface Quota {
  name: string;
  limit: string;
  period: string;
}

/** What is typed, as it is typed. */
export interface Settings {
  name: string;
  owner: string;
  environment: string;
  scopes: string[];
  other_scopes: string;
  not_before: string;
  expires_at: string;
  allowed_ips: string;
  denied_ips: string;
  allowed_countries: string;
  allowed_origins: string;
  rate_limits: RateLimit[];
  quotas: Quota[];
  max_staleness_seconds: string;
  rotation_days: string;
  on_leak: string;
  on_anomaly: string;
  metadata: string;
}

export const BLANK: Settings = {
  name: '', owner: '', environment: 'live', scopes: [], other_scopes: '', not_before: '', expires_at: '', allowed_ips: '', denied_ips: '', allowed_countries: '', allowed_origins: '',
  rate_limits: [], quotas: [], max_staleness_seconds: '', rotation_days: '', on_leak: '', on_anomaly: '', metadata: '',
};

/** The settings of a key that is there. */
export function settingsOf(key: Key): Settings {
  return {
    ...BLANK,
    name: key.name, owner: key.owner, environment: key.environment, scopes: key.scopes,
    not_before: localTime(key.not_before), expires_at: localTime(key.expires_at),
    allowed_ips: key.allowed_ips.join('\n'), denied_ips: key.denied_ips.join('\n'), allowed_countries: key.allowed_countries.join(' '), allowed_origins: key.allowed_origins.join('\n'),
    rate_limits: (key.rate_limits ?? []).map((rule) => ({ name: rule.name, limit: String(rule.limit), window_seconds: String(rule.window_seconds), burst: String(rule.burst), mode: rule.mode })),
    quotas: (key.quotas ?? []).map((rule) => ({ name: rule.name, limit: String(rule.limit), period: rule.period })),
    max_staleness_seconds: String(key.max_staleness_seconds), rotation_days: String(key.rotation_days ?? ''), on_leak: key.on_leak ?? '', on_anomaly: key.on_anomaly ?? '',
    metadata: Object.keys(key.metadata).length ? JSON.stringify(key.metadata, null, 2) : '',
  };
}

/** A number as it was typed: what is none goes to the server as it is, which says so in the field's own words. */
const number = (typed: string) => (typed.trim() === '' ? null : /^\d{1,16}$/.test(typed.trim()) ? Number(typed.trim()) : typed.trim());

function metadata(typed: string): unknown {
  if (typed.trim() === '') return null;
  try {
    return JSON.parse(typed);
  } catch {
    throw new Refusal({ status: 0, code: 'INVALID_REQUEST', title: 'The request is not valid', detail: 'metadata is not JSON; it must be an object such as {"team": "billing"}', field: 'metadata' });
  }
}

const without = (entry: Record<string, unknown>) => Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null));

/** All settings as the API names them; `null` is the default. */
function written(typed: Settings): Record<string, unknown> {
  return {
    name: typed.name.trim(), owner: typed.owner.trim(), environment: typed.environment.trim() || null,
    scopes: [...new Set([...typed.scopes, ...entries(typed.other_scopes)])],
    not_before: instant(typed.not_before), expires_at: instant(typed.expires_at),
    allowed_ips: entries(typed.allowed_ips), denied_ips: entries(typed.denied_ips), allowed_countries: entries(typed.allowed_countries.toUpperCase()), allowed_origins: entries(typed.allowed_origins),
    rate_limits: typed.rate_limits.map((rule) => without({ name: rule.name.trim(), limit: number(rule.limit), window_seconds: number(rule.window_seconds), burst: number(rule.burst), mode: rule.mode })),
    quotas: typed.quotas.map((rule) => without({ name: rule.name.trim(), limit: number(rule.limit), period: rule.period })),
    max_staleness_seconds: number(typed.max_staleness_seconds), rotation_days: number(typed.rotation_days),
    on_leak: typed.on_leak || null, on_anomaly: typed.on_anomaly || null, metadata: metadata(typed.metadata),
  };
}

/**
 * The body of a creation: what is not said is left to the server's defaults.
 * @throws {Refusal} where the metadata is no JSON
 */
export function creation(typed: Settings): Record<string, unknown> {
  return Object.fromEntries(Object.entries(written(typed)).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)));
}

/**
 * The body of a PATCH: what differs from what the form began with, and nothing that was not touched.
 * @throws {Refusal} where the metadata is no JSON
 */
export function patch(before: Settings, typed: Settings): Record<string, unknown> {
  const { environment: _, ...changed } = differences(written(before), written(typed));
  // The form has an order of its own, which is no change.
  const sorted = (settings: Settings) => JSON.stringify((written(settings)['scopes'] as string[]).sort());
  if (sorted(before) === sorted(typed)) delete changed['scopes'];
  return changed;
}

/** Something that can be told without the server. Where a rule is wrong: which, and which of its entries. */
export interface Fault {
  field: keyof Settings;
  said: string;
  rule?: number;
  entry?: string;
}

const SCOPE = /^(keyward\.\*:\*|(\*|[a-z0-9._-]+):(\*|[a-z0-9._-]+))$/;
const ENVIRONMENT = /^[a-z][a-z0-9]{1,11}$/;
const RULE = /^[a-z][a-z0-9_-]{0,31}$/;
const ORIGIN = /^https?:\/\/[^/\s]+$/;

/** Whether a text may be an address or a range. What only the server can tell, such as bits beyond the prefix, counts as one. */
function isRange(text: string): boolean {
  const [address = '', prefix, more] = text.split('/');
  const v6 = address.includes(':');
  const fits = v6 ? /^[0-9a-f:.]+$/i.test(address) : /^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/.test(address) && address.split('.').every((part) => Number(part) <= 255);
  return fits && more === undefined && (prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= (v6 ? 128 : 32)));
}

/** What is wrong with a text that has to be a whole number within bounds. */
function outside(typed: string, least: number, most: number): string | false {
  const fits = /^\d{1,16}$/.test(typed.trim()) && Number(typed) >= least && Number(typed) <= most;
  return !fits && `Must be a whole number from ${least.toLocaleString('en-GB')} to ${most.toLocaleString('en-GB')}.`;
}

function line(typed: string, most: number, missing: string): string | false {
  const characters = [...typed.trim()].length;
  if (characters === 0) return missing;
  return characters > most && `Must have at most ${most} characters; this has ${characters}.`;
}

function listed(typed: string, most: number, fits: (entry: string) => boolean, shape: string): string | false {
  const all = entries(typed);
  const wrong = all.filter((entry) => !fits(entry));
  if (wrong.length > 0) return `${wrong.slice(0, 3).map((entry) => `“${entry.slice(0, 60)}”`).join(', ')}${wrong.length > 3 ? ' and others' : ''}: ${shape}`;
  return all.length > most && `Must have at most ${most} entries; this has ${all.length}.`;
}

function noObject(typed: string): string | false {
  const said = 'Must be a JSON object, such as {"team": "billing"}.';
  if (typed.trim() === '') return false;
  try {
    const parsed: unknown = JSON.parse(typed);
    return (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) && said;
  } catch {
    return said;
  }
}

const OVER_RULES = 'Used by another rule; rate limits and quotas share their names.';
const MOST_CALLS = 1_000_000;
const LONGEST_SECONDS = 31 * 86_400;

function ruleFaults({ rate_limits, quotas }: Settings): Fault[] {
  const names = [...rate_limits, ...quotas].map(({ name }) => name.trim());
  const named = (name: string, position: number) => (RULE.test(name) ? names.indexOf(name) < position && OVER_RULES : 'Must begin with a small letter and hold only small letters, digits, - and _, at most 32.');
  const faults: [field: 'rate_limits' | 'quotas', rule: number, entry: string, said: string | false][] = [
    ...rate_limits.flatMap((of, rule): typeof faults => [
      ['rate_limits', rule, 'name', named(of.name.trim(), rule)], ['rate_limits', rule, 'limit', outside(of.limit, 1, MOST_CALLS)], ['rate_limits', rule, 'window_seconds', outside(of.window_seconds, 1, LONGEST_SECONDS)],
      ['rate_limits', rule, 'burst', of.burst.trim() !== '' && outside(of.burst, 1, MOST_CALLS)],
    ]),
    ...quotas.flatMap((of, rule): typeof faults => [['quotas', rule, 'name', named(of.name.trim(), rate_limits.length + rule)], ['quotas', rule, 'limit', outside(of.limit, 1, Number.MAX_SAFE_INTEGER)]]),
  ];
  return faults.flatMap(([field, rule, entry, said]) => (said ? [{ field, rule, entry, said }] : []));
}

/**
 * All that can be told of what was typed without asking the server, by field. It refuses nothing that the server would take.
 *
 * @param before what the form began with: an end in the past may stay
 * @param now in milliseconds since 1970
 */
export function faultsOf(typed: Settings, before: Settings, now: number): Fault[] {
  const ends = typed.expires_at === '' ? undefined : Date.parse(typed.expires_at);
  const begins = typed.not_before === '' ? undefined : Date.parse(typed.not_before);
  const told: [keyof Settings, string | false][] = [
    ['name', line(typed.name, 100, 'Enter a name.')],
    ['owner', line(typed.owner, 200, 'Enter an owner.')],
    ['environment', typed.environment.trim() !== '' && !ENVIRONMENT.test(typed.environment.trim()) && 'Must be one word of small letters and digits, such as live or test.'],
    ['expires_at', ends !== undefined && (ends <= now && typed.expires_at !== before.expires_at ? 'Must lie in the future.' : begins !== undefined && ends <= begins && 'Must lie after “Valid from”.')],
    ['other_scopes', listed(typed.other_scopes, 100, (scope) => SCOPE.test(scope) && scope.length <= 100, 'a scope is resource:action in small letters, digits, dots, - and _, with * for either side.')],
    ['allowed_ips', listed(typed.allowed_ips, 250, isRange, 'not an address or a range such as 192.0.2.0/24 or 2001:db8::/32.')],
    ['denied_ips', listed(typed.denied_ips, 250, isRange, 'not an address or a range such as 192.0.2.0/24 or 2001:db8::/32.')],
    ['allowed_countries', listed(typed.allowed_countries, 250, (country) => /^[a-z]{2}$/i.test(country), 'a country has two letters, such as DE.')],
    ['allowed_origins', listed(typed.allowed_origins, 250, (origin) => ORIGIN.test(origin), 'an origin is what browsers send, such as https://shop.example.')],
    ['max_staleness_seconds', typed.max_staleness_seconds !== '' && outside(typed.max_staleness_seconds, 0, 60)],
    ['rotation_days', typed.rotation_days !== '' && outside(typed.rotation_days, 1, 3650)],
    ['metadata', noObject(typed.metadata)],
  ];
  return [...told.flatMap(([field, said]) => (said ? [{ field, said }] : [])), ...ruleFaults(typed)];
}

/** The fields, as the API names them, in which two states of a key differ. */
export function changedFields(before: Key, after: Key): string[] {
  const names = ['name', 'owner', 'scopes', 'not_before', 'expires_at', 'allowed_ips', 'denied_ips', 'allowed_countries', 'allowed_origins', 'rate_limits', 'quotas', 'max_staleness_seconds', 'rotation_days', 'on_leak', 'on_anomaly', 'metadata', 'status'];
  const of = (key: Key) => key as unknown as Record<string, unknown>;
  return names.filter((name) => JSON.stringify(of(before)[name]) !== JSON.stringify(of(after)[name]));
}
