/** `keyward hook install`: what git runs before each commit. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { git } from './scan/git.js';

const MARK = '# keyward scan';
// Not through npx, which asks the network for what is not installed.
const LINES = `${MARK}: secrets stay out of commits
keyward=$(git rev-parse --show-toplevel)/node_modules/.bin/keyward
[ -x "$keyward" ] || keyward=$(command -v keyward) || {
  echo 'keyward: the commit is stopped: nothing is there to scan it with. npm install --save-dev keyward installs it; git commit --no-verify asks nobody.' >&2
  exit 1
}
"$keyward" scan --staged --quiet || {
  echo 'keyward: the commit is stopped. A line that holds no secret ends with the comment keyward:allow; git commit --no-verify asks nobody.' >&2
  exit 1
}
`;

/** The hook, and whether husky runs it. */
function hookOf(folder: string): { hook: string; husky: boolean } {
  // A relative core.hooksPath is told as it is written, which is from the top.
  const top = git(folder, 'rev-parse', '--show-cdup').trim();
  const from = resolve(folder, top);
  const hooks = resolve(from, git(from, 'rev-parse', '--git-path', 'hooks').trim());
  // Husky makes its folder anew with each npm install; what lies beside it stays, and is run by sh from there.
  const husky = basename(hooks) === '_' && basename(dirname(hooks)) === '.husky';
  return { hook: join(husky ? dirname(hooks) : hooks, 'pre-commit'), husky };
}

/** Adds the scan to the hook, keeping what is there; answers what was done. */
export function install(folder = '.'): string {
  const { hook, husky } = hookOf(folder);
  const before = existsSync(hook) ? readFileSync(hook, 'utf8') : '';
  if (before.includes(MARK)) return `${hook} scans already`;
  const started = before.startsWith('#!');
  if (before && !(husky && !started) && !/^#!.*\b(ba|z|da|k)?sh\b/.test(before)) throw new Error(`${hook} is no shell script: add \`keyward scan --staged\` to it by hand`);
  mkdirSync(resolve(hook, '..'), { recursive: true });
  const [first, ...rest] = before ? before.split('\n') : ['#!/bin/sh'];
  // First of all: what comes later may end the hook.
  writeFileSync(hook, before && !started ? LINES + before : `${first}\n${LINES}${rest.join('\n')}`);
  chmodSync(hook, 0o755);
  return `${hook} now scans what is staged`;
}

/** Takes it out again. */
export function uninstall(folder = '.'): string {
  const { hook } = hookOf(folder);
  const before = existsSync(hook) ? readFileSync(hook, 'utf8') : '';
  if (!before.includes(MARK)) return `${hook} does not scan`;
  const after = before.replace(LINES, '');
  if (after.trim() === '#!/bin/sh') rmSync(hook);
  else writeFileSync(hook, after);
  return `${hook} no longer scans`;
}
