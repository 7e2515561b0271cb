/** `keyward deploy`: looks first, says what will be done, uploads secrets once, deploys, and asks the result how it is. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { asking, asks } from '../ask.js';
import { Refused } from '../connection.js';
import { painter, size } from '../scan/report.js';
import { type Config, STATE, ourConfig, settingsOf } from './project.js';
import { keptDeployment, localDeployment, production } from './secrets.mjs';
import { OBJECTS } from './workerd.mjs';
import { type Ran, type Wrangler, wranglerFor } from './wrangler.js';

export interface Options {
  dryRun?: boolean;
  env?: string;
  yes?: boolean;
  replaceSecrets?: boolean;
  url?: string;
}

/** Without both the Worker answers 503. */
const NEEDED = ['KEYWARD_ROOT_SECRET', 'KEYWARD_TAG_KEY'];

const WHY = `Every key's digest is made with the root secret: under another one no key verifies, the first management key with them. To replace it and keep
the keys, put the old value beside it as KEYWARD_RETIRED_ROOT_SECRETS (tag keys: KEYWARD_RETIRED_TAG_KEYS) and then run with --replace-secrets.`;

/** How long a new address may take until it answers everywhere. */
const ANSWERS_WITHIN_MS = 90_000;

/** What wrangler said that can be shown: its last lines, without colours. */
const said = ({ stdout, stderr }: Ran) => `${stdout}\n${stderr}`.replace(/\u001b\[[0-9;]*m/g, '').split('\n').map((line) => line.trim()).filter(Boolean).slice(-12).join('\n  ');

/** The same without any of the values, should one of them stand there. */
const withoutSecrets = (text: string, env: Record<string, string>) => Object.values(env).reduce((rest, value) => rest.replaceAll(value, '…'), text);

/** What `--env` names in the configuration; wrangler takes bindings and variables over from nowhere else. */
function chosen(config: Config, file: string, env: string | undefined): Config {
  if (env === undefined) return config;
  const named = config.env?.[env];
  if (!named) throw new Refused(`${file} has no env.${env}: it needs its own vars and durable_objects there, since wrangler takes neither over from the top`);
  const bound = new Map(named.durable_objects?.bindings?.map(({ name, class_name: of }) => [name, of]));
  const missing = OBJECTS.filter(([binding = '', className]) => bound.get(binding) !== className);
  if (missing.length > 0) throw new Refused(`env.${env} in ${file} lacks durable_objects: ${missing.map(([binding, className]) => `${binding} (${className})`).join(', ')}. wrangler does not take them over from the top`);
  return named;
}

/** The names of the Worker's secrets, or `undefined` where there is no such Worker yet. */
async function secretsThere(wrangler: Wrangler, of: string[]): Promise<Set<string> | undefined> {
  const ran = await wrangler.run(['secret', 'list', '--format', 'json', ...of]);
  if (ran.status !== 0) {
    if (/not found|10007|does not exist/i.test(ran.stdout + ran.stderr)) return undefined;
    throw new Refused(`which secrets the Worker has could not be asked:\n  ${said(ran)}`);
  }
  const from = ran.stdout.indexOf('[');
  try {
    return new Set((JSON.parse(ran.stdout.slice(from, ran.stdout.lastIndexOf(']') + 1)) as { name: string }[]).map(({ name }) => name));
  } catch {
    throw new Refused(`wrangler secret list answered no list:\n  ${said(ran)}`);
  }
}

/** Where wrangler says that it went: the first of its targets that can be asked. */
function deployedTo(file: string): string | undefined {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  const targets = lines.map((line) => JSON.parse(line) as { type?: string; targets?: string[] }).filter(({ type }) => type === 'deploy').flatMap(({ targets = [] }) => targets);
  for (const target of targets) {
    const [first = ''] = target.split(' ');
    const url = first.startsWith('http') ? first : `https://${first.replace(/\/?\*?$/, '')}`;
    if (!first.includes('*.') && URL.canParse(url)) return new URL(url).origin;
  }
  return undefined;
}

/** Asks until it answers as keyward does; answers its version. */
async function health(url: string, wrangler: Wrangler): Promise<string> {
  process.stderr.write(`asking ${url}/healthz\n`);
  const until = Date.now() + ANSWERS_WITHIN_MS;
  for (let wait = 500; ; wait = Math.min(wait * 2, 8_000)) {
    let last: string;
    try {
      const response = await fetch(`${url}/healthz`, { redirect: 'error', signal: AbortSignal.timeout(10_000) });
      const body = await response.json().catch(() => ({})) as { status?: string; version?: string; detail?: string };
      if (response.ok && body.status === 'ok') return body.version ?? '';
      last = `${response.status}${body.detail ? `: ${body.detail}` : ''}`;
    } catch (error) {
      last = ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message;
    }
    if (Date.now() + wait > until) throw new Refused(`deployed, but ${url}/healthz does not answer as it should (${last}). A new address can take some minutes: ask again, and see ${wrangler.typed} tail`);
    await pause(wait);
  }
}

/** What was written that would be uploaded, held against what the package brings. */
function uploaded(out: string, folder: string, main: string): string[] {
  const code = resolve(folder, main, '..');
  return readdirSync(code).map((name) => {
    const [ours, theirs] = [join(code, name), join(out, name)];
    if (!existsSync(theirs)) throw new Refused(`wrangler would leave ${name} out: "no_bundle" and "rules" in wrangler.jsonc are not as keyward init writes them`);
    const bytes = readFileSync(theirs);
    if (!bytes.equals(readFileSync(ours))) throw new Refused(`wrangler would upload ${name} changed: "no_bundle": true is missing in wrangler.jsonc`);
    return `${name.padEnd(16)} ${size(bytes.length)}, ${size(gzipSync(bytes).length)} compressed, as in the package`;
  });
}

export async function deploy(options: Options, version: string): Promise<void> {
  const folder = process.cwd();
  const paint = painter(process.stdout);
  const say = (text = '') => void process.stdout.write(`${text}\n`);
  const { file, config } = ourConfig(folder);
  const target = chosen(config, file, options.env);
  const main = target.main ?? config.main ?? '';
  if (!existsSync(join(folder, main))) throw new Refused(`${main}, which ${file} names, is not there: npm install`);
  const wrangler = wranglerFor(folder);
  const of = options.env === undefined ? [] : ['--env', options.env];
  const name = target.name ?? (options.env === undefined ? config.name : `${config.name}-${options.env}`);
  const state = join(folder, STATE);
  const files = production(options.env);
  const kept = keptDeployment(state, files);
  const path = `${STATE}/${files.secrets}`;
  say(`${paint('bold', `keyward ${version}`)}, the Worker ${name}${options.env === undefined ? '' : ` (env.${options.env})`}, by ${wrangler.shown}`);

  if (options.dryRun) {
    const out = mkdtempSync(join(tmpdir(), 'keyward-dry-run-'));
    try {
      const ran = await wrangler.run(['deploy', '--dry-run', '--outdir', out, ...of], { env: { CI: '1' } });
      if (ran.status !== 0) throw new Refused(`wrangler deploy --dry-run failed:\n  ${said(ran)}`);
      for (const line of uploaded(out, folder, main)) say(`  upload   ${line}`);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
    say(`  objects  ${OBJECTS.map(([binding, className]) => `${binding} (${className})`).join(', ')}`);
    say(`  secrets  ${kept ? `from ${path}` : `made, and kept in ${path}`}: ${Object.keys(kept ?? { KEYWARD_ROOT_SECRET: 1, KEYWARD_TAG_KEY: 1, KEYWARD_FIRST_KEY: 1 }).join(', ')}`);
    say(`           ${options.replaceSecrets ? 'whether or not the Worker has some: --replace-secrets' : 'unless the Worker has them: that cannot be known without asking Cloudflare'}`);
    say('--dry-run: nothing was sent');
    return;
  }

  const who = await wrangler.run(['whoami']);
  if (who.status !== 0 || /not authenticated/i.test(who.stdout + who.stderr)) {
    throw new Refused(`not logged in to Cloudflare: ${wrangler.typed} login, or a token in the variable CLOUDFLARE_API_TOKEN (the template "Edit Cloudflare Workers")`);
  }
  const there = await secretsThere(wrangler, of);
  const has = NEEDED.filter((secret) => there?.has(secret));
  if (has.length === 1 && !options.replaceSecrets) {
    throw new Refused(`the Worker ${name} has ${has[0]} but not ${NEEDED.find((secret) => !has.includes(secret))}: nothing was done. Put the other one there by ${wrangler.typed} secret put, or upload all of ${path} with --replace-secrets`);
  }
  const uploads = has.length === 0 || options.replaceSecrets === true;
  if (uploads && has.length > 0 && !kept) throw new Refused(`--replace-secrets uploads ${path}, which is not here: nothing was done`);

  say(`  Worker   ${there === undefined ? 'new' : 'there already: a new version of it'}`);
  say(`  secrets  ${uploads ? `${has.length > 0 ? 'REPLACED by those' : 'uploaded'} in ${path}${kept ? '' : ', made now'}` : 'left as they are'}`);
  if (uploads && has.length > 0) {
    say(`\n${WHY}\n`);
    if (!kept?.KEYWARD_RETIRED_ROOT_SECRETS) say(`${path} holds no KEYWARD_RETIRED_ROOT_SECRETS: if its root secret is not the deployed one, every key there ends.\n`);
  }
  if (!options.yes) {
    if (asks()) {
      const answer = await asking((ask) => ask('Go on?', uploads && has.length > 0 ? 'no' : 'yes'));
      if (!/^y(es)?$/i.test(answer)) throw new Refused('nothing was done');
    } else if (uploads && has.length > 0) throw new Refused('nobody can be asked here whether secrets are to be replaced: --yes says so. Nothing was done');
  }

  if (uploads) {
    const settings = { ...settingsOf(config), ...settingsOf(target) };
    const words = { brand: settings.KEYWARD_BRAND ?? 'psk', environment: settings.KEYWARD_ENVIRONMENTS?.split(/[:,]/)[0] ?? 'live' };
    const { env } = localDeployment(state, await import('keyward'), { ...files, ...words });
    const ran = await wrangler.run(['secret', 'bulk', ...of], { input: JSON.stringify(env) });
    // It ends with 0 also where it read nothing: what counts is what is there afterwards.
    const now = ran.status === 0 ? await secretsThere(wrangler, of) : undefined;
    if (!NEEDED.every((secret) => now?.has(secret))) throw new Refused(`the secrets did not arrive, and nothing was deployed. wrangler said:\n  ${withoutSecrets(said(ran), env)}`);
    say(`  ${paint('green', 'uploaded')} ${Object.keys(env).join(', ')}`);
  }

  const report = join(mkdtempSync(join(tmpdir(), 'keyward-deploy-')), 'wrangler.jsonl');
  let url: string | undefined;
  try {
    const ran = await wrangler.run(['deploy', ...of], { show: true, env: { WRANGLER_OUTPUT_FILE_PATH: report } });
    if (ran.status !== 0) throw new Refused(`wrangler deploy failed; what it says is above.${uploads ? ' The secrets are there and will be left as they are next time' : ''}`);
    url = options.url ?? deployedTo(report);
  } finally {
    rmSync(join(report, '..'), { recursive: true, force: true });
  }
  if (url === undefined) return say(`deployed. Where it answers stands in the "routes" of ${file}: ask /healthz there`);
  const running = await health(url, wrangler);
  say(`
${paint('bold', `keyward ${running} answers at ${url}`)}

Next
  export KEYWARD_URL=${url}
  ADMIN=$(cat ${STATE}/${files.admin})      # on the machine that made the secrets; keep it in a vault
  curl -s $KEYWARD_URL/v1/keys -H "Authorization: Bearer $ADMIN" -d '{"name": "backend", "owner": "acme", "scopes": ["keyward.keys:verify"]}'

Give each job a key of its own, and keep two with keyward.*:*. npx keyward --help names what else there is.`);
}
