/** How answers look: aligned columns on a terminal, JSON for programs. Results go to the standard output, words about them to the other one. */
import { stripVTControlCharacters } from 'node:util';
import { painter, shown } from './scan/report.js';

export { plural, shown } from './scan/report.js';

type Paint = ReturnType<typeof painter>;
export const out: Paint = (style, text) => painter(process.stdout)(style, text);
export const err: Paint = (style, text) => painter(process.stderr)(style, text);

export const print = (text: string) => void process.stdout.write(`${text}\n`);
export const say = (text: string) => void process.stderr.write(`${text}\n`);
export const printJson = (value: unknown) => print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined));

const TONES: Record<string, Parameters<Paint>[0]> = {
  active: 'green', VALID: 'green', completed: 'green', whole: 'green', disabled: 'yellow', retiring: 'yellow', pending: 'yellow', waiting: 'yellow', overlap: 'yellow',
  revoked: 'red', expired: 'red', gone: 'dim', high: 'red', medium: 'yellow', low: 'dim',
};
/** A word of state in its colour. */
export const toned = (word: string, paint: Paint = out) => (TONES[word] === undefined ? word : paint(TONES[word], word));

/** An instant without what nobody reads; a dash for none. */
export const moment = (at: string | null | undefined) => (at ? `${at.slice(0, 10)} ${at.slice(11, 16)}Z` : '-');
export const listed = (texts: readonly string[] | null | undefined) => (texts?.length ? texts.map(shown).join(' ') : '-');

const width = (text: string) => [...stripVTControlCharacters(text)].length;

/** Columns, aligned; the last one as long as it is. Numbers stand to the right. */
export function table(heads: string[], rows: (string | number)[][], paint: Paint = out): string {
  const cells = [heads.map((head) => paint('dim', head)), ...rows.map((row) => row.map(String))];
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ''))));
  return cells.map((row, at) => row.map((cell, column) => {
    const space = ' '.repeat((widths[column] ?? 0) - width(cell));
    if (typeof (rows[at - 1] ?? rows[0])?.[column] === 'number') return space + cell;
    return column === row.length - 1 ? cell : cell + space;
  }).join('  ')).join('\n');
}

/** Names and values, one a line. */
export function sheet(fields: [name: string, value: string | number][], paint: Paint = out): string {
  const longest = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${paint('dim', name.padEnd(longest))}  ${value}`).join('\n');
}
