// The package as a stranger has it: packed, and installed from its tarball into folders outside the checkout's own node_modules.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../.ci/setup.mjs';

/** A folder for each test file: two that pack at once would each install what the other is writing. */
const scratch = join(root, 'build', 'packaging', `packed-${process.pid}`);
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** Nothing of this checkout, of the shell's deployment or of a terminal: what a program sees that runs commands elsewhere. */
const bare = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|KEYWARD_|UPSTREAM_|CLOUDFLARE_|WRANGLER_|NODE_TEST|NODE_ENV|INIT_CWD|FORCE_COLOR)/.test(name)));
export const env = { ...bare, NO_COLOR: '1', npm_config_update_notifier: 'false', npm_config_loglevel: 'error', WRANGLER_SEND_METRICS: 'false', WRANGLER_HIDE_BANNER: 'true' };

/** Packs the checkout; answers the tarball and what stands in it, `[{path, size}]`. */
export function pack() {
  mkdirSync(scratch, { recursive: true });
  const said = execFileSync('npm', ['pack', '--json', '--pack-destination', scratch], { cwd: root, encoding: 'utf8', env });
  const parsed = JSON.parse(said);
  const [{ filename, files }] = Array.isArray(parsed) ? parsed : Object.values(parsed);
  return { tarball: join(scratch, filename), files };
}

/** A folder of its own, gone after the test. */
export function folder(t, files = {}) {
  const path = mkdtempSync(join(tmpdir(), 'keyward-packaging-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

/** Runs a command to its end: `{status, stdout, stderr}`. */
export function run(cwd, command, args, { input, env: more = {} } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, input: input ?? '', encoding: 'utf8', env: { ...env, ...more }, timeout: 150_000 });
  if (error) throw error;
  return { status, stdout, stderr };
}

export const npm = (cwd, ...args) => {
  const ran = run(cwd, 'npm', [...args, '--no-audit', '--no-fund']);
  if (ran.status !== 0) throw new Error(`npm ${args.join(' ')}: ${ran.stderr}`);
  return ran;
};

/** A folder with the package in it: a copy of one that npm made, which takes no second download. */
export function installed(t, tarball, files = {}) {
  const path = folder(t);
  npm(path, 'install', '--prefer-offline', tarball);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

/** `keyward …` by Node itself, so that a signal meets it and no npx before it. */
export const command = (...args) => [process.execPath, [join('node_modules', 'keyward', 'dist', 'cli.js'), ...args]];

/** The same, run to its end. */
export const keyward = (cwd, args, options) => run(cwd, ...command(...args), options);

/** Starts a command in the background: `until` waits for a text, `ended` for its end. */
export function start(t, cwd, command, args, more = {}) {
  const child = spawn(command, args, { cwd, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let look = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
      look();
    });
  }
  const ended = new Promise((resolve) => child.once('close', (status, signal) => resolve({ status, signal, output })));
  t.after(() => child.kill('SIGKILL'));
  const until = (pattern) => new Promise((resolve, reject) => {
    look = () => pattern.test(output) && resolve(pattern.exec(output));
    look();
    ended.then(() => reject(new Error(`ended without ${pattern}:\n${output}`)));
  });
  return { child, until, ended, get output() { return output; } };
}

/**
 * wrangler of a release, installed once and kept under build/, as `project`'s own: whatever arguments it gets are written down
 * before it begins. Answers a function that reads them.
 */
export function wrangler(project, release) {
  const home = join(root, 'build', 'wrangler', release);
  const real = join(home, 'node_modules', 'wrangler');
  if (!existsSync(join(real, 'package.json'))) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), '{"private": true}\n');
    npm(home, 'install', `wrangler@${release}`);
  }
  const own = join(project, 'node_modules', 'wrangler');
  const lines = join(own, 'arguments.jsonl');
  mkdirSync(own);
  writeFileSync(join(own, 'package.json'), JSON.stringify({ name: 'wrangler', version: release, bin: { wrangler: 'run.cjs' } }));
  const [kept, program] = [lines, join(real, 'bin', 'wrangler.js')].map((path) => JSON.stringify(path));
  writeFileSync(join(own, 'run.cjs'), `const given = process.argv.slice(2);
require('node:fs').appendFileSync(${kept}, JSON.stringify(given) + '\\n');
process.exitCode = require('node:child_process').spawnSync(process.execPath, [${program}, ...given], { stdio: 'inherit' }).status ?? 1;
`);
  return () => readFileSync(lines, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
}

/** Files below a folder, as paths from there. */
export const filesBelow = (path, below = '') => readdirSync(join(path, below)).flatMap((name) => {
  const inner = join(below, name);
  return statSync(join(path, inner)).isDirectory() ? filesBelow(path, inner) : [inner];
});
