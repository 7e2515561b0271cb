/** For an origin behind a keyward route: who calls, as the `Keyward-Identity` of the route vouches for it. Whoever comes past the route has none. */
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { pathOf, textOf, within } from './deployment.js';
import { known, teller } from './notice.js';
import type { Problem } from './notice.js';
import { Silence } from './silence.js';
import { refused } from './verdict.js';
import type { Question, Source, Verdict } from './verdict.js';

/** Who calls through a route. */
export interface Identity {
  /** Whether a key calls, or a browser's session. */
  caller: 'key' | 'session';
  /** Id of that key or session; safe to log. */
  id: string;
  /** Of the key; `null` for a session. */
  owner: string | null;
  /** Of the key; none for a session. */
  scopes: readonly string[];
  environment: string;
  /** Name of the route. */
  route: string;
  /** Whose pages the session is for; `null` for a key. */
  origin: string | null;
  /** What the deployment knows the call by. */
  request_id: string;
  /** Seconds since the epoch. */
  issued_at: number;
  /** Seconds since the epoch; a minute later. */
  expires_at: number;
}

export interface IdentityOptions {
  /** Where the deployment is, whose keys are read from `/.well-known/jwks.json`. */
  url?: string;
  /** The keys themselves, in the place of `url`. */
  jwks?: { keys: Record<string, unknown>[] };
  /** This origin as the route's `upstream` names it, without a path: `https://api.example`. */
  audience: string;
  /** `KEYWARD_ISSUER` of the deployment; `keyward`. */
  issuer?: string;
  /** Milliseconds that the keys may take to come; 2000. */
  timeout_ms?: number;
  /** Told of what only the operator can mend, each at most once a minute; lines of `console.error` where it is absent. */
  onProblem?: (problem: Problem) => void;
}

const NAMES = ['url', 'jwks', 'audience', 'issuer', 'timeout_ms', 'onProblem'];
/** How long a token counts, and how far this machine's clock may be off, in seconds. */
const [LIFE, TOLERANCE] = [60, 5];
const CHECKS = { algorithms: ['EdDSA'], typ: 'JWT', maxTokenAge: LIFE, clockTolerance: TOLERANCE, requiredClaims: ['exp', 'iat', 'sub', 'jti'] };
/** How long keys are kept, so that one that was withdrawn ends; and how often an unknown one has them fetched, in milliseconds. */
const [KEYS_MS, AGAIN_MS] = [60_000, 1_000];

/** Refusals that are the token's own fault. All else means that nobody could say. */
const OF_TOKEN = [errors.JWTExpired, errors.JWTInvalid, errors.JWTClaimValidationFailed, errors.JWSInvalid, errors.JWSSignatureVerificationFailed,
  errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSEAlgNotAllowed, errors.JOSENotSupported];

/** Whether a held scope, maybe with `*`, grants a needed one; no `*` alone reaches into keyward's own. */
const grants = (held: string, needed: string): boolean => {
  const [[of, may], [resource, action]] = [held.split(':'), needed.split(':')] as [string[], [string, string]];
  const own = resource.startsWith('keyward.');
  return (of === resource || (of === '*' && !own) || (of === 'keyward.*' && own)) && (may === '*' || may === action);
};

const isText = (value: unknown): value is string => typeof value === 'string';

/** The claims of a token whose signature, audience, issuer and time are in order. */
function identityOf({ sub, jti, iat, exp, owner, scopes, environment, route, caller, origin }: JWTPayload): Identity | undefined {
  if (!isText(sub) || !isText(jti) || iat === undefined || exp === undefined || (caller !== 'key' && caller !== 'session')) return undefined;
  if (!isText(environment) || !isText(route) || !Array.isArray(scopes) || !scopes.every(isText)) return undefined;
  if (!(isText(owner) || owner === null) || !(isText(origin) || origin === null)) return undefined;
  return { caller, id: sub, owner, scopes, environment, route, origin, request_id: jti, issued_at: iat, expires_at: exp };
}

class Vouched implements Source<Identity> {
  readonly about = 'identity';
  readonly foreign_prefixes = [];
  readonly #keys: JWTVerifyGetKey;
  readonly #expected: { audience: string; issuer: string };
  readonly #tell: (problem: Problem) => void;

  constructor(options: IdentityOptions) {
    known(options, NAMES, 'identity()');
    const { url, jwks, audience, issuer = 'keyward', timeout_ms = 2_000 } = options;
    if ((url === undefined) === (jwks === undefined)) throw new TypeError('identity() needs either url or jwks');
    if (![audience, issuer].every((value) => isText(value) && value !== '')) {
      throw new TypeError('identity() needs the audience: this origin as the route\'s upstream names it');
    }
    this.#keys = jwks === undefined ? remote(pathOf(url, '/.well-known/jwks.json', 'identity()'), timeout_ms) : createLocalJWKSet(jwks);
    this.#expected = { audience, issuer };
    this.#tell = teller(options.onProblem);
  }

  async judge({ key, scopes, environment }: Question): Promise<Verdict<Identity>> {
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(key, this.#keys, { ...CHECKS, ...this.#expected }));
    } catch (cause) {
      if (OF_TOKEN.some((kind) => cause instanceof kind)) return refused('UNAUTHORIZED');
      this.#tell({ code: 'NO_KEYS', message: 'the deployment\'s /.well-known/jwks.json cannot be read; until it can every call is answered 503', cause });
      return refused('UNAVAILABLE');
    }
    const principal = identityOf(payload);
    if (principal === undefined || (environment !== undefined && principal.environment !== environment)) return refused('UNAUTHORIZED');
    if (!scopes.every((needed) => principal.scopes.some((held) => grants(held, needed)))) return refused('INSUFFICIENT_SCOPE');
    return { valid: true, principal, limits: [], quotas: [] };
  }
}

/** The deployment's keys, fetched when they are old or do not hold the one that is named; never in a storm. */
function remote(url: string, timeout_ms: number): JWTVerifyGetKey {
  const silence = new Silence();
  const now = () => performance.now();
  return createRemoteJWKSet(new URL(url), {
    timeoutDuration: timeout_ms,
    cacheMaxAge: KEYS_MS,
    cooldownDuration: AGAIN_MS,
    [customFetch]: async (to, init) => {
      const asked = now();
      if (!silence.lets(asked, timeout_ms)) throw new Error('the keys could not be fetched a moment ago');
      try {
        const text = await within(timeout_ms, async (signal) => {
          const response = await fetch(to, { ...init, signal });
          return response.status === 200 ? textOf(response) : undefined;
        });
        if (text === undefined) throw new Error('no answer of 200 that is a set of keys');
        silence.heard(now());
        return new Response(text);
      } catch (failure) {
        silence.failed(asked, now());
        throw failure;
      }
    },
  });
}

/**
 * Who calls, for an origin behind a keyward route with `"credential": {"type": "identity"}`. A token counts for a minute and is not
 * remembered: who sees one on its way can send it again until then, so origin and route speak TLS.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export const identity = (options: IdentityOptions): Source<Identity> => new Vouched(options);
