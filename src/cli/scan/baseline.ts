/** Findings that are known and accepted: a file of fingerprints, which tell no secret. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Located } from './report.js';

interface Entry {
  fingerprint: string;
  rule: string;
  path: string;
}

const entry = ({ fingerprint, rule, path }: Located): Entry => ({ fingerprint, rule, path });
/** Lines may move, secrets and files may not. */
const named = ({ fingerprint, path }: Pick<Entry, 'fingerprint' | 'path'>) => `${fingerprint} ${path}`;

export class Baseline {
  #known: Set<string>;

  private constructor(entries: Entry[]) {
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
    return new Baseline(entries);
  }

  has = (finding: Located) => this.#known.has(named(finding));

  static write(file: string, findings: Located[]) {
    const entries = [...new Map(findings.map((finding) => [named(finding), entry(finding)])).values()].sort((a, b) => (named(a) < named(b) ? -1 : 1));
    writeFileSync(file, `{"version": 1, "findings": [\n${entries.map((of) => JSON.stringify(of)).join(',\n')}\n]}\n`);
  }
}
