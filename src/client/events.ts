/** What happens to keys and who is told of it: webhooks, leaks, incidents. */
import type {
  Deliveries, Delivery, Incident, Incidents, LeakResponse, ListDeliveriesQuery, ListIncidentsQuery, PartnerLabel, PutWebhookBody, ReplayEventsBody, Replayed, ReportLeaksBody,
  ReportedLeaks, RespondToLeakBody, TestEvent, UpdateIncidentBody, Webhook, WebhookState, Webhooks, WrittenWebhook,
} from './api.js';
import { pages, type Pages } from './pages.js';
import { json, typed, type CallOptions, type CreateOptions, type Send } from './send.js';

export const webhooks = (send: Send) => ({
  list: async (options?: CallOptions) => (await json<Webhooks>(send('listWebhooks', options))).data,
  /** One webhook and where its deliveries stand; its secrets are never shown. */
  get: (name: string, options?: CallOptions) => json<WebhookState>(send('getWebhook', { path: { name }, ...options })),
  /** Writes a webhook. Its `secret` is in the answer that made it alone; where that was lost, {@link rotateSecret} makes another. */
  put: (name: string, body: PutWebhookBody, options?: CallOptions) => json<WrittenWebhook>(send('putWebhook', { path: { name }, body, ...options })),
  /** Removes a webhook; what waits is not sent. Where an answer was lost and it is asked for again, that is a `WEBHOOK_NOT_FOUND`. */
  delete: (name: string, options?: CallOptions) => json<Webhook>(send('deleteWebhook', { path: { name }, ...options })),
  /** Makes a new secret, shown this once; the old one signs beside it for a day. */
  rotateSecret: (name: string, options?: CallOptions) => json<WrittenWebhook>(send('rotateWebhookSecret', { path: { name }, ...options })),
  /** The last 200 attempts, the newest first. */
  deliveries: (name: string, query: ListDeliveriesQuery = {}, options?: CallOptions): Pages<Delivery> =>
    pages((cursor) => json<Deliveries>(send('listDeliveries', { path: { name }, query: { ...query, cursor }, ...options })), query.cursor),
  /** Sends one event again, or all that were given up of what happened since. */
  replay: (name: string, body: ReplayEventsBody, options?: CallOptions) => json<Replayed>(send('replayEvents', { path: { name }, body, ...options })),
  /** Sends the event `keyward.test`. */
  test: (name: string, options?: CallOptions) => json<TestEvent>(send('testWebhook', { path: { name }, ...options })),
});

/** The keys that a partner's scanner reports, as far as its body can be read: the deployment judges it, not the client. */
function tokens(body: string | Uint8Array): string[] {
  try {
    return (JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body)) as { token: string }[]).map(({ token }) => token);
  } catch {
    return [];
  }
}

export const leaks = (send: Send) => ({
  /** Texts that were found in the open, up to 500: those that are keys are dealt with by their `on_leak`. */
  report: (body: ReportLeaksBody, options?: CallOptions) => json<ReportedLeaks>(send('reportLeaks', { body, hide: (body.leaks ?? []).map(({ key }) => key), ...options })),
  /** What a partner's scanner signed: its body, byte for byte, with the two headers that came along. */
  reportSigned: (body: string | Uint8Array, signed: { identifier: string; signature: string }, options?: CallOptions) =>
    json<PartnerLabel[]>(send('reportPartnerLeaks', { body, hide: tokens(body), headers: { 'Github-Public-Key-Identifier': signed.identifier, 'Github-Public-Key-Signature': signed.signature }, ...options })),
  /** Ends a key or replaces its secret, collects what it was used for since, and opens an incident. A new key text is in this answer alone. */
  respond: (id: string, body: RespondToLeakBody, options?: CreateOptions) => json<LeakResponse>(send('respondToLeak', { path: { id }, body, ...options })),
});

export const incidents = (send: Send) => ({
  /** Incidents, the newest first. */
  list: (query: ListIncidentsQuery = {}, options?: CallOptions): Pages<Incidents['data'][number]> =>
    pages((cursor) => json<Incidents>(send('listIncidents', { query: { ...query, cursor }, ...options })), query.cursor),
  get: (incident: string, options?: CallOptions) => json<Incident>(send('getIncident', { path: { incident }, ...options })),
  /** The same as Markdown, for a ticket. */
  markdown: async (incident: string, options?: CallOptions) => (await typed(send('getIncident', { path: { incident }, query: { format: 'markdown' }, ...options }), 'text/markdown')).text,
  /** Ticks steps off, adds a note, closes it or opens it again. */
  update: (incident: string, body: UpdateIncidentBody, options?: CallOptions) => json<Incident>(send('updateIncident', { path: { incident }, body, ...options })),
});
