/**
 * What a deployment of keyward is asked and answers: every schema, body, query and code of its OpenAPI document (version 0.1.0).
 * Written by .ci/types.mjs from that document, which the Worker's own table writes. Not edited by hand.
 */

export interface Health {
  status: 'ok';
  version: string;
}

export interface OpenAPI {
  openapi: string;
  info: Record<string, unknown>;
  paths: Record<string, unknown>;
}

export interface Secret {
  number: number;
  status: 'pending' | 'active' | 'retiring' | 'gone';
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  until: string | null;
  /** Name of the root secret that its digest needs. */
  root: string;
}

export interface Key {
  id: string;
  brand: string;
  /** One of the deployment's: live, test, staging or dev, unless `KEYWARD_ENVIRONMENTS` names others. */
  environment: string;
  name: string;
  owner: string;
  scopes: string[];
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
  /** RFC 3339. */
  not_before: string | null;
  /** RFC 3339. */
  expires_at: string | null;
  allowed_ips: string[];
  denied_ips: string[];
  allowed_countries: string[];
  allowed_origins: string[];
  /** Seconds. */
  max_staleness_seconds: number;
  /** Days. */
  rotation_days: number;
  rate_limits?: {
    name: string;
    /** 1 or more. */
    limit: number;
    /** Seconds, 1 or more. */
    window_seconds: number;
    /** 1 or more. */
    burst: number;
    mode: 'exact' | 'approximate';
  }[];
  quotas?: {
    name: string;
    /** 1 or more. */
    limit: number;
    period: 'day' | 'month' | 'total';
  }[];
  on_anomaly?: 'notify' | 'throttle' | 'disable' | 'revoke';
  on_leak?: 'notify' | 'disable' | 'revoke';
  metadata: Record<string, unknown>;
  status: 'active' | 'disabled' | 'revoked' | 'expired';
  /** RFC 3339. */
  revoked_at: string | null;
  revoke_reason: string | null;
  version: number;
  redacted: string;
  secrets: Secret[];
}

export type CreatedKey = Key & {
  /** The key text, shown this once; absent in a replay. */
  key?: string;
};

export interface Bound {
  /** From this instant no edge goes on with what was before. RFC 3339. */
  effective_by: string;
  /** Whether that instant had passed. */
  confirmed: boolean;
}

export type ChangedKey = Key & Bound;

export interface Jwks {
  keys: {
    kty: 'OKP';
    crv: 'Ed25519';
    alg?: 'EdDSA';
    use?: 'sig';
    kid: string;
    x: string;
  }[];
}

export type SlotState = {
  /** 1 or more. */
  number: number;
  /** RFC 3339. */
  set_at: string;
  /** The binding that holds it; none: it is sealed here. */
  environment: string | null;
  /** Of a hundred calls, how many use it. 0 to 100. */
  share: number;
} | null;

export interface Route {
  name: string;
  upstream: string;
  environment: string;
  callers: Record<string, unknown>;
  allow: {
    methods: string[];
    path: string;
  }[];
  credential: Record<string, unknown> | null;
  request: Record<string, unknown>;
  response: Record<string, unknown>;
  /** Seconds. */
  timeout_seconds: number;
  /** Seconds. */
  idle_seconds: number;
  limit: {
    limit?: number;
    /** Seconds. */
    window_seconds?: number;
  } | null;
  mock: Record<string, unknown> | null;
  secrets: {
    current: SlotState;
    next: SlotState;
  };
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
}

export type ChangedRoute = Route & {
  /** From this instant no edge goes on with what was before. RFC 3339. */
  effective_by: string;
};

export interface Routes {
  data: Route[];
  next_cursor: null;
}

export interface SlotUse {
  slot: 'current' | 'next';
  number: number;
  share: number;
  calls: number;
  failures: number;
  unauthorized: number;
  /** RFC 3339. */
  last_used_at: string | null;
}

export interface RouteUse {
  slots: SlotUse[];
  anomalies: {
    kind: string;
    of: string;
    expected: {
      limit?: number;
      /** Seconds. */
      window_seconds?: number;
    } | null;
    /** Calls that were stopped. */
    refused: number;
    /** RFC 3339. */
    first_at: string;
    /** RFC 3339. */
    last_at: string;
    /** Id of the key or session. */
    last_by: string;
  }[];
}

export interface Keys {
  data: (Key & {
    /** RFC 3339, the date alone. */
    last_used_on: string | null;
  })[];
  next_cursor: string | null;
}

export type Receipt = {
  status: 'revoked';
  /** RFC 3339. */
  revoked_at: string;
  /** Head of the log; kept elsewhere, it shows later whether the log was cut. */
  log_head: string | null;
} & Bound;

export interface Seen {
  number: number;
  status: 'pending' | 'active' | 'retiring' | 'gone';
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  until: string | null;
  calls: number;
  /** RFC 3339. */
  first_seen: string | null;
  /** RFC 3339. */
  last_seen: string | null;
  /** Networks, /24 and /48. */
  addresses: string[];
  countries: string[];
  /** Seen within quiet_seconds. */
  in_use: boolean;
}

export interface Rotation {
  number: number;
  status: 'waiting' | 'overlap' | 'completed' | 'cancelled';
  activate: 'now' | 'first_use';
  /** Seconds. */
  grace_seconds: number;
  /** Seconds. */
  quiet_seconds: number;
  /** RFC 3339. */
  started_at: string;
  /** From this instant every edge accepts the new secret. RFC 3339. */
  usable_by: string;
  /** RFC 3339. */
  activated_at: string | null;
  /** RFC 3339. */
  ends_at: string | null;
  secrets: Seen[];
}

export interface StartedRotation {
  rotation: Rotation;
  /** The key text with the new secret, shown this once; absent in a replay. */
  key?: string;
  /** RFC 3339. */
  effective_by?: string;
  confirmed?: boolean;
  /** Head of the log; kept elsewhere, it shows later whether the log was cut. */
  log_head?: string | null;
}

export type EndedRotation = {
  rotation: Rotation;
  /** Head of the log; kept elsewhere, it shows later whether the log was cut. */
  log_head: string | null;
} & Bound;

export interface Verdict {
  valid: boolean;
  code:
    | 'VALID' | 'MALFORMED' | 'ENVIRONMENT_MISMATCH' | 'NOT_FOUND' | 'REVOKED' | 'DISABLED' | 'NOT_YET_VALID' | 'EXPIRED'
    | 'ROTATED_OUT' | 'IP_NOT_ALLOWED' | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INSUFFICIENT_SCOPE' | 'RATE_LIMITED'
    | 'QUOTA_EXCEEDED' | 'UNAVAILABLE';
  key_id: string | null;
  name: string | null;
  owner: string | null;
  environment: string | null;
  scopes: string[] | null;
  /** RFC 3339. */
  expires_at: string | null;
  metadata: Record<string, unknown> | null;
  /** The key's rate limits as they stand; none where it has none. `null` where the call drew on none: it was refused for another reason, or the key is unknown. */
  limits: {
    name: string;
    /** 1 or more. */
    limit: number;
    /** Seconds, 1 or more. */
    window_seconds: number;
    /** 1 or more. */
    burst: number;
    mode: 'exact' | 'approximate';
    /** As far as this edge knows. */
    remaining: number;
    /** Seconds. */
    full_in_seconds: number | null;
  }[] | null;
  /** As `limits`. */
  quotas: {
    name: string;
    /** 1 or more. */
    limit: number;
    period: 'day' | 'month' | 'total';
    remaining: number;
    /** RFC 3339. */
    resets_at: string | null;
  }[] | null;
  /** Name of the rate limit or quota that is reached. */
  denied_by?: string;
  /** Seconds. */
  retry_after_seconds?: number | null;
  /** The secret is being replaced, and until when it works. */
  warning?: string;
  freshness: {
    mode: 'offline' | 'lease' | 'authority';
    /** RFC 3339. */
    as_of: string | null;
    /** Seconds. */
    max_staleness_seconds: number | null;
    /** Whoever keeps this verdict may keep it so long, from before it asked. Milliseconds. */
    lease_remaining_ms: number;
  };
}

export interface Entry {
  position?: number;
  kind: string;
  /** RFC 3339. */
  at: string;
  /** The key that was changed. */
  key_id?: string;
  version?: number;
  /** Or the route. */
  route?: string;
  /** Or the webhook. */
  webhook?: string;
  /** Or the incident. */
  incident?: string;
  by: string;
  request_id: string;
  address?: string | null;
  country?: string | null;
  reason?: string;
  changes?: Record<string, {
    before: unknown;
    after: unknown;
  }>;
}

export interface Log {
  data: Entry[];
  next_cursor: string | null;
}

export interface LogRow {
  position: number;
  entry: Entry;
  hash: string;
  root: string;
  mac: string;
}

export interface LogCheck {
  whole: boolean;
  rows: number;
  authenticated: number;
  /** Head of the log; kept elsewhere, it shows later whether the log was cut. */
  head: string | null;
  problem: null | {
    position: number;
    what: string;
    detail: string;
  };
}

export interface Finding {
  code: 'NEVER_EXPIRES' | 'ROTATION_OVERDUE' | 'UNUSED' | 'OVER_SCOPED' | 'SHARED_ACROSS_ENVIRONMENTS' | 'SAFE_TO_REVOKE';
  severity: 'low' | 'medium' | 'high';
  reason: string;
  fix: {
    method: 'PATCH' | 'POST';
    path: string;
    body: Record<string, unknown>;
    note: string;
  };
}

export interface KeySafety {
  data: {
    key_id: string;
    redacted: string;
    name: string;
    owner: string;
    environment: string;
    status: string;
    /** RFC 3339, the date alone. */
    last_used_on: string | null;
    findings: Finding[];
  }[];
  next_cursor: string | null;
}

export interface RootSecrets {
  current: {
    name: string;
    keys: number;
    upstream_secrets: number;
  };
  retired: {
    name: string;
    keys: number;
    upstream_secrets: number;
    /** Whether the last row of the log is under it. */
    log: boolean;
    can_go: boolean;
  }[];
  unknown_keys: number;
  missing: {
    name: string;
    keys: number;
    upstream_secrets: number;
  }[];
}

export interface Usage {
  data: {
    /** RFC 3339. */
    at: string;
    calls: number;
    outcomes: Record<string, number>;
    routes: Record<string, number>;
    countries: Record<string, number>;
    /** Numbers that relayed calls led to, by country (ISO 3166-1 alpha-2), or by calling code where they are of none. */
    destinations: Record<string, number>;
  }[];
  calls: number;
  /** RFC 3339. */
  from: string;
  /** RFC 3339. */
  to: string;
}

export interface Calls {
  data: {
    /** RFC 3339. */
    at: string;
    /** 1 or more. */
    secret: number;
    outcome: string;
    /** `authorize`, `verify`, `api`, `session`, or `/r/` and a route's name. */
    route: string;
    /** Its network, /24 or /48. */
    address: string;
    country: string;
  }[];
}

export interface Overview {
  days: {
    /** RFC 3339, the date alone. */
    date: string;
    calls: number;
    refused: number;
    keys: number;
  }[];
  busiest_keys: {
    key_id: string;
    name: string;
    owner: string;
    environment: string;
    calls: number;
    refused: number;
  }[];
}

export interface Anomalies {
  data: {
    kind:
      | 'volume_spike' | 'volume_drop' | 'new_country' | 'unusual_hour' | 'quota_forecast' | 'failure_rise' | 'bounce_rise'
      | 'unknown_destinations';
    /** A new country. */
    subject?: string | null;
    /** RFC 3339. */
    since: string;
    /** RFC 3339. */
    at: string;
    expected: number;
    seen: number;
    /** Of what was seen, if nothing were unusual. 0 to 1. */
    probability: number;
    /** RFC 3339. */
    runs_out_at?: string | null;
    action: 'notify' | 'throttle' | 'disable' | 'revoke';
  }[];
}

export interface Outcomes {
  delivered: number;
  failed: number;
  bounced: number;
}

export interface Session {
  route: string;
  origin: string;
  /** RFC 3339. */
  expires_at: string;
  /** 1 or more. */
  calls: number;
  session_id: string;
  /** Absent where a cookie was asked for, which holds it. */
  token?: string;
}

export interface Webhook {
  name: string;
  url: string;
  /** `*`, `key.*` or names; empty does not restrict. */
  events: string[];
  description: string | null;
  active: boolean;
  /** Its receiver answered 410; writing it anew begins again. */
  gone: boolean;
  /** Those that sign, the newest first. */
  secrets: {
    /** RFC 3339. */
    created_at: string;
    /** RFC 3339. */
    until: string | null;
  }[];
  /** RFC 3339. */
  created_at: string;
  /** RFC 3339. */
  updated_at: string;
}

export interface Webhooks {
  data: Webhook[];
  next_cursor: null;
}

export type WrittenWebhook = Webhook & {
  /** What signs from now on, shown this once; absent where it did not change. */
  secret?: string;
};

export type WebhookState = Webhook & {
  state: {
    pending: number;
    given_up: number;
    /** RFC 3339. */
    failing_since: string | null;
    /** RFC 3339. */
    last_success_at: string | null;
    /** RFC 3339. */
    next_attempt_at: string | null;
  };
};

export interface Delivery {
  /** The `webhook-id` of each attempt. */
  event_id: string;
  type: string;
  key_id: string | null;
  /** 1 or more. */
  attempt: number;
  outcome: 'delivered' | 'retry' | 'given_up' | 'gone';
  status: number | null;
  /** TIMEOUT, UNREACHABLE, REDIRECT, NOT_ALLOWED, NO_SECRET. */
  error: string | null;
  /** Milliseconds. */
  duration_ms: number;
  /** RFC 3339. */
  at: string;
  /** RFC 3339. */
  next_at: string | null;
}

export interface Deliveries {
  data: Delivery[];
  next_cursor: string | null;
}

export interface Replayed {
  queued: number;
}

export interface TestEvent {
  event_id: string;
}

export interface ImportedRow {
  line: number;
  status: 'created' | 'exists' | 'invalid' | 'unavailable';
  id?: string;
  code?: string;
  field?: string;
  detail?: string;
}

export interface PartnerLabel {
  /** SHA-256 of the token, in base64. */
  token_hash: string;
  token_type: string;
  label: 'true_positive' | 'false_positive';
}

export interface ReportedLeaks {
  data: {
    key_id: string | null;
    label: 'true_positive' | 'false_positive';
    /** What the policy of the key did, when the secret was first reported. */
    action: 'none' | 'notify' | 'disable' | 'revoke' | 'rotate';
    /** None where the secret had ended before. */
    incident_id: string | null;
  }[];
}

export interface Evidence {
  /** RFC 3339. */
  since: string;
  /** The hour of `since`: calls are counted by the hour. RFC 3339. */
  counted_from: string;
  /** RFC 3339. */
  until: string;
  calls: number;
  accepted: number;
  refused: number;
  /** RFC 3339. */
  first_call_at: string | null;
  /** RFC 3339. */
  last_call_at: string | null;
  outcomes: Record<string, number>;
  routes: Record<string, number>;
  countries: Record<string, number>;
  /** Numbers that relayed calls led to, by country (ISO 3166-1 alpha-2), or by calling code where they are of none. */
  destinations: Record<string, number>;
  /** Of the calls that are kept one by one; 0 where a network is known from the evidence of a secret alone. */
  networks: Record<string, number>;
  /** How many calls were kept one by one. */
  listed_calls: number;
  /** RFC 3339. */
  busiest_hour_at: string | null;
  busiest_hour_calls: number;
  calls_per_hour: number;
  /** RFC 3339. */
  baseline_from: string;
  /** Hours. */
  baseline_hours: number;
  baseline_calls: number;
  baseline_calls_per_hour: number | null;
  times_baseline: number | null;
  anomalies: Record<string, unknown>[];
}

export interface Incident {
  id: string;
  key_id: string;
  key_name: string;
  owner: string;
  /** Number of the secret that leaked. 1 or more. */
  secret: number;
  /** RFC 3339. */
  opened_at: string;
  /** RFC 3339. */
  closed_at: string | null;
  status: 'open' | 'closed';
  /** What opened it. */
  source: 'github' | 'report' | 'response';
  /** RFC 3339. */
  suspected_at: string;
  action: 'none' | 'notify' | 'disable' | 'revoke' | 'rotate';
  sightings: {
    /** RFC 3339. */
    at: string;
    /** `github`, or the id of a key. */
    reporter: string;
    url: string | null;
    source: string | null;
    kind: string | null;
    path: string | null;
    commit: string | null;
    line: number | null;
  }[];
  steps: {
    name:
      | 'key_ended' | 'evidence_collected' | 'other_keys_reviewed' | 'source_cleaned' | 'owner_told' | 'cause_found'
      | 'prevention_in_place';
    title: string;
    /** RFC 3339. */
    done_at: string | null;
    by: string | null;
    note: string | null;
  }[];
  evidence: null | Evidence;
  /** Other keys of the owner. */
  keys_at_risk: {
    key_id: string;
    name: string;
    environment: string;
    status: string;
    /** RFC 3339, the date alone. */
    last_used_on: string | null;
  }[];
  notes: {
    /** RFC 3339. */
    at: string;
    by: string;
    text: string;
  }[];
}

export interface Incidents {
  data: {
    id: string;
    key_id: string;
    key_name: string;
    owner: string;
    /** Number of the secret that leaked. 1 or more. */
    secret: number;
    /** RFC 3339. */
    opened_at: string;
    /** RFC 3339. */
    closed_at: string | null;
    status: 'open' | 'closed';
    /** What opened it. */
    source: 'github' | 'report' | 'response';
    /** RFC 3339. */
    suspected_at: string;
    action: 'none' | 'notify' | 'disable' | 'revoke' | 'rotate';
    places: number;
    steps_done: number;
    steps_open: number;
  }[];
  next_cursor: string | null;
}

export type LeakResponse = ChangedKey & {
  action: 'none' | 'notify' | 'disable' | 'revoke' | 'rotate';
  log_head: string | null;
  /** `null` where it could not be opened now: ask again with the action `none`. */
  incident: null | Incident;
  rotation?: Rotation;
  /** The key text with the new secret, shown this once; absent in a replay. */
  key?: string;
};

/** Query of `GET /v1/keys`. */
export interface ListKeysQuery {
  /** How many at most. 1 to 100. `50` where it is left out. */
  limit?: number | undefined;
  /** The `next_cursor` of the page before. */
  cursor?: string | undefined;
  /** Only keys of this owner. Up to 200 characters. */
  owner?: string | undefined;
  /** Only keys whose name begins like this, in any case. Up to 100 characters. */
  search?: string | undefined;
  /** Only keys of this environment. */
  environment?: string | undefined;
  /** Only keys that were left so; one that has expired is still `active` here. */
  status?: 'active' | 'disabled' | 'revoked' | undefined;
}

/** Body of `POST /v1/keys`. */
export interface CreateKeyBody {
  /** One of the deployment's: live, test, staging or dev, unless `KEYWARD_ENVIRONMENTS` names others. */
  environment?: string | null | undefined;
  /** Up to 100 characters. */
  name: string;
  /** Up to 200 characters. */
  owner: string;
  /** Up to 100. Such as `calls:create`. */
  scopes?: string[] | null | undefined;
  /** RFC 3339. */
  not_before?: string | null | undefined;
  /** RFC 3339. */
  expires_at?: string | null | undefined;
  /** Up to 8. */
  rate_limits?: {
    /** Up to 32 characters. Such as `requests`. */
    name: string;
    /** 1 to 1000000. */
    limit: number;
    /** Seconds, 1 to 2678400. */
    window_seconds: number;
    /** 1 to 1000000. */
    burst?: number | null | undefined;
    mode?: 'exact' | 'approximate' | null | undefined;
  }[] | null | undefined;
  /** Up to 8. */
  quotas?: {
    /** Up to 32 characters. Such as `requests`. */
    name: string;
    /** 1 or more. */
    limit: number;
    period: 'day' | 'month' | 'total';
  }[] | null | undefined;
  on_anomaly?: 'notify' | 'throttle' | 'disable' | 'revoke' | null | undefined;
  on_leak?: 'notify' | 'disable' | 'revoke' | null | undefined;
  /** Up to 250. Such as `192.0.2.0/24`. */
  allowed_ips?: string[] | null | undefined;
  /** Up to 250. Such as `192.0.2.0/24`. */
  denied_ips?: string[] | null | undefined;
  /** Up to 250. Such as `DE`. */
  allowed_countries?: string[] | null | undefined;
  /** Up to 250. Such as `https://shop.example`. */
  allowed_origins?: string[] | null | undefined;
  /** Seconds, 0 to 60. */
  max_staleness_seconds?: number | null | undefined;
  /** Days, 1 to 3650. */
  rotation_days?: number | null | undefined;
  /** At most 4096 bytes of JSON and 4 levels. */
  metadata?: Record<string, unknown> | null | undefined;
}

/** Body of `POST /v1/keys/verify`. */
export interface VerifyKeyBody {
  key: string;
  /** Up to 100. Such as `calls:create`. */
  scopes?: string[] | null | undefined;
  /** Up to 45 characters. */
  ip?: string | null | undefined;
  /** Up to 2 characters. Such as `DE`. */
  country?: string | null | undefined;
  /** Up to 260 characters. */
  origin?: string | null | undefined;
  /** One of the deployment's: live, test, staging or dev, unless `KEYWARD_ENVIRONMENTS` names others. */
  environment?: string | null | undefined;
  /** 0 to 1000000. */
  cost?: number | null | undefined;
}

/** One line of the body of `POST /v1/keys/import`. */
export interface ImportKeysLine {
  /** Up to 64 characters. */
  sha256: string;
  /** Up to 40 characters. */
  prefix?: string | null | undefined;
  /** One of the deployment's: live, test, staging or dev, unless `KEYWARD_ENVIRONMENTS` names others. */
  environment?: string | null | undefined;
  /** Up to 100 characters. */
  name: string;
  /** Up to 200 characters. */
  owner: string;
  /** Up to 100. Such as `calls:create`. */
  scopes?: string[] | null | undefined;
  /** RFC 3339. */
  not_before?: string | null | undefined;
  /** RFC 3339. */
  expires_at?: string | null | undefined;
  /** Up to 8. */
  rate_limits?: {
    /** Up to 32 characters. Such as `requests`. */
    name: string;
    /** 1 to 1000000. */
    limit: number;
    /** Seconds, 1 to 2678400. */
    window_seconds: number;
    /** 1 to 1000000. */
    burst?: number | null | undefined;
    mode?: 'exact' | 'approximate' | null | undefined;
  }[] | null | undefined;
  /** Up to 8. */
  quotas?: {
    /** Up to 32 characters. Such as `requests`. */
    name: string;
    /** 1 or more. */
    limit: number;
    period: 'day' | 'month' | 'total';
  }[] | null | undefined;
  on_anomaly?: 'notify' | 'throttle' | 'disable' | 'revoke' | null | undefined;
  on_leak?: 'notify' | 'disable' | 'revoke' | null | undefined;
  /** Up to 250. Such as `192.0.2.0/24`. */
  allowed_ips?: string[] | null | undefined;
  /** Up to 250. Such as `192.0.2.0/24`. */
  denied_ips?: string[] | null | undefined;
  /** Up to 250. Such as `DE`. */
  allowed_countries?: string[] | null | undefined;
  /** Up to 250. Such as `https://shop.example`. */
  allowed_origins?: string[] | null | undefined;
  /** Seconds, 0 to 60. */
  max_staleness_seconds?: number | null | undefined;
  /** Days, 1 to 3650. */
  rotation_days?: number | null | undefined;
  /** At most 4096 bytes of JSON and 4 levels. */
  metadata?: Record<string, unknown> | null | undefined;
}

/** Body of `PATCH /v1/keys/{id}`. */
export interface UpdateKeyBody {
  /** Up to 100 characters. */
  name?: string | undefined;
  /** Up to 200 characters. */
  owner?: string | undefined;
  /** Up to 100. Such as `calls:create`. */
  scopes?: string[] | null | undefined;
  /** RFC 3339. */
  not_before?: string | null | undefined;
  /** RFC 3339. */
  expires_at?: string | null | undefined;
  /** Up to 8. */
  rate_limits?: {
    /** Up to 32 characters. Such as `requests`. */
    name: string;
    /** 1 to 1000000. */
    limit: number;
    /** Seconds, 1 to 2678400. */
    window_seconds: number;
    /** 1 to 1000000. */
    burst?: number | null | undefined;
    mode?: 'exact' | 'approximate' | null | undefined;
  }[] | null | undefined;
  /** Up to 8. */
  quotas?: {
    /** Up to 32 characters. Such as `requests`. */
    name: string;
    /** 1 or more. */
    limit: number;
    period: 'day' | 'month' | 'total';
  }[] | null | undefined;
  on_anomaly?: 'notify' | 'throttle' | 'disable' | 'revoke' | null | undefined;
  on_leak?: 'notify' | 'disable' | 'revoke' | null | undefined;
  /** Up to 250. Such as `192.0.2.0/24`. */
  allowed_ips?: string[] | null | undefined;
  /** Up to 250. Such as `192.0.2.0/24`. */
  denied_ips?: string[] | null | undefined;
  /** Up to 250. Such as `DE`. */
  allowed_countries?: string[] | null | undefined;
  /** Up to 250. Such as `https://shop.example`. */
  allowed_origins?: string[] | null | undefined;
  /** Seconds, 0 to 60. */
  max_staleness_seconds?: number | null | undefined;
  /** Days, 1 to 3650. */
  rotation_days?: number | null | undefined;
  /** At most 4096 bytes of JSON and 4 levels. */
  metadata?: Record<string, unknown> | null | undefined;
}

/** Body of `POST /v1/keys/{id}/disable`. */
export interface DisableKeyBody {
  wait?: boolean | null | undefined;
}

/** Body of `POST /v1/keys/{id}/enable`. */
export interface EnableKeyBody {
  wait?: boolean | null | undefined;
}

/** Body of `POST /v1/keys/{id}/revoke`. */
export interface RevokeKeyBody {
  /** Up to 500 characters. */
  reason?: string | null | undefined;
  wait?: boolean | null | undefined;
}

/** Body of `POST /v1/keys/{id}/rotations`. */
export interface RotateKeyBody {
  activate?: 'first_use' | 'now' | null | undefined;
  /** Seconds, 0 to 2592000. */
  grace_seconds?: number | null | undefined;
  /** Seconds, 0 to 2592000. */
  quiet_seconds?: number | null | undefined;
}

/** Query of `GET /v1/keys/{id}/usage`. */
export interface GetUsageQuery {
  /** What is put together. `hour` where it is left out. */
  by?: 'hour' | 'day' | undefined;
  /** From when; a day, or 30 days, before `to` where it is not given. Counts are kept for 90 days. RFC 3339. */
  from?: string | undefined;
  /** Until when; now where it is not given. RFC 3339. */
  to?: string | undefined;
  /** How it is written. `json` where it is left out. */
  format?: 'json' | 'csv' | undefined;
}

/** Query of `GET /v1/keys/{id}/calls`. */
export interface ListCallsQuery {
  /** How many at most. 1 to 100. `50` where it is left out. */
  limit?: number | undefined;
  /** How it is written. `json` where it is left out. */
  format?: 'json' | 'csv' | undefined;
}

/** Query of `GET /v1/keys/{id}/anomalies`. */
export interface ListAnomaliesQuery {
  /** How many at most. 1 to 100. `50` where it is left out. */
  limit?: number | undefined;
}

/** Body of `POST /v1/keys/{id}/outcomes`. */
export interface ReportOutcomesBody {
  /** 0 to 1000000000. */
  delivered?: number | null | undefined;
  /** 0 to 1000000000. */
  failed?: number | null | undefined;
  /** 0 to 1000000000. */
  bounced?: number | null | undefined;
}

/** Body of `POST /v1/keys/{id}/rotations/current/complete`. */
export interface CompleteRotationBody {
  force?: boolean | null | undefined;
  wait?: boolean | null | undefined;
}

/** Body of `POST /v1/keys/{id}/rotations/current/cancel`. */
export interface CancelRotationBody {
  force?: boolean | null | undefined;
  wait?: boolean | null | undefined;
}

/** Query of `GET /v1/reports/key-safety`. */
export interface ReportKeySafetyQuery {
  /** How many at most. 1 to 100. `50` where it is left out. */
  limit?: number | undefined;
  /** The `next_cursor` of the page before. */
  cursor?: string | undefined;
}

/** Query of `GET /v1/audit`. */
export interface ListAuditQuery {
  /** How many at most. 1 to 100. `50` where it is left out. */
  limit?: number | undefined;
  /** The `next_cursor` of the page before. */
  cursor?: string | undefined;
}

/** Query of `GET /v1/audit/verify`. */
export interface VerifyAuditQuery {
  /** A head that was kept from a receipt or an export: the log must still hold it. */
  head?: string | undefined;
}

/** Query of `GET /v1/audit/export`. */
export interface ExportAuditQuery {
  /** Position of the last row that is already there. */
  after?: number | undefined;
  /** How many rows at most. 1 to 1000. `1000` where it is left out. */
  limit?: number | undefined;
}

/** Body of `PUT /v1/routes/{name}`. */
export interface PutRouteBody {
  /** Up to 500 characters. Such as `https://api.sms.example/v1`. */
  upstream: string;
  /** One of the deployment's: live, test, staging or dev, unless `KEYWARD_ENVIRONMENTS` names others. */
  environment?: string | null | undefined;
  callers?: {
    key?: {
      /** Up to 100. Such as `calls:create`. */
      scopes?: string[] | null | undefined;
    } | null | undefined;
    session?: {
      /** Up to 50. Such as `https://shop.example`. */
      origins?: string[] | null | undefined;
      mint?: 'backend' | 'turnstile' | 'public' | null | undefined;
      /** 1 to 10000. */
      calls?: number | null | undefined;
      /** 10 to 3600. */
      seconds?: number | null | undefined;
      per_address?: {
        /** 1 to 1000000. */
        limit: number;
        /** Seconds, 1 to 2678400. */
        window_seconds: number;
      } | null | undefined;
      per_route?: {
        /** 1 to 1000000. */
        limit: number;
        /** Seconds, 1 to 2678400. */
        window_seconds: number;
      } | null | undefined;
    } | null | undefined;
  } | null | undefined;
  /** Up to 50. */
  allow?: {
    /** Up to 9. Such as `POST`. */
    methods?: string[] | null | undefined;
    /** Up to 500 characters. Such as `/messages/*`. */
    path: string;
  }[] | null | undefined;
  credential?: {
    type: 'header' | 'query' | 'basic' | 'identity';
    /** Up to 64 characters. Such as `X-Request-Cost`. */
    name?: string | null | undefined;
    /** Up to 100 characters. */
    prefix?: string | null | undefined;
    /** Up to 200 characters. */
    user?: string | null | undefined;
  } | null | undefined;
  request?: {
    /** Bytes, 0 to 10737418240. */
    max_bytes?: number | null | undefined;
    numbers?: {
      /** Up to 200 characters. Such as `/to`. */
      pointer: string;
      /** Up to 250. Such as `DE`. */
      countries?: string[] | null | undefined;
      per_number?: {
        /** 1 to 1000000. */
        limit: number;
        /** Seconds, 1 to 2678400. */
        window_seconds: number;
      } | null | undefined;
      per_range?: {
        /** 1 to 1000000. */
        limit: number;
        /** Seconds, 1 to 2678400. */
        window_seconds: number;
      } | null | undefined;
      per_country?: {
        /** 1 to 1000000. */
        limit: number;
        /** Seconds, 1 to 2678400. */
        window_seconds: number;
      } | null | undefined;
    } | null | undefined;
  } | null | undefined;
  response?: {
    /** Up to 30. Such as `X-Request-Cost`. */
    headers?: string[] | null | undefined;
    redact?: boolean | null | undefined;
    redirects?: 'refuse' | 'pass' | null | undefined;
    /** Bytes, 0 to 10737418240. */
    max_bytes?: number | null | undefined;
  } | null | undefined;
  /** Seconds, 1 to 300. */
  timeout_seconds?: number | null | undefined;
  /** Seconds, 1 to 300. */
  idle_seconds?: number | null | undefined;
  limit?: {
    /** 1 to 1000000. */
    limit: number;
    /** Seconds, 1 to 2678400. */
    window_seconds: number;
  } | null | undefined;
  mock?: {
    /** 200 to 599. */
    status?: number | null | undefined;
    /** At most 4096 bytes of JSON and 1 levels. */
    headers?: Record<string, unknown> | null | undefined;
    /** Up to 65536 characters. */
    body?: string | null | undefined;
    /** Milliseconds, 0 to 10000. */
    latency_ms?: number | null | undefined;
  } | null | undefined;
}

/** Body of `PUT /v1/routes/{name}/secrets/{slot}`. */
export interface SetRouteSecretBody {
  /** Up to 4096 characters. */
  secret?: string | null | undefined;
  /** Up to 64 characters. Such as `UPSTREAM_SMS`. */
  environment?: string | null | undefined;
  /** 0 to 100. */
  weight?: number | null | undefined;
}

/** Query of `DELETE /v1/routes/{name}/secrets/{slot}`. */
export interface RetireRouteSecretQuery {
  /** How long it must not have been used. Seconds, 0 to 2678400. `60` where it is left out. */
  quiet_seconds?: number | undefined;
  /** `true`: whatever the evidence. */
  force?: 'true' | 'false' | undefined;
}

/** Body of `PUT /v1/webhooks/{name}`. */
export interface PutWebhookBody {
  /** Up to 500 characters. Such as `https://hooks.shop.example/keyward`. */
  url: string;
  /** Up to 50. Such as `key.*`. */
  events?: string[] | null | undefined;
  /** Up to 200 characters. */
  description?: string | null | undefined;
  active?: boolean | null | undefined;
}

/** Query of `GET /v1/webhooks/{name}/deliveries`. */
export interface ListDeliveriesQuery {
  /** How many at most. 1 to 100. `50` where it is left out. */
  limit?: number | undefined;
  /** The `next_cursor` of the page before. */
  cursor?: string | undefined;
}

/** Body of `POST /v1/webhooks/{name}/replay`. */
export interface ReplayEventsBody {
  /** Up to 84 characters. */
  event_id?: string | undefined;
  /** RFC 3339. */
  since?: string | undefined;
}

/** Body of `POST /v1/leaks/github`. */
export type ReportPartnerLeaksBody = {
  token: string;
  type: string;
  url?: string | null | undefined;
  source?: string | null | undefined;
}[];

/** Body of `POST /v1/leaks`. */
export interface ReportLeaksBody {
  /** Up to 500. */
  leaks?: {
    key: string;
    /** Up to 500 characters. Such as `https://git.example/a/b#L7`. */
    url?: string | null | undefined;
    /** Up to 100 characters. */
    source?: string | null | undefined;
    /** Up to 500 characters. */
    path?: string | null | undefined;
    /** Up to 100 characters. */
    commit?: string | null | undefined;
    /** 1 to 4294967295. */
    line?: number | null | undefined;
  }[] | null | undefined;
}

/** Body of `POST /v1/keys/{id}/leak-response`. */
export interface RespondToLeakBody {
  action: 'revoke' | 'rotate' | 'disable' | 'none';
  /** Seconds, 0 to 2592000. */
  grace_seconds?: number | null | undefined;
  /** RFC 3339. */
  suspected_at?: string | null | undefined;
  /** Up to 500 characters. */
  reason?: string | null | undefined;
  /** Up to 1000 characters. */
  note?: string | null | undefined;
}

/** Query of `GET /v1/incidents`. */
export interface ListIncidentsQuery {
  /** How many at most. 1 to 100. `50` where it is left out. */
  limit?: number | undefined;
  /** The `next_cursor` of the page before. */
  cursor?: string | undefined;
  /** Only those of this key. */
  key_id?: string | undefined;
  /** Only those that are open, or closed. */
  status?: 'open' | 'closed' | undefined;
}

/** Query of `GET /v1/incidents/{incident}`. */
export interface GetIncidentQuery {
  /** How it is written. `json` where it is left out. */
  format?: 'json' | 'markdown' | undefined;
}

/** Body of `PATCH /v1/incidents/{incident}`. */
export interface UpdateIncidentBody {
  /** Up to 7. */
  steps?: {
    name:
      | 'key_ended' | 'evidence_collected' | 'other_keys_reviewed' | 'source_cleaned' | 'owner_told' | 'cause_found'
      | 'prevention_in_place';
    done?: boolean | null | undefined;
    /** Up to 1000 characters. */
    note?: string | null | undefined;
  }[] | null | undefined;
  status?: 'open' | 'closed' | null | undefined;
  /** Up to 1000 characters. */
  note?: string | null | undefined;
}

/** Query of `GET /v1/authorize`. */
export interface AuthorizeQuery {
  /** A scope that the call needs; may be repeated. */
  scope?: string[] | undefined;
  /** The environment that the key must be for. */
  environment?: string | undefined;
}

/** Query of `POST /v1/relay/sessions`. */
export interface BeginSessionQuery {
  /** Name of the route. */
  route: string;
}

/** Body of `POST /v1/relay/sessions`. */
export interface BeginSessionBody {
  /** Up to 2048 characters. */
  turnstile?: string | null | undefined;
  /** Up to 270 characters. Such as `https://shop.example`. */
  origin?: string | null | undefined;
  /** 1 to 10000. */
  calls?: number | null | undefined;
  /** 10 to 3600. */
  seconds?: number | null | undefined;
  cookie?: boolean | null | undefined;
}

/** The code of a problem document. */
export type ProblemCode =
  | 'BODY_TIMEOUT' | 'COUNTRY_NOT_ALLOWED' | 'EVENT_NOT_FOUND' | 'IDEMPOTENCY_KEY_REUSED' | 'INCIDENT_NOT_FOUND'
  | 'INSUFFICIENT_SCOPE' | 'INTERNAL_ERROR' | 'INVALID_REQUEST' | 'IP_NOT_ALLOWED' | 'KEY_IN_URL' | 'KEY_NOT_FOUND' | 'KEY_REVOKED'
  | 'NEW_SECRET_IN_USE' | 'NEW_SECRET_UNUSED' | 'NOT_CONFIGURED' | 'NO_LEAK_PARTNERS' | 'NO_ROTATION' | 'NO_SESSIONS'
  | 'OLD_SECRET_IN_USE' | 'ORIGIN_NOT_ALLOWED' | 'ORIGIN_NOT_LISTED' | 'PROXY_NOT_ACCEPTED' | 'RATE_LIMITED' | 'REPORT_TOO_LARGE'
  | 'ROTATION_IN_PROGRESS' | 'ROUTE_NOT_ALLOWED' | 'ROUTE_NOT_FOUND' | 'SCOPE_NOT_HELD' | 'SESSION_BY_BACKEND_ONLY'
  | 'SEVERAL_CREDENTIALS' | 'SIGNATURE_NOT_ACCEPTED' | 'SLOT_EMPTY' | 'SLOT_IN_USE' | 'SLOT_NOT_FOUND' | 'TURNSTILE_FAILED'
  | 'TURNSTILE_NOT_CONFIGURED' | 'UNAUTHORIZED' | 'UNAVAILABLE' | 'WEBHOOK_INACTIVE' | 'WEBHOOK_NOT_FOUND';

/** A problem document (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ProblemCode;
  request_id: string;
  /** The field that is wrong. */
  field?: string;
  rotation?: Rotation;
  use?: SlotUse[];
}

/** Every operation of the document: what goes in, what comes out, and the codes of its refusals. */
export interface Operations {
  /** `GET /healthz`: Whether it runs. */
  health: {
    answer: Health;
    code: 'INVALID_REQUEST' | 'KEY_IN_URL' | 'INTERNAL_ERROR' | 'NOT_CONFIGURED';
  };
  /** `GET /openapi.json`: This document. */
  openapi: {
    answer: OpenAPI;
    code: 'INVALID_REQUEST' | 'KEY_IN_URL' | 'INTERNAL_ERROR' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/keys`: Keys, the newest first, or by name where `search` asks how it begins. Needs the scope `keyward.keys:read`. */
  listKeys: {
    query: ListKeysQuery;
    answer: Keys;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys`: Create a key; its text is shown this once. Needs the scope `keyward.keys:write`. */
  createKey: {
    body: CreateKeyBody;
    answer: CreatedKey;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'IDEMPOTENCY_KEY_REUSED' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/verify`: Verify a caller's key; `Cache-Control: no-cache` asks the key's authority itself. Needs the scope `keyward.keys:verify`. */
  verifyKey: {
    body: VerifyKeyBody;
    answer: Verdict;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/import`: Take over keys of another system by their SHA-256, one JSON object a line; sending a line again changes nothing. Needs the scope `keyward.keys:write`. */
  importKeys: {
    body: ImportKeysLine[];
    answer: ImportedRow[];
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/keys/{id}`: One key. Needs the scope `keyward.keys:read`. */
  getKey: {
    answer: Key;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'KEY_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `PATCH /v1/keys/{id}`: Change what is named; `null` puts a field back to its default. Needs the scope `keyward.keys:write`. */
  updateKey: {
    body: UpdateKeyBody;
    answer: ChangedKey;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'KEY_REVOKED' | 'INTERNAL_ERROR'
      | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/disable`: Refuse a key until it is enabled. Needs the scope `keyward.keys:write`. */
  disableKey: {
    body: DisableKeyBody;
    answer: ChangedKey;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'KEY_REVOKED' | 'INTERNAL_ERROR'
      | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/enable`: Accept a disabled key again. Needs the scope `keyward.keys:write`. */
  enableKey: {
    body: EnableKeyBody;
    answer: ChangedKey;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'KEY_REVOKED' | 'INTERNAL_ERROR'
      | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/revoke`: Refuse a key for ever; the receipt says from when no edge accepts it, and with `wait` comes after that. Needs the scope `keyward.keys:write`. */
  revokeKey: {
    body: RevokeKeyBody;
    answer: Receipt;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/rotations`: Make a second secret under the same id; the key text is shown this once. Needs the scope `keyward.keys:write`. */
  rotateKey: {
    body: RotateKeyBody;
    answer: StartedRotation;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'KEY_REVOKED' | 'ROTATION_IN_PROGRESS'
      | 'IDEMPOTENCY_KEY_REUSED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/keys/{id}/usage`: How often the key was called, by hour or day: by outcome, by way, by country, and where relayed calls led; the earliest first. Needs the scope `keyward.usage:read`. */
  getUsage: {
    query: GetUsageQuery;
    answer: Usage | string;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'KEY_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/keys/{id}/calls`: Its last calls, the newest first; of a key that is called more than a hundred times between two reports of an edge, the first hundred of each. Needs the scope `keyward.usage:read`. */
  listCalls: {
    query: ListCallsQuery;
    answer: Calls | string;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'KEY_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/keys/{id}/anomalies`: What was found unusual about its use, the newest first: what was expected, what was seen, how unlikely that is. Needs the scope `keyward.usage:read`. */
  listAnomalies: {
    query: ListAnomaliesQuery;
    answer: Anomalies;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'KEY_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/outcomes`: Delivery reports of messages that were sent with the key: a rise in failures and bounces is told. Needs the scope `keyward.usage:write`. */
  reportOutcomes: {
    body: ReportOutcomesBody;
    answer: Outcomes;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `GET /v1/usage`: Calls of all keys by day, and the busiest of them, over 30 days; up to a minute old. Needs the scope `keyward.usage:read`. */
  getOverview: {
    answer: Overview;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /metrics`: Figures for Prometheus. Needs the scope `keyward.metrics:read`. */
  getMetrics: {
    answer: string;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/keys/{id}/rotations/current`: The last rotation, with what was seen of each secret. Needs the scope `keyward.keys:read`. */
  getRotation: {
    answer: Rotation;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'KEY_NOT_FOUND' | 'NO_ROTATION' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/rotations/current/complete`: Keep the new secret alone; refused with the evidence while the old one is in use, unless forced. Needs the scope `keyward.keys:write`. */
  completeRotation: {
    body: CompleteRotationBody;
    answer: EndedRotation;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'KEY_REVOKED' | 'OLD_SECRET_IN_USE'
      | 'NEW_SECRET_UNUSED' | 'NO_ROTATION' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/rotations/current/cancel`: Keep the old secret alone; refused with the evidence while the new one is in use, unless forced. Needs the scope `keyward.keys:write`. */
  cancelRotation: {
    body: CancelRotationBody;
    answer: EndedRotation;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'KEY_REVOKED' | 'NEW_SECRET_IN_USE'
      | 'NO_ROTATION' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/reports/key-safety`: What is unsafe about which key, why, and the request that mends it; a page looks at `limit` keys. Needs the scope `keyward.keys:read`. */
  reportKeySafety: {
    query: ReportKeySafetyQuery;
    answer: KeySafety;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/reports/root-secrets`: Which retired root secrets are still needed, and by how many keys. Needs the scope `keyward.keys:read`. */
  reportRootSecrets: {
    answer: RootSecrets;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/audit`: Every change, the newest first. Needs the scope `keyward.audit:read`. */
  listAudit: {
    query: ListAuditQuery;
    answer: Log;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/audit/verify`: Whether the log is whole, and still holds a head that was kept. Needs the scope `keyward.audit:read`. */
  verifyAudit: {
    query: VerifyAuditQuery;
    answer: LogCheck;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/audit/export`: The log as JSON lines with its hashes, the oldest first; `Link` names the next page. Needs the scope `keyward.audit:read`. */
  exportAudit: {
    query: ExportAuditQuery;
    answer: LogRow[];
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /.well-known/jwks.json`: The keys that signed identities are checked with (RFC 7517). */
  jwks: {
    answer: Jwks;
    code: 'INVALID_REQUEST' | 'KEY_IN_URL' | 'INTERNAL_ERROR' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/routes`: All routes. Needs the scope `keyward.routes:read`. */
  listRoutes: {
    answer: Routes;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/routes/{name}`: One route; its secrets are never shown. Needs the scope `keyward.routes:read`. */
  getRoute: {
    answer: Route;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'ROUTE_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `PUT /v1/routes/{name}`: Write a route; another upstream origin empties its secrets. Needs the scope `keyward.routes:write`. */
  putRoute: {
    body: PutRouteBody;
    answer: ChangedRoute;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `DELETE /v1/routes/{name}`: Remove a route; its sessions end with it. Needs the scope `keyward.routes:write`. */
  deleteRoute: {
    answer: ChangedRoute;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'ROUTE_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `GET /v1/routes/{name}/use`: What was seen of each secret, and which limits were run into. Needs the scope `keyward.routes:read`. */
  getRouteUse: {
    answer: RouteUse;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'ROUTE_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `PUT /v1/routes/{name}/secrets/{slot}`: Set the upstream's secret, or shift traffic to the next one; it is never shown. Needs the scope `keyward.routes:write`. */
  setRouteSecret: {
    body: SetRouteSecretBody;
    answer: ChangedRoute;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'ROUTE_NOT_FOUND' | 'SLOT_NOT_FOUND' | 'INTERNAL_ERROR'
      | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `DELETE /v1/routes/{name}/secrets/{slot}`: Retire a secret; refused with its use while it carries traffic, unless forced. Needs the scope `keyward.routes:write`. */
  retireRouteSecret: {
    query: RetireRouteSecretQuery;
    answer: ChangedRoute;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'ROUTE_NOT_FOUND' | 'SLOT_NOT_FOUND' | 'SLOT_EMPTY'
      | 'SLOT_IN_USE' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/webhooks`: All webhooks. Needs the scope `keyward.webhooks:manage`. */
  listWebhooks: {
    answer: Webhooks;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/webhooks/{name}`: One webhook and where its deliveries stand; its secrets are never shown. Needs the scope `keyward.webhooks:manage`. */
  getWebhook: {
    answer: WebhookState;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'WEBHOOK_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `PUT /v1/webhooks/{name}`: Write a webhook; its secret is shown this once, and anew where another origin is named. Needs the scope `keyward.webhooks:manage`. */
  putWebhook: {
    body: PutWebhookBody;
    answer: WrittenWebhook;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `DELETE /v1/webhooks/{name}`: Remove a webhook; what waits is not sent. Needs the scope `keyward.webhooks:manage`. */
  deleteWebhook: {
    answer: Webhook;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'WEBHOOK_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `POST /v1/webhooks/{name}/rotate-secret`: Make a new secret, shown this once; the old one signs beside it for a day. Needs the scope `keyward.webhooks:manage`. */
  rotateWebhookSecret: {
    answer: WrittenWebhook;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'WEBHOOK_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `GET /v1/webhooks/{name}/deliveries`: The last 200 attempts, the newest first. Needs the scope `keyward.webhooks:manage`. */
  listDeliveries: {
    query: ListDeliveriesQuery;
    answer: Deliveries;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'WEBHOOK_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/webhooks/{name}/replay`: Send one event again, or all that were given up of what happened since. Needs the scope `keyward.webhooks:manage`. */
  replayEvents: {
    body: ReplayEventsBody;
    answer: Replayed;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'WEBHOOK_NOT_FOUND' | 'EVENT_NOT_FOUND' | 'INTERNAL_ERROR'
      | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/webhooks/{name}/test`: Send the event `keyward.test`. Needs the scope `keyward.webhooks:manage`. */
  testWebhook: {
    answer: TestEvent;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'WEBHOOK_NOT_FOUND' | 'WEBHOOK_INACTIVE' | 'INTERNAL_ERROR'
      | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/leaks/github`: Tokens that GitHub's secret scanning found, signed by it: those that are keys are dealt with by their `on_leak`. */
  reportPartnerLeaks: {
    body: ReportPartnerLeaksBody;
    answer: PartnerLabel[];
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SIGNATURE_NOT_ACCEPTED' | 'NO_LEAK_PARTNERS' | 'BODY_TIMEOUT' | 'REPORT_TOO_LARGE'
      | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/leaks`: Texts that one's own pipelines found: those that are keys are dealt with by their `on_leak`. Needs the scope `keyward.leaks:write`. */
  reportLeaks: {
    body: ReportLeaksBody;
    answer: ReportedLeaks;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'BODY_TIMEOUT' | 'REPORT_TOO_LARGE' | 'INTERNAL_ERROR'
      | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/keys/{id}/leak-response`: Revoke a key, replace its secret or disable it, collect what it was used for since, and open an incident; a new key text is shown this once. Needs the scope `keyward.leaks:write`. */
  respondToLeak: {
    body: RespondToLeakBody;
    answer: LeakResponse;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'KEY_NOT_FOUND' | 'KEY_REVOKED' | 'ROTATION_IN_PROGRESS'
      | 'IDEMPOTENCY_KEY_REUSED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/incidents`: Incidents, the newest first. Needs the scope `keyward.leaks:write`. */
  listIncidents: {
    query: ListIncidentsQuery;
    answer: Incidents;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `GET /v1/incidents/{incident}`: One incident: where the key was found, what was done, what remains to be done. Needs the scope `keyward.leaks:write`. */
  getIncident: {
    query: GetIncidentQuery;
    answer: Incident | string;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INCIDENT_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `PATCH /v1/incidents/{incident}`: Tick steps off, add a note, close it or open it again. Needs the scope `keyward.leaks:write`. */
  updateIncident: {
    body: UpdateIncidentBody;
    answer: Incident;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'SCOPE_NOT_HELD' | 'INCIDENT_NOT_FOUND' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'NOT_CONFIGURED';
  };
  /** `GET /v1/authorize`: Forward authentication for a proxy: checks the caller's own key. Any method does. */
  authorize: {
    query: AuthorizeQuery;
    answer: null;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'PROXY_NOT_ACCEPTED' | 'INSUFFICIENT_SCOPE'
      | 'IP_NOT_ALLOWED' | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'INTERNAL_ERROR' | 'UNAVAILABLE' | 'NOT_CONFIGURED';
  };
  /** `POST /v1/relay/sessions`: Begins a session of a browser for a route: from a page of a listed origin, or with a backend's key. Without a key, the request's `Origin` must be listed and the route open to pages; a key needs the scope `keyward.sessions:create`. */
  beginSession: {
    query: BeginSessionQuery;
    body: BeginSessionBody;
    answer: Session;
    code:
      | 'INVALID_REQUEST' | 'KEY_IN_URL' | 'SEVERAL_CREDENTIALS' | 'UNAUTHORIZED' | 'INSUFFICIENT_SCOPE' | 'IP_NOT_ALLOWED'
      | 'COUNTRY_NOT_ALLOWED' | 'ORIGIN_NOT_ALLOWED' | 'ORIGIN_NOT_LISTED' | 'NO_SESSIONS' | 'SESSION_BY_BACKEND_ONLY'
      | 'TURNSTILE_FAILED' | 'ROUTE_NOT_FOUND' | 'BODY_TIMEOUT' | 'RATE_LIMITED' | 'INTERNAL_ERROR' | 'UNAVAILABLE'
      | 'ROUTE_NOT_ALLOWED' | 'TURNSTILE_NOT_CONFIGURED' | 'NOT_CONFIGURED';
  };
}

/** Method and path of every operation; `open`: it takes no key, `once`: it takes an `Idempotency-Key`. */
export const operations: Record<keyof Operations, readonly [method: string, path: string, mark?: 'open' | 'once']> = {
  health: ['GET', '/healthz', 'open'],
  openapi: ['GET', '/openapi.json', 'open'],
  listKeys: ['GET', '/v1/keys'],
  createKey: ['POST', '/v1/keys', 'once'],
  verifyKey: ['POST', '/v1/keys/verify'],
  importKeys: ['POST', '/v1/keys/import'],
  getKey: ['GET', '/v1/keys/{id}'],
  updateKey: ['PATCH', '/v1/keys/{id}'],
  disableKey: ['POST', '/v1/keys/{id}/disable'],
  enableKey: ['POST', '/v1/keys/{id}/enable'],
  revokeKey: ['POST', '/v1/keys/{id}/revoke'],
  rotateKey: ['POST', '/v1/keys/{id}/rotations', 'once'],
  getUsage: ['GET', '/v1/keys/{id}/usage'],
  listCalls: ['GET', '/v1/keys/{id}/calls'],
  listAnomalies: ['GET', '/v1/keys/{id}/anomalies'],
  reportOutcomes: ['POST', '/v1/keys/{id}/outcomes'],
  getOverview: ['GET', '/v1/usage'],
  getMetrics: ['GET', '/metrics'],
  getRotation: ['GET', '/v1/keys/{id}/rotations/current'],
  completeRotation: ['POST', '/v1/keys/{id}/rotations/current/complete'],
  cancelRotation: ['POST', '/v1/keys/{id}/rotations/current/cancel'],
  reportKeySafety: ['GET', '/v1/reports/key-safety'],
  reportRootSecrets: ['GET', '/v1/reports/root-secrets'],
  listAudit: ['GET', '/v1/audit'],
  verifyAudit: ['GET', '/v1/audit/verify'],
  exportAudit: ['GET', '/v1/audit/export'],
  jwks: ['GET', '/.well-known/jwks.json', 'open'],
  listRoutes: ['GET', '/v1/routes'],
  getRoute: ['GET', '/v1/routes/{name}'],
  putRoute: ['PUT', '/v1/routes/{name}'],
  deleteRoute: ['DELETE', '/v1/routes/{name}'],
  getRouteUse: ['GET', '/v1/routes/{name}/use'],
  setRouteSecret: ['PUT', '/v1/routes/{name}/secrets/{slot}'],
  retireRouteSecret: ['DELETE', '/v1/routes/{name}/secrets/{slot}'],
  listWebhooks: ['GET', '/v1/webhooks'],
  getWebhook: ['GET', '/v1/webhooks/{name}'],
  putWebhook: ['PUT', '/v1/webhooks/{name}'],
  deleteWebhook: ['DELETE', '/v1/webhooks/{name}'],
  rotateWebhookSecret: ['POST', '/v1/webhooks/{name}/rotate-secret'],
  listDeliveries: ['GET', '/v1/webhooks/{name}/deliveries'],
  replayEvents: ['POST', '/v1/webhooks/{name}/replay'],
  testWebhook: ['POST', '/v1/webhooks/{name}/test'],
  reportPartnerLeaks: ['POST', '/v1/leaks/github', 'open'],
  reportLeaks: ['POST', '/v1/leaks'],
  respondToLeak: ['POST', '/v1/keys/{id}/leak-response', 'once'],
  listIncidents: ['GET', '/v1/incidents'],
  getIncident: ['GET', '/v1/incidents/{incident}'],
  updateIncident: ['PATCH', '/v1/incidents/{incident}'],
  authorize: ['GET', '/v1/authorize'],
  beginSession: ['POST', '/v1/relay/sessions'],
};
