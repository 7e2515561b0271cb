// keyward and the Workers it is compared with, in one workerd process: each on its own socket, all on one CPU bill.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../.ci/setup.mjs';
import { keywardService, scriptService, startWorkerd } from '../../.ci/workerd.mjs';
import { cpuNanoseconds } from './cpu.mjs';
import { load } from './load.mjs';

/** The longest there is: one question to the authority a minute is nothing beside the calls in between. */
const STALENESS = 60;

/** A record as keyward stores it, without restrictions. */
export function record(id, fields) {
  const at = '2026-01-01T00:00:00Z';
  return {
    id, brand: 'psk', environment: 'live', name: 'bench', owner: 'bench', scopes: [], created_at: at, updated_at: at,
    not_before: null, expires_at: null, allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [],
    max_staleness_seconds: STALENESS, metadata: {}, status: 'active', revoked_at: null, revoke_reason: null, version: 1,
    ...fields,
  };
}

/**
 * Makes a deployment in a folder of its own, hands it to `work` and removes it.
 *
 * @param more bindings of keyward's beside its secrets
 */
export async function withDeployment(work, more = {}) {
  const { generateKey, parseKey, Verifier } = await import(join(root, 'dist', 'index.js'));
  const rootSecret = randomBytes(32).toString('hex');
  const tagKey = randomBytes(32).toString('hex');
  const managementKey = generateKey({ brand: 'psk', environment: 'live', tagKey });
  const digest = new Verifier({ brand: 'psk', rootSecret }).digest(managementKey);
  const first = { record: record(parseKey(managementKey).id, { scopes: ['keyward.*:*'] }), secrets: [digest] };
  const settings = { KEYWARD_ROOT_SECRET: rootSecret, KEYWARD_TAG_KEY: tagKey, KEYWARD_FIRST_KEY: JSON.stringify(first), ...more };
  const state = mkdtempSync(join(tmpdir(), 'keyward-bench-'));
  try {
    return await work({ managementKey, run: (peers, use) => run({ state, settings, peers }, use) });
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

/**
 * Starts keyward and its peers, hands them to `use` and ends them. Keys outlive a run.
 *
 * @param peers `{name: {esModule, env}}`; `env` becomes bindings of text
 */
async function run({ state, settings, peers }, use) {
  const env = { ...settings };
  const peerServices = Object.entries(peers).map(([name, peer]) => {
    const bindings = Object.entries(peer.env).map(([binding, value]) => {
      const variable = `${name}_${binding}`;
      env[variable] = value;
      return `(name = "${binding}", fromEnvironment = "${variable}")`;
    });
    return scriptService({ state, name, esModule: peer.esModule, bindings: bindings.join(', ') });
  });
  const workerd = await startWorkerd({
    state,
    services: [
      keywardService({ state, settings: Object.keys(settings) }),
      // Bound because keyward's Worker names it; nobody asks for a page here.
      scriptService({ state, name: 'assets', esModule: join(root, 'src', 'cli', 'worker', 'assets.js') }),
      ...peerServices,
    ],
    sockets: ['keyward', ...Object.keys(peers)].map((name) => ({ name, service: name })),
    env,
  });
  const kill = () => workerd.process.kill('SIGKILL');
  process.once('exit', kill);
  try {
    return await use({ ports: workerd.ports, pid: workerd.process.pid });
  } finally {
    process.off('exit', kill);
    workerd.process.kill();
    await workerd.exited;
  }
}

/** Makes a key of the deployment; answers what `POST /v1/keys` does. */
export async function createKey(port, managementKey, fields) {
  const response = await fetch(`http://127.0.0.1:${port}/v1/keys`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${managementKey}` },
    body: JSON.stringify({ owner: 'acme', max_staleness_seconds: STALENESS, ...fields }),
  });
  if (response.status !== 201) throw new Error(`no key was made: ${response.status} ${await response.text()}`);
  return response.json();
}

/** A contender: `count` answers from `port`, at a cost of CPU nanoseconds each. Compiled and warm when it is returned. */
export async function contender({ pid, port, request, accepts, count }) {
  await load({ port, request, accepts, count });
  return async () => {
    const before = cpuNanoseconds(pid);
    await load({ port, request, accepts, count });
    return (cpuNanoseconds(pid) - before) / count;
  };
}
