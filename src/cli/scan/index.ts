/** `keyward scan`: what is asked, what is looked at, what is told. */
import { existsSync, openSync, readSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { Keyward } from '../../client/index.js';
import { connect } from '../connection.js';
import { Baseline } from './baseline.js';
import { Blobs } from './blobs.js';
import { sources, traced } from './bundle.js';
import type { Finding, Outcome } from './engine.js';
import { type Version, blobsOf, git, hasCommits, history, isIgnored, isShallow, staged, topOf } from './git.js';
import { beginsAsText, isExample, onceCommitted, published, unignored } from './hygiene.js';
import { BATCH, Pool } from './pool.js';
import { type Located, type Scan, failures, json, painter, plural, sarif, size, summary, text } from './report.js';
import { type Skipped, holdsVariables, repositoryOf, walk } from './tree.js';

/** What the command line says. */
export interface Options {
  staged?: boolean;
  history?: boolean;
  bundle?: boolean;
  stdin?: boolean;
  all?: boolean;
  json?: boolean;
  sarif?: boolean;
  output?: string;
  baseline?: string;
  writeBaseline?: string;
  confidence: 'low' | 'medium' | 'high';
  brand: string[];
  reportTo?: string;
  hygiene: boolean;
  verbose?: boolean;
  quiet?: boolean;
}

/** A mistake of whoever asks: told in one sentence, exit code 2. */
export class Misuse extends Error {}

/** Leaks of one report. */
const MOST_LEAKS = 500;
const LEVELS = ['low', 'medium', 'high'];
/** A baseline that is read without being named, here or at the top of the repository. */
const USUAL_BASELINE = '.keyward-baseline.json';
/** Files from which on threads are worth their start. */
const MANY = 400;

/** A finding with the secret, where it is to be reported. */
type Found = Located & { secret?: string };

class Collected implements Scan {
  findings: Found[] = [];
  skipped: Skipped[] = [];
  ignored = 0;
  allowed = 0;
  baseline = 0;
  more = 0;
  texts = 0;
  bytes = 0;
  milliseconds = 0;

  take(path: string, { findings, skipped, failed, allowed, more }: Outcome, about: Partial<Located> = {}) {
    this.allowed += allowed;
    this.more += more;
    if (skipped !== undefined) this.skipped.push({ path, why: skipped, ...(failed ? { failed } : {}) });
    for (const finding of findings) this.findings.push({ ...finding, path, ...about });
  }

  count(outcome: Outcome) {
    this.texts += 1;
    this.bytes += outcome.bytes;
  }
}

/** How a file is told: from where the scan was started, if it lies there. */
function nameOf(given: string, inner: string): string {
  const path = relative('.', inner === '' ? given : join(given, inner));
  return (path.startsWith('..') || isAbsolute(path) ? (inner === '' ? given : join(given, inner)) : path).split(sep).join('/');
}

/** Scans files and folders. */
async function files(paths: string[], { all = false, bundle = false, hygiene }: Options, pool: Pool, scan: Collected) {
  const places = new Set<string>();
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) throw new Misuse(`there is no ${path}`);
    if (stat.isFIFO()) {
      // It gives what it has once.
      const pipe = `pipe ${stat.dev} ${stat.ino}`;
      if (!places.has(pipe)) input(pool, scan, path);
      places.add(pipe);
      continue;
    }
    if (!stat.isFile() && !stat.isDirectory()) throw new Misuse(`${path} is no file, folder or pipe: … | keyward scan - scans what it gives`);
    // Of paths that overlap, each file is looked at once.
    const top = realpathSync(path);
    const first = (inner: string, kind = '') => paths.length === 1 || places.size < places.add(kind + join(top, inner)).size;
    const variables: Variables[] = [];
    const listed: [string, string][] = [];
    let started = false;
    const named = (inner: string) => nameOf(path, inner);
    const hand = () => {
      const batch = listed.splice(0);
      if (batch.length > 0) pool.add({ files: batch }, (place, outcome) => scan.take((batch[place] as [string, string])[1], outcome));
    };
    walk(path, {
      file(file, inner) {
        if (!first(inner)) return;
        listed.push([file, named(inner)]);
        // A few are scanned here and now; many by threads, while the rest is listed.
        if (listed.length < (started ? BATCH : MANY) || bundle) return;
        started = true;
        hand();
      },
      variables: (file, inner, ignored) => first(inner, 'variables ') && variables.push([file, named(inner), ignored]),
      skipped: (place) => first(place.path, 'skipped ') && scan.skipped.push({ ...place, path: named(place.path) }),
      ignored: (inner) => first(inner, 'ignored ') && (scan.ignored += 1),
    }, { all: all || bundle });
    if (started) hand();
    else if (listed.length > 0) {
      const engine = pool.engine();
      const origins: Found[] = [];
      for (const [file, name] of listed) {
        const carried = bundle ? sources(file, name, engine) : undefined;
        const outcome = engine.file(file, name);
        scan.count(outcome);
        // What the map holds is told where it comes from, and not once more as a line of the map.
        scan.take(name, carried === undefined ? outcome : { ...outcome, findings: outcome.findings.filter((finding) => !carried.covers({ ...finding, path: name })) });
        scan.skipped.push(...(carried?.skipped ?? []));
        origins.push(...(carried?.findings ?? []));
      }
      if (bundle) {
        scan.findings = traced(scan.findings, (name) => resolve(name));
        // A secret of a source is told once: in what runs, if it is there, else in the map that carries the source along.
        const told = new Set(scan.findings.map(({ fingerprint }) => fingerprint));
        scan.findings.push(...origins.filter(({ fingerprint }) => !told.has(fingerprint)));
      }
    }
    if (hygiene && !bundle) habits(top, variables, scan, first);
  }
}

/** A file of variables, ignored or not, as far as that is known. */
type Variables = [path: string, name: string, ignored: boolean | undefined];

/** What is unsafe about files of variables. */
function habits(root: string, variables: Variables[], scan: Collected, first: (inner: string, kind: string) => boolean) {
  const repository = repositoryOf(root);
  const inRepository = (path: string) => relative(repository ?? root, path).split(sep).join('/');
  const ofTop = root === repository;
  /** What git says, if it can: without it, the scan is still worth its findings. */
  const answer = <T>(ask: (repository: string) => T): T | undefined => {
    if (repository === undefined) return undefined;
    try {
      return ask(repository);
    } catch (error) {
      const place = { path: nameOf(repository, '') || '.', why: `files of variables as git knows them: ${(error as Error).message.replace(/\s+/g, ' ')}`, failed: true };
      if (!scan.skipped.some(({ path, why }) => path === place.path && why === place.why)) scan.skipped.push(place);
      return undefined;
    }
  };
  const tracked = ofTop || variables.length > 0 ? answer((of) => new Set(git(of, 'ls-files', '-z').split('\0'))) : undefined;
  for (const [path, name, ignored] of variables) {
    if (!beginsAsText(path)) continue;
    const isKnown = tracked !== undefined || ignored !== undefined;
    if (repository !== undefined && isKnown) scan.findings.push(...unignored(name, tracked?.has(inRepository(path)) === true, ignored || isIgnored(path)));
    scan.findings.push(...published(path, name));
  }
  if (tracked === undefined || !ofTop || !hasCommits(repository) || !first('', 'once ')) return;
  const once = answer((of) => git(of, 'log', '--all', '--diff-filter=A', '--name-only', '-z', '--format=%x01%H%x00%an <%ae>%x00%aI', '--', '.env', '.env.*', '**/.env', '**/.env.*').split('\x01').slice(1));
  for (const entry of once ?? []) {
    const [id = '', author = '', date = '', ...paths] = entry.split('\0').map((part) => part.replace(/^\n+/, ''));
    for (const path of paths) {
      const file = path.split('/').pop() ?? '';
      if (holdsVariables(file) && !isExample(file) && !tracked.has(path)) scan.findings.push(onceCommitted(path, { id, author, date: date.trim() }));
    }
  }
}

/** One after another: an engine reads one text at a time. */
async function inTurn<T, R>(of: T[], each: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const one of of) results.push(await each(one));
  return results;
}

/** Scans what is staged: what the commit would bring, not what HEAD has already. */
async function stagedFiles(repository: string, hygiene: boolean, pool: Pool, scan: Collected) {
  const engine = pool.engine();
  const blobs = new Blobs(repository);
  const versions: [Version, string | undefined][] = [];
  const gone: Version[] = [];
  staged(repository, (version, before) => versions.push([version, before]), (version) => gone.push(version), (path, why) => scan.skipped.push({ path, why }));
  const fingerprints = async ({ blob, path }: Version) => (await blobs.scan(blob, path, engine)).findings.map(({ fingerprint }) => fingerprint);
  let moved: Set<string> | undefined;
  for (const [{ blob, path }, before] of versions) {
    const outcome = await blobs.scan(blob, path, engine);
    scan.count(outcome);
    if (outcome.findings.length > 0) {
      // What a file had before, or one that goes, is nothing that this commit brings.
      moved ??= new Set((await inTurn(gone, fingerprints)).flat());
      const old = new Set(before === undefined ? [] : await fingerprints({ blob: before, path }));
      outcome.findings = outcome.findings.filter(({ fingerprint }) => !old.has(fingerprint) && !moved?.has(fingerprint));
    }
    scan.take(path, outcome);
  }
  blobs.close();
  if (!hygiene) return;
  // A file of variables on its way into the history.
  for (const [{ path }] of versions) {
    if (holdsVariables(path.split('/').pop() ?? '')) scan.findings.push(...unignored(path, true, false));
  }
}

/** Scans every version of every file, each once; answers how many there are. */
async function allVersions(repository: string, within: string[], pool: Pool, scan: Collected): Promise<number> {
  if (isShallow(repository)) scan.skipped.push({ path: repository, why: 'a shallow clone: commits before its edge are not here; git fetch --unshallow brings them', failed: true });
  const pending: Version[] = [];
  const byFinding = new Map<string, Found>();
  let order = 0;
  const places = new Map<string, number>();
  /** Blobs that hold a secret, by its fingerprint. */
  const holders = new Map<string, Set<string>>();
  const hand = () => {
    const batch = pending.splice(0);
    const first = order;
    order += batch.length;
    if (batch.length === 0) return;
    pool.add({ repository, blobs: batch.map(({ blob, path }) => [blob, path]) }, (place, outcome) => {
      const { blob, path, commit } = batch[place] as Version;
      scan.take(path, { ...outcome, findings: [] });
      for (const finding of outcome.findings) {
        holders.set(finding.fingerprint, (holders.get(finding.fingerprint) ?? new Set()).add(blob));
        // The same secret in the same file is told once, from where it came in.
        const name = `${finding.fingerprint} ${path}`;
        if ((places.get(name) ?? Number.POSITIVE_INFINITY) <= first + place) continue;
        places.set(name, first + place);
        byFinding.set(name, { ...finding, path, ...(commit ? { introduced: commit } : {}) });
      }
    });
  };
  const skippedOnce = new Set<string>();
  await history(repository, within, (version) => {
    pending.push(version);
    if (pending.length === BATCH) hand();
  }, (path, why) => {
    const said = `${path}\0${why}`;
    if (!skippedOnce.has(said)) scan.skipped.push({ path, why });
    skippedOnce.add(said);
  });
  hand();
  await pool.end();
  // What still stands: secrets in files of HEAD.
  const standing = new Set(hasCommits(repository) ? blobsOf(repository, 'HEAD').map(({ blob }) => blob) : []);
  const stands = ({ fingerprint }: Found) => [...(holders.get(fingerprint) ?? [])].some((blob) => standing.has(blob));
  const found = [...byFinding.entries()].sort((a, b) => (places.get(a[0]) ?? 0) - (places.get(b[0]) ?? 0));
  scan.findings.push(...found.map(([, finding]) => ({ ...finding, in_head: stands(finding) })));
  return order;
}

/** Scans the standard input, or a pipe that has a name, as it comes. */
function input(pool: Pool, scan: Collected, pipe?: string) {
  const name = pipe ?? 'stdin';
  let from = 0;
  try {
    if (pipe !== undefined) from = openSync(pipe, 'r');
  } catch (error) {
    scan.skipped.push({ path: name, why: (error as NodeJS.ErrnoException).code ?? String(error), failed: true });
    return;
  }
  const reader = pool.engine().begin(name);
  const chunk = Buffer.alloc(1 << 16);
  let bytes = 0;
  for (;;) {
    let count = 0;
    try {
      count = readSync(from, chunk, 0, chunk.length, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') continue;
      if (code !== 'EOF') throw error;
    }
    if (count === 0) break;
    bytes += count;
    if (!reader.push(chunk.subarray(0, count))) {
      scan.skipped.push({ path: name, why: 'no text' });
      return;
    }
  }
  const outcome = reader.end();
  scan.count({ ...outcome, bytes });
  scan.take(name, outcome);
}

/** A bar on the terminal, as long as it lasts. */
function progress(pool: Pool, enabled: boolean): () => void {
  if (!enabled) return () => {};
  const frames = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
  let frame = 0;
  const timer = setInterval(() => {
    const { texts, bytes } = pool.progress;
    process.stderr.write(`\r\x1b[2K${frames[(frame += 1) % frames.length]} ${plural(texts, 'file')}, ${size(bytes)}`);
  }, 100);
  timer.unref();
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[2K');
  };
}

/** Reports keys of one's own deployment to it. */
async function report(deployment: Keyward, found: Found[]): Promise<string> {
  const own = found.filter((finding) => finding.secret !== undefined);
  if (own.length === 0) return 'nothing to report: no keys of keyward\'s own format\n';
  const actions = new Map<string, number>();
  for (let i = 0; i < own.length; i += MOST_LEAKS) {
    const leaks = own.slice(i, i + MOST_LEAKS).map(({ secret, path, line, introduced }) => ({ key: secret as string, source: 'keyward scan', path: path.slice(0, 500), line, ...(introduced ? { commit: introduced.id } : {}) }));
    const { data } = await deployment.leaks.report({ leaks });
    for (const { label, action } of data) {
      const what = label !== 'true_positive' ? 'not known there' : action === 'none' ? 'known (it was dealt with already)' : `known (${action})`;
      actions.set(what, (actions.get(what) ?? 0) + 1);
    }
  }
  return `reported ${plural(own.length, 'key')} to ${deployment.origin}: ${[...actions].map(([what, count]) => `${count} ${what}`).join(', ')}\n`;
}

/** What visitors of a built front end can read. */
export async function bundled(folder: string): Promise<Located[]> {
  const scan = new Collected();
  const pool = new Pool({ brands: [], keep: false, hygiene: false });
  try {
    await files([folder], { bundle: true, confidence: 'medium', brand: [], hygiene: false }, pool, scan);
  } finally {
    await pool.end();
  }
  return scan.findings.filter(({ confidence }) => confidence !== 'low').map(({ secret, ...finding }: Found & Finding) => finding);
}

/** Runs a scan and answers the exit code: 0 clean, 1 findings, 2 could not scan all. */
export async function run(paths: string[], options: Options, version: string): Promise<number> {
  const started = performance.now();
  const fromInput = options.stdin || paths.includes('-');
  const modes = [options.staged, options.history, options.bundle, fromInput].filter(Boolean).length;
  if (modes > 1) throw new Misuse('--staged, --history, --bundle and --stdin exclude one another');
  const beside = paths.filter((path) => path !== '-');
  if (fromInput && beside.length > 0) throw new Misuse(`the standard input is scanned alone: scan ${beside.join(' ')} by another call`);
  if (options.json && options.sarif) throw new Misuse('--json and --sarif exclude one another');
  if (options.baseline && options.writeBaseline) throw new Misuse('--baseline reads a baseline and --write-baseline makes one: one of them');
  // Before anything is read: a report that cannot be sent is told at once.
  const deployment = options.reportTo === undefined ? undefined : connect({ url: options.reportTo }, 'keyward.leaks:write');
  const scan = new Collected();
  // Of a history, and of what a bundler has made, it is too late for habits.
  const hygiene = options.hygiene && !options.history && !options.bundle;
  const pool = new Pool({ brands: options.brand, keep: deployment !== undefined, hygiene });
  const stop = progress(pool, process.stderr.isTTY === true && !options.quiet);
  if (options.bundle && paths.length === 0) throw new Misuse('which build? name its folder: keyward scan --bundle dist');
  if ((options.staged || options.history) && paths.length > 1) throw new Misuse('--staged and --history look at one repository at a time');
  const [place = '.'] = paths;
  // What paths are told from: here, or, of a repository's versions, its top.
  let root = '.';
  const repository = (folder: string) => {
    try {
      git(folder, 'rev-parse', '--git-dir');
    } catch (error) {
      throw new Misuse(`${place} is in no git repository: ${(error as Error).message}`);
    }
    return (root = topOf(folder));
  };
  try {
    if (fromInput) input(pool, scan);
    else if (options.staged) await stagedFiles(repository(place), hygiene, pool, scan);
    else if (options.history) {
      // A file or folder of the repository, there or no longer there: what ever was in it.
      let folder = resolve(place);
      while (!statSync(folder, { throwIfNoEntry: false })?.isDirectory() && dirname(folder) !== folder) folder = dirname(folder);
      const top = repository(folder);
      const inner = relative(realpathSync(top), join(realpathSync(folder), relative(folder, resolve(place)))).split(sep).join('/');
      const versions = await allVersions(top, inner === '' ? [] : [inner], pool, scan);
      if (versions === 0 && !existsSync(place)) throw new Misuse(`there is no ${place}, and none in the history`);
    } else await files(paths.length > 0 ? paths : ['.'], options, pool, scan);
  } finally {
    await pool.end();
    stop();
  }
  scan.texts = Math.max(scan.texts, pool.progress.texts);
  scan.bytes += pool.progress.bytes;
  const order = (a: Located, b: Located) => (a.path === b.path ? a.line - b.line || a.column - b.column : a.path < b.path ? -1 : 1);
  const baseline = options.baseline ?? [USUAL_BASELINE, join(root, USUAL_BASELINE), join(repositoryOf('.') ?? '.', USUAL_BASELINE)].find((file) => existsSync(file));
  const known = baseline === undefined ? undefined : Baseline.read(baseline);
  const least = LEVELS.indexOf(options.confidence);
  scan.findings = scan.findings.filter((finding) => LEVELS.indexOf(finding.confidence) >= least);
  if (!options.history) scan.findings.sort(order);
  if (options.writeBaseline) {
    Baseline.write(options.writeBaseline, scan.findings, root);
    if (!options.quiet) process.stderr.write(`${plural(scan.findings.length, 'finding')} written to ${options.writeBaseline}; --baseline ${options.writeBaseline} leaves them out from now on\n`);
    process.stderr.write(failures(scan));
    return scan.skipped.some((place) => place.failed) ? 2 : 0;
  }
  if (known) {
    const all = scan.findings.length;
    scan.findings = scan.findings.filter((finding) => !known.has(finding, root));
    scan.baseline = all - scan.findings.length;
  }
  scan.milliseconds = Math.round(performance.now() - started);
  const reported = deployment === undefined ? '' : await report(deployment, scan.findings);
  // Secrets go to whom they were asked for, and nowhere else.
  scan.findings = scan.findings.map(({ secret, ...finding }: Found & Finding) => finding);
  const machine = options.json ? json(scan) : options.sarif ? sarif(scan, version) : undefined;
  const out = machine ?? text(scan, painter(process.stdout));
  if (options.output) writeFileSync(options.output, out);
  else process.stdout.write(out);
  // Findings only: but what nobody looked at is not free of them.
  process.stderr.write(options.quiet ? failures(scan) : reported + summary(scan, painter(process.stderr), { verbose: options.verbose === true }));
  return scan.findings.length > 0 ? 1 : scan.skipped.some((place) => place.failed) ? 2 : 0;
}
