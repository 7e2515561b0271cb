// The secrets of one local deployment: made once, kept in a folder that only its owner reads, bound into the Worker.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A new deployment: its bindings, and the first management key, of which the Worker is given only the digest.
 * @param core the npm package
 */
export function newDeployment(core) {
  const [KEYWARD_ROOT_SECRET, KEYWARD_TAG_KEY] = [randomBytes(32), randomBytes(32)].map((bytes) => bytes.toString('hex'));
  const brand = 'psk';
  const adminKey = core.generateKey({ brand, environment: 'live', tagKey: KEYWARD_TAG_KEY });
  const { id, environment } = core.parseKey(adminKey);
  const now = new Date().toISOString();
  const record = {
    id, brand, environment, name: 'first management key', owner: 'operator', scopes: ['keyward.*:*'],
    created_at: now, updated_at: now, not_before: null, expires_at: null,
    allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [],
    max_staleness_seconds: 5, metadata: {}, status: 'active', revoked_at: null, revoke_reason: null, version: 1,
  };
  const digest = new core.Verifier({ brand, rootSecret: KEYWARD_ROOT_SECRET }).digest(adminKey);
  return { adminKey, env: { KEYWARD_ROOT_SECRET, KEYWARD_TAG_KEY, KEYWARD_FIRST_KEY: JSON.stringify({ record, secrets: [digest] }) } };
}

/** The deployment that lives in `folder`, made on first use. */
export function localDeployment(folder, core) {
  const secrets = join(folder, 'secrets.json');
  const admin = join(folder, 'admin-key');
  if (existsSync(secrets)) return { env: JSON.parse(readFileSync(secrets, 'utf8')), made: false };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { adminKey, env } = newDeployment(core);
  // The key first: without it the secrets would be of no use to anybody, and the next start makes both anew.
  writeFileSync(admin, `${adminKey}\n`, { mode: 0o600 });
  writeFileSync(secrets, `${JSON.stringify(env, null, 2)}\n`, { mode: 0o600 });
  return { env, made: true };
}
