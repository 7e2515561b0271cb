// The guards in the frameworks that they are for, each a real server on loopback, and in workerd. All answer /calls alike: with who
// calls, and 'nobody' where the guard lets somebody through who presented nothing.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { build } from 'esbuild';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { root } from '../../.ci/setup.mjs';
import { scriptService, startWorkerd } from '../../.ci/workerd.mjs';
import * as onExpress from '../../dist/express.js';
import * as onFastify from '../../dist/fastify.js';
import * as onFetch from '../../dist/fetch.js';
import * as onHono from '../../dist/hono.js';

const by = (principal) => ({ by: principal?.key_id ?? principal?.id ?? 'nobody', owner: principal?.owner ?? null });
const nameOf = ({ about }) => (about === 'identity' ? 'keywardIdentity' : 'keyward');

const served = (fetch, port) =>
  new Promise((resolve) => {
    const server = serve({ fetch, port, hostname: '127.0.0.1' }, ({ port: at }) => resolve({ url: `http://127.0.0.1:${at}`, stop: () => end(server) }));
  });

async function end(server) {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

/** Each starts a server whose /calls is behind a guard of `source`, on a free port or the one that is named, and answers `{url, stop}`. */
export const FRAMEWORKS = {
  async hono(source, options, port = 0) {
    const app = new Hono();
    app.use('/calls', onHono.guard(source, options));
    app.all('/calls', (c) => c.json(by(c.get(nameOf(source)))));
    return served(app.fetch, port);
  },
  async express(source, options, port = 0) {
    const app = express();
    app.use('/calls', onExpress.guard(source, options));
    app.all('/calls', (request, response) => response.json(by(request[nameOf(source)])));
    const server = createServer(app).listen(port, '127.0.0.1');
    await once(server, 'listening');
    return { url: `http://127.0.0.1:${server.address().port}`, stop: () => end(server) };
  },
  async fastify(source, options, port = 0) {
    const app = fastify({ forceCloseConnections: true });
    app.all('/calls', { onRequest: onFastify.guard(source, options) }, async (request) => by(request[nameOf(source)]));
    return { url: await app.listen({ port, host: '127.0.0.1' }), stop: () => app.close() };
  },
  async fetch(source, options = {}, port = 0) {
    return served(onFetch.guard(source, options, (request, principal) => Response.json(by(principal))), port);
  },
};

export const { deployment, identity, local } = onFetch;

/** The guards of Hono and `fetch` inside workerd: `{hono, fetch, stop}`, two URLs. `options` is for `deployment`, as JSON has it. */
export async function workerdGuards({ key, ...options }) {
  const state = mkdtempSync(join(tmpdir(), 'keyward-guards-'));
  const script = `
    import { Hono } from 'hono';
    import { deployment, guard as middleware } from '../../dist/hono.js';
    import { guard } from '../../dist/fetch.js';
    let app, plain;
    const by = (principal) => Response.json({ by: principal.key_id, owner: principal.owner });
    const begin = (env) => {
      const keys = deployment({ ...${JSON.stringify(options)}, key: env.KEYWARD_KEY });
      app = new Hono();
      app.use('/calls', middleware(keys, { scopes: ['calls:create'] }));
      app.all('/calls', (c) => by(c.get('keyward')));
      plain = guard(keys, { scopes: ['calls:create'] }, (request, principal) => by(principal));
    };
    export default {
      fetch(request, env, ctx) {
        if (app === undefined) begin(env);
        return request.headers.get('x-guard') === 'hono' ? app.fetch(request, env, ctx) : plain(request, env, ctx);
      },
    };`;
  const esModule = join(state, 'guarded.js');
  const { outputFiles } = await build({ stdin: { contents: script, resolveDir: join(root, 'tests', 'package') }, bundle: true, format: 'esm', write: false, conditions: ['workerd'] });
  writeFileSync(esModule, outputFiles[0].text);
  const running = await startWorkerd({
    state,
    services: [scriptService({ state, name: 'guarded', esModule, bindings: '(name = "KEYWARD_KEY", fromEnvironment = "KEYWARD_KEY")' })],
    sockets: [{ name: 'http', service: 'guarded' }],
    // It may speak to loopback.
    env: { KEYWARD_KEY: key, KEYWARD_LOCAL_UPSTREAMS: options.url },
  });
  const url = `http://127.0.0.1:${running.ports.http}`;
  return {
    url,
    log: running.log,
    async stop() {
      running.process.kill('SIGKILL');
      await running.exited;
      rmSync(state, { recursive: true, force: true });
    },
  };
}

/** Sends a call; `key` is the bearer credential. Answers `{status, headers, text, body}`. */
export async function call({ url, headers: own }, key, { path = '/calls', headers = {}, method = 'GET' } = {}) {
  const response = await fetch(url + path, { method, headers: { ...own, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...headers } });
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  return { status: response.status, headers: response.headers, text, body };
}

/** A part of the guards that no entry exports, from its source. */
export async function part(name) {
  const { outputFiles } = await build({ entryPoints: [join(root, 'src', 'guard', `${name}.ts`)], bundle: true, format: 'esm', write: false, external: ['jose'] });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`);
}
