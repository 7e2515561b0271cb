/** What a caller presents: the one credential of a request, and whether a text can be a key at all. No secret is needed for any of it. */

/** The public parts of a text that has the form of a key. */
export interface Presented {
  /** 16 characters of base62; `null` for a key of another system, whose id only the deployment can tell. */
  id: string | null;
  /** `psk_live_7Qm2ZxT0aBcD3fGh_…`: the only form to log. */
  redacted: string;
}

/** What stands in the header that credentials are sent in; `other` is a slip: meant as a key, and none. */
export type Credential = { is: 'none' } | { is: 'other' } | { is: 'several' } | { is: 'key'; text: string };

const KEY = /^([a-z][a-z0-9]{1,11}_[a-z][a-z0-9]{1,11}_([0-9A-Za-z]{16})_)[0-9A-Za-z]{33}$/;
/** Longest text of a key of another system, in bytes. */
const MOST_FOREIGN = 512;
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** CRC-32 of IEEE 802.3 in six base62 digits (SPEC.md §1.4). */
function checkDigits(text: string): string {
  let crc = -1;
  for (let i = 0; i < text.length; i += 1) {
    crc ^= text.charCodeAt(i);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = ~crc >>> 0;
  let digits = '';
  for (let i = 0; i < 6; i += 1) {
    digits = DIGITS[rest % 62] + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/**
 * Takes a text for a key, or `undefined` where it cannot be one: then nobody has to be asked.
 *
 * @param foreign how keys of other systems begin that the deployment took over
 */
export function presented(text: string, foreign: readonly string[] = []): Presented | undefined {
  const parts = KEY.exec(text);
  if (parts && checkDigits(text.slice(0, -6)) === text.slice(-6)) return { id: parts[2]!, redacted: `${parts[1]}…` };
  const prefix = foreign.find((known) => text.startsWith(known));
  if (prefix === undefined || text.length <= prefix.length || text.length > MOST_FOREIGN || !/^[\x21-\x7e]+$/.test(text)) return undefined;
  return { id: null, redacted: `${prefix}…` };
}

/** Whether a whole key stands anywhere in a URL, where logs and histories keep it. */
export function holdsKey(url: string, foreign: readonly string[] = []): boolean {
  const texts = url.includes('%') ? [url, url.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))] : [url];
  return texts.some((text) => {
    // A key may follow other words in its run (`KEY_psk_live_…`), and ends where the run does.
    const runs = text.match(/[0-9A-Za-z_]{56,}/g) ?? [];
    const own = runs.some((run) => [...run.matchAll(/^|_/g)].some(({ index, 0: { length } }) => presented(run.slice(index + length)) !== undefined));
    return own || (foreign.length > 0 && text.split(/[/?&=#]/).some((word) => presented(word, foreign) !== undefined));
  });
}

/** Reads an `Authorization` value (RFC 6750 §2.1): the scheme in any case, one space, one token. */
export function bearer(value: string | undefined): Credential {
  if (value === undefined) return { is: 'none' };
  // Two headers of one name arrive as one, joined by a comma, which no token contains.
  if (value.includes(',')) return { is: 'several' };
  const text = /^bearer ([\x21-\x7e]+)$/i.exec(value)?.[1];
  if (text !== undefined) return { is: 'key', text };
  // Another scheme presents another credential; a text without one, or after the right one, is meant for here.
  return { is: value !== '' && (/^bearer/i.test(value) || !/\s/.test(value)) ? 'other' : 'none' };
}

/** Reads the value of a header that holds nothing but a credential. */
export function bare(value: string | undefined): Credential {
  if (value === undefined || value === '') return { is: 'none' };
  return value.includes(',') ? { is: 'several' } : { is: 'key', text: value };
}

/** All values of a header as they were sent, joined as `Headers` joins them: node keeps only the first `Authorization`. */
export function sent(rawHeaders: readonly string[], name: string): string | undefined {
  const values = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name);
  return values.length === 0 ? undefined : values.join(', ');
}
