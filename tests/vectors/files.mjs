// The vectors for the runners in JavaScript: every file below this directory but those that are no vectors.
import { readFileSync, readdirSync } from 'node:fs';

const directory = new URL('./', import.meta.url);
const others = ['SPEC.md', 'files.mjs', 'harness.rs', 'reference.py', '__pycache__'];

/** `{name: 'parse/length-empty.json', operation: 'parse', json}` of every vector, sorted by name. */
export function vectorFiles() {
  const folders = readdirSync(directory).filter((entry) => !others.includes(entry));
  return folders.sort().flatMap((operation) =>
    readdirSync(new URL(`${operation}/`, directory)).sort().map((file) => {
      if (!file.endsWith('.json')) throw new Error(`${operation}/${file} is no .json file`);
      return { name: `${operation}/${file}`, operation, json: readFileSync(new URL(`${operation}/${file}`, directory), 'utf8') };
    }),
  );
}

/** How many there are of each operation: `{parse: 154, …}`. */
export function countByOperation(files) {
  const counts = {};
  for (const { operation } of files) counts[operation] = (counts[operation] ?? 0) + 1;
  return counts;
}
