// What the page "Exposed or relayed" needs: a route `sms` of keyward to the stand-in provider with that provider's key sealed in
// it, and pages of which one was built with a key of the provider in its script. Done by `npm start` and by the tests.
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleExposedShop } from './build.mjs';
import { root } from './setup.mjs';

/** The names of the two keys at the provider: its log tells calls apart by them, and so does the page. */
export const RELAYED_KEY = 'server-prod-2026q3';
export const EXPOSED_KEY = 'exposed-shop';

/** The provider's origin as the pages are written with it. */
const WRITTEN = 'http://127.0.0.1:8788';

const ROUTE = '/v1/routes/sms';

/** The route: what the relayed shop may do with the provider's key, and what it costs at most. */
const routeTo = (provider, origins) => ({
  upstream: `${provider.url}/api/sms`,
  environment: 'live',
  callers: {
    key: { scopes: ['messages:send'] },
    session: {
      origins, mint: 'public', calls: 5, seconds: 300,
      per_address: { limit: 20, window_seconds: 3600 },
      per_route: { limit: 200, window_seconds: 3600 },
    },
  },
  allow: [
    { methods: ['POST'], path: '/messages' },
    { methods: ['GET'], path: '/messages/*' },
    { methods: ['GET'], path: '/messages/*/events' },
  ],
  credential: { type: 'header', name: 'Authorization', prefix: 'Bearer ' },
  request: {
    max_bytes: 4096,
    numbers: {
      pointer: '/to', countries: ['DE', 'AT', 'CH', 'GB', 'US'],
      per_number: { limit: 3, window_seconds: 3600 },
      per_range: { limit: 10, window_seconds: 3600 },
      per_country: { limit: 100, window_seconds: 3600 },
    },
  },
  response: { redact: true, redirects: 'refuse', max_bytes: 65_536 },
  timeout_seconds: 10,
  idle_seconds: 30,
  limit: { limit: 60, window_seconds: 60 },
  mock: {
    status: 202,
    headers: { 'Content-Type': 'application/json' },
    body: '{"id":"mock_{{request_id}}","to":"{{body:/to}}","status":"queued","parts":1,"price":{"amount":"0.000","currency":"EUR"}}',
    latency_ms: 50,
  },
});

/** A call that must go well; answers what its JSON says. `missing` is answered for a 404, where one is to be expected. */
async function call(base, token, method, path, body, missing) {
  const response = await fetch(base + path, {
    method,
    headers: { authorization: `Bearer ${token}` },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status === 404 && missing !== undefined) return missing;
  if (!response.ok) throw Object.assign(new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 300)}`), { status: response.status });
  return JSON.parse(text);
}

const ofProvider = (provider, method, path, body) => call(provider.url, provider.accountToken, method, `/api/sms/api-keys${path}`, body);

/** Makes a key of the provider. */
const newKey = (provider, name) => ofProvider(provider, 'POST', '', { name });

/** The provider's keys of a name that work. */
const keysNamed = async (provider, name) => (await ofProvider(provider, 'GET', '')).data.filter((key) => key.name === name && !key.revoked_at);

async function revoke(provider, keys) {
  for (const { id } of keys) await ofProvider(provider, 'DELETE', `/${id}`);
}

/**
 * Sets the route `sms` up, unless it stands: for this provider, these origins, and with a key that works there. The key is made
 * here and handed to keyward; afterwards it is nowhere but sealed in there, and as a digest at the provider.
 *
 * @param keyward where it runs
 * @param origins of the pages that may use the route
 * @returns the provider's key if it was made now, for a test to search for
 */
export async function setUpRoute({ keyward, adminKey, provider, origins }) {
  const before = await call(keyward, adminKey, 'GET', ROUTE, undefined, null);
  const keys = await keysNamed(provider, RELAYED_KEY);
  const wanted = routeTo(provider, origins);
  const stands = before?.upstream === wanted.upstream && origins.every((origin) => before.callers?.session?.origins?.includes(origin));
  if (stands && keys.length > 0) return undefined;
  await call(keyward, adminKey, 'PUT', ROUTE, wanted);
  const { key } = await newKey(provider, RELAYED_KEY);
  await call(keyward, adminKey, 'PUT', `${ROUTE}/secrets/current`, { secret: key });
  await revoke(provider, keys);
  return key;
}

/**
 * Makes the pages in `folder`, with a key of the provider in the exposed shop's script, thrown away when the next one is made.
 * build/www is left as it is: what is deployed from there holds no key.
 *
 * @returns the key
 */
export async function exposePages({ folder, provider }) {
  const earlier = await keysNamed(provider, EXPOSED_KEY);
  const { key } = await newKey(provider, EXPOSED_KEY);
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(root, 'build', 'www'), folder, { recursive: true });
  // The policies of the pages name the provider that they may speak to.
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.html'))) {
    const page = readFileSync(join(folder, name), 'utf8');
    // And a page that simulates what is not there is told that it is.
    writeFileSync(join(folder, name), page.replaceAll(WRITTEN, provider.url).replace('data-behind="nobody"', 'data-behind="keyward"'));
  }
  await bundleExposedShop(folder, { provider: provider.url, key });
  await revoke(provider, earlier);
  return key;
}
