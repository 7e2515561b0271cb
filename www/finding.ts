/** A finding of the leak scanner as it is shown: where it is, the line with the place marked, why it is one, and where to revoke it. */
import { make } from './elements.ts';
import type { Finding } from './scanner.ts';

const SURE = { high: 'almost certain', medium: 'likely', low: 'possible' } as const;

/** The line, with what was found marked in it: redacted, as the scanner tells it. */
function picture({ line, excerpt, excerpt_at: [at, length] }: Finding): HTMLElement {
  // Columns count code points.
  const points = [...excerpt];
  const part = (from: number, to?: number) => points.slice(from, to).join('');
  return make('p', 'line', make('span', 'number', String(line)), make('code', '', part(0, at), make('mark', '', part(at, at + length)), part(at + length)));
}

const capital = (words: string) => `${words[0]!.toUpperCase()}${words.slice(1)}`;

/** A sentence of the scanner: what stands between backticks is code. */
const sentence = (words: string) => capital(words).split('`').map((part, index) => (index % 2 ? make('code', '', part) : part));

/** A link, where it leads to a web page and nowhere else. */
function link(address: string): Node | string {
  if (!address.startsWith('https://')) return address;
  const made = make('a', '', address.slice('https://'.length));
  made.href = address;
  made.rel = 'noreferrer';
  return made;
}

/** A finding in the text of that name. */
export function shown(finding: Finding, name: string): HTMLElement {
  const { provider, line, column, confidence, excerpt, why, note, revoke } = finding;
  const title = [provider, finding.name].filter(Boolean).join(' ') || 'secret';
  const item = make('div', 'found',
    make('p', 'title', make('b', '', capital(title)), ' ', make('code', '', `${name}:${line}:${column}`), ' ', make('span', `sure ${confidence}`, SURE[confidence])));
  if (excerpt) item.append(picture(finding));
  item.append(make('p', 'why', ...sentence(why), why.endsWith('.') ? '' : '.'));
  if (note) item.append(make('p', 'why', note));
  if (revoke) item.append(make('p', 'why', 'Revoke it: ', link(revoke)));
  return item;
}
