/** The log of all changes, and the reports. */
import type { Entry, ExportAuditQuery, KeySafety, ListAuditQuery, Log, LogCheck, LogRow, ReportKeySafetyQuery, RootSecrets, VerifyAuditQuery } from './api.js';
import { pages, type Pages } from './pages.js';
import { json, lines, typed, type CallOptions, type Send } from './send.js';

/** A page of an export. */
export interface ExportPage {
  /** JSON lines, as they are to be kept. */
  text: string;
  /** Head of the log. Kept elsewhere, it shows later whether the log was cut. */
  head: string | null;
}

export const audit = (send: Send) => {
  const page = async (query: ExportAuditQuery = {}, options?: CallOptions): Promise<ExportPage> => {
    const { text, headers } = await typed(send('exportAudit', { query, ...options }), 'application/jsonl');
    return { text, head: headers.get('keyward-log-head') };
  };
  return {
    /** Every change, the newest first. */
    list: (query: ListAuditQuery = {}, options?: CallOptions): Pages<Entry> => pages((cursor) => json<Log>(send('listAudit', { query: { ...query, cursor }, ...options })), query.cursor),
    /** Whether the log is whole, and still holds a head that was kept. */
    verify: (query: VerifyAuditQuery = {}, options?: CallOptions) => json<LogCheck>(send('verifyAudit', { query, ...options })),
    /** Rows with their hashes, the oldest first, to the end of the log. */
    async* export(query: ExportAuditQuery = {}, options?: CallOptions): AsyncGenerator<LogRow, void> {
      // The page after the last one is empty. `Link` says so earlier, but is not shown to every page of a browser.
      for (let after = query.after; ;) {
        const rows = await lines<LogRow>(send('exportAudit', { query: { ...query, after }, ...options }));
        yield* rows;
        const last = rows.at(-1)?.position;
        if (last === undefined || (after !== undefined && last <= after)) return;
        after = last;
      }
    },
    /** Up to a thousand rows as the text that they are kept as. */
    exportPage: page,
  };
};

export const reports = (send: Send) => ({
  /** What is unsafe about which key, why, and the request that mends it. */
  keySafety: (query: ReportKeySafetyQuery = {}, options?: CallOptions): Pages<KeySafety['data'][number]> =>
    pages((cursor) => json<KeySafety>(send('reportKeySafety', { query: { ...query, cursor }, ...options })), query.cursor),
  /** Which retired root secrets are still needed, and by how many keys. */
  rootSecrets: (options?: CallOptions) => json<RootSecrets>(send('reportRootSecrets', options)),
});
