/** What a caller is answered: the one mapping from what was found to a problem document (RFC 9457), in the words of the Worker. */
import type { Limit, Quota, Verdict } from './verdict.js';

/** An answer that any framework can send. */
export interface Answer {
  status: number;
  headers: [name: string, value: string][];
  body: string;
}

/** A request that is not granted, before it has an id. */
export interface Refusal {
  status: number;
  code: string;
  title: string;
  detail: string;
  headers: [name: string, value: string][];
}

/** How callers send what a guard looks at: words for them, and the scheme of the challenge. */
export interface Way {
  scheme: string;
  /** How to send it, as in `send it as …`. */
  as: string;
  what: 'key' | 'identity';
}

/** How keys are sent in a header: `Authorization` as a bearer, any other as it is. */
export const wayOf = (header: string, about: 'key' | 'identity'): Way => {
  if (about === 'identity') return { scheme: 'Keyward-Identity', as: 'call through the keyward route of this origin, which adds it', what: about };
  if (header === 'authorization') return { scheme: 'Bearer', as: 'send it as Authorization: Bearer <key>', what: about };
  return { scheme: 'ApiKey', as: `send it as ${header}: <key>`, what: about };
};

const challenge = ({ scheme }: Way, error = '', scope = ''): [string, string] => [
  'WWW-Authenticate',
  `${scheme} realm="keyward"${error && `, error="${error}"`}${scope && `, scope="${scope}"`}`,
];

const refusal = (status: number, code: string, title: string, detail: string, ...headers: [string, string][]): Refusal => ({ status, code, title, detail, headers });

/** Nothing was presented: a challenge without an error code (RFC 6750 §3). */
export const noCredential = (way: Way): Refusal =>
  refusal(401, 'UNAUTHORIZED', way.what === 'key' ? 'A key is required' : 'An identity is required', way.as, challenge(way));

/** More than one credential where one is wanted (RFC 6750 §3.1). */
export const severalCredentials = (way: Way): Refusal =>
  refusal(400, 'SEVERAL_CREDENTIALS', 'More than one credential', `send one ${way.what}, in one header`, challenge(way, 'invalid_request'));

/** A key in a URL, where it would be logged. */
export function keyInUrl(way: Way): Refusal {
  const how = way.what === 'key' ? `, and ${way.as.replace('send it', 'send keys')}` : '';
  return refusal(400, 'KEY_IN_URL', 'A key stands in the URL', `a URL ends up in logs and histories: treat that key as leaked${how}`);
}

/** What a caller hears who is refused for any reason that concerns only the owner: one answer for all of them. */
const notAccepted = (way: Way): Refusal =>
  way.what === 'key'
    ? refusal(401, 'UNAUTHORIZED', 'The key is not accepted', 'it is not valid here; its owner finds why under the request id', challenge(way, 'invalid_token'))
    : refusal(401, 'UNAUTHORIZED', 'The identity is not accepted', 'it does not come from this origin\'s route, or is over', challenge(way, 'invalid_token'));

/** Nobody could say. */
const unavailable = (code: string, way: Way): Refusal =>
  refusal(503, code, 'Not available right now', `the ${way.what} could not be checked; nothing was changed; try again`, ['Retry-After', '1']);

/** The answer to a verdict that is not valid, for a call that needed `scopes`. */
export function ofVerdict(verdict: Verdict<unknown> & { valid: false }, scopes: readonly string[], way: Way): Refusal {
  const { code } = verdict;
  switch (code) {
    case 'IP_NOT_ALLOWED':
      return refusal(403, code, 'Not from this address', 'the key is not allowed from the address of this call');
    case 'COUNTRY_NOT_ALLOWED':
      return refusal(403, code, 'Not from this country', 'the key is not allowed from the country of this call');
    case 'ORIGIN_NOT_ALLOWED':
      return refusal(403, code, 'Not from this origin', 'the key is not allowed from the origin of this call');
    case 'INSUFFICIENT_SCOPE': {
      const scope = scopes.join(' ');
      return refusal(403, code, 'The key lacks a scope', `this needs the scope ${scope}`, challenge(way, 'insufficient_scope', scope));
    }
    case 'RATE_LIMITED':
      return refusal(429, code, 'Too many calls', 'a rate limit of the key is reached', ...retryAfter(verdict), ...ofLimits(verdict));
    case 'QUOTA_EXCEEDED':
      return refusal(429, code, 'No calls left', 'a quota of the key is spent', ...retryAfter(verdict), ...ofLimits(verdict));
    case 'UNAVAILABLE':
    case 'LIMITS_NOT_COUNTED':
      return unavailable(code, way);
    default:
      return notAccepted(way);
  }
}

const retryAfter = ({ retry_after_seconds }: { retry_after_seconds?: number }): [string, string][] =>
  retry_after_seconds === undefined ? [] : [['Retry-After', String(retry_after_seconds)]];

/** What is left of the limits of a key (draft-ietf-httpapi-ratelimit-headers-11). */
function ofLimits({ limits, quotas }: { limits: Limit[]; quotas: Quota[] }, now = Date.now()): [string, string][] {
  if (limits.length + quotas.length === 0) return [];
  const policies = [
    ...limits.map(({ name, limit, window_seconds: w }) => `"${name}";q=${limit};w=${w}`),
    ...quotas.map(({ name, limit }) => `"${name}";q=${limit}`),
  ];
  const seconds = (resets_at: string | null) => (resets_at === null ? null : Math.max(0, Math.ceil((Date.parse(resets_at) - now) / 1000)));
  const left = [
    ...limits.map(({ name, remaining, full_in_seconds: t }) => ({ name, remaining, t })),
    ...quotas.map(({ name, remaining, resets_at }) => ({ name, remaining, t: seconds(resets_at) })),
  ];
  return [
    ['RateLimit-Policy', policies.join(', ')],
    ['RateLimit', left.map(({ name, remaining, t }) => `"${name}";r=${remaining}${t === null ? '' : `;t=${t}`}`).join(', ')],
  ];
}

/** What the answer of an admitted call carries besides its own: what is left of limits, and that the secret is being replaced. */
export function ofAdmission(verdict: Verdict<unknown> & { valid: true }): [string, string][] {
  const { warning } = verdict;
  return [...ofLimits(verdict), ...(warning === undefined ? [] : [['Keyward-Warning', warning] as [string, string]])];
}

/** The problem document of a refusal. */
export function answerOf({ status, code, title, detail, headers }: Refusal, request_id: string): Answer {
  const type = `urn:keyward:problem:${code.toLowerCase().replaceAll('_', '-')}`;
  return {
    status,
    headers: [['Content-Type', 'application/problem+json'], ['Cache-Control', 'no-store'], ['Keyward-Request-Id', request_id], ...headers],
    body: `${JSON.stringify({ type, title, status, detail, code, request_id })}\n`,
  };
}
