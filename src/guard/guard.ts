/** What all guards do, whatever the framework: find the credential, ask the source, and say what is to be answered. */
import { bare, bearer, holdsKey, presented } from './credential.js';
import { answerOf, keyInUrl, noCredential, ofAdmission, ofVerdict, severalCredentials, wayOf } from './decision.js';
import type { Answer, Refusal } from './decision.js';
import { known, quietly } from './notice.js';
import type { Question, Source } from './verdict.js';

/** What a guard is told of a refusal; nothing of it is a secret. */
export interface Refused {
  /** The precise reason, which the caller does not hear. */
  code: string;
  /** What the caller was answered: under this he asks. */
  request_id: string;
  /** `psk_live_7Qm2ZxT0aBcD3fGh_…`; `null` where nothing was presented that can be a key. */
  key: string | null;
}

/** `R` is what the framework calls a request. */
export interface GuardOptions<R> {
  /** What the key must hold, all of it: `resource:action`. */
  scopes?: readonly string[] | ((request: R) => readonly string[]);
  /** What the key must be for: `live`. */
  environment?: string;
  /** How many calls one counts for, in the limits of its key; 1. */
  cost?: number | ((request: R) => number);
  /** The caller's address. Only what a trusted proxy or the platform says: a header that callers can set proves nothing. */
  ip?: (request: R) => string | undefined;
  /** The caller's country, ISO 3166-1 alpha-2, likewise. */
  country?: (request: R) => string | undefined;
  /** The header that keys come in, with nothing else in it: `x-api-key`. `Authorization: Bearer` where it is absent, and nowhere else. */
  header?: string;
  /** Lets calls through that present nothing. What is presented must still be right. */
  optional?: boolean;
  /** Told of each refusal. */
  onRefused?: (refused: Refused) => void;
}

const NAMES = ['scopes', 'environment', 'cost', 'ip', 'country', 'header', 'optional', 'onRefused'];

/** A call, as the framework shows it. */
export interface Call<R> {
  request: R;
  /** Path and query, or the whole URL. */
  url: string;
  /** All values of a header, joined by a comma; its name in lower case. */
  header(name: string): string | undefined;
  /** The peer's address, where the framework vouches for it. */
  ip?: string | undefined;
  waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** What becomes of a call: it goes on, and its answer gets these headers; or it is answered. */
export type Outcome<P> = { admitted: true; principal: P | undefined; headers: [name: string, value: string][] } | { admitted: false; answer: Answer };

const SCOPE = /^[a-z0-9._-]+:[a-z0-9._-]+$/;
const MOST_SCOPE = 100;

function checkScopes(scopes: readonly string[]): readonly string[] {
  if (!Array.isArray(scopes)) throw new TypeError("scopes is an array, such as ['calls:create'], or a function of the request that answers one");
  for (const scope of scopes) {
    if (typeof scope !== 'string' || scope.length > MOST_SCOPE || !SCOPE.test(scope)) throw new TypeError('a needed scope is resource:action without wildcards');
  }
  return scopes;
}

/** What is no number of calls must not be taken for one: a deployment would count it as its default. */
function checkCost(cost: unknown): number {
  if (!Number.isSafeInteger(cost) || Number(cost) < 0) throw new TypeError('cost is a whole number of calls, 0 or more, or a function of the request that answers one');
  return Number(cost);
}

/** `req_` and 18 digits of 0-9a-z. */
function requestId(): string {
  const random = crypto.getRandomValues(new Uint8Array(18));
  return `req_${Array.from(random, (byte) => (byte % 36).toString(36)).join('')}`;
}

/** An address as a deployment reads it; `undefined` for what is none, so that a key that is restricted to addresses is refused. */
export function address(text: string | undefined): string | undefined {
  if (typeof text !== 'string' || text.length > 64) return undefined;
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return text.split('.').every((part) => Number(part) < 256 && String(Number(part)) === part) ? text : undefined;
  const [bareText] = text.split('%') as [string];
  return /^[0-9a-f:.]+$/i.test(bareText) && bareText.includes(':') && URL.canParse(`http://[${bareText}]/`) ? bareText : undefined;
}

const MOST_ORIGIN = 260;
/** The `Origin` of a request, where it can stand on a key's list. */
const originOf = (text: string | undefined): string | undefined =>
  (text !== undefined && text.length <= MOST_ORIGIN && /^[\x21-\x7e]+$/.test(text) ? text : undefined);

/** A country as a deployment reads it. */
const countryOf = (text: string | undefined): string | undefined => (typeof text === 'string' && /^[A-Z]{2}$/.test(text) ? text : undefined);

/** `undefined` leaves a member out. */
const told = <T extends object>(facts: T) =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };

/**
 * A guard without a framework.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export function guardian<R, P>(source: Source<P>, options: GuardOptions<R> = {}): (call: Call<R>) => Promise<Outcome<P>> {
  known(options, NAMES, 'guard()');
  if (typeof source?.judge !== 'function') throw new TypeError('guard() needs deployment(…), local(…) or identity(…)');
  const { scopes = [], environment, cost = 1, ip, country, optional = false, onRefused } = options;
  if (typeof scopes !== 'function') checkScopes(scopes);
  if (typeof cost !== 'function') checkCost(cost);
  for (const [name, of] of Object.entries({ ip, country, onRefused })) if (of !== undefined && typeof of !== 'function') throw new TypeError(`${name} is a function`);
  if (source.about === 'identity' && options.header !== undefined) throw new TypeError('an identity comes in Keyward-Identity and nowhere else');
  const header = source.about === 'identity' ? 'keyward-identity' : (options.header ?? 'authorization').toLowerCase();
  if (!/^[a-z0-9-]+$/.test(header)) throw new TypeError('header is the name of a header');
  const way = wayOf(header, source.about);
  const { foreign_prefixes: foreign } = source;

  const refuse = (refusal: Refusal, code: string, text?: string): Outcome<P> => {
    const request_id = requestId();
    const key = text === undefined || source.about === 'identity' ? null : (presented(text, foreign)?.redacted ?? null);
    if (onRefused) quietly(() => onRefused({ code, request_id, key }));
    return { admitted: false, answer: answerOf(refusal, request_id) };
  };

  /** Whether a key stands in `Authorization`, too, where another header is the one that counts. */
  const hasAnother = (call: Call<R>): boolean => {
    if (header === 'authorization' || source.about === 'identity') return false;
    const other = bearer(call.header('authorization'));
    return other.is === 'several' || (other.is === 'key' && presented(other.text, foreign) !== undefined);
  };

  return async (call) => {
    if (holdsKey(call.url, foreign)) return refuse(keyInUrl(way), 'KEY_IN_URL');
    const value = call.header(header);
    const credential = header === 'authorization' ? bearer(value) : bare(value);
    // Who presents what is no key is told so, and is not taken for somebody who presents nothing.
    if (credential.is === 'other') return refuse(noCredential(way), 'NO_CREDENTIAL');
    if (credential.is === 'none') return optional ? { admitted: true, principal: undefined, headers: [] } : refuse(noCredential(way), 'NO_CREDENTIAL');
    if (credential.is === 'several' || hasAnother(call)) return refuse(severalCredentials(way), 'SEVERAL_CREDENTIALS');
    const { request } = call;
    const question: Question = {
      key: credential.text,
      scopes: typeof scopes === 'function' ? checkScopes(scopes(request)) : scopes,
      cost: typeof cost === 'function' ? checkCost(cost(request)) : cost,
      ...told({ environment, ip: address(ip ? ip(request) : call.ip), country: countryOf(country?.(request)), origin: originOf(call.header('origin')) }),
    };
    const verdict = await source.judge(question, call.waitUntil);
    if (!verdict.valid) return refuse(ofVerdict(verdict, question.scopes, way), verdict.code, credential.text);
    return { admitted: true, principal: verdict.principal, headers: ofAdmission(verdict) };
  };
}
