// Builds everything that runs: the npm package (dist/), the pages (build/www) and the Worker (build/worker). Cargo decides
// what of the Rust is stale; the rest is redone when its wasm or a source of its own is newer than its output.
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { bindgen, root, run, setup, step, wasmToolchain } from './setup.mjs';
import { withShortNames, withoutClasses } from './slim.mjs';

/** Where Cargo leaves a wasm file. */
const compiled = (name, { profile = 'release', targetDir = join(root, 'target') } = {}) => join(targetDir, 'wasm32-unknown-unknown', profile, `${name}.wasm`);

function newest(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  return stat.isDirectory() ? Math.max(0, ...readdirSync(path).map((entry) => newest(join(path, entry)))) : stat.mtimeMs;
}

/** Whether any input is newer than the output, this script included. */
function stale(output, inputs) {
  const made = existsSync(output) ? statSync(output).mtimeMs : 0;
  return [...inputs, fileURLToPath(import.meta.url)].some((input) => newest(input) > made);
}

function cargo(title, args, { profile = 'release', targetDir = join(root, 'target') } = {}) {
  const { cargo: command, env } = wasmToolchain();
  const end = step(title);
  run(command, ['rustc', '--quiet', '--locked', '--profile', profile, '--target', 'wasm32-unknown-unknown', '--target-dir', targetDir, ...args], {
    what: title,
    env: { ...process.env, ...env, CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: [env.CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS, '-Ctarget-feature=+simd128'].filter(Boolean).join(' ') },
  });
  end();
}

/** Changes glue and wasm, in place: `change` takes and answers `{js, wasm}`. */
function slim(out, name, change) {
  const [glueFile, wasmFile] = [join(out, `${name}.js`), join(out, `${name}_bg.wasm`)];
  const { js, wasm } = change({ js: readFileSync(glueFile, 'utf8'), wasm: readFileSync(wasmFile) });
  writeFileSync(glueFile, js);
  writeFileSync(wasmFile, wasm);
}

/** Writes glue and optimised wasm of one cargo output into `out`; classes `without` are left out. */
function glue(target, wasm, out, name, { optimisation = [], without = [] } = {}) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  run(bindgen, [target, wasm, out, name], { what: `glue for ${name}` });
  if (without.length > 0) slim(out, name, (of) => withoutClasses(of, without));
  const file = join(out, `${name}_bg.wasm`);
  // The features that rustc uses by default, named one by one: --all-features would let the optimiser emit newer ones.
  const features = ['mutable-globals', 'sign-ext', 'nontrapping-float-to-int', 'bulk-memory', 'multivalue', 'reference-types', 'exception-handling', 'simd'];
  run(process.execPath, [join(root, 'node_modules', 'binaryen', 'bin', 'wasm-opt'), file, '-o', file, '-O3', ...optimisation, ...features.map((f) => `--enable-${f}`)], { what: 'wasm-opt' });
}

function size(...files) {
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
  return `${(bytes / 1024).toFixed(1)} KB gzip`;
}

async function esbuild(options) {
  const { build } = await import('esbuild');
  await build({ bundle: true, format: 'esm', target: 'es2022', legalComments: 'none', logLevel: 'warning', ...options });
}

/** What only prepares for later does nothing by itself: bundlers may leave it out where nobody asks for it. */
const pure = (glue) => glue.replaceAll(/^if \(Symbol\.dispose\).*$/gm, '').replaceAll(/= (\(typeof FinalizationRegistry[^;]+);/gs, '= /* @__PURE__ */ (() => $1)();').replaceAll(/= new (TextDecoder|TextEncoder)\(/g, '= /* @__PURE__ */ new $1(');

/** dist/: the npm package's core. */
export async function buildPackage() {
  cargo('core for JavaScript', ['-p', 'keyward', '--features', 'js', '--lib', '--crate-type', 'cdylib']);
  const [dist, source] = [join(root, 'dist'), join(root, 'src', 'js')];
  const wasm = compiled('keyward');
  if (!stale(join(dist, 'index.d.ts'), [wasm, source, bindgen])) return;
  const end = step('npm package');
  const work = join(root, 'build', 'package');
  glue('web', wasm, work, 'core');
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(join(dist, 'cjs'), { recursive: true });
  copyFileSync(join(work, 'core_bg.wasm'), join(dist, 'keyward.wasm'));
  const core = join(work, 'core.js');
  writeFileSync(core, pure(readFileSync(core, 'utf8')));
  const bytes = join(work, 'bytes.js');
  writeFileSync(bytes, `export default '${readFileSync(join(work, 'core_bg.wasm')).toString('base64')}';\n`);
  const entry = (name, from, outfile, format = 'esm') =>
    esbuild({
      entryPoints: [join(source, `${name}.ts`)],
      outfile: join(dist, outfile),
      format,
      alias: { 'keyward-core': core, 'keyward-source': join(source, 'source', `${from}.ts`), 'keyward-bytes': bytes },
      external: ['*.wasm'],
      // For Node, the names that it exports are written where Node's own reader of CommonJS looks for them.
      platform: format === 'cjs' ? 'node' : 'neutral',
    });
  await entry('index', 'inline', 'index.js');
  await entry('index', 'workerd', 'workerd.js');
  await entry('slim', 'slim', 'slim.js');
  await entry('index', 'inline', 'cjs/index.js', 'cjs');
  await entry('slim', 'slim', 'cjs/slim.js', 'cjs');
  writeFileSync(join(dist, 'cjs', 'package.json'), '{"type":"commonjs"}\n');
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', source], { what: 'TypeScript' });
  for (const inner of ['instance.d.ts', 'source']) rmSync(join(dist, inner), { recursive: true });
  for (const file of readdirSync(dist).filter((name) => name.endsWith('.d.ts'))) copyFileSync(join(dist, file), join(dist, 'cjs', file));
  end(`core ${size(join(dist, 'keyward.wasm'))}, ${size(join(dist, 'index.js'))} in one script`);
}

/** dist/client.js and its types: the client of a deployment. Its types of the API are .ci/types.mjs's, committed. */
export async function buildClient() {
  const out = join(root, 'dist', 'client.js');
  const source = join(root, 'src', 'client');
  if (!stale(out, [source])) return;
  const end = step('client');
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', source], { what: 'TypeScript' });
  const from = [join(source, 'index.ts')];
  await esbuild({ entryPoints: from, outfile: out, platform: 'neutral' });
  await esbuild({ entryPoints: from, outfile: join(root, 'dist', 'cjs', 'client.js'), format: 'cjs', platform: 'node' });
  cpSync(join(root, 'dist', 'client'), join(root, 'dist', 'cjs', 'client'), { recursive: true });
  end(size(out));
}

/** build/scan: the leak scanner, a wasm of its own; in dist/, the command line that runs it. */
export async function buildCommand() {
  const of = { targetDir: join(root, 'target', 'scan') };
  cargo('leak scanner', ['-p', 'keyward', '--features', 'scan-js', '--lib', '--crate-type', 'cdylib'], of);
  const [out, dist] = [join(root, 'build', 'scan'), join(root, 'dist')];
  const wasm = compiled('keyward', of);
  if (stale(join(out, 'scan.js'), [wasm, bindgen])) {
    const end = step('leak scanner: glue');
    glue('web', wasm, out, 'scan');
    end(size(join(out, 'scan_bg.wasm')));
  }
  if (!stale(join(dist, 'cli.js'), [join(out, 'scan.js'), join(root, 'src', 'cli'), join(root, 'src', 'client')])) return;
  const end = step('command line');
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', join(root, 'src', 'cli')], { what: 'TypeScript' });
  copyFileSync(join(out, 'scan_bg.wasm'), join(dist, 'scan.wasm'));
  for (const [entry, file] of [[join('scan', 'thread.ts'), 'scan-thread.js'], ['main.ts', 'cli.js']]) {
    await esbuild({
      entryPoints: [join(root, 'src', 'cli', entry)],
      outfile: join(dist, file),
      alias: { 'keyward-scan': join(out, 'scan.js') },
      external: ['commander', 'ignore', '@jridgewell/trace-mapping', 'keyward'],
      platform: 'node',
    });
  }
  // What the command line has workerd load beside the Worker.
  copyFileSync(join(root, 'src', 'cli', 'worker', 'assets.js'), join(dist, 'assets.js'));
  chmodSync(join(dist, 'cli.js'), 0o755);
  end();
}

/** The guards of the package: in dist/, an entry for each framework, and the types of them in dist/guard. */
export async function buildGuards() {
  const dist = join(root, 'dist');
  const [source, entries] = [join(root, 'src', 'guard'), ['hono', 'express', 'fastify', 'fetch']];
  // The types of records are those of the package, by its own name.
  if (!stale(join(dist, 'fetch.js'), [source, join(dist, 'index.d.ts')])) return;
  const end = step('guards');
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', source], { what: 'TypeScript' });
  for (const entry of entries) {
    const from = [join(source, `${entry}.ts`)];
    await esbuild({ entryPoints: from, outfile: join(dist, `${entry}.js`), external: ['jose'], platform: 'neutral' });
    // jose has no CommonJS, which Node 20 cannot do without: there it is part of the script.
    await esbuild({ entryPoints: from, outfile: join(dist, 'cjs', `${entry}.js`), format: 'cjs', platform: 'node' });
  }
  cpSync(join(dist, 'guard'), join(dist, 'cjs', 'guard'), { recursive: true });
  end(entries.map((entry) => `${entry} ${size(join(dist, `${entry}.js`))}`).join(', '));
}

/** build/playground: the core for the pages on which the visitor moves the clock, a wasm of its own. */
export function buildPlayground() {
  const of = { targetDir: join(root, 'target', 'playground') };
  cargo('core for the playground', ['-p', 'keyward', '--features', 'playground-js', '--lib', '--crate-type', 'cdylib'], of);
  const out = join(root, 'build', 'playground');
  const wasm = compiled('keyward', of);
  if (!stale(join(out, 'playground.js'), [wasm, bindgen])) return;
  const end = step('core for the playground: glue');
  glue('web', wasm, out, 'playground');
  end(size(join(out, 'playground_bg.wasm')));
}

/** A key of the stand-in provider's shape that was never one: what the page of the world shows, where nobody stands behind it. */
const NO_KEY = `smsk_${createHash('sha256').update('a key that opens nothing').digest('hex').slice(0, 32)}`;

/**
 * The exposed shop's script, made as front ends are that hold a key: the build puts it in. The build for the world has one that opens
 * nothing. It stands apart from the other scripts, under a name without a hash, so that a start can make it anew.
 */
export const bundleExposedShop = (out, { provider = '', key = NO_KEY } = {}) =>
  esbuild({
    entryPoints: [join(root, 'www', 'shop-exposed.ts')],
    outfile: join(out, 'shop-exposed.js'),
    minify: true,
    define: { SMS_API: JSON.stringify(provider && `${provider}/api/sms`), SMS_API_KEY: JSON.stringify(key) },
  });

const openapi = join(root, 'build', 'openapi', 'openapi.json');

/**
 * What hosts that read it (Cloudflare's asset server is one) answer with the files: a name with a hash never changes its content, and
 * the worker that reads visitors' files may speak to nobody. A page's policy does not reach into its workers: theirs is that of their own answer.
 */
const HEADERS = `/assets/*
  Cache-Control: public, max-age=31536000, immutable
/assets/scan-thread-*
  Content-Security-Policy: default-src 'none'
`;

/** build/www: the site, with the package and the OpenAPI document in it. */
export async function buildPages() {
  const out = join(root, 'build', 'www');
  const { INCLUDED } = await import('./pages/documents.mjs');
  const inputs = ['www', join('.ci', 'pages'), join('dist', 'index.d.ts'), join('build', 'scan', 'scan.js'), join('build', 'playground', 'playground.js'), join('src', 'cli', 'scan', 'reader.ts'), join('src', 'client', 'repeat.ts'), ...INCLUDED].map((path) => join(root, path));
  if (!stale(join(out, '_headers'), [...inputs, openapi])) return;
  const end = step('pages');
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', join(root, 'www')], { what: 'TypeScript' });
  const { build: vite } = await import('vite');
  const { viteConfig } = await import('./pages/vite.mjs');
  // Vite says to the whole process that it is in production, and npm would install for that in what the tests start from here.
  const { NODE_ENV } = process.env;
  await vite(viteConfig({ out, openapi }));
  if (NODE_ENV === undefined) delete process.env.NODE_ENV;
  else process.env.NODE_ENV = NODE_ENV;
  await bundleExposedShop(out);
  // Hosts answer with it at addresses of any depth: what it names is named from the root.
  const lost = join(out, '404.html');
  writeFileSync(lost, readFileSync(lost, 'utf8').replace(/ (href|src)="(?![a-z]+:|[/#])(?:\.\/)?/g, ' $1="/'));
  copyFileSync(openapi, join(out, 'openapi.json'));
  // Where the Worker runs in more places than a page would reach, src/cli/worker/assets.js answers in its place.
  writeFileSync(join(out, 'edges.json'), '{"edges":1}\n');
  // Last: it says that the others are there.
  writeFileSync(join(out, '_headers'), HEADERS);
  end();
}

/** The OpenAPI document: written by the table that the Worker dispatches by, and served by the Worker as a file of the site. */
export function buildDocument() {
  const out = openapi;
  if (!stale(out, ['src', join('worker', 'src'), 'Cargo.lock'].map((path) => join(root, path)))) return;
  const end = step('OpenAPI document');
  mkdirSync(dirname(out), { recursive: true });
  run('cargo', ['run', '--quiet', '--locked', '-p', 'keyward-worker', '--features', 'describe', '--bin', 'openapi', out], { what: 'the OpenAPI document' });
  end();
}

/** The library's numbering plans without what only formats numbers: half of their size (a test holds both to the same answers). */
export function numberingPlans() {
  const plans = createRequire(import.meta.url)('libphonenumber-js/metadata.min.json');
  const FORMATS = 4;
  for (const plan of [...Object.values(plans.countries), ...Object.values(plans.nonGeographic)]) plan[FORMATS] = 0;
  return plans;
}

/** Classes that the `worker` crate exports and nothing here makes: 4 KB of the upload with what hangs on them. */
const FOREIGN_CLASSES = ['ContainerStartupOptions', 'IntoUnderlyingByteSource', 'IntoUnderlyingSink', 'IntoUnderlyingSource', 'MinifyConfig', 'R2Range'];

/** build/worker (or another folder, with Cargo features): the Worker as it is deployed, entry and wasm. */
export async function buildWorker({ out = join(root, 'build', 'worker'), features = [], title = 'Worker' } = {}) {
  // A cdylib's file name does not tell its features apart, so each set of them has a target folder of its own.
  const of = { profile: 'worker', targetDir: join(root, 'target', ...features) };
  cargo(title, ['-p', 'keyward-worker', '--lib', '--crate-type', 'cdylib', ...(features.length ? ['--features', features.join(',')] : [])], of);
  const wasm = compiled('keyward_worker', of);
  const entry = join(out, 'index.js');
  if (!stale(entry, [wasm, join(root, 'worker', 'entry.js'), bindgen])) return;
  const end = step(`${title}: glue`);
  const work = `${out}-glue`;
  // What the optimiser inlines after LLVM is one more copy: 3 KB of the upload. Functions of like names are alike, and gzip sees only 32 KB
  // back: 7 KB.
  glue('worker', wasm, work, 'worker', { optimisation: ['--skip-pass=inlining-optimizing', '--reorder-functions-by-name'], without: FOREIGN_CLASSES });
  slim(work, 'worker', withShortNames);
  // The runtime hands the compiled module to a plain import; source-phase imports are not in every release of it.
  const js = join(work, 'worker.js');
  writeFileSync(js, readFileSync(js, 'utf8').replace('import source ', 'import '));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  copyFileSync(join(work, 'worker_bg.wasm'), join(out, 'worker_bg.wasm'));
  const plans = join(work, 'numbering-plans.json');
  writeFileSync(plans, JSON.stringify(numberingPlans()));
  await esbuild({
    entryPoints: [join(root, 'worker', 'entry.js')],
    outfile: entry,
    alias: { 'keyward-worker': js, 'libphonenumber-js/metadata.min.json': plans },
    external: ['*.wasm', 'cloudflare:*'],
    // The generator lists a module twice that is imported for two reasons; it is the same one.
    logOverride: { 'duplicate-object-key': 'silent' },
    minify: true,
  });
  end(size(entry, join(out, 'worker_bg.wasm')));
}

/** dist/worker and dist/www: the Worker and its pages as they were built here, so that whoever has the package needs no Rust. */
function packageWorker() {
  for (const name of ['worker', 'www']) {
    const [from, to] = [join(root, 'build', name), join(root, 'dist', name)];
    if (!stale(to, [from])) continue;
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true });
  }
}

/** build/worker-faulty: the Worker with ways to make it fail, for the tests that it survives failing. */
export const buildFaultyWorker = () =>
  buildWorker({ out: join(root, 'build', 'worker-faulty'), features: ['fault-injection'], title: 'Worker that can be made to fail' });

/** build/wasm-tests: the core's own tests, to be run as wasm. */
export async function buildWasmTests() {
  cargo('tests in wasm', ['-p', 'keyward-wasm-tests', '--lib', '--crate-type', 'cdylib']);
  const out = join(root, 'build', 'wasm-tests');
  const wasm = compiled('keyward_wasm_tests');
  if (stale(join(out, 'tests.js'), [wasm, bindgen])) glue('web', wasm, out, 'tests');
}

export async function build() {
  setup();
  process.stderr.write('keyward: build\n');
  await buildPackage();
  await buildGuards();
  await buildClient();
  await buildCommand();
  buildPlayground();
  buildDocument();
  await buildPages();
  await buildWorker();
  packageWorker();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build();
