/** Values of flags, as they are typed. */
import { type Command, InvalidArgumentError } from 'commander';
import type { CreateKeyBody } from '../client/index.js';

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** `30d`, `12h` in seconds; `undefined` for what is none. */
function span(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * (UNITS[unit] as number);
}

/** A date or a time of RFC 3339; what a runtime's own parser takes beyond them is anybody's guess. */
const RFC_3339 = /^(\d{4}-\d{2}-\d{2})(?:T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))?$/i;

/** Milliseconds since the epoch; `undefined` for what is none. */
function dated(text: string): number | undefined {
  const date = RFC_3339.exec(text)?.[1];
  if (date === undefined) return undefined;
  const day = new Date(`${date}T00:00:00Z`);
  // The parser makes 2 March of 30 February.
  return Number.isNaN(day.getTime()) || !day.toISOString().startsWith(date) ? undefined : Date.parse(text.toUpperCase());
}

function instant(text: string, sign: 1 | -1): string {
  const seconds = span(text);
  const at = new Date((seconds === undefined ? dated(text) : Date.now() + sign * seconds * 1000) ?? NaN);
  // Four digits are all that a year has there.
  if (Number.isNaN(at.getTime()) || !/^\d{4}-/.test(at.toISOString())) throw new InvalidArgumentError('A time is 90d, 12h, 30m, 2026-11-21 or 2026-11-21T08:00:00Z.');
  return at.toISOString();
}
/** A time to come: `90d` is in 90 days. */
export const ahead = (text: string) => instant(text, 1);
/** A time that is past: `7d` is 7 days ago. */
export const ago = (text: string) => instant(text, -1);

/** A span in seconds: `3600` or `1h`. */
export function seconds(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : span(text);
  if (value === undefined) throw new InvalidArgumentError('A span is a number of seconds, or 30m, 12h, 7d.');
  return value;
}

const NAMES: [seconds: number, one: string, many: string][] = [[86_400, 'a day', 'days'], [3600, 'an hour', 'hours'], [60, 'a minute', 'minutes'], [1, 'a second', 'seconds']];

/** Seconds in words, in the largest unit that they fill: `a day`, `36 hours`. */
export function spanned(time: number): string {
  const [unit, one, many] = NAMES.find(([size]) => time >= size && time % size === 0) ?? [1, '', 'seconds'];
  return time === unit ? one : `${time / unit} ${many}`;
}

export function count(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It is a whole number.');
  return Number(text);
}

/** For flags that may be given several times, or once with commas. */
export function several(text: string, before: string[] = []): string[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.includes('')) throw new InvalidArgumentError('One of its values is empty.');
  return [...before, ...parts];
}

/** Remarks: an empty one says that there is none, and is not asked for. */
const REMARKS = ['note', 'reason'];

/** Has no option of these commands take an empty value. It is mostly a variable that is not set, and would drop what it stands for: a check, a restriction, a filter. */
export function refuseEmpty(command: Command): void {
  for (const option of command.options) {
    if (!option.required || REMARKS.includes(option.name())) continue;
    const read: ((text: string, before: unknown) => unknown) | undefined = option.parseArg;
    option.argParser((text: string, before: unknown) => {
      if (text.trim() === '') throw new InvalidArgumentError(`It is empty: leave it out${command.options.some(({ long }) => long === '--reset') ? ', or put a field back with --reset' : ''}.`);
      return read === undefined ? text : read(text, before);
    });
  }
  command.commands.forEach(refuseEmpty);
}

/** `requests=100/60s`, with a burst `requests=100/60s/20`. */
export function limit(text: string, before: NonNullable<CreateKeyBody['rate_limits']> = []) {
  const [, name, calls, window, burst] = /^([a-z][a-z0-9_-]{0,31})=(\d+)\/(\d+[smhdw]?)(?:\/(\d+))?$/.exec(text) ?? [];
  if (name === undefined || window === undefined) throw new InvalidArgumentError('A limit is name=calls/window, such as requests=100/60s.');
  return [...before, { name, limit: Number(calls), window_seconds: seconds(window), ...(burst === undefined ? {} : { burst: Number(burst) }) }];
}

/** `monthly=10000/month`. */
export function quota(text: string, before: NonNullable<CreateKeyBody['quotas']> = []) {
  const [, name, calls, period] = /^([a-z][a-z0-9_-]{0,31})=(\d+)\/(day|month|total)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('A quota is name=calls/period, such as monthly=10000/month; periods are day, month and total.');
  return [...before, { name, limit: Number(calls), period: period as 'day' | 'month' | 'total' }];
}

export function object(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below, without the text.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidArgumentError('It is a JSON object.');
  return value as Record<string, unknown>;
}
