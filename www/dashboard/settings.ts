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
    throw new Refusal({ status: 0, code: 'INVALID_REQUEST', title: 'The request is not valid', detail: 'metadata is no JSON; it is an object such as {"team": "billing"}', field: 'metadata' });
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
  return changed;
}

/** The fields, as the API names them, in which two states of a key differ. */
export function changedFields(before: Key, after: Key): string[] {
  const names = ['name', 'owner', 'scopes', 'not_before', 'expires_at', 'allowed_ips', 'denied_ips', 'allowed_countries', 'allowed_origins', 'rate_limits', 'quotas', 'max_staleness_seconds', 'rotation_days', 'on_leak', 'on_anomaly', 'metadata', 'status'];
  const of = (key: Key) => key as unknown as Record<string, unknown>;
  return names.filter((name) => JSON.stringify(of(before)[name]) !== JSON.stringify(of(after)[name]));
}
