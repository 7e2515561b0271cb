/** A folder that a Worker of keyward is deployed from: what `keyward init` writes into it, and what is read of it later. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Refused } from '../connection.js';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, OBJECTS } from './workerd.mjs';

/** The folder of this package, and what lies in it beside the command line. */
export const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
export const CODE = fileURLToPath(new URL('./worker', import.meta.url));
export const PAGES = fileURLToPath(new URL('./www', import.meta.url));

/** Release of the runtime that this Worker is tested in. */
export const WORKERD = '1.20261023.1';

/** Where state and secrets are kept, beside wrangler.jsonc. */
export const STATE = '.keyward';

/** What is read of a wrangler.jsonc. */
export interface Config {
  name?: string;
  main?: string;
  vars?: Record<string, unknown>;
  durable_objects?: { bindings?: { name: string; class_name: string }[] };
  env?: Record<string, Config>;
}

/** JSON with comments and trailing commas, as JSON. Strings are matched first, so that what looks like either in them stays. */
function plain(jsonc: string): string {
  const without = jsonc.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[^]*?\*\//g, (_, string: string | undefined) => string ?? ' ');
  return without.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? '');
}

/** The configuration of wrangler in a folder, as it stands there. */
export interface Found {
  file: string;
  /** Absent where it is no JSON: wrangler.toml. */
  config?: Config;
  /** Whether it deploys keyward's own Worker. */
  ours: boolean;
}

/** The one that wrangler itself would take, if there is any. */
export function configIn(folder: string): Found | undefined {
  const file = ['wrangler.json', 'wrangler.jsonc', 'wrangler.toml'].find((name) => existsSync(join(folder, name)));
  if (file === undefined || file.endsWith('.toml')) return file === undefined ? undefined : { file, ours: false };
  let config: Config;
  try {
    config = JSON.parse(plain(readFileSync(join(folder, file), 'utf8'))) as Config;
  } catch (error) {
    throw new Refused(`${file} cannot be read: ${(error as Error).message}`);
  }
  return { file, config, ours: /(^|\/)keyward\/dist\/worker\/index\.js$/.test(config?.main ?? '') };
}

/** The configuration of keyward's Worker in a folder; refuses where there is none. */
export function ourConfig(folder: string): { file: string; config: Config } {
  const found = configIn(folder);
  if (found === undefined) throw new Refused('no keyward here: there is no wrangler.jsonc in this folder. npx keyward init makes one');
  if (!found.ours || !found.config) throw new Refused(`${found.file} deploys another Worker. Give keyward a folder of its own: npx keyward init keyward`);
  return { file: found.file, config: found.config };
}

/** Settings of the Worker that a configuration holds in the open. */
export const settingsOf = ({ vars = {} }: Config): Record<string, string> =>
  Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]));

/** Where a package is installed, seen from a folder: in its own node_modules, or in one above. Node's resolver would remember that it was not there. */
export function installedIn(folder: string, name = 'keyward'): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return relative(folder, candidate).split(sep).join('/');
    if (dirname(at) === at) return undefined;
  }
}

/** What a deployment is made with. */
export interface Answers {
  /** The Worker's name at Cloudflare. */
  name: string;
  brand: string;
  /** `live,test:mock`. */
  environments: string;
}

/** wrangler.jsonc; `installed` is the package's folder, seen from there. */
export const wranglerConfig = ({ name, brand, environments }: Answers, installed: string) => `// keyward on Cloudflare. \`npx keyward deploy\` hands this to wrangler, and \`npx keyward dev\` takes the variables from it.
// Secrets do not belong here: deploy uploads them from ${STATE}/.
{
  "name": ${JSON.stringify(name)},

  // The Worker as the package brings it: what was tested is deployed, byte for byte, and nothing is bundled.
  "main": "${installed}/dist/worker/index.js",
  "no_bundle": true,
  "rules": [{ "type": "CompiledWasm", "globs": ["**/*.wasm"], "fallthrough": false }],
  "compatibility_date": "${COMPATIBILITY_DATE}",
  "compatibility_flags": ${JSON.stringify(COMPATIBILITY_FLAGS)},

  // Where it answers: at name.your-account.workers.dev, or at a domain of yours.
  // "routes": [{ "pattern": "keys.example.com", "custom_domain": true }],
  // "workers_dev": false,
  // "account_id": "",
  "preview_urls": false,

  // How keys begin: ${brand}_${environments.split(/[:,]/)[0]}_… What is followed by :mock is answered from mocks.
  // Every key carries its brand: it stays what it is once keys were given out.
  "vars": {
    "KEYWARD_BRAND": ${JSON.stringify(brand)},
    "KEYWARD_ENVIRONMENTS": ${JSON.stringify(environments)}
  },

  "durable_objects": {
    "bindings": [
${OBJECTS.map(([binding, className]) => `      { "name": "${binding}", "class_name": "${className}" }`).join(',\n')}
    ]
  },
  "migrations": [{ "tag": "v1", "new_sqlite_classes": ${JSON.stringify(OBJECTS.map(([, className]) => className)).replaceAll(',', ', ')} }],

  // The pages, /openapi.json among them. The Worker answers first: no page stands before an endpoint.
  "assets": { "directory": "${installed}/dist/www", "binding": "ASSETS", "run_worker_first": true },

  // Why a key was refused stands in the Worker's log, under the request id of the answer.
  "observability": { "enabled": true }
}
`;

export const ENV_EXAMPLE = `# Names that keyward knows beside those in wrangler.jsonc. Copy what you need to .env, which git ignores; \`npx keyward dev\` reads
# it from there. Deployed, they are secrets: npx wrangler secret put NAME

# Root secrets and tag keys that were replaced and still count, separated by commas.
# KEYWARD_RETIRED_ROOT_SECRETS=
# KEYWARD_RETIRED_TAG_KEYS=

# Keys of another system that are imported: how they begin, and for which environment they are (sk_live_:live).
# KEYWARD_FOREIGN_PREFIXES=

# For a trial on this machine: origins, private or not encrypted, that routes and webhooks may lead to.
# KEYWARD_LOCAL_UPSTREAMS=
# KEYWARD_LOCAL_WEBHOOKS=

# A provider's key for a route ({"environment": "UPSTREAM_SMS"}), and the origin that it may be sent to.
# UPSTREAM_SMS=
# UPSTREAM_SMS_ORIGIN=

# Who signs identity tokens; Turnstile, for sessions; who may report leaks to /v1/leaks/github.
# KEYWARD_ISSUER=
# KEYWARD_TURNSTILE_SECRET=
# KEYWARD_LEAK_PARTNERS=
`;

/** What git is not to see. */
export const IGNORED = [`${STATE}/`, '.env', '.dev.vars', 'node_modules/', '.wrangler/'];
