/** One call of the API: the request, its attempts, and what became of it. The only file here that touches the network. */
import { operations, type Operations, type Problem } from './api.js';
import { KeywardApiError } from './error.js';
import { delay, retryAfter, type Ending } from './repeat.js';

/** What may be said with every call. */
export interface CallOptions {
  /** Ends the call, between attempts as within one. */
  signal?: AbortSignal | undefined;
  /** For each attempt, in milliseconds; the client's own where it is left out. */
  timeout_ms?: number | undefined;
}

/** With a call that makes something. */
export interface CreateOptions extends CallOptions {
  /** A name for this very request. The client makes one for each call, so that repeating it after a failure makes nothing twice. */
  idempotencyKey?: string | undefined;
}

/** Time and chance, as the client needs them. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  /** Calls `then` after so many milliseconds; answers what takes that back. */
  after(ms: number, then: () => void): () => void;
}

/** What a call is made of. */
export interface Request extends CreateOptions {
  /** Values of `{…}` in its path. */
  path?: Record<string, string>;
  query?: object | undefined;
  /** Sent as JSON; a text or bytes as they are. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Key in the place of the client's own; `null` for a caller that has none. Where it is named, the client's own is never sent. */
  key?: string | null;
  /** Secrets that are sent along: no error repeats them. */
  hide?: (string | null | undefined)[];
  /** How long the answer may be in coming by its nature, in milliseconds, on top of the timeout. */
  lasts?: number;
}

/** An accepted answer. */
export interface Answer {
  status: number;
  text: string;
  headers: Headers;
  /** Under which the deployment's own log tells more; without what was sent. */
  request_id: string | null;
}

export type Send = (operation: keyof Operations, request?: Request) => Promise<Answer>;

/** What is known of a deployment. */
export interface Deployment {
  origin: string;
  key: string | undefined;
  fetch: typeof globalThis.fetch;
  timeout_ms: number;
  retries: number;
  clock: Clock;
}

/** How connections fail before a request leaves, where a runtime says so. */
const UNSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** What is shorter is no secret, and would be found in words that are none. */
const HIDDEN_FROM = 8;

/** A number of options. */
export function bounded(value: number, name: string, low: number, high: number): number {
  if (typeof value !== 'number' || !(value >= low && value <= high)) throw new TypeError(`${name} must be a number from ${low} to ${high}`);
  return value;
}

/** Longer is no timeout; a runtime's timers take up to 2³¹ ms, and what is beyond fires at once. */
export const timeout = (ms: number) => bounded(ms, 'timeout_ms', 1, 600_000);

/** A text that goes into a header. What is none would be refused by the runtime in words that repeat it. */
function header(value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^[\t\x20-\x7e]+$/.test(value)) throw new TypeError(`${name} must be a text of one line, of ASCII and not empty`);
  return value;
}

/** Carried out twice it does what it does once. A secret's slot is the exception: retiring `current` moves `next` there, and a second time would retire that. */
const isSafe = (operation: keyof Operations, method: string, mark: string | undefined) =>
  ((method === 'GET' || method === 'PUT' || method === 'DELETE') && operation !== 'retireRouteSecret') || operation === 'verifyKey' || mark === 'once';

/** The target of an operation. Every value is one segment, whatever it holds. */
function target(path: string, values: Record<string, string>, query: object): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    // Half of a surrogate pair has no encoding.
    if (typeof value !== 'string' || value === '' || value === '.' || value === '..' || /\p{Surrogate}/u.test(value)) throw new TypeError(`${name} must be a text of whole characters that is not empty`);
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== null) search.append(name, String(one));
  }
  const asked = search.toString();
  return asked === '' ? filled : `${filled}?${asked}`;
}

const contentType = (body: unknown, operation: keyof Operations) => (operation === 'importKeys' ? 'application/jsonl' : body === undefined ? undefined : 'application/json');

const aborted = () => new KeywardApiError({ code: 'ABORTED', title: 'The call was ended', detail: 'the signal of the call was aborted' });

/** How calls of a deployment are made. */
export function sender({ origin, key: own, fetch, timeout_ms, retries, clock }: Deployment): Send {
  /** Resolves after so long, rejects when the signal says so. */
  const pause = (ms: number, signal: AbortSignal | undefined) => new Promise<void>((resolve, reject) => {
    if (signal?.aborted) return void reject(aborted());
    const end = () => {
      cancel();
      reject(aborted());
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', end);
      resolve();
    });
    signal?.addEventListener('abort', end, { once: true });
  });

  /** One attempt: the answer, or what it ended with and the error that tells it. */
  async function attempt(url: string, init: RequestInit, limit: number, signal: AbortSignal | undefined, hidden: string[]): Promise<Answer | (Ending & { error: KeywardApiError })> {
    const ending = new AbortController();
    let late = false;
    const stop = () => ending.abort();
    const cancel = clock.after(limit, () => {
      late = true;
      stop();
    });
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    // What a deployment, or whatever stands in front of it, says against a call is repeated without the keys that were sent along.
    const clean = (text: string) => hidden.reduce((so, secret) => so.replaceAll(secret, '[key]'), text);
    try {
      const response = await fetch(url, { ...init, signal: ending.signal });
      const { status, headers } = response;
      const named = headers.get('keyward-request-id');
      const request_id = named === null ? null : clean(named);
      if (response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
        response.body?.cancel().catch(() => {});
        return { status: 300, error: new KeywardApiError({ code: 'UNEXPECTED_ANSWER', title: 'A redirect', status, request_id, detail: `${origin} answered with a redirect, which is not followed: a key would go with it` }) };
      }
      const text = await response.text();
      if (response.ok) return { status, text, headers, request_id };
      const after = retryAfter(headers.get('retry-after'), clock.now());
      let problem: Problem | undefined;
      try {
        const parsed = JSON.parse(text, (_, value: unknown) => {
          if (typeof value === 'string') return clean(value);
          // Names of fields as well.
          return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).map(([name, held]) => [clean(name), held])) : value;
        }) as Problem | null;
        if (typeof parsed?.code === 'string' && typeof parsed.detail === 'string') problem = parsed;
      } catch {
        // No document of keyward's.
      }
      const told = problem ?? { code: 'UNEXPECTED_ANSWER' as const, title: 'Not an answer of keyward', detail: `${origin} answered ${status}, and not as keyward does` };
      const error = new KeywardApiError({ code: told.code, title: told.title, detail: told.detail, status, request_id: request_id ?? problem?.request_id ?? null, ...(problem && { problem }), ...(after !== undefined && { retry_after_seconds: after }) });
      return { status, retryAfter: after, error };
    } catch (failure) {
      if (signal?.aborted) throw aborted();
      if (late) return { status: 0, error: new KeywardApiError({ code: 'TIMEOUT', title: 'No answer in time', detail: `${origin} did not answer within ${limit} ms` }) };
      const { message, cause } = failure as Error & { cause?: { code?: unknown; message?: unknown } };
      const why = clean(String(cause?.message || cause?.code || message));
      return { status: 0, unsent: UNSENT.has(String(cause?.code)), error: new KeywardApiError({ code: 'UNREACHABLE', title: 'Not reached', detail: `${origin} cannot be reached: ${why}` }) };
    } finally {
      cancel();
      signal?.removeEventListener('abort', stop);
    }
  }

  return async (operation, request = {}) => {
    const { path = {}, query = {}, body, headers = {}, hide = [], lasts = 0, signal, idempotencyKey } = request;
    const limit = request.timeout_ms === undefined ? timeout_ms : timeout(request.timeout_ms);
    // A key that is named and `undefined` is a caller's that is missing: the client's own in its place would let anybody in.
    const key = 'key' in request ? request.key : own ?? null;
    const [method, template, mark] = operations[operation];
    const type = contentType(body, operation);
    const sent: Record<string, string> = { Accept: '*/*' };
    for (const [name, value] of Object.entries(headers)) sent[name] = header(value, name);
    if (mark !== 'open' && key !== null) sent.Authorization = `Bearer ${header(key, 'key')}`;
    if (type !== undefined) sent['Content-Type'] = type;
    // One for all attempts: it is what makes the second of them the same request as the first.
    if (mark === 'once') sent['Idempotency-Key'] = header(idempotencyKey === undefined ? crypto.randomUUID() : idempotencyKey, 'idempotencyKey');
    const init: RequestInit = { method, headers: sent, redirect: 'manual' };
    if (body !== undefined) init.body = typeof body === 'string' || body instanceof Uint8Array ? body as BodyInit : JSON.stringify(body);
    // Also as JSON writes them: what is echoed is often the body as it came.
    const hidden = [own, key, ...hide].filter((secret): secret is string => typeof secret === 'string' && secret.length >= HIDDEN_FROM).flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
    const url = origin + target(template, path, query);
    for (let count = 0; ; count += 1) {
      if (signal?.aborted) throw aborted();
      const ended = await attempt(url, init, limit + lasts, signal, hidden);
      if (!('error' in ended)) return ended;
      const wait = delay(ended, { safe: isSafe(operation, method, mark), attempt: count, retries, chance: clock.random() });
      if (wait === undefined) throw ended.error;
      await pause(wait, signal);
    }
  };
}

/** The JSON of an answer. */
export async function json<T>(answer: Promise<Answer>): Promise<T> {
  const got = await answer;
  try {
    const value: unknown = JSON.parse(got.text);
    if (typeof value === 'object' && value !== null) return value as T;
  } catch {
    // Told below.
  }
  throw unexpected(got, 'what was answered is no JSON of keyward');
}

/** An answer of another kind than JSON: its type tells it from a page of anybody's. */
export async function typed(answer: Promise<Answer>, type: string): Promise<Answer> {
  const got = await answer;
  if (got.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() !== type) throw unexpected(got, `what was answered is not of the type ${type}`);
  return got;
}

/** The lines of an answer of JSON lines. */
export async function lines<T>(answer: Promise<Answer>): Promise<T[]> {
  const got = await typed(answer, 'application/jsonl');
  try {
    return got.text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as T);
  } catch {
    throw unexpected(got, 'what was answered are no JSON lines of keyward');
  }
}

/** An answer that was accepted and is not what it should be. */
export const unexpected = ({ status = 200, request_id = null }: Partial<Answer>, detail: string) =>
  new KeywardApiError({ code: 'UNEXPECTED_ANSWER', title: 'Not an answer of keyward', status, detail, request_id });
