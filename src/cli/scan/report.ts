/** Findings, told: as text with a picture of the line, as JSON, as SARIF 2.1.0. */
import { styleText } from 'node:util';
import type { Finding } from './engine.js';
import type { Commit } from './git.js';
import type { Skipped } from './tree.js';

/** A finding and where it is. */
export interface Located extends Omit<Finding, 'secret'> {
  path: string;
  /** In a history: the commit that brought it in, and whether it still stands in the newest one. */
  introduced?: Commit;
  in_head?: boolean;
  /** In a bundle: where the source map says it comes from. */
  original?: { path: string; line: number; column: number };
}

export interface Scan {
  findings: Located[];
  skipped: Skipped[];
  /** Files and folders that git ignores. */
  ignored: number;
  /** Findings that a comment or a baseline allows. */
  allowed: number;
  baseline: number;
  more: number;
  texts: number;
  bytes: number;
  milliseconds: number;
}

type Style = Parameters<typeof styleText>[0];
/** Colours, where the stream is a terminal and nobody forbade them (https://no-color.org). */
export const painter = (stream: { isTTY?: boolean | undefined }) => {
  const wanted = process.env.FORCE_COLOR ? true : stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  return (style: Style, text: string) => (wanted ? styleText(style, text) : text);
};

/** A path as one line, whatever it holds; a terminal obeys none of it. */
export const shown = (path: string) => (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(path) ? JSON.stringify(path).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`) : path);

export const plural = (count: number, one: string, many = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
export const size = (bytes: number) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** How wide text is on a terminal is not known for every letter; code points are what columns count. */
const width = (text: string) => [...text].length;

function picture(finding: Located, paint: ReturnType<typeof painter>): string {
  const [at, length] = finding.excerpt_at;
  const number = String(finding.line);
  const points = [...finding.excerpt];
  const before = points.slice(0, at).join('');
  const marked = points.slice(at, at + length).join('');
  const margin = ' '.repeat(number.length);
  return [
    `  ${paint('dim', `${number} │`)} ${before}${paint(['red', 'bold'], marked)}${points.slice(at + length).join('')}`,
    `  ${paint('dim', `${margin} │`)} ${' '.repeat(width(before))}${paint('red', '^'.repeat(Math.max(1, length)))}`,
  ].join('\n');
}

const TONES = { high: 'red', medium: 'yellow', low: 'dim' } as const;

/** All findings as text. */
export function text(scan: Scan, paint: ReturnType<typeof painter>): string {
  const blocks = scan.findings.map((finding) => {
    const { path, line, column } = finding.original ?? finding;
    const title = [finding.provider, finding.name].filter(Boolean).join(' ');
    const lines = [`${paint('bold', `${shown(path)}:${line}:${column}`)}  ${title}  ${paint(TONES[finding.confidence], finding.confidence)}`];
    if (finding.original) lines.push(`  in ${shown(finding.path)}:${finding.line}:${finding.column}`);
    if (finding.excerpt) lines.push(picture(finding, paint));
    lines.push(`  ${finding.why}`);
    if (finding.introduced) {
      const { id, author, date } = finding.introduced;
      lines.push(`  since ${id.slice(0, 12)} of ${date.slice(0, 10)} by ${shown(author)}; ${finding.in_head ? 'it still stands in HEAD' : 'not in HEAD, but in the history'}`);
    }
    if (finding.note) lines.push(`  ${finding.note}`);
    // What is known by its id is one of keyward's own keys.
    if (finding.key_id) lines.push(`  answer it: npx keyward respond ${finding.key_id}`);
    if (finding.revoke) lines.push(`  revoke it: ${finding.revoke}`);
    lines.push(`  ${paint('dim', finding.fingerprint.startsWith(finding.rule) ? finding.fingerprint : `${finding.rule} · ${finding.fingerprint}`)}`);
    return lines.join('\n');
  });
  return blocks.map((block) => `${block}\n\n`).join('');
}

const unscanned = ({ path, why }: Skipped) => `not scanned: ${shown(path)}: ${why}\n`;

/** What could not be scanned, for whoever asks for nothing else. */
export const failures = ({ skipped }: Scan) => skipped.filter((place) => place.failed).map(unscanned).join('');

/** The last lines: what was scanned, what was not, what to do. */
export function summary(scan: Scan, paint: ReturnType<typeof painter>, { verbose = false } = {}): string {
  const { findings, skipped, ignored, allowed, baseline, more } = scan;
  const failed = skipped.filter((place) => place.failed);
  const scanned = `${plural(scan.texts, 'file')}, ${size(scan.bytes)} in ${(scan.milliseconds / 1000).toFixed(1)} s`;
  const lines = [findings.length === 0 ? `${paint('green', 'no secrets found')} in ${scanned}` : `${paint(['red', 'bold'], plural(findings.length + more, 'finding'))} in ${scanned}`];
  const asides = [
    allowed && `${allowed} allowed by a comment`,
    baseline && `${baseline} in the baseline`,
    ignored && `${plural(ignored, 'path')} ignored by git`,
  ].filter(Boolean);
  if (asides.length > 0) lines.push(asides.join(', '));
  const told = verbose ? skipped : failed;
  for (const place of told) lines.push(unscanned(place).trimEnd());
  if (!verbose && skipped.length > failed.length) lines.push(`not scanned: ${tally(skipped.filter((place) => !place.failed))} (--verbose names them)`);
  if (findings.length > 0) lines.push('A secret that stood where others can read it is known: revoke it first, then take it out. A line that is none: end it with keyward:allow, or put that alone on the line before.');
  return `${lines.join('\n')}\n`;
}

/** `12 no text, 3 a link`. */
function tally(skipped: Skipped[]): string {
  const counts = new Map<string, number>();
  for (const { why } of skipped) counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([why, count]) => `${count} (${why})`).join(', ');
}

/** Everything as one JSON object. */
export const json = (scan: Scan) => `${JSON.stringify(scan, null, 2)}\n`;

const LEVELS = { high: 'error', medium: 'warning', low: 'note' } as const;
const RANKS = { high: 95, medium: 60, low: 20 } as const;
/** A path as a URI reference (RFC 3986): what is no letter of one is escaped; half of a surrogate pair, which UTF-8 does not have, is U+FFFD. */
const uri = (path: string) => path.replace(/\p{Cs}/gu, '\ufffd').split('/').map(encodeURIComponent).join('/');

/** SARIF 2.1.0 (OASIS), as code hosts read it. Lines and columns are told, never the secret. */
export function sarif(scan: Scan, version: string): string {
  const rules = new Map<string, Located>();
  for (const finding of scan.findings) if (!rules.has(finding.rule)) rules.set(finding.rule, finding);
  const ids = [...rules.keys()];
  const region = ({ line, column, more_lines, end_column }: Located) => ({ startLine: line, startColumn: column, endLine: line + more_lines, endColumn: end_column });
  const log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [{
      tool: {
        driver: {
          name: 'keyward scan',
          semanticVersion: version,
          rules: [...rules.values()].map(({ rule, provider, name, revoke, note, confidence }) => ({
            id: rule,
            shortDescription: { text: [provider, name].filter(Boolean).join(' ') || rule },
            ...(note ? { fullDescription: { text: note } } : {}),
            ...(revoke ? { helpUri: revoke } : {}),
            defaultConfiguration: { level: LEVELS[confidence] },
            properties: { tags: ['security', 'secret'], 'security-severity': confidence === 'high' ? '9.0' : confidence === 'medium' ? '6.5' : '3.0' },
          })),
        },
      },
      columnKind: 'unicodeCodePoints',
      results: scan.findings.map((finding) => ({
        ruleId: finding.rule,
        ruleIndex: ids.indexOf(finding.rule),
        level: LEVELS[finding.confidence],
        rank: RANKS[finding.confidence],
        message: { text: `${[finding.provider, finding.name].filter(Boolean).join(' ')} ${finding.redacted}: ${finding.why}` },
        locations: [{
          physicalLocation: finding.original
            ? { artifactLocation: { uri: uri(finding.original.path) }, region: { startLine: finding.original.line, startColumn: finding.original.column } }
            : { artifactLocation: { uri: uri(finding.path) }, region: region(finding) },
        }],
        ...(finding.original ? { relatedLocations: [{ id: 1, physicalLocation: { artifactLocation: { uri: uri(finding.path) }, region: region(finding) } }] } : {}),
        partialFingerprints: { 'keyward/v1': finding.fingerprint },
        ...(finding.introduced ? { properties: { commit: finding.introduced.id, author: finding.introduced.author, date: finding.introduced.date, inHead: finding.in_head === true } } : {}),
      })),
      invocations: [{
        executionSuccessful: !scan.skipped.some((place) => place.failed),
        toolExecutionNotifications: scan.skipped.map(({ path, why, failed }) => ({
          level: failed ? 'error' : 'note',
          message: { text: `not scanned: ${shown(path)}: ${why}` },
          locations: [{ physicalLocation: { artifactLocation: { uri: uri(path) } } }],
        })),
      }],
    }],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}
