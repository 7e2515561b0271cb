// verifyKey from JavaScript, the stored record handed over with every call, against what a Node developer would use instead.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../../../.ci/setup.mjs';
import { advantage, alternate, perCall, quartiles } from '../cpu.mjs';
import { record } from '../deployment.mjs';

export const title = 'verifyKey from JavaScript (Node), record handed over';

/** Keys that are met in turn, so that no contender profits from one that never changes. */
const KEYS = 64;
const BETTER_AUTH = '1.3.34';
const peers = join(root, 'build', 'peers', 'better-auth');

/** better-auth's API keys over its memory adapter, limits off: `(i) => Promise<boolean>`. */
async function betterAuth() {
  if (!existsSync(join(peers, 'node_modules', 'better-auth'))) {
    execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', peers, `better-auth@${BETTER_AUTH}`], { stdio: 'inherit' });
  }
  const require = createRequire(join(peers, 'package.json'));
  const load = (name) => import(pathToFileURL(require.resolve(name)));
  const [{ betterAuth: make }, { apiKey }, { memoryAdapter }] = await Promise.all(['better-auth', 'better-auth/plugins', 'better-auth/adapters/memory'].map(load));
  const tables = { user: [], session: [], account: [], verification: [], apikey: [] };
  const auth = make({
    database: memoryAdapter(tables), secret: randomBytes(32).toString('hex'), baseURL: 'http://127.0.0.1', logger: { disabled: true }, telemetry: { enabled: false },
    plugins: [apiKey({ rateLimit: { enabled: false } })],
  });
  const user = await (await auth.$context).internalAdapter.createUser({ email: 'owner@example.com', name: 'owner', emailVerified: true });
  const keys = [];
  for (let i = 0; i < KEYS; i += 1) keys.push((await auth.api.createApiKey({ body: { userId: user.id } })).key);
  return async (i) => (await auth.api.verifyApiKey({ body: { key: keys[i] } })).valid;
}

/** Nanoseconds per call, the keys in turn. */
const measured = (calls, call) => perCall(calls, (i) => call(i % KEYS));

/** Milliseconds from the import of the default entry to its first verdict, in a process of its own. */
function start() {
  const program = `
    const start = performance.now();
    const { Verifier, verifyKey } = await import('keyward');
    const [key, stored, rootSecret] = JSON.parse(process.env.CASE);
    const verdict = verifyKey(key, stored, { verifier: new Verifier({ brand: 'psk', rootSecret }), scopes: ['calls:create'] });
    console.log(verdict.valid ? performance.now() - start : NaN);`;
  return (example) => Number(execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root, encoding: 'utf8', env: { ...process.env, CASE: JSON.stringify(example) } }));
}

export async function run({ quick, progress }) {
  const { generateKey, parseKey, Verifier, verifyKey } = await import(join(root, 'dist', 'index.js'));
  const prefixedApiKey = createRequire(join(root, 'package.json'))('prefixed-api-key');

  const rootSecret = randomBytes(32).toString('hex');
  const verifier = new Verifier({ brand: 'psk', rootSecret });
  const keys = Array.from({ length: KEYS }, () => generateKey({ brand: 'psk' }));
  const stored = keys.map((key) => ({ record: record(parseKey(key).id, { scopes: ['calls:create'] }), secrets: [verifier.digest(key)] }));
  const prefixed = await Promise.all(keys.map(() => prefixedApiKey.generateAPIKey({ keyPrefix: 'psk' })));
  const other = await betterAuth();

  const calls = quick ? 5_000 : 20_000;
  const scopes = ['calls:create'];
  const contenders = {
    keyward: measured(calls, (i) => verifyKey(keys[i], stored[i], { verifier }).valid),
    scoped: measured(calls, (i) => verifyKey(keys[i], stored[i], { verifier, scopes, ip: '192.0.2.7' }).valid),
    prefixed: measured(calls, (i) => prefixedApiKey.checkAPIKey(prefixed[i].token, prefixed[i].longTokenHash)),
    betterAuth: async () => {
      const count = calls / 40;
      const begin = process.hrtime.bigint();
      for (let i = 0; i < count; i += 1) if (!(await other(i % KEYS))) throw new Error('better-auth refused its own key');
      return Number(process.hrtime.bigint() - begin) / count;
    },
  };
  for (const contender of Object.values(contenders)) await contender();
  const costs = await alternate(contenders, { rounds: quick ? 5 : 60, progress });
  const once = start();
  const starts = Array.from({ length: quick ? 5 : 21 }, () => once([keys[0], stored[0], rootSecret]));

  // Wall time, which a neighbour on the processor lengthens: the median, not the sum.
  const ratio = (of, to) => {
    const { overall, ...between } = advantage(costs[of], costs[to]);
    return between;
  };
  const line = (name, what) => ({ what, measured: quartiles(costs[name]), unit: 'ns' });
  return [
    { what: "calls per second: verifyKey / prefixed-api-key's checkAPIKey", measured: ratio('keyward', 'prefixed'), unit: '×', bound: { atLeast: 3 } },
    { what: "calls per second: verifyKey with a scope and an address / prefixed-api-key's", measured: ratio('scoped', 'prefixed'), unit: '×' },
    { what: `calls per second: verifyKey / better-auth ${BETTER_AUTH}'s verifyApiKey, memory adapter`, measured: ratio('keyward', 'betterAuth'), unit: '×', bound: { atLeast: 10 } },
    { what: 'import of the default entry to the first verdict, ms', measured: quartiles(starts), unit: 'ms', bound: { atMost: 15 } },
    line('keyward', 'verifyKey, ns per call'),
    line('scoped', 'verifyKey with a scope and an address, ns per call'),
    line('prefixed', "prefixed-api-key's checkAPIKey"),
    line('betterAuth', "better-auth's verifyApiKey"),
  ];
}
