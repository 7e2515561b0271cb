/** What a project's own folder says: wrangler's configuration, files of variables, what was built for browsers. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { shown } from '../print.js';
import { bundled } from '../scan/index.js';
import { isExample } from '../scan/hygiene.js';
import { repositoryOf } from '../scan/tree.js';
import type { Report } from './finding.js';
import { jsonc, toml } from './settings.js';

const SETTINGS = ['wrangler.jsonc', 'wrangler.json', 'wrangler.toml'];
/** Where built front ends lie. */
const BUILDS = ['dist', 'build', 'public', 'out'];
/** Answers that carry keys, or speak of them. */
const CARRIES_KEYS = ['/v1', '/r'];

/** Bindings of keyward's that are secrets. */
const SECRETS = /^KEYWARD_(RETIRED_)?(ROOT_SECRETS?|TAG_KEYS?)$|^KEYWARD_TURNSTILE_SECRET$|^UPSTREAM_\w*(?<!_ORIGIN)$/;

type Settings = { [name: string]: unknown };
const isObject = (value: unknown): value is Settings => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether the assets of a project answer a path of keyward's before the Worker is asked. */
function assetsFirst(assets: unknown): boolean {
  if (!isObject(assets)) return false;
  const { run_worker_first: first = false, not_found_handling: otherwise } = assets;
  // Without it, a file of that name answers, and with a page for everything else, that page does.
  if (first === false) return otherwise === 'single-page-application' || otherwise === '404-page' || 'run_worker_first' in assets;
  if (!Array.isArray(first)) return false;
  const matches = (rule: unknown, path: string) => typeof rule === 'string' && new RegExp(`^${rule.replace(/^!/, '').replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`).test(path);
  return CARRIES_KEYS.some((path) => {
    const example = `${path}/x`;
    return !first.some((rule) => !String(rule).startsWith('!') && matches(rule, example)) || first.some((rule) => String(rule).startsWith('!') && matches(rule, example));
  });
}

/** What a configuration, or one environment of it, says that keys should not be behind. */
export function settingsFindings(settings: Settings, file: string): Report['findings'] {
  const found: Report['findings'] = [];
  const look = (part: Settings, where: string) => {
    if (isObject(part.cache) && part.cache.enabled === true) {
      found.push({ code: 'WORKERS_CACHE', severity: 'high', what: `${where}: "cache" is enabled before the Worker`, why: 'what a cache keeps goes to the next caller and outlives a revocation', fix: 'take "cache" out: verdicts are kept by leases, which a revocation ends' });
    }
    if (assetsFirst(part.assets)) {
      found.push({ code: 'ASSETS_FIRST', severity: 'medium', what: `${where}: "assets" may answer /v1/… and /r/… before the Worker`, why: 'a page or a file of that name then stands where a verdict should, without a key being asked for', fix: '"run_worker_first": true, or ["/v1/*", "/r/*"]' });
    }
    for (const name of Object.keys(isObject(part.vars) ? part.vars : {}).filter((name) => SECRETS.test(name))) {
      found.push({ code: 'SECRET_IN_SETTINGS', severity: 'high', what: `${where}: "vars" holds ${shown(name)}`, why: 'the file is made to be committed, and "vars" are shown in the dashboard', fix: `take it out, replace its value, and set it as a secret: npx wrangler secret put ${shown(name)}` });
    }
    const routes = [part.route, ...(Array.isArray(part.routes) ? part.routes : [])];
    for (const route of [part, ...routes]) {
      if (!isObject(route)) continue;
      const [open, at] = [route.request_limit_fail_open === true || route.fail_open === true || route.limit_fail_open === true, route.pattern];
      if (open) found.push({ code: 'FAIL_OPEN', severity: 'high', what: `${where}: ${typeof at === 'string' ? `the route ${shown(at)}` : 'the Worker'} fails open`, why: 'over the limits of the plan, or when it fails, calls go on to the origin with no key asked for', fix: 'fail closed: take request_limit_fail_open out, here and in the dashboard' });
    }
  };
  look(settings, file);
  for (const [name, part] of Object.entries(isObject(settings.env) ? settings.env : {})) if (isObject(part)) look(part, `${file}, environment ${shown(name)}`);
  return found;
}

function wrangler(report: Report) {
  const file = SETTINGS.find((name) => existsSync(name));
  if (file === undefined) return;
  try {
    const text = readFileSync(file, 'utf8');
    const settings = file.endsWith('.toml') ? toml(text) : jsonc(text);
    if (!isObject(settings)) throw new Error('it is no object');
    const found = settingsFindings(settings, file);
    report.findings.push(...found);
    if (found.length === 0) report.fine.push(`${file} puts nothing between a key and the Worker`);
  } catch (error) {
    report.unchecked.push({ what: file, why: `it cannot be read: ${(error as Error).message}` });
  }
}

/** Git's own word, by its exit code. */
const git = (...args: string[]) => spawnSync('git', args, { stdio: 'ignore' }).status;

/** Files that hold secrets and are on their way into the repository. */
function variables(report: Report) {
  const files = readdirSync('.').filter((name) => (/^\.env(\.|$)/.test(name) && !isExample(name)) || /^\.dev\.vars(\.|$)/.test(name) || name === '.keyward');
  if (files.length === 0) return;
  if (repositoryOf('.') === undefined) return;
  for (const name of files) {
    if (name === '.keyward' ? spawnSync('git', ['ls-files', '--', name], { encoding: 'utf8' }).stdout?.trim() : git('ls-files', '--error-unmatch', '--', name) === 0) {
      report.findings.push({ code: 'ENV_COMMITTED', severity: 'high', what: `${name} is under version control`, why: 'everybody who has the repository has what it holds', fix: `git rm -r --cached ${name}, ignore it, and replace its secrets` });
    } else if (git('check-ignore', '-q', '--', name) === 1) {
      report.findings.push({ code: 'ENV_NOT_IGNORED', severity: 'high', what: `git does not ignore ${name}`, why: 'the next `git add .` commits it', fix: `put ${name}${name === '.keyward' ? '/' : ''} into .gitignore` });
    } else report.fine.push(`git ignores ${name}`);
  }
}

async function builds(report: Report) {
  for (const folder of BUILDS) {
    if (!existsSync(folder) || !statSync(folder).isDirectory()) continue;
    const found = await bundled(folder);
    for (const { path, line, name, redacted, original } of found) {
      report.findings.push({
        code: 'KEY_IN_FRONT_END', severity: 'high', what: `${name} in ${shown(original?.path ?? path)}:${original?.line ?? line}${redacted === '' ? '' : `: ${redacted}`}`,
        why: 'whoever opens the page has it', fix: 'replace the key at its provider, then call through a route (keyward routes put), which keeps it',
      });
    }
    if (found.length === 0) report.fine.push(`no key in ${folder}/`);
  }
}

/** Looks at the folder that it is run in. */
export async function examineProject(report: Report): Promise<void> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) report.findings.push({ code: 'NODE_TOO_OLD', severity: 'medium', what: `Node ${process.versions.node}`, why: 'keyward is tested with Node 20 and newer', fix: 'install Node 20 or newer' });
  else report.fine.push(`Node ${process.versions.node}`);
  wrangler(report);
  variables(report);
  await builds(report);
}
