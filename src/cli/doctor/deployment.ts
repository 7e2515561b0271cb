/** What a deployment says of itself, and what stands between it and who asks. */
import { type Keyward, KeywardApiError, type KeySafety, type Route } from '../../client/index.js';
import { client, managementKey, sentence } from '../connection.js';
import { plural, shown } from '../print.js';
import type { Finding, Report, Severity } from './finding.js';

/** From how many milliseconds on clocks are told to differ. */
const CLOCK_MS = 2_000;
/** From how many public calls in an hour on a route is a danger. */
const MANY_CALLS = 1_000;
/** A key-safety report names this many keys; the rest are counted. */
const NAMED = 3;

/** What is told of an answer besides its body. */
export interface Seen {
  path: string;
  headers: Headers;
  /** Local time before and after, in milliseconds. */
  asked: number;
  answered: number;
}

/** How far the deployment's clock is from this one, in milliseconds, as far as a `Date` of whole seconds says; 0 within that. `undefined` where it says none. */
export function clockDifference({ headers, asked, answered }: Seen): number | undefined {
  const date = Date.parse(headers.get('date') ?? '');
  if (Number.isNaN(date)) return undefined;
  // It was written in a second that began at `date`, while the answer was on its way.
  if (date > answered) return date - answered;
  return date + 1000 < asked ? date + 1000 - asked : 0;
}

/** What is wrong with how an answer that speaks of keys is kept on its way. */
export function caching({ path, headers }: Seen): string | undefined {
  const [status, age, control] = [headers.get('cf-cache-status')?.toUpperCase(), headers.get('age'), headers.get('cache-control')];
  if (['HIT', 'STALE', 'UPDATING', 'REVALIDATED', 'EXPIRED'].includes(status ?? '')) return `${path} was answered by a CDN cache (CF-Cache-Status: ${status})`;
  if (age !== null && age !== '0') return `${path} was answered by a cache (Age: ${age})`;
  if (!/\bno-store\b/i.test(control ?? '')) return `${path} came with Cache-Control: ${control ?? 'nothing'}, and not no-store`;
  return undefined;
}

/** `1.2` of `1.2.3`: what has to be the same; of `0.x`, too. */
const release = (version: string) => version.split('.').slice(0, 2).join('.');

/** What the key-safety report finds: said of one key, of several, and what mends one. */
const SAFETY: Record<string, [one: string, several: string, mend: (id: string) => string]> = {
  NEVER_EXPIRES: ['never ends', 'never end', (id) => `agree on an end with whoever holds it, and replace it before that: keyward keys update ${id} --expires 90d`],
  ROTATION_OVERDUE: ['has a secret that is older than it should be', 'have secrets that are older than they should be', (id) => `make a new one, and deploy it while both work: keyward keys rotate ${id}`],
  UNUSED: ['was not used for long', 'were not used for long', (id) => `keyward keys disable ${id}, which can be undone; if nothing breaks in a month, revoke it`],
  OVER_SCOPED: ['may do more than it ever did', 'may do more than they ever did', (id) => `ask its holder what it needs, and leave it that: keyward keys update ${id} --scope …`],
  SHARED_ACROSS_ENVIRONMENTS: ['has the name of one in another environment', 'have names of others in other environments', (id) => `one key for each purpose and environment, named apart: keyward keys update ${id} --name …`],
  SAFE_TO_REVOKE: ['can be revoked', 'can be revoked', (id) => `keyward keys revoke ${id}, which is final`],
};

/** The key-safety report, one finding for each kind. */
function safety(data: KeySafety['data'], report: Report) {
  const kinds = new Map<string, { severity: Severity; reason: string; note: string; first: string; names: string[] }>();
  for (const key of data) {
    for (const { code, severity, reason, fix } of key.findings) {
      const kind = kinds.get(code) ?? { severity, reason, note: fix.note, first: key.key_id, names: [] };
      kind.names.push(`${shown(key.name)} (${key.key_id})`);
      kinds.set(code, kind);
    }
  }
  for (const [code, { severity, reason, note, first, names }] of kinds) {
    const [one, many, mend] = SAFETY[code] ?? ['should be looked at', 'should be looked at', () => note.replace(/\.$/, '')];
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
    report.findings.push({ code, severity, what: `${plural(names.length, 'key')} that ${names.length === 1 ? one : many}: ${names.slice(0, NAMED).join(', ')}${more}`, why: reason, fix: `${mend(first)}${names.length === 1 ? '' : '; so for each of them'}` });
  }
  if (kinds.size === 0) report.fine.push('the key-safety report is empty');
}

/** How many calls of a route whoever likes may make in an hour, by sessions that a page begins without more than its Origin; `undefined` where none. */
export function publicCalls({ callers, limit }: Pick<Route, 'callers' | 'limit'>): number | undefined {
  const { session } = callers as { session?: { mint?: string; calls?: number; per_route?: { limit: number; window_seconds: number } } | null };
  if (session?.mint !== 'public' || limit !== null) return undefined;
  const { calls = Infinity, per_route: sessions } = session;
  return sessions === undefined ? Infinity : Math.ceil((calls * sessions.limit * 3600) / sessions.window_seconds);
}

/** A deployment that answers as keyward does, and answers nothing else. */
const closed = (error: KeywardApiError): Finding => ({
  code: error.code, severity: 'high', what: sentence(error).split('\n')[0] as string, why: 'every key is refused: keyward is closed when it cannot know',
  fix: error.code === 'NOT_CONFIGURED' ? 'set KEYWARD_ROOT_SECRET, 64 hexadecimal digits (openssl rand -hex 32): npx wrangler secret put KEYWARD_ROOT_SECRET' : 'look at the Worker\'s log under that id',
});

/** Looks at a deployment. */
export async function examine(url: URL, version: string, report: Report): Promise<void> {
  const { findings, unchecked, fine } = report;
  const seen: Seen[] = [];
  const watched: typeof fetch = async (input, init) => {
    const asked = Date.now();
    const response = await fetch(input, init);
    seen.push({ path: new URL(String(input)).pathname, headers: response.headers, asked, answered: Date.now() });
    return response;
  };
  const key = managementKey(url);
  const keyward: Keyward = client({ url: url.href, ...(key === undefined ? {} : { key }), fetch: watched, timeout_ms: 5_000, retries: 1 });
  let running: { version: string };
  try {
    running = await keyward.health();
  } catch (error) {
    if (!(error instanceof KeywardApiError)) throw error;
    if (error.problem !== null) return void findings.push(closed(error));
    const foreign = error.status !== 0;
    findings.push({
      code: foreign ? 'NOT_KEYWARD' : 'UNREACHABLE', severity: 'high',
      what: foreign ? `${keyward.origin} answers, and not as keyward does (${error.status})` : sentence(error),
      why: 'nobody can have a key verified there; whoever asks must let nobody in meanwhile',
      fix: foreign ? 'look whether the route of the Worker covers this host and path, and what stands before it' : 'look whether the Worker is deployed and the name leads to it',
    });
    return;
  }
  fine.push(`${keyward.origin} runs keyward ${running.version}`);
  if (release(running.version) !== release(version)) {
    findings.push({ code: 'VERSION_DIFFERS', severity: 'low', what: `the deployment is keyward ${running.version}, this command ${version}`, why: 'one of them may know fields and codes that the other does not', fix: `npm install keyward@${running.version}, or deploy ${version}` });
  }
  const [first] = seen;
  const off = first === undefined ? undefined : clockDifference(first);
  if (off === undefined) unchecked.push({ what: 'the clocks', why: 'the answer has no Date' });
  else if (Math.abs(off) > CLOCK_MS) {
    findings.push({ code: 'CLOCK_DIFFERS', severity: 'medium', what: `this clock is ${(Math.abs(off) / 1000).toFixed(1)} s ${off > 0 ? 'behind' : 'ahead of'} the deployment's`, why: 'identities of relayed calls, signatures of webhooks and times in receipts are held against a clock', fix: 'have this machine keep time by NTP' });
  } else fine.push('the clocks agree');

  let asked: boolean;
  try {
    await keyward.keys.list({ limit: 1 }).page();
    asked = true;
  } catch (error) {
    if (!(error instanceof KeywardApiError)) throw error;
    // Whoever may not see keys may see what follows.
    asked = error.status === 403;
    if (error.status >= 500) findings.push(closed(error));
    else if (key === undefined) unchecked.push({ what: 'keys, root secrets and routes', why: 'no key in KEYWARD_KEY' });
    else if (error.status === 401) findings.push({ code: 'KEY_NOT_ACCEPTED', severity: 'high', what: 'the key in KEYWARD_KEY is not accepted', why: 'nothing can be managed with it', fix: 'take a management key of this deployment' });
    else unchecked.push({ what: 'keys', why: sentence(error) });
  }
  // The refusal has the same headers as the answer: a key is asked about in either case.
  const kept = seen.filter(({ path }) => path.startsWith('/v1/')).map(caching).find((problem) => problem !== undefined);
  if (kept) findings.push({ code: 'ANSWERS_CACHED', severity: 'high', what: kept, why: 'what a cache keeps goes to the next caller and outlives a revocation', fix: 'bypass caches for /v1/* and /r/*: no cache rule on those paths, and nothing before the Worker that rewrites Cache-Control' });
  else if (seen.some(({ path }) => path.startsWith('/v1/'))) fine.push('answers that speak of keys are kept by no cache');
  if (!asked) return;

  /** A check that needs a scope, or is said not to have been made. */
  const attempt = async (what: string, check: () => Promise<void>) => {
    try {
      await check();
    } catch (error) {
      if (!(error instanceof KeywardApiError)) throw error;
      unchecked.push({ what, why: sentence(error) });
    }
  };
  await attempt('the key-safety report', async () => safety(await keyward.reports.keySafety({ limit: 100 }).all(), report));
  await attempt('the root secrets', async () => {
    const { retired, missing, unknown_keys: unknown } = await keyward.reports.rootSecrets();
    for (const { name, keys, upstream_secrets: secrets } of missing) {
      findings.push({ code: 'ROOT_SECRET_MISSING', severity: 'high', what: `root secret ${name} is gone, and ${plural(keys, 'key')} and ${plural(secrets, 'upstream secret')} need it`, why: 'those keys are refused as if they had never been', fix: 'put it back into KEYWARD_RETIRED_ROOT_SECRETS; if it is lost, rotate those keys and set those secrets anew' });
    }
    for (const { name, can_go: idle } of retired) {
      if (idle) findings.push({ code: 'ROOT_SECRET_CAN_GO', severity: 'low', what: `the retired root secret ${name} is no longer needed`, why: 'a secret that is kept for nothing can only leak', fix: 'take it out of KEYWARD_RETIRED_ROOT_SECRETS' });
    }
    if (missing.length === 0) fine.push(`every root secret that is needed is there${unknown > 0 ? `; of ${plural(unknown, 'key')} it is not known yet` : ''}`);
  });
  await attempt('the routes', async () => {
    const routes = await keyward.routes.list();
    const open = routes.flatMap((route) => {
      const calls = publicCalls(route);
      return calls === undefined ? [] : [[route.name, calls] as const];
    });
    for (const [name, calls] of open) {
      findings.push({
        code: 'PUBLIC_WITHOUT_LIMIT', severity: calls > MANY_CALLS ? 'high' : 'medium', what: `whoever likes may make ${calls.toLocaleString('en')} calls of the route ${shown(name)} in an hour, and no limit of the route says less`,
        why: 'an Origin proves nothing outside a browser: a script begins sessions as a page does, and spends what your provider charges', fix: `give the route a "limit", and callers.session."per_route" a number that you would pay for; better, "mint": "turnstile"`,
      });
    }
    if (open.length === 0) fine.push(`${plural(routes.length, 'route')}, none of them public without a limit`);
  });
}
