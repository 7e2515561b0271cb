// The command line as a user runs it, and folders to run it in.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { root } from '../../.ci/setup.mjs';

export const cli = join(root, 'dist', 'cli.js');

/** Runs `keyward …`; answers what it printed and how it ended. A folder at the end, by its whole path, is where it is run. */
export function keyward(given, { cwd, input, env = {} } = {}) {
  const inside = cwd === undefined && existsSync(given.at(-1) ?? '') && isAbsolute(given.at(-1)) && statSync(given.at(-1)).isDirectory();
  const args = inside ? [...given.slice(0, -1), '.'] : given;
  if (inside) cwd = given.at(-1);
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { cwd, input, encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '', ...env } });
  return { status, stdout, stderr };
}

/** Runs `keyward scan --json` and answers the object with the exit code. */
export function scan(args = [], options = {}) {
  const { status, stdout, stderr } = keyward(['scan', '--json', ...args], options);
  return { status, stderr, ...JSON.parse(stdout || '{"findings": null}') };
}

/** A folder with these files, gone after the test. */
export function folder(t, files = {}) {
  const path = mkdtempSync(join(tmpdir(), 'keyward-scan-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

/** Runs git in a folder. */
export function git(cwd, ...args) {
  const { status, stdout, stderr } = spawnSync('git', args, {
    cwd, encoding: 'utf8',
    env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.net', GIT_COMMITTER_NAME: 'Ada', GIT_COMMITTER_EMAIL: 'ada@example.net' },
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** A repository with these files in one commit. */
export function repository(t, files = {}) {
  const path = folder(t, files);
  git(path, 'init', '-q', '-b', 'main');
  if (Object.keys(files).length > 0) commit(path, 'first');
  return path;
}

export function commit(path, message) {
  git(path, 'add', '-A');
  git(path, 'commit', '-q', '-m', message);
  return git(path, 'rev-parse', 'HEAD').trim();
}

let drawn = 0;
/** Letters that look random and are the same in every run; a new text with each call. */
export function random(length, letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789') {
  let state = 0x9e3779b9 ^ (drawn += 1);
  return Array.from({ length }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    state ^= state >>> 12;
    return letters[(state >>> 3) % letters.length];
  }).join('');
}

/** A credential of a shape, joined here so that no scanner takes this file for a leak. */
export const stripe = () => `${'sk'}_live_${random(24)}`;
