// Runs Workers in workerd, the runtime of Cloudflare Workers, with SQLite-backed Durable Objects on disk. Used by
// `npm start`, the tests and the benches: what they run is what is deployed.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, relative } from 'node:path';
import { root } from './setup.mjs';

/** The compatibility date that every Worker here is run and deployed with. */
export const COMPATIBILITY_DATE = '2026-10-20';

/** A request's signal tells of a client that went away. */
const COMPATIBILITY_FLAGS = '["enable_request_signal"]';

/** The bindings that carry secrets or configuration into the Worker; each may be absent. */
const SETTINGS = ['KEYWARD_ROOT_SECRET', 'KEYWARD_RETIRED_ROOT_SECRETS', 'KEYWARD_TAG_KEY', 'KEYWARD_RETIRED_TAG_KEYS',
  'KEYWARD_FIRST_KEY', 'KEYWARD_BRAND', 'KEYWARD_ENVIRONMENTS', 'KEYWARD_FOREIGN_PREFIXES', 'KEYWARD_ISSUER',
  'KEYWARD_LOCAL_UPSTREAMS', 'KEYWARD_LOCAL_WEBHOOKS', 'KEYWARD_TURNSTILE_SECRET', 'KEYWARD_TURNSTILE_URL',
  'KEYWARD_LEAK_PARTNERS',
  // Read by the fault-injection build alone.
  'KEYWARD_FAULT'];

/** Path of the runtime's own binary. Its npm package's wrapper would stand between us and its signals. */
export function workerdBinary() {
  const require = createRequire(join(root, 'package.json'));
  return require('workerd').default;
}

const text = (value) => JSON.stringify(value);
/** A file to embed, as the configuration names it: relative to where the configuration will lie. */
const embedded = (state, file) => `embed ${text(relative(state, file))}`;

/** The Durable Objects of the Worker that owns them. */
const OBJECTS = `durableObjectNamespaces = [
      (className = "KeyObject", uniqueKey = "keyward-keys", enableSql = true),
      (className = "ProjectObject", uniqueKey = "keyward-project", enableSql = true),
      (className = "RouteObject", uniqueKey = "keyward-routes", enableSql = true),
      (className = "WebhookObject", uniqueKey = "keyward-webhooks", enableSql = true)
    ],
    durableObjectStorage = (localDisk = "objects")`;

/**
 * keyward's own Worker as a service of a workerd configuration. Secrets are named, never written.
 *
 * @param options.wrappers modules of which the first is loaded in the Worker's place and imports it, to watch it
 * @param options.authority name of the service whose Durable Objects it speaks to; without it, they are its own
 */
export function keywardService({ state, name = 'keyward', code = join(root, 'build', 'worker'), wrappers = [], settings, authority }) {
  const bound = settings.filter((setting) => SETTINGS.includes(setting) || setting.startsWith('UPSTREAM_'));
  const namespace = (className) => (authority === undefined ? text(className) : `(className = ${text(className)}, serviceName = ${text(authority)})`);
  return `(name = ${text(name)}, worker = (
    compatibilityDate = ${text(COMPATIBILITY_DATE)},
    compatibilityFlags = ${COMPATIBILITY_FLAGS},
    modules = [
      ${wrappers.map((file) => `(name = ${text(basename(file))}, esModule = ${embedded(state, file)}),`).join('\n      ')}
      (name = "index.js", esModule = ${embedded(state, join(code, 'index.js'))}),
      (name = "worker_bg.wasm", wasm = ${embedded(state, join(code, 'worker_bg.wasm'))})
    ],
    bindings = [
      (name = "KEYS", durableObjectNamespace = ${namespace('KeyObject')}),
      (name = "PROJECT", durableObjectNamespace = ${namespace('ProjectObject')}),
      (name = "ROUTES", durableObjectNamespace = ${namespace('RouteObject')}),
      (name = "WEBHOOKS", durableObjectNamespace = ${namespace('WebhookObject')}),
      (name = "ASSETS", service = "assets"),
      ${bound.map((setting) => `(name = ${text(setting)}, fromEnvironment = ${text(setting)})`).join(',\n      ')}
    ]${authority === undefined ? `,\n    ${OBJECTS}` : ''}
  ))`;
}

/** A Worker of one JavaScript module as a service. */
export function scriptService({ state, name, esModule, bindings = '' }) {
  return `(name = ${text(name)}, worker = (compatibilityDate = ${text(COMPATIBILITY_DATE)}, modules = [(name = "index.js", esModule = ${embedded(state, esModule)})], bindings = [${bindings}]))`;
}

/** What Workers may reach: the public internet, and private addresses where the configuration names local upstreams or webhooks. */
const network = ({ KEYWARD_LOCAL_UPSTREAMS, KEYWARD_LOCAL_WEBHOOKS, KEYWARD_TURNSTILE_URL = '' }) => {
  const reach = KEYWARD_LOCAL_UPSTREAMS || KEYWARD_LOCAL_WEBHOOKS || KEYWARD_TURNSTILE_URL.startsWith('http:') ? '["public", "private"]' : '["public"]';
  return `(name = "internet", network = (allow = ${reach}, tlsOptions = (trustBrowserCas = true)))`;
};

/**
 * Starts workerd and resolves once it listens.
 *
 * @param options.state folder for its configuration and storage
 * @param options.services `(…)` texts of further services
 * @param options.sockets `{name, service, port}`: port 0 takes a free one
 * @param options.env the environment that settings are bound from
 * @returns `{ports, process, exited, log}`: ports by socket name; `log` collects what the Workers print
 */
export async function startWorkerd({ state, services, sockets, env = {}, onLog }) {
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
  const child = spawn(workerdBinary(), ['serve', config, '--experimental', '--control-fd=3'], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const log = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      log.push(chunk);
      if (log.length > 10_000) log.splice(0, 5_000);
      onLog?.(chunk);
    });
  }
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  const ports = {};
  await new Promise((resolve, reject) => {
    let heard = '';
    child.stdio[3].setEncoding('utf8').on('data', (chunk) => {
      heard += chunk;
      for (let end; (end = heard.indexOf('\n')) >= 0; heard = heard.slice(end + 1)) {
        const event = JSON.parse(heard.slice(0, end));
        if (event.event === 'listen') ports[event.socket] = event.port;
        if (Object.keys(ports).length === sockets.length) resolve();
      }
    });
    exited.then(({ code, signal }) => reject(new Error(`workerd ended (${code ?? signal}): ${log.join('')}`)));
  });
  return { ports, process: child, exited, log };
}

/**
 * Starts keyward's Worker with its pages, one socket.
 *
 * @param options.pages folder of the pages
 * @param options.edges `{name, code, wrappers}` of further Workers, each on a socket of its name: isolates with leases of
 *   their own, which speak to the first one's Durable Objects
 */
export async function startKeyward({ state, port = 0, code, wrappers, env, edges = [], pages = join(root, 'build', 'www'), onLog }) {
  const settings = Object.keys(env);
  const services = [
    keywardService({ state, code, wrappers, settings }),
    ...edges.map((edge) => keywardService({ state, settings, authority: 'keyward', ...edge })),
    scriptService({ state, name: 'assets', esModule: join(root, '.ci', 'assets.js'), bindings: '(name = "FILES", service = "files")' }),
    `(name = "files", disk = ${text(pages)})`,
  ];
  const sockets = [{ name: 'http', service: 'keyward', port }, ...edges.map(({ name }) => ({ name, service: name }))];
  const running = await startWorkerd({ state, services, sockets, env, onLog });
  return { ...running, url: `http://127.0.0.1:${running.ports.http}` };
}
