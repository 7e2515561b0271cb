/** `keyward dev`: the Worker of this package in workerd, with its Durable Objects on disk. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { Refused } from '../connection.js';
import { painter } from '../scan/report.js';
import { taken } from './port.mjs';
import { CODE, PACKAGE, PAGES, STATE, WORKERD, ourConfig, settingsOf } from './project.js';
import { LOCAL, localDeployment } from './secrets.mjs';
import { Held, endWithNpm, lockState } from './state.mjs';
import { startKeyward, workerdBinary } from './workerd.mjs';

export interface Options {
  port: number;
}

/** What a file of variables and the shell say; wrangler, too, reads the first of these files alone. Empty ones count as absent. */
function variables(folder: string): Record<string, string> {
  const file = ['.dev.vars', '.env'].map((name) => join(folder, name)).find(existsSync);
  const said = { ...(file ? parseEnv(readFileSync(file, 'utf8')) : {}), ...process.env };
  const ours = Object.entries(said).filter(([name, value]) => /^(KEYWARD|UPSTREAM)_/.test(name) && value);
  return Object.fromEntries(ours) as Record<string, string>;
}

/** Whether the key that is tried first is accepted. */
async function adminKeyState(url: string, adminKey: string | undefined, made: boolean): Promise<string> {
  if (adminKey === undefined) return `is missing; with it went the way in. Delete ${STATE}/ to begin anew`;
  const answer = await fetch(`${url}/v1/authorize`, { headers: { authorization: `Bearer ${adminKey}` } });
  if (answer.ok) return `holds the first management key${made ? ', made just now' : ''}`;
  return `is not accepted (${answer.status}): the log says why. Use another management key, or delete ${STATE}/ to begin anew`;
}

export async function dev({ port }: Options, version: string): Promise<void> {
  const folder = process.cwd();
  const { config } = ourConfig(folder);
  const binary = workerdBinary(folder) ?? workerdBinary(PACKAGE);
  if (binary === undefined || !existsSync(binary)) throw new Refused(`workerd, the runtime, is not installed: npm install --save-dev workerd@${WORKERD}`);
  const state = join(folder, STATE);
  let held: ReturnType<typeof lockState>;
  try {
    held = lockState(state);
  } catch (error) {
    if (!(error instanceof Held)) throw error;
    throw new Refused(`${error.message}. ${error.pid ? `End that one first: kill ${error.pid}` : 'Wait for that one'}`);
  }
  try {
    if (port !== 0 && (await taken(port))) throw new Refused(`port ${port} is in use. End what uses it, or take another: npx keyward dev --port ${port === 8790 ? 8791 : 8790}`);
    const core = await import('keyward');
    const settings = settingsOf(config);
    const words = { brand: settings.KEYWARD_BRAND ?? 'psk', environment: settings.KEYWARD_ENVIRONMENTS?.split(/[:,]/)[0] ?? 'live' };
    const { env: kept, made } = localDeployment(state, core, { ...LOCAL, ...words });
    const env = { ...settings, ...kept, ...variables(folder) };

    let ending = false;
    let running: Awaited<ReturnType<typeof startKeyward>> | undefined;
    const end = () => {
      ending = true;
      running?.process.kill('SIGTERM');
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
    endWithNpm(end);
    running = await startKeyward({ binary, state, port, code: CODE, pages: PAGES, places: 5, env, onLog: (text) => void process.stderr.write(text) });
    if (running.process.pid !== undefined) held.holds(running.process.pid, running.url);
    if (ending) running.process.kill('SIGTERM');
    const { url } = running;
    const adminFile = join(state, LOCAL.admin);
    const adminKey = existsSync(adminFile) ? readFileSync(adminFile, 'utf8').trim() : undefined;
    const paint = painter(process.stdout);
    if (!ending) {
      process.stdout.write(`
${paint('bold', `keyward ${version} runs at ${url}`)}
  key     ${STATE}/${LOCAL.admin} ${await adminKeyState(url, adminKey, made)}
  state   ${STATE}/ (delete it to begin anew)

Try, in another terminal, in this folder:

  # create a key: it is shown this once; then verify it. In this folder the commands find this deployment
  KEY=$(npx keyward keys create --name server-prod --owner acme --scope calls:create)
  echo "$KEY" | npx keyward keys verify --scope calls:create

  # the same over HTTP
  ADMIN=$(cat ${STATE}/${LOCAL.admin})
  NEW=$(curl -s ${url}/v1/keys -H "Authorization: Bearer $ADMIN" -d '{"name": "server-prod", "owner": "acme", "scopes": ["calls:create"]}'); echo "$NEW"
  KEY=$(node -p 'JSON.parse(process.argv[1]).key' "$NEW")
  curl -s ${url}/v1/keys/verify -H "Authorization: Bearer $ADMIN" -d "{\\"key\\": \\"$KEY\\", \\"scopes\\": [\\"calls:create\\"]}"

The site: ${url}/ · documentation: ${url}/docs/ · a key taken apart: ${url}/anatomy.html · ${url}/openapi.json · Ctrl-C ends it
`);
    }
    const { code, signal } = await running.exited;
    if (!ending) throw new Refused(`workerd ended (${code ?? signal}); its last words are above`);
    process.stdout.write('\nkeyward has ended; its keys are kept\n');
  } finally {
    held.release();
  }
  // The last connections that are kept alive would hold the process.
  process.exit(0);
}
