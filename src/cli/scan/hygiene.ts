/** Habits that leak keys, in what surrounds them: files of variables, and names that bundlers publish. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Finding, Outcome } from './engine.js';
import type { Located } from './report.js';

/** What bundlers put into the pages of everybody: the variables that begin so. */
const PREFIX = '(?:NEXT_PUBLIC|VITE|REACT_APP|EXPO_PUBLIC|GATSBY|NUXT_PUBLIC|VUE_APP|PUBLIC)_';
const PUBLISHED = new RegExp(`^(?:export\\s+)?(${PREFIX}\\w*)\\s*=\\s*(\\S.*)?$`);
/** A file in which a bundler replaces such a name by its value, and where it stands. */
const CODE = /\.([cm]?[jt]sx?|vue|svelte|astro|html)$/;
const USED = new RegExp(`\\b(?:import\\.meta|process)\\.env\\.(${PREFIX}\\w*)`, 'g');
const SECRET = /SECRET|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|TOKEN|API_?KEY|ACCESS_?KEY|SERVICE_ROLE/;
/** Names of values that are made to be public. */
const PUBLIC = /PUBLISHABLE|PUBLIC_KEY|SITE_?KEY|ANON|CLIENT_TOKEN|MAPBOX|SENTRY_DSN|FIREBASE|GOOGLE_MAPS/;
const ALLOWED = /keyward:allow|gitleaks:allow/i;
/** A file of variables that is made to be shared. */
export const isExample = (name: string) => /\.(example|sample|template|dist|defaults?)$|^\.?env\.(example|sample)/.test(name);

const BLANK: Omit<Finding, 'rule' | 'name' | 'why' | 'fingerprint' | 'line'> = {
  provider: '', confidence: 'medium', offset: 0, length: 0, column: 1, more_lines: 0, end_column: 1, redacted: '', excerpt: '', excerpt_at: [0, 0],
};

const told = (rule: string, name: string, path: string, why: string, line = 1, subject = ''): Located => ({ ...BLANK, rule, name, path, why, line, fingerprint: `${rule}${subject && `:${subject}`}` });

/** A file of variables that git does not ignore, or knows. */
export function unignored(path: string, tracked: boolean, ignored: boolean): Located[] {
  if (isExample(path.split('/').pop() ?? '')) return [];
  if (tracked) return [told('env-committed', 'file of variables under version control', path, 'everybody who has the repository has what it holds: `git rm --cached` it, ignore it, and replace its secrets')];
  if (!ignored) return [told('env-not-ignored', 'file of variables that git does not ignore', path, 'the next `git add .` commits it: put it into .gitignore')];
  return [];
}

/** A file of variables that was committed once and is no longer there. */
export const onceCommitted = (path: string, commit: { id: string; author: string; date: string }): Located => ({
  ...told('env-once-committed', 'file of variables in the history', path, 'whoever has a clone has what it held: replace its secrets (keyward scan --history shows them)'),
  introduced: commit,
  in_head: false,
});

/** Variables in such a file that end in a bundle, although their names speak of secrets. The values are not told. */
export function published(file: string, path: string): Located[] {
  if (isExample(path.split('/').pop() ?? '')) return [];
  const text = readFileSync(file, 'utf8').split('\n');
  return text.flatMap((line, at) => {
    const [, name, value] = line.match(PUBLISHED) ?? [];
    if (name === undefined || !value || value === '""' || value === "''" || !isSecret(name)) return [];
    return [told('published-variable', 'secret in a variable that is published', path, `${name} is put into the bundle of everybody who opens the page: call through a server or a route instead`, at + 1, name)];
  });
}

/** Whether a name speaks of a secret, and of none that is made to be public. */
const isSecret = (name: string) => SECRET.test(name) && !PUBLIC.test(name.replace(/^(NEXT_|EXPO_|NUXT_)?PUBLIC_/, ''));

/** Names of secrets that code has a bundler replace by their values: each once, where it stands first. Nothing where there is none. */
export function publishedInCode(path: string, bytes: Uint8Array): Outcome | undefined {
  if (!CODE.test(path)) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // Nearly no file has any, and to make a text of each would cost as much as the scan.
  if (!buffer.includes('.env.')) return undefined;
  const outcome: Outcome = { findings: [], more: 0, allowed: 0, bytes: 0 };
  const names = new Set<string>();
  const lines = buffer.toString('utf8').split('\n');
  for (const [at, line] of lines.entries()) {
    for (const { 0: whole, 1: name = '', index } of line.matchAll(USED)) {
      if (!isSecret(name) || names.has(name)) continue;
      if (ALLOWED.test(line) || /^\W*(keyward|gitleaks):allow/i.test(lines[at - 1] ?? '')) {
        outcome.allowed += 1;
        continue;
      }
      names.add(name);
      const column = [...line.slice(0, index)].length + 1;
      const { path: _, ...finding } = told('published-variable', 'secret in a variable that is published', path, `a bundler puts the value of ${name} into what everybody loads: call through a server or a route instead`, at + 1, name);
      outcome.findings.push({ ...finding, column, end_column: column + whole.length });
    }
  }
  return outcome;
}

/** Whether a file begins as text does; of what cannot be read, nothing is said here. */
export function beginsAsText(file: string): boolean {
  const head = Buffer.alloc(512);
  let open: number | undefined;
  try {
    open = openSync(file, 'r');
    return !head.subarray(0, readSync(open, head)).includes(0);
  } catch {
    return false;
  } finally {
    if (open !== undefined) closeSync(open);
  }
}
