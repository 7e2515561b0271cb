/** What a repository holds besides its files: what is staged, and every version that ever was. */
import { spawn, spawnSync } from 'node:child_process';
import { basename, dirname, resolve } from 'node:path';

/** Where a blob came in. */
export interface Commit {
  id: string;
  author: string;
  date: string;
}

/** A version of a file. */
export interface Version {
  blob: string;
  path: string;
  commit?: Commit;
}

const SUBMODULE = '160000';
const LINK = '120000';
const NONE = /^0+$/;

/** Runs git and answers what it printed; fails with what it said. */
export function git(repository: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('git', ['-C', repository, ...args], { encoding: 'utf8', maxBuffer: 1 << 30 });
  if (error) throw new Error(`git could not be started: ${error.message}`);
  if (status !== 0) throw new Error(`git ${args[0]}: ${stderr.trim() || `status ${status}`}`);
  return stdout;
}

/** One entry of `--raw -z`: modes, blobs, path. Calls `take` for what is a file, `other` for what is none. */
function rawEntry(head: string, path: string, take: (version: Version, before: string | undefined) => void, other: (path: string, what: string) => void) {
  const [, after = '', before = '', blob = ''] = head.slice(1).split(' ');
  if (NONE.test(blob)) return;
  if (after === SUBMODULE) other(path, `a submodule, at ${blob}: scan its own repository`);
  else if (after === LINK) other(path, 'a link');
  else take({ blob, path }, NONE.test(before) ? undefined : before);
}

/** What the next commit would bring: blobs, and those that they replace; `gone` are those that go, which may only move. */
export function staged(repository: string, take: (version: Version, before: string | undefined) => void, gone: (version: Version) => void, other: (path: string, what: string) => void) {
  const parts = git(repository, 'diff', '--cached', '--raw', '-z', '--no-renames', '--no-abbrev').split('\0');
  for (let i = 0; i + 1 < parts.length; i += 2) {
    const [head, path] = [parts[i] as string, parts[i + 1] as string];
    const [, , blob = '', after = '', status] = head.slice(1).split(' ');
    if (status === 'D' && NONE.test(after)) gone({ blob, path });
    else rawEntry(head, path, take, other);
  }
}

/** Whether git ignores a file that it does not know: by every rule that it knows of, in the repository that the file's folder is of. */
export const isIgnored = (path: string) => spawnSync('git', ['-C', dirname(path), 'check-ignore', '-q', '--', basename(path)]).status === 0;

/** What git answers, or nothing where it is not there or refuses. */
function asked(repository: string, ...args: string[]): string | undefined {
  try {
    return git(repository, ...args);
  } catch {
    return undefined;
  }
}

/** How git ignores in the part of a work tree that `folder` is; what is not known where git is not there is left out. */
export function ignoring(folder: string): { ignorecase: boolean; exclude?: string; tracked: string[] } {
  const exclude = asked(folder, 'rev-parse', '--git-path', 'info/exclude')?.replace(/\r?\n$/, '');
  return {
    ignorecase: asked(folder, 'config', '--type=bool', '--get', 'core.ignorecase')?.trim() === 'true',
    // Linked work trees have the one of their repository.
    ...(exclude ? { exclude: resolve(folder, exclude) } : {}),
    // What rules match and git tracks all the same: with them, it ignores only what it does not know.
    tracked: asked(folder, 'ls-files', '-z', '--cached', '--ignored', '--exclude-standard')?.split('\0').filter(Boolean) ?? [],
  };
}

/** The top of the repository, for a folder in it; the folder itself where there are no files, as in a bare one. */
export function topOf(folder: string): string {
  const { status, stdout } = spawnSync('git', ['-C', folder, 'rev-parse', '--show-toplevel'], { encoding: 'utf8' });
  return status === 0 && stdout.trim() !== '' ? stdout.replace(/\n$/, '') : folder;
}

/** Blobs and paths of a commit. */
export function blobsOf(repository: string, commit: string): Version[] {
  const versions: Version[] = [];
  for (const entry of git(repository, 'ls-tree', '-r', '-z', '--full-tree', commit).split('\0')) {
    const [head = '', path = ''] = entry.split('\t');
    const [mode, kind, blob] = head.split(' ');
    if (kind === 'blob' && mode !== LINK && blob) versions.push({ blob, path });
  }
  return versions;
}

/**
 * Every blob of every branch and tag once, with the commit that brought it in: the oldest first; of these files and folders,
 * where some are named. Read as git prints it, so that a long history needs no room.
 */
export async function history(repository: string, within: string[], take: (version: Version) => void, other: (path: string, what: string) => void): Promise<void> {
  const format = '%x01%H%x00%an <%ae>%x00%aI';
  const child = spawn('git', ['-C', repository, '--literal-pathspecs', 'log', '--all', '--date-order', '--reverse', '--raw', '-z', '-m', '--root', '--no-renames', '--no-abbrev', `--format=${format}`, ...(within.length > 0 ? ['--', ...within] : [])]);
  let problem = '';
  child.stderr.on('data', (text) => (problem += text));
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const seen = new Set<string>();
  let commit: Commit = { id: '', author: '', date: '' };
  let rest = '';
  // Fields end with NUL: `\x01id`, author, date, then pairs of an entry and its path.
  let fields: string[] = [];
  const field = (text: string) => {
    const start = text.indexOf('\x01');
    if (start >= 0 && fields.length === 0) {
      fields = [text.slice(start + 1)];
      return;
    }
    if (fields.length > 0 && !fields[0]?.startsWith(':')) {
      fields.push(text);
      if (fields.length === 3) {
        const [id = '', author = '', date = ''] = fields;
        commit = { id, author, date: date.trim() };
        fields = [];
      }
      return;
    }
    if (fields.length === 0) {
      const head = text.replace(/^\n+/, '');
      if (head.startsWith(':')) fields = [head];
      return;
    }
    const head = fields[0] as string;
    fields = [];
    rawEntry(head, text, (version) => {
      if (seen.has(version.blob)) return;
      seen.add(version.blob);
      take({ ...version, commit });
    }, other);
  };
  child.stdout.setEncoding('utf8');
  for await (const chunk of child.stdout) {
    const parts = (rest + chunk).split('\0');
    rest = parts.pop() ?? '';
    parts.forEach(field);
  }
  if ((await ended) !== 0) throw new Error(`git log: ${problem.trim()}`);
}

/** Whether commits are missing from this clone. */
export const isShallow = (repository: string) => git(repository, 'rev-parse', '--is-shallow-repository').trim() === 'true';

/** Whether there is a commit at all. */
export function hasCommits(repository: string): boolean {
  return spawnSync('git', ['-C', repository, 'rev-parse', '--verify', '--quiet', 'HEAD']).status === 0;
}
