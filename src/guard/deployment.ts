/** Verdicts of a deployment, which is asked over HTTP. What it answers is kept for as long as it says, and no longer; where it says nothing, nobody passes. */
import { presented } from './credential.js';
import { Kept, MOST_LEASE_MS, MOST_REFUSED_MS, leaseOf } from './kept.js';
import type { Now } from './kept.js';
import { known, teller } from './notice.js';
import type { Problem } from './notice.js';
import { SILENT_MS, Silence } from './silence.js';
import { readVerdict, refused } from './verdict.js';
import type { Principal, Question, Source, Verdict } from './verdict.js';

export interface DeploymentOptions {
  /** Where the deployment is: `https://keys.example`; `http://` on loopback alone. */
  url: string;
  /** A management key with the scope `keyward.keys:verify` and no other. */
  key: string | undefined;
  /** Milliseconds that an answer may take; 2000. */
  timeout_ms?: number;
  /** Asks in the place of the platform's `fetch`, such as that of a service binding. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Whether verdicts are kept; true. Without, each call asks, and each is seen in the key's usage. */
  keep?: boolean;
  /** How keys of other systems begin that the deployment took over (`KEYWARD_FOREIGN_PREFIXES`). */
  foreign_prefixes?: readonly string[];
  /** Told of what only the operator can mend, each at most once a minute; lines of `console.error` where it is absent. */
  onProblem?: (problem: Problem) => void;
  /** Both clocks, in milliseconds; those of the platform. */
  clock?: () => Now;
}

const NAMES = ['url', 'key', 'timeout_ms', 'fetch', 'keep', 'foreign_prefixes', 'onProblem', 'clock'];
/** Most bytes of an answer: several times the largest verdict. */
const MOST_ANSWER = 65_536;
/** What is kept at most. */
const MOST = { entries: 10_000, characters: 16_000_000 };
/** How often a call looks whether another one was told what it would ask, in milliseconds: from, to. */
const LOOKS = { first: 4, last: 64 };

const platformClock = (): Now => ({ monotonic: performance.now(), wall: Date.now() });
const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** The URL of a path of a deployment. @throws {TypeError} for one that keys must not be sent to. */
export function pathOf(url: unknown, path: string, of: string): string {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  const loopback = parsed && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(parsed.hostname);
  if (!parsed || parsed.pathname !== '/' || parsed.search || parsed.hash || parsed.username || parsed.password || !(parsed.protocol === 'https:' || (parsed.protocol === 'http:' && loopback))) throw new TypeError(`${of} needs the URL of your deployment, without a path: https://keys.example`);
  return parsed.origin + path;
}

/** Reads a body of at most `most` bytes; `undefined` for a longer one, or one that is not UTF-8. */
export async function textOf(response: Response, most = MOST_ANSWER): Promise<string | undefined> {
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for (let bytes = 0; ; ) {
    const { done, value } = await reader.read();
    try {
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    } catch {
      bytes = Infinity;
    }
    bytes += value?.length ?? 0;
    if (bytes > most) {
      reader.cancel().catch(() => undefined);
      return undefined;
    }
  }
}

/** Runs work that must be done by then; it is told when it is late, and not waited for. */
export async function within<T>(milliseconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer in ${milliseconds} ms`));
      stop.abort();
    }, milliseconds);
  });
  try {
    return await Promise.race([work(stop.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

class Deployment implements Source<Principal> {
  readonly about = 'key';
  readonly foreign_prefixes: readonly string[];
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #timeout_ms: number;
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly #keep: boolean;
  readonly #clock: () => Now;
  readonly #tell: (problem: Problem) => void;
  readonly #kept = new Kept<Verdict>(MOST);
  readonly #silence = new Silence();

  constructor(options: DeploymentOptions) {
    known(options, NAMES, 'deployment()');
    const { url, key, timeout_ms = 2_000, keep = true, foreign_prefixes = [], clock = platformClock } = options;
    this.#url = pathOf(url, '/v1/keys/verify', 'deployment()');
    // Said without the value: whatever was put here by mistake may be a secret, too.
    if (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key)) throw new TypeError('deployment() needs the text of a management key with the scope keyward.keys:verify; is its variable set?');
    if (!(timeout_ms > 0 && timeout_ms <= MOST_LEASE_MS)) throw new TypeError('timeout_ms is a number of milliseconds, up to 60000');
    this.#headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
    this.#timeout_ms = timeout_ms;
    this.#fetch = options.fetch ?? ((to, init) => fetch(to, init));
    this.#keep = keep;
    this.#clock = clock;
    this.#tell = teller(options.onProblem);
    if (!Array.isArray(foreign_prefixes) || !foreign_prefixes.every((prefix) => typeof prefix === 'string' && /^[\x21-\x7e]{1,100}$/.test(prefix))) throw new TypeError("foreign_prefixes is an array of texts that keys begin with, such as ['sk_live_']");
    this.foreign_prefixes = [...foreign_prefixes];
  }

  async judge(question: Question, waitUntil?: (work: Promise<unknown>) => void): Promise<Verdict> {
    const key = presented(question.key, this.foreign_prefixes);
    if (key === undefined) return refused('MALFORMED');
    if (!this.#keep) return this.#ask(question, key.id);
    const { key: text, scopes, ip, country, origin, environment } = question;
    const words = JSON.stringify([text, scopes, ip ?? 0, country ?? 0, origin ?? 0, environment ?? 0]);
    const held = this.#kept.take(words, this.#clock(), this.#timeout_ms);
    if (held !== undefined) {
      if (held.renew) {
        const renewal = this.#ask(question, key.id, words);
        waitUntil?.(renewal);
      }
      return held.verdict;
    }
    // Promises of other requests are never awaited, since some runtimes end them with their request. What they brought is looked for.
    if (this.#kept.isAsked(words, this.#clock())) {
      for (let rest = LOOKS.first; this.#kept.isAsked(words, this.#clock()); rest = Math.min(rest * 2, LOOKS.last)) await pause(rest);
      const brought = this.#kept.take(words, this.#clock(), this.#timeout_ms);
      if (brought !== undefined) return brought.verdict;
    }
    return this.#ask(question, key.id, words);
  }

  /** Asks, and keeps what may be kept. Never rejects. */
  async #ask(question: Question, id: string | null, words?: string): Promise<Verdict> {
    const asked = this.#kept.asked(this.#clock());
    if (!this.#silence.lets(asked.monotonic, this.#timeout_ms)) return refused('UNAVAILABLE');
    if (words !== undefined) this.#kept.begin(words, asked, this.#timeout_ms);
    try {
      const text = await this.#answer(question, asked);
      if (text === undefined) return this.#unavailable(words);
      const told = readVerdict(text, id);
      if (told === undefined) {
        this.#fail(asked, 'NO_VERDICT', 'what answers at the URL of the deployment answers no verdict: is it keyward, and is nothing in between that changes answers? Until then every call is answered 503');
        return this.#unavailable(words);
      }
      this.#silence.heard(this.#clock().monotonic);
      const { verdict, lease_ms, until } = told;
      const ms = leaseOf(lease_ms, verdict.valid ? MOST_LEASE_MS : MOST_REFUSED_MS);
      // That each call has to ask is worth knowing of keys that exist: invented ones are without number.
      const worthKnowing = ms > 0 || verdict.valid || verdict.limits.length + verdict.quotas.length > 0;
      if (words !== undefined && worthKnowing) this.#kept.keep(words, verdict, asked, this.#clock(), { ms, until, size: text.length, minor: !verdict.valid });
      return verdict;
    } catch (cause) {
      this.#fail(asked, 'NO_ANSWER', `the deployment did not answer in ${this.#timeout_ms} ms, or cannot be reached; what it does not answer is answered 503`, cause);
      return this.#unavailable(words);
    } finally {
      if (words !== undefined) this.#kept.end(words);
    }
  }

  /** Nobody could say; nor is the same asked again for half a second, where there is nothing in hand that still counts. */
  #unavailable(words: string | undefined): Verdict {
    const verdict = refused('UNAVAILABLE');
    const now = this.#clock();
    if (words !== undefined && this.#kept.take(words, now, this.#timeout_ms) === undefined) {
      this.#kept.keep(words, verdict, this.#kept.asked(now), now, { ms: SILENT_MS, until: Infinity, size: 0, minor: true });
    }
    return verdict;
  }

  /** The text of an answer of 200; `undefined` where it has been told why there is none. Rejects where nobody answers. */
  #answer({ key, scopes, ip, country, origin, environment, cost }: Question, asked: Now): Promise<string | undefined> {
    const body = JSON.stringify({ key, ...(scopes.length > 0 ? { scopes } : {}), ip, country, origin, environment, ...(cost === 1 ? {} : { cost }) });
    return within(this.#timeout_ms, async (signal) => {
      const send = () => this.#fetch(this.#url, { method: 'POST', headers: this.#headers, body, redirect: 'manual', signal });
      const response = await send().catch((failure: unknown) => {
        // A connection that was kept open may have been closed meanwhile; a verification can be sent again.
        if (signal.aborted) throw failure;
        return send();
      });
      const { status } = response;
      if (status === 200) {
        const text = await textOf(response);
        return text ?? '';
      }
      response.body?.cancel().catch(() => undefined);
      this.#explain(status, asked);
      return undefined;
    });
  }

  #explain(status: number, asked: Now): void {
    if (status === 401 || status === 403) {
      const message = `the deployment does not accept the guard's own key (${status}): give deployment() one with the scope keyward.keys:verify that is allowed from here; until then every call is answered 503`;
      this.#fail(asked, 'MANAGEMENT_KEY_REFUSED', message);
    } else if (status === 429) {
      this.#fail(asked, 'MANAGEMENT_KEY_LIMITED', 'the guard\'s own key has reached a limit: give deployment() one without limits; until then calls are answered 503');
    } else if (status === 400) {
      // Its question's fault and not the deployment's: others go on being asked.
      this.#silence.heard(this.#clock().monotonic);
      this.#tell({ code: 'QUESTION_REFUSED', message: 'the deployment does not take a guard\'s question (400): are environment, cost and scopes of the guard as the deployment knows them? These calls are answered 503' });
    } else if (status < 400) {
      this.#fail(asked, 'DEPLOYMENT_REDIRECTS', `the URL of the deployment leads elsewhere (${status}), and keys are not sent after it: name the one that answers; until then every call is answered 503`);
    } else {
      this.#fail(asked, 'DEPLOYMENT_FAILED', `the deployment answers ${status}; until it recovers every call is answered 503`);
    }
  }

  #fail(asked: Now, code: string, message: string, cause?: unknown): void {
    this.#silence.failed(asked.monotonic, this.#clock().monotonic);
    this.#tell(cause === undefined ? { code, message } : { code, message, cause });
  }
}

/**
 * Verdicts of a keyward deployment. A verdict is kept for as long as the deployment says, so that a revocation reaches the guard by its
 * `effective_by`; those on keys with limits are never kept, as each call is counted there.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export const deployment = (options: DeploymentOptions): Source<Principal> => new Deployment(options);
