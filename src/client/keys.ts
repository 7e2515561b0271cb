/** Keys: made, changed, verified, ended; what is known of their use; the replacement of their secrets. */
import type {
  Anomalies, Calls, CancelRotationBody, ChangedKey, CompleteRotationBody, CreateKeyBody, CreatedKey, DisableKeyBody, EnableKeyBody, EndedRotation, GetUsageQuery, ImportKeysLine,
  ImportedRow, Key, Keys, ListAnomaliesQuery, ListCallsQuery, ListKeysQuery, Outcomes, Receipt, ReportOutcomesBody, RevokeKeyBody, RotateKeyBody, Rotation, StartedRotation,
  UpdateKeyBody, Usage, Verdict, VerifyKeyBody,
} from './api.js';
import { pages, type Pages } from './pages.js';
import { json, lines, typed, type CallOptions, type CreateOptions, type Send } from './send.js';

/** Longest that an answer with `wait` is in coming, in milliseconds: the longest lease, and what is added for the rate of clocks. */
const WAIT_MS = 65_000;
const lasts = (body: { wait?: boolean | null | undefined } | undefined) => (body?.wait ? WAIT_MS : 0);

export interface VerifyOptions extends CallOptions {
  /** The key's authority itself gives the verdict, and no lease: slower, and true at its instant. */
  fresh?: boolean | undefined;
}

const rotations = (send: Send) => ({
  /**
   * Makes a second secret under the same id. Its text (`key`) is in this answer alone; where it is absent, an earlier attempt had made it and its
   * answer was lost: cancel that rotation and begin anew.
   */
  start: (id: string, body?: RotateKeyBody, options?: CreateOptions) => json<StartedRotation>(send('rotateKey', { path: { id }, body, ...options })),
  /** The last rotation, with what was seen of each secret. */
  get: (id: string, options?: CallOptions) => json<Rotation>(send('getRotation', { path: { id }, ...options })),
  /** Keeps the new secret alone. Refused with the evidence (`problem.rotation`) while the old one is in use, unless forced. */
  complete: (id: string, body?: CompleteRotationBody, options?: CallOptions) => json<EndedRotation>(send('completeRotation', { path: { id }, body, lasts: lasts(body), ...options })),
  /** Keeps the old secret alone. Refused with the evidence while the new one is in use, unless forced. */
  cancel: (id: string, body?: CancelRotationBody, options?: CallOptions) => json<EndedRotation>(send('cancelRotation', { path: { id }, body, lasts: lasts(body), ...options })),
});

export const keys = (send: Send) => ({
  /**
   * Makes a key. Its text (`key`) is in this answer alone; where it is absent, an earlier attempt had made the key and its answer was lost: revoke
   * that key and make another.
   */
  create: (body: CreateKeyBody, options?: CreateOptions) => json<CreatedKey>(send('createKey', { body, ...options })),
  /** Keys, the newest first, or by name where `search` asks how it begins. */
  list: (query: ListKeysQuery = {}, options?: CallOptions): Pages<Keys['data'][number]> => pages((cursor) => json<Keys>(send('listKeys', { query: { ...query, cursor }, ...options })), query.cursor),
  get: (id: string, options?: CallOptions) => json<Key>(send('getKey', { path: { id }, ...options })),
  /** Changes what is named; `null` puts a field back to its default. */
  update: (id: string, body: UpdateKeyBody, options?: CallOptions) => json<ChangedKey>(send('updateKey', { path: { id }, body, ...options })),
  /**
   * The verdict on a caller's key. Whoever keeps it may keep it for `freshness.lease_remaining_ms` from before the question. Repeated after a failure,
   * a call of a limited key may count twice.
   */
  verify: (body: VerifyKeyBody, { fresh, ...options }: VerifyOptions = {}) => json<Verdict>(send('verifyKey', { body, hide: [body.key], headers: fresh ? { 'Cache-Control': 'no-cache' } : {}, ...options })),
  /** Takes over keys of another system: up to 500 lines and 1 MB at a time; sending a line again changes nothing. */
  import: (rows: Iterable<ImportKeysLine>, options?: CallOptions) => {
    const all = [...rows];
    return lines<ImportedRow>(send('importKeys', { body: all.map((row) => `${JSON.stringify(row)}\n`).join(''), hide: all.map((row) => row?.sha256), ...options }));
  },
  /** Refuses the key until it is enabled. */
  disable: (id: string, body?: DisableKeyBody, options?: CallOptions) => json<ChangedKey>(send('disableKey', { path: { id }, body, lasts: lasts(body), ...options })),
  /** Accepts a disabled key again. */
  enable: (id: string, body?: EnableKeyBody, options?: CallOptions) => json<ChangedKey>(send('enableKey', { path: { id }, body, lasts: lasts(body), ...options })),
  /** Refuses the key for ever. The receipt says from when no edge accepts it; with `wait` it comes after that. */
  revoke: (id: string, body?: RevokeKeyBody, options?: CallOptions) => json<Receipt>(send('revokeKey', { path: { id }, body, lasts: lasts(body), ...options })),
  rotations: rotations(send),
  /** How often it was called, by hour or day, the earliest first. */
  usage: (id: string, query: Omit<GetUsageQuery, 'format'> = {}, options?: CallOptions) => json<Usage>(send('getUsage', { path: { id }, query, ...options })),
  /** The same as CSV. */
  usageCsv: async (id: string, query: Omit<GetUsageQuery, 'format'> = {}, options?: CallOptions) => (await typed(send('getUsage', { path: { id }, query: { ...query, format: 'csv' }, ...options }), 'text/csv')).text,
  /** Its last calls, the newest first. */
  calls: (id: string, query: Omit<ListCallsQuery, 'format'> = {}, options?: CallOptions) => json<Calls>(send('listCalls', { path: { id }, query, ...options })),
  /** The same as CSV. */
  callsCsv: async (id: string, query: Omit<ListCallsQuery, 'format'> = {}, options?: CallOptions) => (await typed(send('listCalls', { path: { id }, query: { ...query, format: 'csv' }, ...options }), 'text/csv')).text,
  /** What was found unusual about its use, the newest first. */
  anomalies: (id: string, query: ListAnomaliesQuery = {}, options?: CallOptions) => json<Anomalies>(send('listAnomalies', { path: { id }, query, ...options })),
  /** Delivery reports of messages that were sent with it. */
  reportOutcomes: (id: string, body: ReportOutcomesBody, options?: CallOptions) => json<Outcomes>(send('reportOutcomes', { path: { id }, body, ...options })),
});
