/** Findings that are known and accepted: a file of fingerprints: hashes, which tell a secret only to who guesses it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import type { Located } from './report.js';

interface Entry {
  fingerprint: string;
  rule: string;
  path: string;
}

/** Lines may move, secrets and files may not. */
const named = ({ fingerprint, path }: Pick<Entry, 'fingerprint' | 'path'>) => `${fingerprint} ${path}`;

/** Paths in a baseline are told from the folder that it lies in, so that it holds wherever the scan is started. */
function from(file: string, finding: Located, root: string): Entry {
  const { fingerprint, rule, path } = finding;
  return { fingerprint, rule, path: relative(dirname(resolve(file)), resolve(root, path)).split(sep).join('/') };
}

export class Baseline {
  #file: string;
  #known: Set<string>;

  private constructor(file: string, entries: Entry[]) {
    this.#file = file;
    this.#known = new Set(entries.map(named));
  }

  static read(file: string): Baseline {
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      throw new Error(`the baseline ${file} cannot be read: ${(error as Error).message}; --write-baseline ${file} makes one`);
    }
    const entries = (value as { findings?: Entry[] } | null)?.findings;
    if (!Array.isArray(entries) || !entries.every((of) => typeof of?.fingerprint === 'string' && typeof of.path === 'string')) {
      throw new Error(`${file} is no baseline of keyward scan`);
    }
    return new Baseline(file, entries);
  }

  /** Whether a finding, whose path is told from `root`, is known. */
  has = (finding: Located, root: string) => this.#known.has(named(from(this.#file, finding, root)));

  static write(file: string, findings: Located[], root: string) {
    const entries = findings.map((finding) => from(file, finding, root));
    const once = [...new Map(entries.map((entry) => [named(entry), entry])).values()].sort((a, b) => (named(a) < named(b) ? -1 : 1));
    writeFileSync(file, `{"version": 1, "findings": [\n${once.map((of) => JSON.stringify(of)).join(',\n')}\n]}\n`);
  }
}
