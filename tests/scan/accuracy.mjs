// How well scanners tell secrets from what looks like them, on a labelled tree (labelled.mjs).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scan } from './command.mjs';

/** Findings of `keyward scan` in a tree, with their texts, which the command itself never prints. */
export function found(tree) {
  const files = new Map();
  const read = (path) => {
    if (!files.has(path)) files.set(path, readFileSync(join(tree, path)));
    return files.get(path);
  };
  return scan(['--no-hygiene', tree]).findings.map(({ path, line, more_lines, offset, length, rule }) => {
    const bytes = read(path);
    // Offsets of a text in UTF-16 count its UTF-8.
    const text = bytes[0] === 0xff && bytes[1] === 0xfe ? Buffer.from(bytes.subarray(2).toString('utf16le')) : bytes;
    return { path, line, endLine: line + more_lines, rule, secret: text.subarray(offset, offset + length).toString() };
  });
}
