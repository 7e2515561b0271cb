// Brings a bare checkout to where it can build: checks the toolchains, installs the npm packages, finds or makes a
// wasm32 target, compiles the glue generator, and, for tests, finds a Chromium and an nginx and installs Python packages.
// Every step says what it does, is skipped when its result is there, and keeps what it makes under the checkout
// (node_modules/, target/, .tools/).
// Needs nothing but Node's own modules: it runs before anything is installed.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tools = join(root, '.tools');
const TARGET = 'wasm32-unknown-unknown';

/** Prints a step as it begins; returns a function that prints how it ended and how long it took. */
export function step(title) {
  const start = Date.now();
  process.stderr.write(`  ${title} … `);
  return (result = 'done') => process.stderr.write(`${result} (${((Date.now() - start) / 1000).toFixed(1)} s)\n`);
}

/** Ends the run with what is missing and how to get it. */
export function fail(problem, remedy) {
  process.stderr.write(`\n\nkeyward: ${problem}\n${remedy ? `  → ${remedy}\n` : ''}`);
  process.exit(1);
}

/** Runs a command to its end; its output is shown only when it fails. */
export function run(command, args, { what = command, ...options } = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.error || result.status !== 0) {
    process.stderr.write(`\n${result.stdout ?? ''}${result.stderr ?? ''}`);
    fail(`${what} failed: ${result.error?.message ?? `exit ${result.status ?? result.signal}`}`);
  }
  return result.stdout;
}

function quiet(command, args, options) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  return result.error || result.status !== 0 ? undefined : result.stdout.trim();
}

function checkToolchains() {
  const end = step('toolchains');
  const [major, minorOfNode] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minorOfNode < 12)) fail(`Node ${process.versions.node} is too old: 20.12 or newer is needed`, 'https://nodejs.org/en/download');
  const rustc = quiet('rustc', ['--version']);
  if (!rustc || !quiet('cargo', ['--version'])) fail('no Rust found (rustc and cargo)', 'install stable Rust: https://rustup.rs');
  const [, minor] = rustc.match(/ 1\.(\d+)\./) ?? [];
  if (Number(minor) < 91) fail(`${rustc} is too old: 1.91 or newer is needed`, 'rustup update stable');
  end(`Node ${process.versions.node}, ${rustc.split(' ').slice(0, 2).join(' ')}`);
}

/** What a lock file of npm names, beside it. */
function installPackages(folder = root, title = 'npm packages', flags = []) {
  const lock = createHash('sha256').update(readFileSync(join(folder, 'package-lock.json'))).digest('hex');
  const stamp = join(folder, 'node_modules', '.keyward-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  const end = step(title);
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', ...flags], { what: 'npm ci', cwd: folder });
  writeFileSync(stamp, lock);
  end();
}

/** The Debian packages that hold a Rust compiler with the sources of its standard library, and the linker it uses. */
const DEBIAN = ['rustc-web', 'cargo-web', 'rust-web-src', 'rust-web-llvm', 'lld-22'];

/** Installs Debian packages, or says how to. */
function apt(packages, purpose) {
  if (!quiet('apt-get', ['--version'])) return false;
  const sudo = process.getuid?.() === 0 ? [] : quiet('sudo', ['-n', 'true']) === undefined ? undefined : ['sudo', '-n'];
  if (!sudo) fail(`${purpose} needs Debian packages, and this is not root`, `sudo apt-get install --no-install-recommends ${packages.join(' ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const call = (...args) => spawnSync(...((c) => [c[0], c.slice(1)])([...sudo, 'apt-get', ...args]), { env: environment, encoding: 'utf8', maxBuffer: 1 << 28 });
  call('update', '-q');
  const result = call('install', '-q', '-y', '--no-install-recommends', ...packages);
  if (result.status !== 0) process.stderr.write(`\n${result.stderr}`);
  return result.status === 0;
}

/**
 * How to compile for wasm32: `{cargo, env}`. rustup's target where it can be had; otherwise Debian's compiler with a
 * standard library built from Debian's sources, in a sysroot of its own under .tools/.
 */
export function wasmToolchain() {
  const forced = process.env.KEYWARD_WASM_TOOLCHAIN;
  if (forced !== 'debian') {
    const sysroot = quiet('rustc', ['--print', 'sysroot']);
    if (existsSync(join(sysroot, 'lib', 'rustlib', TARGET, 'lib'))) return { cargo: 'cargo', env: {}, name: 'rustup' };
  }
  const sysroot = join(tools, 'wasm-sysroot');
  if (!existsSync(join(sysroot, 'complete'))) return undefined;
  return {
    cargo: '/usr/bin/cargo',
    name: 'debian',
    env: {
      RUSTC: '/usr/bin/rustc',
      RUSTUP_TOOLCHAIN: '',
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: `--sysroot=${sysroot}`,
    },
  };
}

function installWasmTarget() {
  if (wasmToolchain()) return;
  if (process.env.KEYWARD_WASM_TOOLCHAIN !== 'debian' && quiet('rustup', ['--version']) !== undefined) {
    const end = step(`${TARGET} from rustup`);
    const added = spawnSync('rustup', ['target', 'add', TARGET], { encoding: 'utf8', timeout: 180_000 });
    if (added.status === 0) return end();
    end('not to be had here');
  }
  const manual = `rustup target add ${TARGET}, or on Debian: apt-get install ${DEBIAN.join(' ')}`;
  const end = step(`Debian's Rust (${DEBIAN.join(', ')})`);
  const present = () => existsSync('/usr/bin/rustc') && existsSync('/usr/bin/cargo') && existsSync('/usr/lib/rustlib/src/rust/library/std');
  if (!present() && !(apt(DEBIAN, `compiling for ${TARGET}`) && present())) fail(`no way to compile for ${TARGET}`, manual);
  end();
  buildSysroot();
}

/** Compiles std for wasm32 from Debian's sources (half a minute) and lays it out as a sysroot. */
function buildSysroot() {
  const end = step(`standard library for ${TARGET}`);
  const seed = mkdtempSync(join(tmpdir(), 'keyward-std-'));
  const sysroot = join(tools, 'wasm-sysroot');
  try {
    mkdirSync(join(seed, 'src'));
    writeFileSync(join(seed, 'Cargo.toml'), '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2021"\n');
    writeFileSync(join(seed, 'src', 'lib.rs'), '');
    run('/usr/bin/cargo', ['build', '--release', '--target', TARGET, '-Zbuild-std=std,panic_abort'], {
      cwd: seed,
      what: 'building the standard library',
      // Nightly's -Zbuild-std on a stable compiler; bitcode so that link-time optimisation can see into it.
      env: { ...process.env, RUSTUP_TOOLCHAIN: '', RUSTC: '/usr/bin/rustc', RUSTC_BOOTSTRAP: '1', RUSTFLAGS: '-Cembed-bitcode=yes' },
    });
    const lib = join(sysroot, 'lib', 'rustlib', TARGET, 'lib');
    rmSync(sysroot, { recursive: true, force: true });
    mkdirSync(lib, { recursive: true });
    const built = join(seed, 'target', TARGET, 'release', 'deps');
    for (const file of readdirSync(built)) {
      if (file.endsWith('.rlib') && !file.startsWith('libseed')) cpSync(join(built, file), join(lib, file));
    }
    // Everything else of the sysroot (the host's own library, the linker) stays Debian's.
    const debian = join(execFileSync('/usr/bin/rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).trim(), 'lib', 'rustlib');
    for (const entry of readdirSync(debian)) {
      if (entry !== TARGET) symlinkSync(join(debian, entry), join(sysroot, 'lib', 'rustlib', entry));
    }
    writeFileSync(join(sysroot, 'complete'), '');
  } finally {
    rmSync(seed, { recursive: true, force: true });
  }
  end();
}

/** Path of the glue generator, compiled by this workspace's lock. */
export const bindgen = join(root, 'target', 'tool', 'keyward-bindgen');

function buildBindgen() {
  const fresh = existsSync(bindgen);
  const end = fresh ? undefined : step('glue generator (wasm-bindgen, once)');
  run('cargo', ['build', '--quiet', '--locked', '--profile', 'tool', '-p', 'keyward-bindgen'], { what: 'compiling the glue generator' });
  end?.();
}

/** Path of a Chromium or Chrome, or undefined. */
export function chromium() {
  const candidates = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];
  return candidates.find((path) => path && existsSync(path));
}

function installChromium() {
  if (chromium()) return;
  const end = step('Chromium (for the browser tests)');
  if (!apt(['chromium'], 'the browser tests') || !chromium()) fail('no Chromium found', 'apt-get install chromium, or set CHROMIUM to the path of one');
  end();
}

/** Path of an nginx that runs here and can ask before it answers, or undefined. */
export function nginx() {
  const candidates = [process.env.NGINX, '/usr/sbin/nginx', join(tools, 'nginx', 'usr', 'sbin', 'nginx'), '/opt/homebrew/bin/nginx', '/usr/local/bin/nginx'];
  return candidates.find((path) => path && existsSync(path) && spawnSync(path, ['-V'], { encoding: 'utf8' }).stderr?.includes('http_auth_request_module'));
}

/**
 * nginx out of Debian's package, unpacked and not installed: an installed one would be started as a service on port 80. Where
 * a library of its own is not there, it is installed after all, and kept from starting.
 */
function installNginx() {
  if (nginx()) return;
  const end = step('nginx (for the tests behind a proxy)');
  const folder = join(tools, 'nginx');
  mkdirSync(folder, { recursive: true });
  const download = () => quiet('apt-get', ['download', '-q', 'nginx'], { cwd: folder });
  // A machine whose lists of packages are old, or none, does not find it.
  if (download() === undefined && quiet('apt-get', ['update', '-q']) !== undefined) download();
  const file = readdirSync(folder).find((name) => name.endsWith('.deb'));
  if (file) {
    quiet('dpkg-deb', ['-x', file, '.'], { cwd: folder });
    rmSync(join(folder, file));
  }
  if (!nginx() && process.getuid?.() === 0) {
    // What Debian's packages ask before they start anything; 101 is no. An answer that is there already is left alone.
    const policy = '/usr/sbin/policy-rc.d';
    const ours = !existsSync(policy);
    if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    try {
      apt(['nginx-light'], 'the tests behind a proxy');
    } finally {
      if (ours) rmSync(policy);
    }
  }
  if (!nginx()) fail('no nginx found', 'apt-get install nginx-light, brew install nginx, or set NGINX to the path of one with auth_request');
  end();
}

/** Path of the Python that has what tests the OpenAPI document. */
export const python = join(tools, 'python', 'bin', 'python');

/** A Python that is new enough, or undefined. */
function systemPython() {
  const recent = 'import sys; sys.exit(sys.version_info < (3, 11))';
  return ['python3', '/usr/bin/python3'].find((command) => quiet(command, ['-c', recent]) !== undefined);
}

/** A virtual environment with exactly what tests/openapi/requirements.txt names, made anew when that changes. */
function installPythonPackages() {
  const requirements = join(root, 'tests', 'openapi', 'requirements.txt');
  const lock = createHash('sha256').update(readFileSync(requirements)).digest('hex');
  const venv = join(tools, 'python');
  const stamp = join(venv, '.keyward-lock');
  // The interpreter that it links to may have been removed meanwhile.
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock && quiet(python, ['--version']) !== undefined) return;
  const end = step('Python packages (for the test of the OpenAPI document)');
  if (!systemPython()) apt(['python3', 'python3-venv'], 'the test of the OpenAPI document');
  const command = systemPython();
  if (!command) fail('no Python 3.11 or newer found (python3)', 'https://www.python.org/downloads, or on Debian: apt-get install python3 python3-venv');
  const make = (interpreter) => quiet(interpreter, ['-m', 'venv', '--clear', venv]) !== undefined;
  // Debian keeps what makes an environment in a package of its own, which serves Debian's interpreter only.
  if (!make(command) && !(apt(['python3-venv'], 'the test of the OpenAPI document') && make('/usr/bin/python3'))) {
    fail(`${command} -m venv failed`, 'on Debian: apt-get install python3-venv');
  }
  run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--require-hashes', '--requirement', requirements], { what: 'pip install' });
  writeFileSync(stamp, lock);
  end();
}

/** All of it. `tests` adds what only the tests need. */
export function setup({ tests = false } = {}) {
  process.stderr.write('keyward: set-up\n');
  mkdirSync(tools, { recursive: true });
  checkToolchains();
  installPackages();
  installWasmTarget();
  buildBindgen();
  if (!tests) return;
  // Runtimes come as packages of their own for each platform: nothing has to be run to have them.
  installPackages(join(root, 'tests', 'packaging'), 'runtimes and bundlers (for the tests of the packed package)', ['--ignore-scripts']);
  installChromium();
  installNginx();
  installPythonPackages();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup({ tests: process.argv.includes('--tests') });
