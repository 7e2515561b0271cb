// Compares a scanner's findings with the labels of labelled.mjs.
// usage: node measure.mjs <folder> <findings.json> [--by kind|context|provider]

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Cuts everything up to the tree, whether the scanner ran inside it, beside it or with an absolute path. */
export function relativePath(path, labelled) {
  const clean = path.replaceAll('\\', '/').replace(/^\.\//, '');
  if (labelled.has(clean)) return clean;
  const at = clean.lastIndexOf('/tree/');
  if (at >= 0) return clean.slice(at + '/tree/'.length);
  return clean.startsWith('tree/') ? clean.slice('tree/'.length) : clean;
}

const squeeze = (text) => text.replace(/\\r|\\n|\s+/g, '');

/** Scanners print "abcd…wxyz" or "abcd****wxyz" instead of the secret; then the ends must agree. */
function redactedAgrees(found, secret) {
  const parts = /^([^*…•]*?)(?:\.{3,}|[*…•]{3,}|…|\[?REDACTED\]?)([^*…•]*)$/i.exec(found);
  if (!parts) return false;
  const [, head, tail] = parts;
  return (
    head.length + tail.length > 0 &&
    secret.includes(head) &&
    secret.includes(tail) &&
    (head === '' || secret.startsWith(head) || found.length > secret.length)
  );
}

const RUN = 8;

/** True if one text contains the other, or both share a run of eight characters (a part, or a partly decoded text). */
export function overlaps(found, secret) {
  const [a, b] = [squeeze(found), squeeze(secret)];
  if (!a || !b) return false;
  if (a.includes(b) || b.includes(a) || redactedAgrees(found, secret)) return true;
  for (let at = 0; at + RUN <= a.length; at++) if (b.includes(a.slice(at, at + RUN))) return true;
  return false;
}

/** A finding may span lines as well: scanners that match over line ends give the first line, and perhaps endLine. */
const covers = (label, { line, endLine = line }) =>
  endLine >= label.line && line <= (label.endLine ?? label.line);
const textAgrees = (label, found) =>
  overlaps(found, label.secret) ||
  (label.decoded !== undefined && overlaps(found, label.decoded)) ||
  (label.whole !== undefined && label.whole.includes(found));

export function measure({ labels, decoys = [] }, findings) {
  const byPath = Map.groupBy ? Map.groupBy(labels, (label) => label.path) : groupByPath(labels);
  const found = new Set();
  const open = [];
  const falsePositives = [];
  // First the findings whose text agrees, so that a stray finding cannot take a label from them.
  for (const finding of findings) {
    const path = relativePath(finding.path, byPath);
    const near = (byPath.get(path) ?? []).filter((label) => covers(label, finding));
    const same = finding.secret ? near.filter((label) => textAgrees(label, finding.secret)) : [];
    if (same.length) for (const label of same) found.add(label);
    else open.push({ ...finding, path, near });
  }
  for (const { near, ...finding } of open) {
    const multi = near.filter((label) => label.endLine);
    // Without a text, or inside a key block, or on an ordinary line not found yet, the line alone decides.
    const byLine = near.filter((label) => !label.long && !found.has(label));
    if (near.length && (!finding.secret || multi.length)) {
      for (const label of near.filter((one) => !one.long || near.length === 1)) found.add(label);
    } else if (byLine.length) found.add(byLine[0]);
    else falsePositives.push(finding);
  }
  // Several findings of one scanner at one place are one false alarm.
  const alarms = new Map(falsePositives.map((one) => [`${one.path}:${one.line}:${one.secret ?? ''}`, one]));
  const listed = [...alarms.values()].map((one) => ({ ...one, why: reason(one, decoys) }));
  const [tp, fp, fn] = [found.size, listed.length, labels.length - found.size];
  const precision = tp + fp ? tp / (tp + fp) : 0;
  const recall = labels.length ? tp / labels.length : 0;
  const f1 = precision + recall ? (2 * precision * recall) / (precision + recall) : 0;
  return { tp, fp, fn, precision, recall, f1, found, falsePositives: listed };
}

/** Which planted decoy was taken for a secret; on long lines only the text can tell. */
function reason({ path, line, endLine = line, secret }, decoys) {
  const near = decoys.filter((decoy) => decoy.path === path && decoy.line >= line && decoy.line <= endLine);
  const same = secret ? near.find((decoy) => overlaps(secret, decoy.value)) : undefined;
  return (same ?? (near.length === 1 ? near[0] : undefined))?.why ?? 'ordinary';
}

function groupByPath(labels) {
  const out = new Map();
  for (const label of labels) out.set(label.path, [...(out.get(label.path) ?? []), label]);
  return out;
}

function recallBy(field, labels, found) {
  const groups = new Map();
  for (const label of labels) {
    const group = groups.get(label[field]) ?? { hit: 0, all: 0 };
    group.all++;
    if (found.has(label)) group.hit++;
    groups.set(label[field], group);
  }
  return [...groups].sort((a, b) => a[1].hit / a[1].all - b[1].hit / b[1].all || (a[0] < b[0] ? -1 : 1));
}

async function main([folder, file, ...rest]) {
  if (!file) {
    console.error('usage: node measure.mjs <folder> <findings.json> [--by kind|context|provider]');
    process.exit(2);
  }
  const truth = JSON.parse(await readFile(join(folder, 'labels.json'), 'utf8'));
  const result = measure(truth, JSON.parse(await readFile(file, 'utf8')));
  const share = (x) => x.toFixed(4);
  console.log(`true positives ${result.tp}  false positives ${result.fp}  false negatives ${result.fn}`);
  console.log(`precision ${share(result.precision)}  recall ${share(result.recall)}  F1 ${share(result.f1)}`);
  const at = rest.indexOf('--by');
  if (at < 0) return;
  for (const [name, { hit, all }] of recallBy(rest[at + 1] ?? 'kind', truth.labels, result.found)) {
    console.log(`${(hit / all).toFixed(2)}  ${String(hit).padStart(4)}/${String(all).padEnd(4)} ${name}`);
  }
  console.log(`\nfalse positives (${result.falsePositives.length})`);
  for (const { path, line, secret = '', why, rule = '' } of result.falsePositives) {
    console.log(`${path}:${line}  [${why}] ${rule} ${secret.slice(0, 80)}`);
  }
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await main(process.argv.slice(2));
