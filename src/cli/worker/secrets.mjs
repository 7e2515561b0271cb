// The secrets of a deployment: made once, kept in a folder that only its owner reads and that git ignores, bound into the Worker.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The core, as far as it is needed here.
 * @typedef {Pick<typeof import('keyward'), 'generateKey' | 'parseKey' | 'Verifier'>} Core
 */

/**
 * A new deployment: its bindings, and the first management key, of which the Worker is given only the digest.
 *
 * @param {Core} core the npm package
 * @param {{brand?: string, environment?: string}} [of] words that the first key begins with
 * @returns {{adminKey: string, env: Record<string, string>}}
 */
export function newDeployment(core, { brand = 'psk', environment = 'live' } = {}) {
  const secret = () => randomBytes(32).toString('hex');
  const [KEYWARD_ROOT_SECRET, KEYWARD_TAG_KEY] = [secret(), secret()];
  const adminKey = core.generateKey({ brand, environment, tagKey: KEYWARD_TAG_KEY });
  const { id } = core.parseKey(adminKey);
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

/** The files of a deployment: of the one that runs here, or of one that is run elsewhere. */
export const LOCAL = { secrets: 'secrets.json', admin: 'admin-key' };

/** @param {string} [env] an environment of wrangler's */
export const production = (env) => {
  const name = env === undefined ? 'production' : `production-${env}`;
  return { secrets: `${name}.json`, admin: `${name}-admin-key` };
};

/**
 * What is kept of a deployment, if it is.
 *
 * @param {string} folder
 * @param {{secrets: string}} files
 * @returns {Record<string, string> | undefined} its bindings
 */
export function keptDeployment(folder, { secrets }) {
  const file = join(folder, secrets);
  if (!existsSync(file)) return undefined;
  let env;
  try {
    env = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // The parser's own message would show what stands there.
  }
  const whole = typeof env === 'object' && env !== null && Object.values(env).every((value) => typeof value === 'string');
  if (!whole) throw new Error(`${file} is not the JSON that was written there: names of bindings, and their values as strings`);
  return env;
}

/** The state folder, which only its owner reads and git does not see, wherever it stands. @param {string} folder */
export function stateFolder(folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ignore = join(folder, '.gitignore');
  if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
}

/**
 * The deployment that lives in `folder`, made on first use.
 *
 * @param {string} folder
 * @param {Core} core
 * @param {{secrets?: string, admin?: string, brand?: string, environment?: string}} [of] its files, and words that its first key begins with
 * @returns {{env: Record<string, string>, made: boolean}}
 */
export function localDeployment(folder, core, { secrets = LOCAL.secrets, admin = LOCAL.admin, ...words } = {}) {
  const kept = keptDeployment(folder, { secrets });
  if (kept) return { env: kept, made: false };
  stateFolder(folder);
  const { adminKey, env } = newDeployment(core, words);
  // The key first: without it the secrets would be of no use to anybody, and the next start makes both anew.
  for (const [name, content] of [[admin, `${adminKey}\n`], [secrets, `${JSON.stringify(env, null, 2)}\n`]]) {
    const file = join(folder, /** @type {string} */ (name));
    writeFileSync(`${file}.new`, /** @type {string} */ (content), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return { env, made: true };
}
