/** What the API answers, as far as the dashboard reads it. `/openapi.json` is the whole of it. */
import type { KeyRecord } from 'keyward';

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

export type SecretStatus = 'pending' | 'active' | 'retiring' | 'gone';

export interface Key extends Omit<KeyRecord, 'status'> {
  status: 'active' | 'disabled' | 'revoked' | 'expired';
  redacted: string;
  secrets: { number: number; status: SecretStatus; created_at: string; until: string | null }[];
  /** In lists alone. */
  last_used_on?: string | null;
}

/** From when a change holds everywhere. */
export interface Bound {
  effective_by: string;
  confirmed: boolean;
}

export type ChangedKey = Key & Bound;

export interface Receipt extends Bound {
  status: 'revoked';
  revoked_at: string;
  log_head: string | null;
}

/** What was seen of one secret. */
export interface Seen {
  number: number;
  status: SecretStatus;
  created_at: string;
  until: string | null;
  calls: number;
  first_seen: string | null;
  last_seen: string | null;
  addresses: string[];
  countries: string[];
  in_use: boolean;
}

export interface Rotation {
  number: number;
  status: 'waiting' | 'overlap' | 'completed' | 'cancelled';
  activate: 'now' | 'first_use';
  grace_seconds: number;
  quiet_seconds: number;
  started_at: string;
  usable_by: string;
  activated_at: string | null;
  ends_at: string | null;
  secrets: Seen[];
}

export interface UsageRow {
  at: string;
  calls: number;
  outcomes: Record<string, number>;
  countries: Record<string, number>;
}

export interface Call {
  at: string;
  secret: number;
  outcome: string;
  route: string;
  address: string;
  country: string;
}

export interface Anomaly {
  kind: string;
  subject?: string | null;
  since: string;
  at: string;
  expected: number;
  seen: number;
  probability: number;
  runs_out_at?: string | null;
  action: string;
}

export interface IncidentRow {
  id: string;
  key_id: string;
  key_name: string;
  owner: string;
  opened_at: string;
  status: 'open' | 'closed';
  source: string;
  action: string;
  places: number;
  steps_done: number;
  steps_open: number;
}

export interface Incident {
  id: string;
  key_id: string;
  key_name: string;
  owner: string;
  secret: number;
  opened_at: string;
  closed_at: string | null;
  status: 'open' | 'closed';
  source: string;
  suspected_at: string;
  action: string;
  sightings: { at: string; reporter: string; url: string | null; path: string | null; line: number | null; commit: string | null }[];
  steps: { name: string; title: string; done_at: string | null; by: string | null; note: string | null }[];
  evidence: { since: string; until: string; calls: number; accepted: number; refused: number; countries: Record<string, number>; networks: Record<string, number>; times_baseline: number | null } | null;
  keys_at_risk: { key_id: string; name: string; environment: string; status: string; last_used_on: string | null }[];
  notes: { at: string; by: string; text: string }[];
}

export interface Entry {
  position?: number;
  kind: string;
  at: string;
  key_id?: string;
  route?: string;
  webhook?: string;
  incident?: string;
  by: string;
  request_id: string;
  address?: string | null;
  country?: string | null;
  reason?: string;
  changes?: Record<string, { before: unknown; after: unknown }>;
}

export interface LogCheck {
  whole: boolean;
  rows: number;
  authenticated: number;
  head: string | null;
  problem: { position: number; what: string; detail: string } | null;
}

export interface Slot {
  number: number;
  set_at: string;
  environment: string | null;
  share: number;
}

export interface Route {
  name: string;
  upstream: string;
  environment: string;
  callers: Record<string, unknown>;
  allow: { methods: string[]; path: string }[];
  secrets: { current: Slot | null; next: Slot | null };
  created_at: string;
  updated_at: string;
  [setting: string]: unknown;
}

export interface SlotUse {
  slot: 'current' | 'next';
  number: number;
  share: number;
  calls: number;
  failures: number;
  unauthorized: number;
  last_used_at: string | null;
}

export interface RouteUse {
  slots: SlotUse[];
  anomalies: { kind: string; of: string; refused: number; first_at: string; last_at: string; last_by: string }[];
}

export interface Finding {
  code: string;
  severity: 'low' | 'medium' | 'high';
  reason: string;
  fix: { method: string; path: string; body: Record<string, unknown>; note: string };
}

export interface UnsafeKey {
  key_id: string;
  redacted: string;
  name: string;
  owner: string;
  environment: string;
  findings: Finding[];
}

export interface Webhook {
  name: string;
  url: string;
  events: string[];
  description: string | null;
  active: boolean;
  gone: boolean;
  secrets: { created_at: string; until: string | null }[];
  /** Where it was written, once. */
  secret?: string;
  state?: { pending: number; given_up: number; failing_since: string | null; last_success_at: string | null; next_attempt_at: string | null };
}

export interface Delivery {
  event_id: string;
  type: string;
  attempt: number;
  outcome: string;
  status: number | null;
  error: string | null;
  duration_ms: number;
  at: string;
}
