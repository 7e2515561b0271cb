/** What the API answers, by the names that the dashboard has for it. The types are those of the client, which are written from the document. */
import type * as api from 'keyward/client';

export type { Bound, ChangedKey, Delivery, Entry, Finding, Incident, LogCheck, Receipt, Rotation, RouteUse, Seen, SlotUse } from 'keyward/client';

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

export type Key = api.Key & Partial<Pick<api.Keys['data'][number], 'last_used_on'>>;
export type SecretStatus = api.Seen['status'];
export type UsageRow = api.Usage['data'][number];
export type Call = api.Calls['data'][number];
export type Anomaly = api.Anomalies['data'][number];
export type IncidentRow = api.Incidents['data'][number];
export type Route = api.Route & Partial<Pick<api.ChangedRoute, 'effective_by'>>;
export type Slot = NonNullable<api.Route['secrets']['current']>;
export type UnsafeKey = api.KeySafety['data'][number];
/** With what is answered of one alone: its state, and, where it was just written, its secret. */
export type Webhook = api.Webhook & Partial<api.WrittenWebhook & api.WebhookState>;
