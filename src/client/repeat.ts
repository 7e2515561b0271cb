/** Whether a call may be sent again, and when. Pure: time and chance come as values. */

/** Delays before the second, third … attempt grow from this, in milliseconds, to at most {@link LONGEST_MS}. */
const FIRST_MS = 200;
const LONGEST_MS = 5_000;
/** A deployment that asks to be left alone for longer is not asked again by this call. */
const PATIENCE_SECONDS = 30;

/** What an attempt ended with, where it was not accepted. */
export interface Ending {
  /** 0 where no answer arrived. */
  status: number;
  /** What `Retry-After` asks for, in seconds. */
  retryAfter?: number | undefined;
  /** Whether it is certain that nothing was sent. */
  unsent?: boolean;
}

/**
 * Milliseconds until the next attempt; `undefined` where there is none.
 *
 * @param safe whether the call does no harm when it is carried out twice
 * @param attempt counts from 0
 * @param chance 0 to 1: full jitter, so that clients that failed together do not come back together
 */
export function delay({ status, retryAfter, unsent = false }: Ending, { safe, attempt, retries, chance }: { safe: boolean; attempt: number; retries: number; chance: number }): number | undefined {
  if (attempt >= retries || !(status === 0 || status === 429 || status === 503) || !(safe || unsent)) return undefined;
  if (retryAfter !== undefined && retryAfter > PATIENCE_SECONDS) return undefined;
  const jitter = chance * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return (retryAfter ?? 0) * 1000 + jitter;
}

const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';
/** The three forms of a date of HTTP (RFC 9110 §5.6.7). */
const DATES = [
  /^[A-Z][a-z]{2}, (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^[A-Z][a-z]{5,8}, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
];

/** Milliseconds since the epoch; `NaN` for what is no date. What a runtime's own parser takes beyond these forms differs from one to the next. */
function httpDate(text: string, now: number): number {
  const { day = '', month = '', year = '', time = '' } = DATES.map((form) => form.exec(text)?.groups).find(Boolean) ?? {};
  const at = MONTHS.indexOf(month) / 3 + 1;
  if (month === '' || !Number.isInteger(at)) return NaN;
  // Two digits are of the last hundred years that are not more than fifty ahead.
  const full = year.length === 4 ? Number(year) : 2000 + Number(year) - (2000 + Number(year) > new Date(now).getUTCFullYear() + 50 ? 100 : 0);
  return Date.parse(`${full}-${String(at).padStart(2, '0')}-${day.replace(' ', '0')}T${time}Z`);
}

/** Seconds from now that a `Retry-After` names (RFC 9110 §10.2.3), of either form; `undefined` where it says nothing. */
export function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  // However long it asks for, it is a number that JSON has.
  if (/^\d+$/.test(value)) return Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  const at = httpDate(value, now);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now) / 1000));
}
