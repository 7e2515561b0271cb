/** What wrangler's configuration says, as far as it matters here: of JSON with comments the whole, of TOML its tables and plain values. */

/** JSON as wrangler takes it: with comments and commas too many. */
export function jsonc(text: string): unknown {
  // Strings first, so that what looks like a comment within one stays.
  const bare = text.replace(/"(?:\\.|[^"\\])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (part) => (part.startsWith('"') ? part : ' '));
  return JSON.parse(bare.replace(/"(?:\\.|[^"\\])*"|,(?=\s*[}\]])/g, (part) => (part.startsWith('"') ? part : '')));
}

type Table = { [name: string]: unknown };

/** A value on one line: a string, a number, a truth, a list or an inline table of those. What is none of these is left as its text. */
function value(text: string): unknown {
  const bare = text.trim();
  const quoted = /^'([^']*)'$/.exec(bare);
  if (quoted) return quoted[1];
  try {
    return JSON.parse(bare.replace(/'([^']*)'/g, '"$1"').replace(/([{,]\s*)([\w-]+)\s*=/g, '$1"$2":').replace(/,(?=\s*[}\]])/g, ''));
  } catch {
    return bare;
  }
}

const path = (text: string) => text.split('.').map((part) => part.trim().replace(/^(["'])(.*)\1$/, '$2'));

/** The table at a path, made where there is none; of a list of tables, its last one. */
function at(root: Table, names: string[]): Table {
  return names.reduce<Table>((table, name) => {
    const next = table[name] ??= {};
    return (Array.isArray(next) ? next.at(-1) : next) as Table;
  }, root);
}

/** Tables and values of TOML. Texts over several lines it does not know; lists over several lines it does. */
export function toml(text: string): Table {
  const root: Table = {};
  let table = root;
  let open = '';
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.replace(/("(?:\\.|[^"\\])*"|'[^']*')|#.*$/g, (_, string: string | undefined) => string ?? '').trim();
    if (line === '') continue;
    const [, list, inner] = /^(\[\[?)\s*([^\]=]+?)\s*\]\]?$/.exec(open === '' ? line : '') ?? [];
    if (inner !== undefined) {
      const names = path(inner);
      if (list === '[[') {
        const parent = at(root, names.slice(0, -1));
        ((parent[names.at(-1) as string] ??= []) as Table[]).push({});
      }
      table = at(root, names);
      continue;
    }
    open = open === '' ? line : `${open} ${line}`;
    const depth = [...open.replace(/"(?:\\.|[^"\\])*"|'[^']*'/g, '')].reduce((sum, letter) => sum + ('[{'.includes(letter) ? 1 : ']}'.includes(letter) ? -1 : 0), 0);
    if (depth > 0) continue;
    const [, name, given] = /^([\w."'-]+)\s*=\s*(.*)$/.exec(open) ?? [];
    open = '';
    if (name === undefined || given === undefined) continue;
    const names = path(name);
    at(table, names.slice(0, -1))[names.at(-1) as string] = value(given);
  }
  return root;
}
