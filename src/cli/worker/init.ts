/** `keyward init`: a folder that keyward's Worker is run in and deployed from. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { asking, asks } from '../ask.js';
import { Refused } from '../connection.js';
import { painter, shown } from '../scan/report.js';
import { type Answers, ENV_EXAMPLE, IGNORED, PACKAGE, STATE, WORKERD, configIn, installedIn, settingsOf, wranglerConfig } from './project.js';
import { LOCAL, keptDeployment, localDeployment, production } from './secrets.mjs';

export interface Options {
  name?: string;
  brand?: string;
  environments?: string;
  yes?: boolean;
  install: boolean;
  force?: boolean;
}

const WORD = /^[a-z][a-z0-9]{1,11}$/;
/** What each answer must be, and how that is said. */
const RULES: Record<keyof Answers, { fits(text: string): boolean; says: string }> = {
  name: { fits: (text) => /^[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?$/.test(text), says: 'A name is up to 54 of a-z, 0-9 and -, none of them at an end.' },
  brand: { fits: (text) => WORD.test(text) && text !== 'kws', says: 'A brand is 2 to 12 of a-z and 0-9, a letter first; kws is how sessions begin.' },
  environments: {
    fits: (text) => {
      const words = text.split(',').map((word) => word.replace(/:mock$/, ''));
      return words.every((word) => WORD.test(word)) && new Set(words).size === words.length;
    },
    says: 'Environments are words of 2 to 12 of a-z and 0-9, each once, separated by commas, each followed by :mock where it is one: live,test:mock.',
  },
};

/** Holds an answer to its rule. */
export function fitting(what: keyof Answers, text: string): string {
  if (!RULES[what].fits(text)) throw new Refused(RULES[what].says);
  return text;
}

const QUESTIONS: Record<keyof Answers, string> = {
  name: 'The Worker\'s name at Cloudflare?',
  brand: 'The brand that every key begins with?',
  environments: 'Environments, the first for the keys of your customers?',
};

/** The folder's name as a Worker may be called. */
const nameFor = (folder: string) => basename(folder).toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 54).replace(/^-+|-+$/g, '') || 'keyward';

/** The brand of the first key of what is kept, if there is any. */
function brandOf(kept: Record<string, string> | undefined): string | undefined {
  if (!kept?.KEYWARD_FIRST_KEY) return undefined;
  return (JSON.parse(kept.KEYWARD_FIRST_KEY) as { record?: { brand?: string } }).record?.brand;
}

/** Where this very package was installed from, where that was no registry: a tarball, a repository. */
function sourceOf(version: string): string {
  const modules = dirname(PACKAGE.replace(/[\\/]$/, ''));
  const lock = join(modules, '.package-lock.json');
  if (!existsSync(lock)) return `^${version}`;
  const { packages = {} } = JSON.parse(readFileSync(lock, 'utf8')) as { packages?: Record<string, { resolved?: string }> };
  const resolved = packages['node_modules/keyward']?.resolved ?? '';
  if (resolved.startsWith('file:')) return `file:${resolve(dirname(modules), resolved.slice('file:'.length))}`;
  return resolved.startsWith('git') ? resolved : `^${version}`;
}

/** The package manager whose lock file lies there. */
function installer(folder: string): string {
  const known = [['pnpm-lock.yaml', 'pnpm'], ['yarn.lock', 'yarn'], ['bun.lock', 'bun'], ['bun.lockb', 'bun']] as const;
  return known.find(([file]) => existsSync(join(folder, file)))?.[1] ?? 'npm';
}

interface Manifest {
  [field: string]: unknown;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

/** package.json with what keyward needs in it; what is there already stays. Answers what was added. */
function manifest(folder: string, name: string, version: string): { made: boolean; added: string[]; kept: string[] } {
  const file = join(folder, 'package.json');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  let content: Manifest;
  try {
    content = before === undefined ? { name, private: true } : JSON.parse(before.replace(/^\uFEFF/, '')) as Manifest;
  } catch {
    throw new Refused('package.json is no JSON: nothing was done');
  }
  const added: string[] = [];
  const kept: string[] = [];
  const put = (section: 'scripts' | 'dependencies' | 'devDependencies', key: string, value: string, elsewhere: Record<string, string> = {}) => {
    const there = content[section]?.[key] ?? elsewhere[key];
    if (there === undefined) {
      content[section] = { ...content[section], [key]: value };
      added.push(key);
    } else if (section === 'scripts' && there !== value) kept.push(`its script ${key} is another's: npx keyward ${key} does the same`);
  };
  put('scripts', 'dev', 'keyward dev');
  put('scripts', 'deploy', 'keyward deploy');
  put('dependencies', 'keyward', sourceOf(version), content.devDependencies);
  put('devDependencies', 'workerd', WORKERD, content.dependencies);
  const indent = before?.match(/^[ \t]+(?=")/m)?.[0] ?? '  ';
  if (added.length > 0) writeFileSync(file, `${JSON.stringify(content, null, indent)}\n`);
  return { made: before === undefined, added, kept };
}

/** Appends the lines that are missing; answers them. */
function ignore(file: string): string[] {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const bare = (line: string) => line.trim().replace(/^\/|\/$/g, '');
  const there = new Set(before.split('\n').map(bare));
  const missing = IGNORED.filter((line) => !there.has(bare(line)));
  if (missing.length > 0) writeFileSync(file, `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${missing.join('\n')}\n`);
  return missing;
}

export async function init(where: string | undefined, options: Options, version: string): Promise<void> {
  const folder = resolve(where ?? '.');
  const paint = painter(process.stdout);
  const say = (text = '') => process.stdout.write(`${text}\n`);
  const done = (what: string, file: string, why = '') => say(`  ${paint(what === 'left alone' ? 'dim' : 'green', what.padEnd(12))} ${file}${why ? `  ${paint('dim', why)}` : ''}`);

  const found = existsSync(folder) ? configIn(folder) : undefined;
  if (found && !found.ours && !(options.force && found.file === 'wrangler.jsonc')) {
    throw new Refused(`${found.file} in this folder deploys another Worker: nothing was done. Give keyward a folder of its own, npx keyward init keyward`
      + `${found.file === 'wrangler.jsonc' ? ', or --force, which keeps a copy of it' : ''}`);
  }
  const before = found?.ours ? found.config : undefined;
  const state = join(folder, STATE);
  const [local, elsewhere] = [keptDeployment(state, LOCAL), keptDeployment(state, production())];
  const brandBefore = brandOf(elsewhere) ?? brandOf(local) ?? (before && settingsOf(before).KEYWARD_BRAND);
  if (options.brand !== undefined && brandBefore !== undefined && options.brand !== brandBefore) {
    throw new Refused(`the keys of this folder begin with ${brandBefore}, and a brand stays what it is. Another one takes another folder`);
  }
  const asked: Answers = {
    name: options.name ?? before?.name ?? nameFor(folder),
    brand: options.brand ?? brandBefore ?? 'psk',
    environments: options.environments ?? (before && settingsOf(before).KEYWARD_ENVIRONMENTS) ?? 'live,test:mock,staging,dev',
  };
  const writes = found === undefined || options.force === true;
  if (writes && !options.yes) {
    if (!asks()) throw new Refused('nobody can be asked here: add --yes to take the defaults (--name, --brand and --environments say otherwise)');
    await asking(async (ask) => {
      for (const what of ['name', 'brand', 'environments'] as const) {
        if (options[what] !== undefined || (what === 'brand' && brandBefore !== undefined)) continue;
        for (;;) {
          // What does not fit is not offered again.
          const answer = await ask(QUESTIONS[what], asked[what]);
          if (RULES[what].fits(answer)) {
            asked[what] = answer;
            break;
          }
          process.stderr.write(`  ${RULES[what].says}\n`);
        }
      }
    });
  }

  mkdirSync(folder, { recursive: true });
  say(`keyward ${version} in ${shown(relative(process.cwd(), folder) || '.')}`);
  // Before anything that is secret is there.
  const ignoring = existsSync(join(folder, '.gitignore'));
  const ignored = ignore(join(folder, '.gitignore'));
  done(!ignoring ? 'made' : ignored.length > 0 ? 'added to' : 'left alone', '.gitignore', ignored.join(' '));

  const { made, added, kept } = manifest(folder, asked.name, version);
  done(made ? 'made' : added.length > 0 ? 'added to' : 'left alone', 'package.json', [made ? '' : added.join(' '), ...kept].filter(Boolean).join('; '));

  const command = [installer(folder), 'install', ...(installer(folder) === 'npm' ? ['--include=dev', '--no-audit', '--no-fund'] : [])];
  const complete = () => ['keyward', 'workerd'].every((name) => installedIn(folder, name) !== undefined);
  let installed = complete() && added.every((name) => name === 'dev' || name === 'deploy');
  if (!installed && options.install) {
    say(`  ${command.join(' ')}: keyward, and workerd, the runtime of Cloudflare (42 MB on Linux)`);
    const [program = '', ...args] = command;
    // On Windows npm is a script of the shell's.
    const { status } = spawnSync(program, args, { cwd: folder, stdio: ['ignore', process.stderr, process.stderr], shell: process.platform === 'win32' });
    installed = status === 0 && complete();
    done(installed ? 'installed' : 'FAILED', command.join(' '));
  }

  const file = found?.file ?? 'wrangler.jsonc';
  if (writes) {
    const copy = `${file}.before`;
    if (found) copyFileSync(join(folder, file), join(folder, copy));
    writeFileSync(join(folder, file), wranglerConfig(asked, installedIn(folder) ?? 'node_modules/keyward'));
    done(found ? 'written over' : 'made', file, found ? `what it was is ${copy}` : '');
  } else {
    const other = (['name', 'environments'] as const).filter((what) => options[what] !== undefined && options[what] !== (what === 'name' ? before?.name : before && settingsOf(before).KEYWARD_ENVIRONMENTS));
    done('left alone', file, other.length > 0 ? `--${other.join(', --')} changed nothing: edit it, or --force` : '');
  }

  const example = join(folder, '.env.example');
  if (!existsSync(example) || options.force) {
    const there = existsSync(example);
    if (there) copyFileSync(example, `${example}.before`);
    writeFileSync(example, ENV_EXAMPLE);
    done(there ? 'written over' : 'made', '.env.example', there ? 'what it was is .env.example.before' : 'names, no values');
  } else done('left alone', '.env.example');

  const core = await import('keyward');
  const words = { brand: asked.brand, environment: asked.environments.split(/[:,]/)[0] as string };
  for (const [files, what] of [[LOCAL, 'on this machine'], [production(), 'at Cloudflare']] as const) {
    const { made } = localDeployment(state, core, { ...files, ...words });
    done(made ? 'made' : 'left alone', `${STATE}/${files.secrets}`, `root secret and tag key ${what}`);
    done(made ? 'made' : 'left alone', `${STATE}/${files.admin}`, `the first management key ${what}`);
  }

  const into = realpathSync(folder) === realpathSync('.') ? '' : `cd ${shown(relative(process.cwd(), folder))} && `;
  say(`
Only this account can read ${STATE}/, and git ignores it. Keep ${STATE}/${production().secrets} and ${STATE}/${production().admin} in a vault, too:
without the root secret no key verifies, and of the management key the Worker has only the digest.

Next
  ${into}${installed ? '' : `${command.join(' ')} && `}npx keyward dev       runs it here
  ${into}npx keyward deploy    brings it to Cloudflare (--dry-run shows what would be done)`);
  if (!installed && options.install) throw new Refused(`${command.join(' ')} did not get through: what it says is above. Everything else is done`);
}
