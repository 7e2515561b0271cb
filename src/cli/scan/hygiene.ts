/** Habits that leak keys, in what surrounds them: files of variables, and names that bundlers publish. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Located } from './report.js';

/** What bundlers put into the pages of everybody: the variables that begin so. */
const PUBLISHED = /^(?:export\s+)?((?:NEXT_PUBLIC|VITE|REACT_APP|EXPO_PUBLIC|GATSBY|NUXT_PUBLIC|VUE_APP|PUBLIC)_\w*)\s*=\s*(\S.*)?$/;
const SECRET = /SECRET|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|TOKEN|API_?KEY|ACCESS_?KEY|SERVICE_ROLE/;
/** Names of values that are made to be public. */
const PUBLIC = /PUBLISHABLE|PUBLIC_KEY|SITE_?KEY|ANON|CLIENT_TOKEN|MAPBOX|SENTRY_DSN/;
/** A file of variables that is made to be shared. */
export const isExample = (name: string) => /\.(example|sample|template|dist|defaults?)$|^\.?env\.(example|sample)/.test(name);

const BLANK: Omit<Located, 'rule' | 'name' | 'path' | 'why' | 'fingerprint' | 'line'> = {
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
    if (name === undefined || !value || value === '""' || value === "''" || !SECRET.test(name) || PUBLIC.test(name)) return [];
    return [told('published-variable', 'secret in a variable that is published', path, `${name} is put into the bundle of everybody who opens the page: call through a server or a route instead`, at + 1, name)];
  });
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
