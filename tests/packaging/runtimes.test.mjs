// The packed package in every runtime and bundler that it is for: installed from its tarball into a small project, and run there.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { build as esbuild } from 'esbuild';
import { chromium as launcher } from 'playwright-core';
import { chromium, root } from '../../.ci/setup.mjs';
import { startWorkerd } from '../../.ci/workerd.mjs';
import { COMPATIBILITY_DATE } from '../../src/cli/worker/workerd.mjs';
import { npm, pack, run } from './installed.mjs';

const tools = join(root, 'tests', 'packaging', 'node_modules');
const require = createRequire(join(tools, 'x.js'));
const project = join(root, 'build', 'packaging', 'project');
const arch = process.arch === 'arm64' ? 'arm64' : 'x64';

/** Path of a runtime's binary, of whichever of its packages was installed here. */
const binary = (...paths) => paths.map((path) => join(tools, path)).find(existsSync);
const NODES = [process.execPath, binary(`node22-${arch}/bin/node`), binary(`node24-${arch}/bin/node`)].filter(Boolean);
const deno = binary('@deno/linux-x64-glibc/deno');
const bun = binary('@oven/bun-linux-x64/bin/bun', '@oven/bun-linux-aarch64/bin/bun', '@oven/bun-darwin-aarch64/bin/bun');
const elsewhere = (runtime) => runtime === undefined && 'none for this platform is named in package.json here';

/** What is done with the package everywhere: `{…}` of what came out. */
const TRIED = `
function tried({ Verifier, generateKey, parseKey, digestKey, verifyKey, redactKey, KeywardError, grants }) {
  const key = generateKey({ brand: 'psk' });
  const verifier = new Verifier({ brand: 'psk', rootSecret: 'ab'.repeat(32) });
  const at = '2026-01-01T00:00:00.000Z';
  const record = { id: parseKey(key).id, brand: 'psk', environment: 'live', name: 'n', owner: 'o', scopes: ['calls:*'], created_at: at, updated_at: at, not_before: null,
    expires_at: null, allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [], max_staleness_seconds: 5, metadata: {}, status: 'active',
    revoked_at: null, revoke_reason: null, version: 1 };
  const stored = { record, secrets: [digestKey(key, { verifier })] };
  let code;
  try { parseKey(key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')); } catch (error) { code = error instanceof KeywardError && error instanceof Error && error.code; }
  return { valid: verifyKey(key, stored, { verifier, scopes: ['calls:create'] }).code, wrong: verifyKey(key, stored, { verifier, scopes: ['billing:read'] }).code,
    redacted: redactKey(key).endsWith('_…'), code, grants: grants(['calls:*'], ['calls:create']) };
}`;
const EXPECTED = { valid: 'VALID', wrong: 'INSUFFICIENT_SCOPE', redacted: true, code: 'CHECK', grants: true };

const FILES = {
  'tried.mjs': `${TRIED}\nexport default tried;\n`,
  'tried.cjs': `${TRIED}\nmodule.exports = tried;\n`,
  // Guards and client are loaded, too: each is used for itself in tests of its own.
  'imports.mjs': `import * as keyward from 'keyward';
import * as slim from 'keyward/slim';
import { Keyward } from 'keyward/client';
import { guard as fetchGuard, local } from 'keyward/fetch';
import { guard as honoGuard } from 'keyward/hono';
import { guard as expressGuard } from 'keyward/express';
import { guard as fastifyGuard } from 'keyward/fastify';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import tried from './tried.mjs';
let early; try { slim.generateKey({ brand: 'psk' }); } catch (error) { early = error.code; }
await slim.ready(readFileSync(fileURLToPath(import.meta.resolve('keyward/keyward.wasm'))));
const all = [Keyward, fetchGuard, honoGuard, expressGuard, fastifyGuard, local].every((made) => typeof made === 'function');
console.log(JSON.stringify([tried(keyward), tried(slim), early, all]));`,
  'requires.cjs': `const { readFileSync } = require('node:fs');
const tried = require('./tried.cjs');
const slim = require('keyward/slim');
const all = ['client', 'fetch', 'hono', 'express', 'fastify'].every((entry) => Object.keys(require('keyward/' + entry)).length > 0);
slim.ready(readFileSync(require.resolve('keyward/keyward.wasm'))).then(() => console.log(JSON.stringify([tried(require('keyward')), tried(slim), 'NOT_READY', all])));`,
  'page.mjs': `import * as keyward from 'keyward';
import tried from './tried.mjs';
const start = performance.now();
const result = tried(keyward);
globalThis.result = { result, milliseconds: performance.now() - start };`,
  'worker.mjs': `import * as keyward from 'keyward';
import { guard, local } from 'keyward/fetch';
import tried from './tried.mjs';
export default { fetch: () => Response.json([tried(keyward), typeof guard, typeof local]) };`,
};

let browser;
let tarball;

before(async () => {
  ({ tarball } = pack());
  rmSync(project, { recursive: true, force: true });
  mkdirSync(project, { recursive: true });
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies;
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  npm(project, 'install', '--prefer-offline', tarball, ...['hono', 'express', 'fastify'].map((name) => `${name}@${own[name]}`));
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(project, name), content);
  browser = await launcher.launch({ executablePath: chromium(), args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
});
after(() => browser?.close());

/** What a program printed as JSON, in the project. */
function printed(command, ...args) {
  const { status, stdout, stderr } = run(project, command, args);
  assert.equal(status, 0, `${stdout}${stderr}`);
  return JSON.parse(stdout);
}

for (const node of NODES) {
  test(`${node === process.execPath ? `Node ${process.versions.node}` : `Node ${/node(\d+)-/.exec(node)[1]}`} imports and requires every entry`, () => {
    assert.deepEqual(printed(node, 'imports.mjs'), [EXPECTED, EXPECTED, 'NOT_READY', true]);
    assert.deepEqual(printed(node, 'requires.cjs'), [EXPECTED, EXPECTED, 'NOT_READY', true]);
  });
}

test('the releases of Node that were tried are 20 or newer, 22 and 24', { skip: (process.platform !== 'linux' || arch !== 'x64') && 'both other releases are named for Linux on x64 alone' }, () => {
  assert.equal(NODES.length, 3);
});

test('Deno runs every entry', { skip: elsewhere(deno) }, () => {
  assert.deepEqual(printed(deno, 'run', '--allow-read', '--allow-env', '--node-modules-dir=manual', '--cached-only', 'imports.mjs'), [EXPECTED, EXPECTED, 'NOT_READY', true]);
});

test('Bun runs every entry, imported and required', { skip: elsewhere(bun) }, () => {
  assert.deepEqual(printed(bun, 'run', 'imports.mjs'), [EXPECTED, EXPECTED, 'NOT_READY', true]);
  assert.deepEqual(printed(bun, 'run', 'requires.cjs'), [EXPECTED, EXPECTED, 'NOT_READY', true]);
});

test('workerd runs it from a bundle, the module compiled into the deployment', async (t) => {
  const out = join(project, 'worker');
  await esbuild({ entryPoints: [join(project, 'worker.mjs')], outfile: join(out, 'index.js'), bundle: true, format: 'esm', conditions: ['workerd', 'worker'], external: ['*.wasm'] });
  cpSync(join(project, 'node_modules', 'keyward', 'dist', 'keyward.wasm'), join(out, 'keyward.wasm'));
  const service = `(name = "main", worker = (compatibilityDate = "${COMPATIBILITY_DATE}", modules = [(name = "index.js", esModule = embed "index.js"), (name = "keyward.wasm", wasm = embed "keyward.wasm")]))`;
  const running = await startWorkerd({ state: out, services: [service], sockets: [{ name: 'http', service: 'main' }] });
  t.after(() => running.process.kill());
  assert.deepEqual(await (await fetch(`http://127.0.0.1:${running.ports.http}/`)).json(), [EXPECTED, 'function', 'function']);
});

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** Opens a page of a folder in Chromium; answers what it left in `globalThis.result`. */
async function opened(t, folder, page) {
  const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'";
  const server = createServer((request, response) => {
    const path = join(folder, new URL(request.url, 'http://host').pathname);
    if (!existsSync(path) || !statSync(path).isFile()) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', 'content-security-policy': policy }).end(readFileSync(path));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const tab = await browser.newPage();
  t.after(() => tab.close());
  const complaints = [];
  tab.on('console', (message) => message.type() === 'error' && !/favicon/.test(message.location().url) && complaints.push(message.text()));
  tab.on('pageerror', (error) => complaints.push(String(error)));
  await tab.goto(`http://127.0.0.1:${server.address().port}/${page}`);
  await tab.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 15_000 }).catch(() => assert.fail(`no result: ${complaints.join('; ')}`));
  assert.deepEqual(complaints, []);
  const { result, milliseconds } = await tab.evaluate(() => globalThis.result);
  t.diagnostic(`first use to the last of five calls: ${milliseconds.toFixed(1)} ms`);
  return result;
}

const html = (script) => `<!doctype html><title>tried</title><script type="module" src="${script}"></script>`;

test('a browser runs it without a bundler', async (t) => {
  writeFileSync(join(project, 'plain.html'), html('plain.mjs'));
  writeFileSync(join(project, 'plain.mjs'), FILES['page.mjs'].replace("'keyward'", "'./node_modules/keyward/dist/index.js'"));
  assert.deepEqual(await opened(t, project, 'plain.html'), EXPECTED);
});

test('a browser runs the slim entry, which fetches the module as a file', async (t) => {
  writeFileSync(join(project, 'slim.html'), html('slim.mjs'));
  writeFileSync(join(project, 'slim.mjs'), FILES['page.mjs'].replace("'keyward'", "'./node_modules/keyward/dist/slim.js'").replace('const start', "await keyward.ready(new URL('./node_modules/keyward/dist/keyward.wasm', import.meta.url));\nconst start"));
  assert.deepEqual(await opened(t, project, 'slim.html'), EXPECTED);
});

test('Vite bundles it for a browser without configuration', async (t) => {
  const { build } = await import('vite');
  const folder = join(project, 'vite');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'index.html'), html('/../page.mjs').replace('/../', './../'));
  await build({ root: folder, logLevel: 'error', configFile: false });
  assert.deepEqual(await opened(t, join(folder, 'dist'), 'index.html'), EXPECTED);
});

test('webpack bundles it for a browser without configuration', async (t) => {
  const webpack = require('webpack');
  const out = join(project, 'webpack');
  await new Promise((resolve, reject) => {
    webpack({ mode: 'production', context: project, entry: './page.mjs', output: { path: out, filename: 'page.js' }, performance: { hints: false } }, (error, stats) => {
      if (error || stats.hasErrors()) reject(error ?? new Error(stats.toString({ all: false, errors: true })));
      else resolve();
    });
  });
  writeFileSync(join(out, 'index.html'), html('page.js'));
  assert.deepEqual(await opened(t, out, 'index.html'), EXPECTED);
});

test('esbuild bundles it for a browser without configuration, and for Node into one file', async (t) => {
  const out = join(project, 'esbuild');
  await esbuild({ entryPoints: [join(project, 'page.mjs')], outfile: join(out, 'page.js'), bundle: true, format: 'esm', minify: true });
  writeFileSync(join(out, 'index.html'), html('page.js'));
  assert.deepEqual(await opened(t, out, 'index.html'), EXPECTED);
  writeFileSync(join(project, 'one.mjs'), "import * as keyward from 'keyward';\nimport tried from './tried.mjs';\nconsole.log(JSON.stringify(tried(keyward)));");
  await esbuild({ entryPoints: [join(project, 'one.mjs')], outfile: join(out, 'elsewhere', 'one.cjs'), bundle: true, platform: 'node', format: 'cjs' });
  assert.deepEqual(printed(process.execPath, join(out, 'elsewhere', 'one.cjs')), EXPECTED);
});

test('what is not used is not bundled', async (t) => {
  const size = async (contents) => (await esbuild({ stdin: { contents, resolveDir: project }, bundle: true, format: 'esm', minify: true, write: false, platform: 'browser' })).outputFiles[0].contents.length;
  const error = await size("export { KeywardError } from 'keyward';");
  t.diagnostic(`KeywardError alone: ${error} bytes`);
  assert.ok(error < 500, `${error} bytes for an error class`);
});

test('publint and attw find nothing', () => {
  const { publint } = require('publint');
  return publint({ pkgDir: join(project, 'node_modules', 'keyward'), strict: true, pack: false }).then(({ messages }) => {
    assert.deepEqual(messages, []);
    const { status, stdout, stderr } = run(project, process.execPath, [join(tools, '@arethetypeswrong', 'cli', 'dist', 'index.js'), tarball, '--exclude-entrypoints', './keyward.wasm', '--profile', 'node16', '--no-emoji']);
    assert.equal(status, 0, stdout + stderr);
  });
});

test('every entry is within its budget', (t) => {
  const dist = join(project, 'node_modules', 'keyward', 'dist');
  // Kilobytes of 1024 bytes, gzip at its best; the bundle of the whole core holds its module in base64.
  const BUDGETS = { 'keyward.wasm': 60, 'index.js': 85, 'workerd.js': 12, 'slim.js': 12, 'client.js': 9, 'hono.js': 12, 'express.js': 12, 'fastify.js': 12, 'fetch.js': 12 };
  for (const [file, budget] of Object.entries(BUDGETS)) {
    const size = gzipSync(readFileSync(join(dist, file)), { level: 9 }).length / 1024;
    t.diagnostic(`${file}: ${size.toFixed(1)} KB gzip of ${budget}`);
    assert.ok(size <= budget, `${file}: ${size.toFixed(1)} KB of ${budget}`);
  }
});
