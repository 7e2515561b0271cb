/** Texts and values of the dashboard, without the page: what can be said of a time, a key's text, a list that somebody typed. */

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

const CLOCK = { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;
const SHOWN = new Intl.DateTimeFormat('en-GB', { ...CLOCK, timeZoneName: 'shortOffset' });
const EXACT = new Intl.DateTimeFormat('en-GB', { ...CLOCK, fractionalSecondDigits: 3, timeZoneName: 'longOffset' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const DAY_UTC = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
// What Intl calls GMT is UTC.
const written = (format: Intl.DateTimeFormat, iso: string) => format.format(new Date(iso)).replace('GMT', 'UTC');

/** An instant in the reader's own time zone, which is said: `22 Nov 2026, 03:05:25 UTC+1`. */
export const when = (iso: string) => written(SHOWN, iso);
/** An instant to the millisecond, with its whole offset: `22 Nov 2026, 03:05:25.120 UTC+01:00`. */
export const exactly = (iso: string) => written(EXACT, iso);
/** The day of an instant in the reader's own time zone; a date alone is that date everywhere. */
export const day = (iso: string) => written(iso.length > 10 ? DAY : DAY_UTC, iso);
/** The reader's time zone, by name. */
export const zone = () => SHOWN.resolvedOptions().timeZone;

/** Seconds in the largest units that say it exactly: `1 day`, `90 s`, `2 hours`. */
export function span(seconds: number): string {
  for (const [unit, size] of [['day', 86_400], ['hour', 3600], ['minute', 60]] as const) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}${seconds === size ? '' : 's'}`;
  }
  return `${seconds} s`;
}

/** How long ago, or in how long, roughly. */
export function ago(iso: string, now: number): string {
  const ms = now - Date.parse(iso);
  const past = Math.abs(ms);
  const said = past < 60_000 ? `${Math.round(past / 1000)} s` : past < HOUR_MS ? `${Math.round(past / 60_000)} min` : past < 2 * DAY_MS ? `${Math.round(past / HOUR_MS)} h` : `${Math.round(past / DAY_MS)} days`;
  return ms >= 0 ? `${said} ago` : `in ${said}`;
}

/**
 * The id in a key's text, whole or redacted, or an id alone; `undefined` for any other text. A text that is pasted into the search is
 * looked up by this: the rest of a key must not get into a URL.
 */
export function idIn(text: string): string | undefined {
  return /^(?:[a-z][a-z0-9]{1,11}_[a-z][a-z0-9]{1,11}_)?([0-9A-Za-z]{16})(?:_[0-9A-Za-z…]*)?$/.exec(text.trim())?.[1];
}

/** Whether a text holds what could be a credential: no URL may carry it. */
export const looksSecret = (text: string) => /[0-9A-Za-z]{20,}/.test(text);

/** The name of an environment variable for a key of that name. */
export function variable(name: string): string {
  const words = name.toUpperCase().replace(/[^A-Z0-9]+/g, '_').replace(/^_+|_+$/g, '').slice(0, 40);
  return `${/^[A-Z]/.test(words) ? `${words}_` : ''}API_KEY`;
}

/** The entries of a list that somebody typed: by line, blank or comma, each once. */
export const entries = (text: string) => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

/** What differs, as a PATCH takes it; `null` puts a field back to its default. Values are compared as JSON. */
export function differences(before: Record<string, unknown>, after: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).map((name) => [name, after[name]]));
}

/** An instant as a `datetime-local` field has it: the reader's time zone, to the second. */
export function localTime(iso: string | null): string {
  if (iso === null) return '';
  const date = new Date(iso);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** What a `datetime-local` field holds, as an instant. */
export const instant = (local: string) => (local === '' ? null : new Date(local).toISOString());

/** A point of a chart. */
export interface Point {
  /** Unix seconds. */
  at: number;
  accepted: number;
  refused: number;
}

/** Rows of use with the hours or days between them in which nothing was called. `from` and `to` are instants; `to` is not in it. */
export function points(rows: { at: string; calls: number; outcomes: Record<string, number> }[], by: 'hour' | 'day', from: string, to: string): Point[] {
  const step = by === 'hour' ? HOUR_MS : DAY_MS;
  const known = new Map(rows.map((row) => [Math.floor(Date.parse(row.at) / step), row]));
  const first = Math.floor(Date.parse(from) / step);
  const count = Math.max(0, Math.ceil(Date.parse(to) / step) - first);
  return Array.from({ length: count }, (_, index) => {
    const row = known.get(first + index);
    const accepted = row?.outcomes['VALID'] ?? 0;
    return { at: ((first + index) * step) / 1000, accepted, refused: (row?.calls ?? 0) - accepted };
  });
}

/** A name of a log's row, a route's state or a detector in words: `key.rotation_started` is `key rotation started`. */
export const words = (name: string) => name.replace(/[._]/g, ' ').toLowerCase();

/** A web address that may stand in a link, or `undefined`: what others reported may be anything. */
export function linkable(text: string): string | undefined {
  try {
    const { protocol, href } = new URL(text);
    return protocol === 'https:' || protocol === 'http:' ? href : undefined;
  } catch {
    return undefined;
  }
}
