// Runs Workers in workerd, the runtime of Cloudflare Workers, with SQLite-backed Durable Objects on disk. Used by
// `keyward dev` and, through .ci/workerd.mjs, by `npm start`, the tests and the benches: what they run is what is deployed.
// Plain JavaScript, since the checkout runs it before anything is built.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The compatibility date that every Worker here is run and deployed with. */
export const COMPATIBILITY_DATE = '2026-10-20';

/** A request's signal tells of a client that went away. */
export const COMPATIBILITY_FLAGS = ['enable_request_signal'];

/**
 * The Durable Objects: the binding and the class that it leads to.
 * @type {[binding: string, className: string][]}
 */
export const OBJECTS = [['KEYS', 'KeyObject'], ['PROJECT', 'ProjectObject'], ['ROUTES', 'RouteObject'], ['WEBHOOKS', 'WebhookObject']];

/** What names the storage of a class on disk; it never changes. @param {string} binding */
const uniqueKey = (binding) => `keyward-${binding.toLowerCase()}`;

/** The bindings that carry secrets or configuration into the Worker; each may be absent. */
const SETTINGS = ['KEYWARD_ROOT_SECRET', 'KEYWARD_RETIRED_ROOT_SECRETS', 'KEYWARD_TAG_KEY', 'KEYWARD_RETIRED_TAG_KEYS',
  'KEYWARD_FIRST_KEY', 'KEYWARD_BRAND', 'KEYWARD_ENVIRONMENTS', 'KEYWARD_FOREIGN_PREFIXES', 'KEYWARD_ISSUER',
  'KEYWARD_LOCAL_UPSTREAMS', 'KEYWARD_LOCAL_WEBHOOKS', 'KEYWARD_TURNSTILE_SECRET', 'KEYWARD_TURNSTILE_URL',
  'KEYWARD_LEAK_PARTNERS',
  // Read by the fault-injection build alone.
  'KEYWARD_FAULT'];

/**
 * Path of the runtime's own binary as installed for `folder`: the package's wrapper would stand between us and its signals.
 *
 * @param {string} folder
 * @returns {string | undefined}
 */
export function workerdBinary(folder) {
  try {
    return createRequire(join(folder, 'package.json'))('workerd').default;
  } catch {
    return undefined;
  }
}

/** Stands for Cloudflare's asset server; it lies beside this file, or beside what this file is bundled into. */
const ASSETS = fileURLToPath(new URL('./assets.js', import.meta.url));

/** @param {string} value */
const text = (value) => JSON.stringify(value);
/** A file to embed, as the configuration names it: relative to where the configuration will lie. @param {string} state @param {string} file */
const embedded = (state, file) => `embed ${text(relative(state, file))}`;

/** The Durable Objects of the Worker that owns them. */
const STORED = `durableObjectNamespaces = [
      ${OBJECTS.map(([binding, className]) => `(className = ${text(className)}, uniqueKey = ${text(uniqueKey(binding))}, enableSql = true)`).join(',\n      ')}
    ],
    durableObjectStorage = (localDisk = "objects")`;

/**
 * keyward's own Worker as a service of a workerd configuration. Secrets are named, never written.
 *
 * @param {object} options
 * @param {string} options.state folder where the configuration will lie
 * @param {string} [options.name]
 * @param {string} options.code folder of the built Worker
 * @param {string[] | undefined} [options.wrappers] modules of which the first is loaded in the Worker's place and imports it, to watch it
 * @param {string[]} options.settings names of variables; those that the Worker knows are bound
 * @param {string} [options.authority] name of the service whose Durable Objects it speaks to; without it, they are its own
 */
export function keywardService({ state, name = 'keyward', code, wrappers = [], settings, authority }) {
  const bound = settings.filter((setting) => SETTINGS.includes(setting) || setting.startsWith('UPSTREAM_'));
  const namespace = (/** @type {string} */ className) => (authority === undefined ? text(className) : `(className = ${text(className)}, serviceName = ${text(authority)})`);
  return `(name = ${text(name)}, worker = (
    compatibilityDate = ${text(COMPATIBILITY_DATE)},
    compatibilityFlags = [${COMPATIBILITY_FLAGS.map(text).join(', ')}],
    modules = [
      ${wrappers.map((file) => `(name = ${text(basename(file))}, esModule = ${embedded(state, file)}),`).join('\n      ')}
      (name = "index.js", esModule = ${embedded(state, join(code, 'index.js'))}),
      (name = "worker_bg.wasm", wasm = ${embedded(state, join(code, 'worker_bg.wasm'))})
    ],
    bindings = [
      ${OBJECTS.map(([binding, className]) => `(name = ${text(binding)}, durableObjectNamespace = ${namespace(className)}),`).join('\n      ')}
      (name = "ASSETS", service = "assets"),
      ${bound.map((setting) => `(name = ${text(setting)}, fromEnvironment = ${text(setting)})`).join(',\n      ')}
    ]${authority === undefined ? `,\n    ${STORED}` : ''}
  ))`;
}

/** A Worker of one JavaScript module as a service. @param {{state: string, name: string, esModule: string, bindings?: string}} options */
export function scriptService({ state, name, esModule, bindings = '' }) {
  return `(name = ${text(name)}, worker = (compatibilityDate = ${text(COMPATIBILITY_DATE)}, modules = [(name = "index.js", esModule = ${embedded(state, esModule)})], bindings = [${bindings}]))`;
}

/** What Workers may reach: the public internet, and private addresses where the configuration names local upstreams or webhooks. @param {Record<string, string>} env */
const network = ({ KEYWARD_LOCAL_UPSTREAMS, KEYWARD_LOCAL_WEBHOOKS, KEYWARD_TURNSTILE_URL = '' }) => {
  const reach = KEYWARD_LOCAL_UPSTREAMS || KEYWARD_LOCAL_WEBHOOKS || KEYWARD_TURNSTILE_URL.startsWith('http:') ? '["public", "private"]' : '["public"]';
  return `(name = "internet", network = (allow = ${reach}, tlsOptions = (trustBrowserCas = true)))`;
};

/**
 * Starts workerd and resolves once it listens.
 *
 * @param {object} options
 * @param {string} options.binary path of workerd
 * @param {string} options.state folder for its configuration and storage
 * @param {string[]} options.services `(…)` texts of further services
 * @param {{name: string, service: string, port?: number}[]} options.sockets port 0 takes a free one
 * @param {Record<string, string>} [options.env] the environment that settings are bound from
 * @param {((text: string) => void) | undefined} [options.onLog]
 * @returns `{ports, process, exited, log}`: ports by socket name; `log` collects what the Workers print
 */
export async function startWorkerd({ binary, state, services, sockets, env = {}, onLog }) {
  const objects = join(state, 'objects');
  mkdirSync(objects, { recursive: true });
  const config = join(state, 'workerd.capnp');
  writeFileSync(config, `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${services.join(',\n    ')},
    ${network(env)},
    (name = "objects", disk = (path = ${text(objects)}, writable = true))
  ],
  sockets = [${sockets.map(({ name, service, port = 0 }) => `(name = ${text(name)}, address = "127.0.0.1:${port}", http = (), service = ${text(service)})`).join(', ')}]
);
`);
  const child = spawn(binary, ['serve', config, '--experimental', '--control-fd=3'], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  /** @type {string[]} */
  const log = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk) => {
      log.push(chunk);
      if (log.length > 10_000) log.splice(0, 5_000);
      onLog?.(chunk);
    });
  }
  /** @type {Promise<{code: number | null, signal: NodeJS.Signals | null}>} */
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  /** @type {Record<string, number>} */
  const ports = {};
  /** @type {Promise<void>} */
  const listening = new Promise((resolve, reject) => {
    child.once('error', reject);
    let heard = '';
    const control = /** @type {import('node:stream').Readable} */ (child.stdio[3]);
    control.setEncoding('utf8').on('data', (/** @type {string} */ chunk) => {
      heard += chunk;
      for (let end; (end = heard.indexOf('\n')) >= 0; heard = heard.slice(end + 1)) {
        const event = JSON.parse(heard.slice(0, end));
        if (event.event === 'listen') ports[event.socket] = event.port;
        if (Object.keys(ports).length === sockets.length) resolve();
      }
    });
    exited.then(({ code, signal }) => reject(new Error(`workerd ended (${code ?? signal}): ${log.join('')}`)));
  });
  await listening;
  return { ports, process: child, exited, log };
}

/**
 * Starts keyward's Worker with its pages, one socket.
 *
 * @param {object} options
 * @param {string} options.binary path of workerd
 * @param {string} options.state folder for its configuration and storage
 * @param {number} [options.port] 0 takes a free one
 * @param {string} options.code folder of the built Worker
 * @param {string[]} [options.wrappers] modules that watch the Worker
 * @param {Record<string, string>} options.env
 * @param {{name: string, code?: string, wrappers?: string[]}[]} [options.edges] further Workers, each on a socket of its name:
 *   isolates with leases of their own, which speak to the first one's Durable Objects
 * @param {number} [options.places] how many edges a page reaches: the one that answers it, and others like `edges` under `/edges/2/` and on
 * @param {string} options.pages folder of the pages
 * @param {(text: string) => void} [options.onLog] takes what the Workers print, as it comes
 */
export async function startKeyward({ binary, state, port = 0, code, wrappers, env, edges = [], places = 1, pages, onLog }) {
  const settings = Object.keys(env);
  /** @type {typeof edges} */
  const elsewhere = Array.from({ length: places - 1 }, (_, index) => ({ name: `edge-${index + 2}` }));
  const bindings = ['(name = "FILES", service = "files")', ...elsewhere.map(({ name }) => `(name = ${text(name)}, service = ${text(name)})`)];
  const services = [
    keywardService({ state, code, wrappers, settings }),
    ...[...edges, ...elsewhere].map((edge) => keywardService({ state, settings, authority: 'keyward', ...edge, code: edge.code ?? code })),
    scriptService({ state, name: 'assets', esModule: ASSETS, bindings: bindings.join(', ') }),
    `(name = "files", disk = ${text(pages)})`,
  ];
  const sockets = [{ name: 'http', service: 'keyward', port }, ...edges.map(({ name }) => ({ name, service: name }))];
  const running = await startWorkerd({ binary, state, services, sockets, env, onLog });
  return { ...running, url: `http://127.0.0.1:${running.ports.http}` };
}
