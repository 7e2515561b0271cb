/** Which files of a folder are scanned: not what git ignores, never what a link leads out to. What is left out is told. */
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import ignore, { type Ignore } from 'ignore';
import { ignoring } from './git.js';

/** A place that was not scanned, and why. */
export interface Skipped {
  path: string;
  why: string;
  /** Whether that is a failure and no decision. */
  failed?: boolean;
}

interface Rules {
  /** The folder that the rules stand in, and what its paths begin with. */
  prefix: string;
  rules: Ignore;
}

/** Paths as the tree names them: with `/`, from where the scan began. */
const posix = (path: string) => (sep === '/' ? path : path.split(sep).join('/'));

/** What holds in a folder that git ignores, of which something is tracked: no rule within it takes that back. */
const EVERYTHING: Rules[] = [{ prefix: '<', rules: ignore().add('*') }];

/** The repository that a folder is in, by the nearest `.git`. */
export function repositoryOf(folder: string): string | undefined {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return at;
    if (dirname(at) === at) return undefined;
  }
}

/** Rules that hold in `folder` from above it, of its repository. */
function rulesAbove(folder: string, read: (file: string, prefix: string) => Rules[], { exclude }: ReturnType<typeof ignoring>): Rules[] {
  const top = repositoryOf(folder);
  if (top === undefined) return [];
  const rules: Rules[] = [];
  const take = (file: string, base: string) => rules.push(...read(file, `${posix(relative(base, folder))}/`.replace(/^\/$/, '')));
  take(exclude ?? join(top, '.git', 'info', 'exclude'), top);
  const between = relative(top, folder).split(sep).filter(Boolean);
  for (let depth = 0; depth < between.length; depth += 1) {
    const base = join(top, ...between.slice(0, depth));
    take(join(base, '.gitignore'), base);
  }
  // Whoever names a folder that git ignores wants to see what is in it.
  return rules.some(({ prefix, rules: above }) => prefix !== '' && above.test(prefix).ignored) ? [] : rules;
}

/** Whether rules from the outermost to the innermost ignore a path; what the inner ones say counts. */
function isIgnored(rules: Rules[], path: string, folder: boolean): boolean {
  for (let i = rules.length - 1; i >= 0; i -= 1) {
    const { prefix, rules: own } = rules[i] as Rules;
    // Prefixes of rules from above the scan are added, of those within it taken off.
    const { ignored, unignored } = own.test(`${prefix.startsWith('<') ? path.slice(prefix.length - 1) : prefix + path}${folder ? '/' : ''}`);
    if (ignored) return true;
    if (unignored) return false;
  }
  return false;
}

export interface Tree {
  /** Path on this system, and name in the tree; an empty one for what the scan was started at. */
  file(path: string, name: string): void;
  /** A file of variables, `.env` and its like; `ignored` is not known of one that was named itself. */
  variables?(path: string, name: string, ignored?: boolean): void;
  skipped(place: Skipped): void;
  /** A file or folder that git ignores. */
  ignored(name: string): void;
}

/** Whether a file holds variables of an environment. */
export const holdsVariables = (name: string) => /^\.env(\.|$)|\.env$/.test(name);

/** Lists everything under `root`, in the order of names. */
export function walk(root: string, tree: Tree, { all = false } = {}) {
  let top: string;
  try {
    top = realpathSync(root);
  } catch (error) {
    tree.skipped({ path: '', why: (error as NodeJS.ErrnoException).code ?? String(error), failed: true });
    return;
  }
  if (!lstatSync(top).isDirectory()) {
    if (holdsVariables(basename(top))) tree.variables?.(top, '');
    tree.file(top, '');
    return;
  }
  // In a repository they are ignored, or they are its own.
  const inRepository = repositoryOf(top) !== undefined;
  const packages = all || inRepository;
  let ignorecase = false;
  /** Files that git tracks although its rules match them, and the folders that they lie in. */
  const tracked = new Set<string>();
  const around = new Set<string>();
  /** Enters a work tree, or the part of it that is scanned. */
  const workTree = (path: string, name: string) => {
    const known = ignoring(path);
    ({ ignorecase } = known);
    for (const file of known.tracked) {
      const inner = name ? `${name}/${file}` : file;
      tracked.add(inner);
      for (let end = inner.lastIndexOf('/'); end > 0 && !around.has(inner.slice(0, end)); end = inner.lastIndexOf('/', end - 1)) around.add(inner.slice(0, end));
    }
    return known;
  };
  /** The rules in a file, if it is there. */
  const read = (file: string, prefix: string): Rules[] => {
    try {
      return existsSync(file) ? [{ prefix, rules: ignore({ ignorecase }).add(readFileSync(file, 'utf8')) }] : [];
    } catch (error) {
      tree.skipped({ path: posix(relative(top, file)), why: (error as NodeJS.ErrnoException).code ?? String(error), failed: true });
      return [];
    }
  };
  const folder = (path: string, name: string, above: Rules[]) => {
    let entries;
    try {
      entries = readdirSync(path, { withFileTypes: true });
    } catch (error) {
      tree.skipped({ path: name, why: (error as NodeJS.ErrnoException).code ?? String(error), failed: true });
      return;
    }
    let rules = above;
    const prefix = `<${name && `${name}/`}`;
    const caseAbove = ignorecase;
    // In a repository within this one its own rules hold.
    if (!all && name !== '' && entries.some((entry) => entry.name === '.git')) {
      rules = read(workTree(path, name).exclude ?? join(path, '.git', 'info', 'exclude'), prefix);
    }
    if (!all && rules !== EVERYTHING && entries.some((entry) => entry.name === '.gitignore' && entry.isFile())) rules = [...rules, ...read(join(path, '.gitignore'), prefix)];
    for (const entry of entries) {
      const inner = join(path, entry.name);
      const innerName = name ? `${name}/${entry.name}` : entry.name;
      const isFolder = entry.isDirectory();
      if (entry.name === '.git') continue;
      const matched = rules.length > 0 && isIgnored(rules, innerName, isFolder);
      const partly = matched && isFolder && around.has(innerName);
      const ignored = matched && !partly && !tracked.has(innerName);
      if (entry.isFile() && holdsVariables(entry.name)) tree.variables?.(inner, innerName, ignored);
      if (ignored) tree.ignored(innerName);
      else if (isFolder && !packages && entry.name === 'node_modules') tree.skipped({ path: innerName, why: 'installed packages: --all scans them' });
      else if (isFolder) folder(inner, innerName, partly ? EVERYTHING : rules);
      else if (entry.isFile()) tree.file(inner, innerName);
      else if (entry.isSymbolicLink()) tree.skipped({ path: innerName, why: linkTo(inner, top) });
      else tree.skipped({ path: innerName, why: entry.isFIFO() ? 'a pipe' : entry.isSocket() ? 'a socket' : 'a device' });
    }
    ignorecase = caseAbove;
  };
  folder(top, '', all || !inRepository ? [] : rulesAbove(top, read, workTree(top, '')));
}

/** What a link is, in words. */
function linkTo(link: string, top: string): string {
  try {
    const target = realpathSync(link);
    return target === top || target.startsWith(top + sep) ? 'a link to what is scanned where it is' : 'a link out of the folder';
  } catch {
    try {
      return `a link that leads nowhere (${readlinkSync(link)})`;
    } catch {
      return 'a link that cannot be read';
    }
  }
}
