// `npm run check`: formatting, lints with warnings denied, types, and whether what every dependency asks for is allowed.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, run, setup, step } from './setup.mjs';

/** Licences that a dependency may be had under. */
const LICENCES = new Set(['MIT', 'Apache-2.0', 'Apache-2.0 WITH LLVM-exception', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'Unicode-3.0', 'Zlib', '0BSD', 'Unlicense', 'BSL-1.0', 'CC0-1.0', 'MPL-2.0']);

/** Whether an SPDX expression (or the older `A/B`) can be satisfied from {@link LICENCES}. */
export function allowed(expression) {
  const tokens = (expression ?? '').replaceAll('/', ' OR ').match(/\(|\)|[^\s()]+/g) ?? [];
  let at = 0;
  const term = () => {
    if (tokens[at] === '(') {
      at += 1;
      const inner = either();
      at += 1;
      return inner;
    }
    let name = tokens[at++];
    if (tokens[at] === 'WITH') name += ` WITH ${tokens[(at += 2) - 1]}`;
    return LICENCES.has(name);
  };
  const both = () => {
    let result = term();
    while (tokens[at] === 'AND') {
      at += 1;
      result = term() && result;
    }
    return result;
  };
  function either() {
    let result = both();
    while (tokens[at] === 'OR') {
      at += 1;
      result = both() || result;
    }
    return result;
  }
  return tokens.length > 0 && either();
}

function licences() {
  const end = step('licences');
  const { packages } = JSON.parse(run('cargo', ['metadata', '--locked', '--format-version=1'], { what: 'cargo metadata' }));
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const all = [
    ...packages.map(({ name, version, license }) => [`${name} ${version}`, license]),
    ...Object.entries(lock).filter(([path]) => path).map(([path, { version, license }]) => [`${path.replace(/.*node_modules\//, '')} ${version}`, license]),
  ];
  const refused = all.filter(([, licence]) => !allowed(licence));
  if (refused.length) throw new Error(`licences that are not allowed:\n${refused.map(([name, licence]) => `  ${name}: ${licence}`).join('\n')}`);
  end(`${all.length} packages`);
}

/** Recomputes every vector with an implementation that shares no line with the core. */
function reference() {
  const end = step('vectors against the independent reference');
  if (spawnSync('python3', ['--version']).error) return end('left out: no python3 here');
  end(run('python3', ['tests/vectors/reference.py', '--check'], { what: 'the reference' }).trim().split('\n').pop());
}

export function check() {
  process.stderr.write('keyward: checks\n');
  const end = step('formatting');
  run('cargo', ['fmt', '--all', '--check'], { what: 'rustfmt' });
  end();
  const lint = step('lints');
  run('cargo', ['clippy', '--quiet', '--locked', '--workspace', '--all-targets', '--', '-Dwarnings'], { what: 'clippy' });
  run('cargo', ['clippy', '--quiet', '--locked', '-p', 'keyward', '--features', 'js', '--', '-Dwarnings'], { what: 'clippy' });
  run('cargo', ['clippy', '--quiet', '--locked', '-p', 'keyward', '--features', 'playground-js', '--', '-Dwarnings'], { what: 'clippy' });
  run('cargo', ['clippy', '--quiet', '--locked', '-p', 'keyward', '--features', 'scan-js', '--all-targets', '--', '-Dwarnings'], { what: 'clippy' });
  run('cargo', ['clippy', '--quiet', '--locked', '-p', 'keyward-worker', '--features', 'fault-injection', '--', '-Dwarnings'], { what: 'clippy' });
  lint();
  licences();
  reference();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setup();
  check();
}
