// A state folder is one process's at a time: two runtimes over one store would each believe their own memory. And that process
// ends when whoever started it is gone.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stateFolder } from './secrets.mjs';

/** Where the running one says how it is reached, beside its lock. */
const URL_FILE = 'url';
const LOOPBACK_URL = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\]):\d{1,5}$/;

/** What `ps` knows of a process; empty where the process, or `ps`, is not there. @param {string} column @param {number} pid */
const ps = (column, pid) => (spawnSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '').trim();

/** The command line of a process, if it is there. @param {number} pid */
function commandOf(pid) {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', ' ').trim() : ps('command', pid);
}

/** The parent of a process, or 0. @param {number} pid */
function parentOf(pid) {
  const file = `/proc/${pid}/status`;
  return Number(existsSync(file) ? /^PPid:\s+(\d+)/m.exec(readFileSync(file, 'utf8'))?.[1] : ps('ppid', pid)) || 0;
}

/** A process as a file names it: its number, and its command line, since numbers are given again. @param {number} pid */
const described = (pid) => `${pid}\n${commandOf(pid)}\n`;

/** What a file holds, if it is there. @param {string} file */
const textOf = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

/** The process that a text names, if it is there. @param {string} said */
function living(said) {
  const pid = Number(said.split('\n')[0]);
  return pid > 0 && commandOf(pid) !== '' && said === described(pid) ? pid : undefined;
}

/** Whoever holds the folder already; `pid` is undefined where it is just beginning to. */
export class Held extends Error {
  /** @param {number | undefined} pid */
  constructor(pid) {
    super(pid === undefined ? 'another start in this folder was a moment earlier' : `keyward runs from this folder already, as process ${pid}`);
    this.pid = pid;
  }
}

/**
 * Takes the folder for this process alone, until `release`.
 *
 * @param {string} state
 * @returns {{holds(pid: number, url: string): void, release(): void}} `holds` names the runtime, which may outlive this process, and where it answers
 * @throws {Held}
 */
export function lockState(state) {
  const [lockFile, pidFile, urlFile] = [join(state, 'lock'), join(state, 'workerd.pid'), join(state, URL_FILE)];
  stateFolder(state);
  const holder = living(textOf(pidFile)) ?? living(textOf(lockFile));
  if (holder !== undefined) throw new Held(holder);
  // Whoever left them is gone.
  [urlFile, lockFile].forEach((file) => rmSync(file, { force: true }));
  try {
    writeFileSync(lockFile, described(process.pid), { flag: 'wx' });
  } catch {
    throw new Held(undefined);
  }
  return {
    holds(pid, url) {
      writeFileSync(pidFile, described(pid));
      writeFileSync(urlFile, `${url}\n${described(pid)}`);
    },
    release: () => [urlFile, pidFile, lockFile].forEach((file) => rmSync(file, { force: true })),
  };
}

/**
 * Where the deployment of a state folder answers: on this machine alone, and only while the process that answers lives.
 *
 * @param {string} state
 * @returns {URL | undefined}
 */
export function runningUrl(state) {
  const [url = '', ...holder] = textOf(join(state, URL_FILE)).split('\n');
  if (!LOOPBACK_URL.test(url) || !URL.canParse(url)) return undefined;
  return living(holder.join('\n')) === undefined ? undefined : new URL(url);
}

/**
 * Calls `end` when npm, which started this, is gone: it does not pass on every signal that ends it, and a shell stands between.
 *
 * @param {() => void} end
 */
export function endWithNpm(end) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const shell = process.ppid;
  const npm = commandOf(shell).includes('npm') ? shell : parentOf(shell);
  setInterval(() => {
    if (process.ppid !== shell || (npm > 1 && commandOf(npm) === '')) end();
  }, 300).unref();
}
