// `npm start`: sets up, builds, and runs the real Worker in workerd with its state in .keyward/, beside it a stand-in for an SMS
// provider that a first route leads to, then prints what to try.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { taken } from '../src/cli/worker/port.mjs';
import { localDeployment } from '../src/cli/worker/secrets.mjs';
import { Held, endWithNpm, lockState } from '../src/cli/worker/state.mjs';
import { build } from './build.mjs';
import { exposePages, setUpRoute } from './demo.mjs';
import { startProvider } from './provider.mjs';
import { fail, root } from './setup.mjs';
import { startKeyward } from './workerd.mjs';

/** The port that a variable names. */
function portFrom(name, otherwise) {
  const port = Number(process.env[name] || otherwise);
  if (!Number.isInteger(port) || port < 1 || port > 65535) fail(`${name} is "${process.env[name]}"`, 'a number from 1 to 65535');
  return port;
}
const PROVIDER_PORT = 8788;
const port = portFrom('PORT', 8787);
let providerPort = portFrom('PROVIDER_PORT', PROVIDER_PORT);

const state = join(root, '.keyward');

/** Takes this folder's state for this process alone. */
function lock() {
  try {
    return lockState(state);
  } catch (error) {
    if (!(error instanceof Held)) throw error;
    return fail(error.message, error.pid ? `end that one first: kill ${error.pid}` : 'wait for that one');
  }
}

const held = lock();
const refusePort = (name, wanted) => {
  held.release();
  fail(`port ${wanted} is in use`, `end what uses it, or take another port: ${name}=8790 npm start`);
};
// Asked before the minutes of a first build.
if (await taken(port)) refusePort('PORT', port);
if (providerPort === port || (await taken(providerPort))) {
  if (process.env.PROVIDER_PORT) refusePort('PROVIDER_PORT', providerPort);
  // Nobody asked for this very port: any free one will do.
  providerPort = 0;
}

await build();
const core = await import(join(root, 'dist', 'index.js'));
const { env: kept, made } = localDeployment(state, core);
const provider = await startProvider({ port: providerPort, file: join(state, 'provider.json') });
const pages = join(state, 'www');
await exposePages({ folder: pages, provider });
// What is set in the shell counts beside, and before, what the folder keeps.
const env = { ...kept, ...Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('KEYWARD_') && name !== 'KEYWARD_WASM_TOOLCHAIN')) };
// Where the README's tour has a receiver listen.
env.KEYWARD_LOCAL_WEBHOOKS ??= 'http://127.0.0.1:9000';
env.KEYWARD_LOCAL_UPSTREAMS = [env.KEYWARD_LOCAL_UPSTREAMS, provider.url].filter(Boolean).join(',');
const running = await startKeyward({ state, port, env, pages, places: 5, onLog: (text) => process.stderr.write(text) });

const { url } = running;
held.holds(running.process.pid, url);

const adminFile = join(state, 'admin-key');
const adminKey = existsSync(adminFile) ? readFileSync(adminFile, 'utf8').trim() : undefined;

/** Whether the key that the tour uses is there and accepted. */
async function adminKeyState() {
  if (adminKey === undefined) return 'is missing; with it went the way in. Delete .keyward/ to begin anew';
  const answer = await fetch(`${url}/v1/authorize`, { headers: { authorization: `Bearer ${adminKey}` } });
  if (answer.ok) return made ? 'holds the first management key, made just now' : 'holds the first management key';
  return `is no longer accepted (${answer.status}): the log line above says why. Use another management key, or delete .keyward/ to begin anew`;
}

/** What became of the route that the page "Exposed or relayed" shows. That it could not be set up ends nothing else. */
async function routeState() {
  const file = '.keyward/admin-key';
  if (adminKey === undefined) return `not set up: ${file} is missing`;
  try {
    const made = await setUpRoute({ keyward: url, adminKey, provider, origins: [url, url.replace('127.0.0.1', 'localhost')] });
    return `leads to ${provider.url}/api/sms${made ? ', made just now; the provider’s key is sealed in it' : ''}`;
  } catch (error) {
    return [401, 403].includes(error.status) ? `not set up: ${file} is no longer accepted for it (${error.status})` : `not set up: ${error.message}`;
  }
}
console.log(`
keyward runs at ${url}
  state   .keyward/ (records in objects/, secrets in secrets.json; delete the folder to begin anew)
  key     .keyward/admin-key ${await adminKeyState()}
  route   sms ${await routeState()}
a stand-in for an SMS provider runs at ${provider.url}
  log     ${provider.url}/ shows every call it receives, and from where; ${provider.url}/log.json too
  token   .keyward/provider.json holds the token of its account, and digests of its keys

Try it in another terminal, from this folder:

  ADMIN=$(cat .keyward/admin-key)

  # create a key: it is shown this once
  NEW=$(curl -s ${url}/v1/keys -H "Authorization: Bearer $ADMIN" -d '{"name": "server-prod", "owner": "acme", "scopes": ["calls:create"]}'); echo "$NEW"
  KEY=$(node -p 'JSON.parse(process.argv[1]).key' "$NEW"); ID=$(node -p 'JSON.parse(process.argv[1]).id' "$NEW")

  # verify it
  curl -s ${url}/v1/keys/verify -H "Authorization: Bearer $ADMIN" -d "{\\"key\\": \\"$KEY\\", \\"scopes\\": [\\"calls:create\\"]}"

  # use it, as a proxy would ask
  curl -si "${url}/v1/authorize?scope=calls:create" -H "Authorization: Bearer $KEY"

  # replace its secret: both work for a day, and the answer to the old one says so
  curl -s ${url}/v1/keys/$ID/rotations -H "Authorization: Bearer $ADMIN" -d '{"activate": "now"}'

  # revoke it: from effective_by on, no edge accepts it
  curl -s ${url}/v1/keys/$ID/revoke -H "Authorization: Bearer $ADMIN" -d '{"reason": "trying keyward", "wait": true}'

The site: ${url}/ · a key taken apart: ${url}/anatomy.html · a key exposed, or relayed: ${url}/relay.html · docs: ${url}/docs/ · stop with Ctrl-C
`);

let ending = false;
const end = () => {
  ending = true;
  running.process.kill('SIGTERM');
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
endWithNpm(end);
const { code, signal } = await running.exited;
await provider.close();
held.release();
if (!ending) fail(`workerd ended (${code ?? signal})`, 'its last words are above');
