/** `keyward audit …`: the log of all changes, read, checked and taken along. */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Entry, LogRow } from '../client/index.js';
import { asking, connect, KEY_HELP, Refused, type Asking } from './connection.js';
import { moment, out, plural, print, printJson, say, sheet, shown, table } from './print.js';
import { count } from './values.js';

const about = (entry: Entry) => entry.key_id ?? entry.route ?? entry.webhook ?? entry.incident ?? '-';

/** What is done with a file: what it fails with is told in a line. */
const writing = <T>(file: string, work: Promise<T>): Promise<T> => work.catch((error: NodeJS.ErrnoException) => {
  throw new Refused(`${file} cannot be written: ${error.code ?? error.message}`);
});

export function auditCommands(program: Command): void {
  const audit = program.command('audit').summary('read and check the log of all changes')
    .description('The log: who changed what, from where. Its rows are chained, so that altering, removing or reordering one shows.').addHelpText('after', `
Examples
  keyward audit list --limit 50
  keyward audit export -o log.jsonl                    the head of the log is told: keep it elsewhere
  keyward audit verify --head 7-3f…                    exit code 1 where the log was altered or cut since
${KEY_HELP}`);

  asking(audit.command('list')).summary('changes, the newest first').description('Every change, the newest first. Needs keyward.audit:read.')
    .option('--limit <count>', 'this many at most', count, 20)
    .action(async (options: Asking & { limit: number }) => {
      const data: Entry[] = [];
      for await (const entry of connect(options, 'keyward.audit:read').audit.list({ limit: Math.max(1, Math.min(options.limit, 100)) })) {
        if (data.length >= options.limit) break;
        data.push(entry);
      }
      if (options.json) return printJson({ data });
      print(table(['position', 'at', 'what', 'of', 'by', 'from', 'why'], data.map((entry) => [entry.position ?? '-', entry.at, entry.kind, about(entry), entry.by, entry.address ?? '-', entry.reason ? shown(entry.reason) : '-'])));
    });

  asking(audit.command('verify')).summary('whether the log is whole')
    .description('Whether the log is whole, and still holds a head that was kept. Exit code 1 where it is not. Needs keyward.audit:read.')
    .option('--head <head>', 'a head from a receipt or an export: shows that the end was not cut')
    .action(async (options: Asking & { head?: string }) => {
      const check = await connect(options, 'keyward.audit:read').audit.verify({ head: options.head });
      process.exitCode = check.whole ? 0 : 1;
      if (options.json) return printJson(check);
      const { problem } = check;
      print(sheet([
        ['the log is', check.whole ? out('green', 'whole') : out('red', 'not whole')], ['rows', check.rows], ['authenticated', check.authenticated], ['head', check.head ?? '-'],
        ...(problem ? [['problem', `at ${problem.position}: ${problem.what}, ${shown(problem.detail)}`] as [string, string]] : []),
      ]));
      if (check.whole && options.head === undefined) say('that its end was not cut is shown by a head that was kept: --head');
    });

  asking(audit.command('export')).summary('the log as JSON lines with its hashes')
    .description('The log as JSON lines with its hashes, the oldest first, to its end. Its head is told on the standard error: kept elsewhere, it shows later\nwhether the log was cut. Needs keyward.audit:read.')
    .option('-o, --output <file>', 'write into a file')
    .option('--after <position>', 'only what comes after this row', count)
    .action(async (options: Asking & { output?: string; after?: number }) => {
      const { audit: log } = connect(options, 'keyward.audit:read');
      const { output } = options;
      const file = output === undefined ? undefined : await writing(output, open(output, 'w', 0o600));
      const take = async (text: string) => {
        if (output !== undefined && file !== undefined) await writing(output, file.appendFile(text));
        else if (!process.stdout.write(text)) await once(process.stdout, 'drain');
      };
      let [rows, last, head, { after }] = [0, '', null as string | null, options];
      for (;;) {
        const page = await log.exportPage({ after, limit: 1000 });
        const lines = page.text.split('\n').filter(Boolean);
        head = page.head;
        if (lines.length === 0) break;
        await take(page.text.endsWith('\n') ? page.text : `${page.text}\n`);
        rows += lines.length;
        last = lines.at(-1) as string;
        const { position } = JSON.parse(last) as LogRow;
        if (after !== undefined && position <= after) break;
        after = position;
      }
      if (output !== undefined && file !== undefined) await writing(output, file.close());
      say(`${plural(rows, 'row')}${last === '' ? '' : `, the last of ${moment((JSON.parse(last) as LogRow).entry.at)}`}; head of the log: ${head ?? '-'}`);
    });
}
