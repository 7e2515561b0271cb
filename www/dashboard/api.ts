/**
 * Calls of the management API on the page's own origin. The key is a variable of this module and nothing else: no storage, no URL, no
 * cookie. A call that is refused because the key is no longer accepted waits until another one is given, and goes on with that.
 */
import { retryAfter } from '../../src/client/repeat.ts';

/** A problem document (RFC 9457), or what was made of a call without one. */
export interface Problem {
  /** 0 where there was no answer. */
  status: number;
  code: string;
  title: string;
  detail: string;
  request_id?: string;
  /** The field of the request that was not valid. */
  field?: string;
  /** What else the document says: evidence, mostly. */
  [extra: string]: unknown;
}

/** A call that was not carried out, or of which nobody knows. */
export class Refusal extends Error {
  /** @param retryAfter seconds that `Retry-After` asks for */
  constructor(readonly problem: Problem, readonly retryAfter = 0) {
    super(`${problem.title}: ${problem.detail}`);
  }
}

export interface Options {
  /** Makes a creation one, however often it is sent. */
  idempotencyKey?: string;
  /** A key other than the one that is logged in with. */
  key?: string;
  signal?: AbortSignal;
  /** Nobody waits for it: a key that is refused is not asked for anew, and no answer in time is none. */
  background?: boolean;
}

/** How long a call in the background waits for its answer, in milliseconds. */
const PATIENCE = 10_000;

let current: string | undefined;
let askAgain: ((problem: Problem) => Promise<boolean>) | undefined;
let asking: Promise<boolean> | undefined;

/** The key that calls are made with from now on. */
export const useKey = (key: string | undefined) => void (current = key);
export const hasKey = () => current !== undefined;
/** Who asks for another key when the one in use is refused; `false` means that there is none. */
export const onRefusedKey = (ask: (problem: Problem) => Promise<boolean>) => void (askAgain = ask);

const NO_ANSWER: Problem = { status: 0, code: 'NO_ANSWER', title: 'keyward does not answer', detail: 'the request did not arrive, or its answer was lost' };

async function send(method: string, path: string, body: string | undefined, { idempotencyKey, key = current, signal, background = false }: Options): Promise<Response> {
  const headers: Record<string, string> = { authorization: `Bearer ${key}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
  const until = background ? AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])]) : signal;
  try {
    return await fetch(path, { method, headers, body: body ?? null, cache: 'no-store', credentials: 'omit', redirect: 'error', signal: until ?? null });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(NO_ANSWER);
  }
}

async function read(response: Response): Promise<unknown> {
  const type = response.headers.get('content-type') ?? '';
  let text: string;
  try {
    text = await response.text();
  } catch {
    throw new Refusal(NO_ANSWER);
  }
  if (!response.headers.has('keyward-request-id')) {
    throw new Refusal({ status: response.status, code: 'NOT_KEYWARD', title: 'This is not keyward', detail: `the server at ${location.origin} answered ${response.status}, but not as keyward does` });
  }
  const parsed: unknown = /json/.test(type) && !/jsonl/.test(type) && text ? JSON.parse(text) : text;
  if (response.ok) return parsed;
  if (typeof parsed === 'object' && parsed !== null) throw new Refusal(parsed as Problem, retryAfter(response.headers.get('retry-after'), Date.now()));
  const requestId = response.headers.get('keyward-request-id')!;
  throw new Refusal({ status: response.status, code: 'FAILED', title: 'It did not work', detail: `keyward answered ${response.status}`, request_id: requestId });
}

/**
 * Calls the API. JSON is answered as what it says, anything else as text.
 * @throws {Refusal} with the problem
 */
export async function call<T>(method: string, path: string, body?: unknown, options: Options = {}): Promise<T> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const response = await send(method, path, text, options);
  if (response.status !== 401 || options.key !== undefined || options.background || !askAgain) return (await read(response)) as T;
  const refused = await read(response).then(() => undefined, (error: unknown) => error);
  if (!(refused instanceof Refusal)) throw refused;
  // Nothing was done: the same call with another key is the call itself. Several calls at once ask once.
  asking ??= askAgain(refused.problem).finally(() => (asking = undefined));
  if (!(await asking)) throw refused;
  return (await read(await send(method, path, text, options))) as T;
}

/** A key for the Idempotency-Key header: the same one as long as the request is the same, byte for byte, and not carried out. */
export class OneCreation {
  #body = '';
  #key = '';

  keyFor(body: unknown): string {
    const text = JSON.stringify(body);
    if (text !== this.#body || this.#key === '') [this.#body, this.#key] = [text, randomKey()];
    return this.#key;
  }

  done(): void {
    this.#key = '';
  }
}

// Not randomUUID: that one is missing where a page comes over plain HTTP from another machine.
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** A query string of what is not empty. */
export function query(parameters: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : '';
}
