/**
 * A deployment of keyward inside the page: secrets of its own, the keys it issued, and the tests that a key text goes
 * through. It is what a server would do, without one; when the page closes it is gone. Nothing here knows the page.
 */
import { type KeyRecord, generateKey, KeywardError, parseKey, Verifier, wasIssued, type Digest, type VerdictCode } from 'keyward';

/** The tests in the order in which they are made. The first five are the codes that `parseKey` refuses with. */
export const TESTS = ['LENGTH', 'ALPHABET', 'STRUCTURE', 'BRAND', 'CHECK', 'TAG', 'DIGEST'] as const;
export type Test = (typeof TESTS)[number];

/** A key as it was issued, taken apart. Joined by underscores and put together, the parts are `text`. */
export interface Issued {
  text: string;
  brand: string;
  environment: string;
  /** The id's first 10 characters. */
  random: string;
  /** The id's last 6 characters. */
  tag: string;
  secret: string;
  check: string;
  redacted: string;
  digest: Digest;
}

export interface Outcome {
  verdict: VerdictCode;
  /** The first test that failed, if one did. */
  caughtBy?: Test;
  reason: string;
}

const TAG_LENGTH = 6;
const CHECK_LENGTH = 6;

/** 32 random bytes as the 64 hexadecimal digits that every secret of a deployment is written in. */
function newSecret(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Deployment {
  readonly brand: string;
  readonly #tagKey = newSecret();
  readonly #verifier: Verifier;

  constructor(brand: string) {
    this.brand = brand;
    this.#verifier = new Verifier({ brand, rootSecret: newSecret() });
  }

  /**
   * Issues a key and keeps its record.
   * @throws {KeywardError} `INVALID_REQUEST` where brand or environment cannot be one
   */
  issue(environment: string): Issued {
    const text = this.forge(environment);
    const { brand, id, redacted } = parseKey(text);
    // The redacted form ends in `…`, and is otherwise what stands before the secret.
    const hidden = text.slice(redacted.length - 1);
    const digest = this.#verifier.digest(text);
    const at = '2026-01-01T00:00:00Z';
    const record: KeyRecord = {
      id, brand, environment, name: 'made in the page', owner: 'visitor', scopes: [], created_at: at, updated_at: at,
      not_before: null, expires_at: null, allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [],
      max_staleness_seconds: 5, metadata: {}, status: 'active', revoked_at: null, revoke_reason: null, version: 1,
    };
    this.#verifier.hold({ record, secrets: [digest] });
    return {
      text, brand, environment, redacted, digest,
      random: id.slice(0, -TAG_LENGTH),
      tag: id.slice(-TAG_LENGTH),
      secret: hidden.slice(0, -CHECK_LENGTH),
      check: hidden.slice(-CHECK_LENGTH),
    };
  }

  /** A key with a true tag and no record: what somebody could make who stole the tag key and nothing else. */
  forge(environment: string): string {
    return generateKey({ brand: this.brand, environment, tagKey: this.#tagKey });
  }

  /** A key of the same shape, made without the tag key: what anybody could make who read the format. */
  invent(environment: string): string {
    return generateKey({ brand: this.brand, environment });
  }

  /** Makes the tests in their order, up to the first that fails. */
  test(text: string): Outcome {
    const verdict = this.#verifier.check(text);
    try {
      parseKey(text, { brand: this.brand });
    } catch (error) {
      if (!(error instanceof KeywardError)) throw error;
      return { verdict, caughtBy: error.code as Test, reason: error.message };
    }
    if (!wasIssued(text, this.#tagKey)) return { verdict, caughtBy: 'TAG', reason: 'never issued here: refused without any look-up' };
    if (verdict !== 'VALID') return { verdict, caughtBy: 'DIGEST', reason: 'the tag is true, but no stored digest is that of this key' };
    return { verdict, reason: 'all seven tests passed: the digest is the one stored' };
  }
}
