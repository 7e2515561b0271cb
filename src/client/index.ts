/**
 * A client of a deployment of keyward. It needs `fetch`, `URL`, `AbortSignal` and `crypto`, and so runs in Node 20, browsers, Workers, Deno and Bun alike.
 */
import type { AuthorizeQuery, Health, Jwks, OpenAPI, Overview } from './api.js';
import { incidents, leaks, webhooks } from './events.js';
import { keys } from './keys.js';
import { audit, reports } from './log.js';
import { routes, sessions } from './routes.js';
import { bounded, json, sender, timeout, typed, unexpected, type CallOptions, type Clock, type Send } from './send.js';

export type * from './api.js';
export { KeywardApiError, type FailureCode, type KeywardApiErrorCode } from './error.js';
export type { VerifyOptions } from './keys.js';
export type { ExportPage } from './log.js';
export type { Page, Pages } from './pages.js';
export type { RetireOptions, Slot } from './routes.js';
export type { CallOptions, Clock, CreateOptions } from './send.js';

export interface KeywardOptions {
  /** The deployment: `https://keys.example`. Plain `http://` only where it is on this machine. */
  url: string;
  /** Text of a key that holds the scopes of what is called. Left out, it is for sessions of pages, `health`, `openapi` and `jwks`; named and `undefined`, it is a variable that is not set. */
  key?: string | undefined;
  /** In the place of the runtime's own. */
  fetch?: typeof globalThis.fetch | undefined;
  /** For each attempt; 10 000 where it is left out. */
  timeout_ms?: number | undefined;
  /** Attempts after the first, where a call may be repeated; 2 where it is left out. */
  retries?: number | undefined;
  /** Takes `http://` for deployments that are elsewhere, too: whoever is in between then reads the keys. */
  insecure?: boolean | undefined;
  /** In the place of the runtime's own. */
  clock?: Clock | undefined;
}

/** What a proxy asks about its caller. */
export interface AuthorizeQuestion extends AuthorizeQuery {
  /** The caller's key; `null` where it came with none, which the deployment refuses as it does a wrong one. */
  key: string | null;
}

/** Who a caller is whose key was accepted. */
export interface Authorized {
  key_id: string;
  owner: string | null;
  scopes: string[];
  /** The key's secret is being replaced, and until when it works. */
  warning: string | null;
}

const CLOCK: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

const LOOPBACK = /^(localhost|(.+\.)?localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The origin of a deployment, if a key may be sent there. */
function originOf(url: string, insecure: boolean): string {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) throw new TypeError('url must be that of a deployment, such as https://keys.example');
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '' || parsed.pathname !== '/') throw new TypeError('url must be an origin alone, such as https://keys.example');
  if (parsed.protocol === 'http:' && !insecure && !LOOPBACK.test(parsed.hostname)) throw new TypeError('url must begin with https://: over http:// whoever is in between reads the key');
  return parsed.origin;
}

/** A deployment, as whoever holds a key of it sees it. Whatever is refused, or finds no answer, throws a {@link KeywardApiError}. */
export class Keyward {
  /** Scheme, host and port of the deployment. */
  readonly origin: string;
  readonly keys: ReturnType<typeof keys>;
  readonly routes: ReturnType<typeof routes>;
  readonly sessions: ReturnType<typeof sessions>;
  readonly webhooks: ReturnType<typeof webhooks>;
  readonly leaks: ReturnType<typeof leaks>;
  readonly incidents: ReturnType<typeof incidents>;
  readonly audit: ReturnType<typeof audit>;
  readonly reports: ReturnType<typeof reports>;
  /** Holds the key, in what no inspection of this object reaches. */
  readonly #send: Send;

  /** @throws {TypeError} where an option is none; its message shows neither the key nor the URL */
  constructor(options: KeywardOptions) {
    const { url, key, fetch = (...call) => globalThis.fetch(...call), timeout_ms = 10_000, retries = 2, insecure = false, clock = CLOCK } = options;
    // What is no header value would stand in the runtime's own words about it.
    if ('key' in options && (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key))) {
      throw new TypeError('Keyward needs the text of a management key, without spaces or line ends; is its variable set? For calls that take no key, leave `key` out');
    }
    this.origin = originOf(url, insecure);
    this.#send = sender({ origin: this.origin, key, fetch, timeout_ms: timeout(timeout_ms), retries: bounded(retries, 'retries', 0, 10), clock });
    this.keys = keys(this.#send);
    this.routes = routes(this.#send);
    this.sessions = sessions(this.#send);
    this.webhooks = webhooks(this.#send);
    this.leaks = leaks(this.#send);
    this.incidents = incidents(this.#send);
    this.audit = audit(this.#send);
    this.reports = reports(this.#send);
  }

  /** Calls of all keys by day, and the busiest of them, over 30 days; up to a minute old. */
  usage(options?: CallOptions): Promise<Overview> {
    return json(this.#send('getOverview', options));
  }

  /** Figures for Prometheus, as its text. */
  async metrics(options?: CallOptions): Promise<string> {
    return (await typed(this.#send('getMetrics', options), 'text/plain')).text;
  }

  /** Whether a caller's own key is accepted, as a proxy asks it; refused, it throws with the caller's status. A backend rather asks `keys.verify`. */
  async authorize(question: AuthorizeQuestion, options?: CallOptions): Promise<Authorized> {
    const { key, ...query } = question ?? {};
    if (key !== null && (typeof key !== 'string' || key === '')) throw new TypeError('authorize needs the text of the caller\'s key as `key`, or null where the caller came with none');
    // The key is last: nothing that is said with the call takes its place.
    const answer = await this.#send('authorize', { ...options, query, key });
    const { headers } = answer;
    // The answer is in its headers alone, and any page has a status.
    const id = headers.get('keyward-key-id') ?? '';
    if (!/^[0-9A-Za-z]{16}$/.test(id)) throw unexpected(answer, 'the answer does not name the key that it accepts');
    let owner = headers.get('keyward-owner');
    try {
      owner &&= decodeURIComponent(owner);
    } catch {
      throw unexpected(answer, 'the owner of the key is not encoded as keyward does');
    }
    return {
      key_id: id,
      owner,
      scopes: (headers.get('keyward-scopes') ?? '').split(' ').filter(Boolean),
      warning: headers.get('keyward-warning'),
    };
  }

  /** Whether it runs, and which version of it. */
  health(options?: CallOptions): Promise<Health> {
    return json(this.#send('health', options));
  }

  /** The deployment's own description. */
  openapi(options?: CallOptions): Promise<OpenAPI> {
    return json(this.#send('openapi', options));
  }

  /** The keys that identities of relayed calls are checked with. */
  jwks(options?: CallOptions): Promise<Jwks> {
    return json(this.#send('jwks', options));
  }
}
