#!/usr/bin/env node
/** The command line. Exit codes: 0 done and clean, 1 findings or an answer that is no, 2 it could not be done. */
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { KeywardApiError } from '../client/index.js';
import { auditCommands } from './audit.js';
import { completionCommand } from './completion.js';
import { Refused, required, sentence } from './connection.js';
import { doctorCommand } from './doctor/index.js';
import * as hook from './hook.js';
import { incidentsCommands } from './incidents.js';
import { keysCommands } from './keys.js';
import { routesCommands } from './routes.js';
import { ruleFor } from './scan/engine.js';
import { type Options as Response, respond } from './respond.js';
import { Misuse, type Options, run } from './scan/index.js';
import { refuseEmpty, seconds } from './values.js';
import { deploymentCommands } from './worker/commands.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

const brand = (text: string, before: string[]) => {
  if (!/^[a-z][a-z0-9]{1,11}$/.test(text)) throw new InvalidArgumentError('A brand is 2 to 12 of a-z and 0-9, a letter first.');
  return [...before, text];
};

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads no further, as `| head` does, wants no more.
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`keyward: the standard output cannot be written: ${error.code ?? error.message}\n`);
  process.exit(2);
});

const program = new Command('keyward')
  .description('API keys that never reach a browser, verified at the edge, revoked with a receipt.')
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand(false)
  // Of an option that there is none of, its name is enough: the value may be the secret that somebody looked for a flag for.
  .configureOutput({ outputError: (text, write) => write(text.replace(/^(error: unknown option '[^'=]*)=[^]*'/, '$1\'')) })
  .showHelpAfterError('(--help tells what there is)')
  .exitOverride();

deploymentCommands(program, version);

program
  .command('scan')
  .summary('find leaked keys in files, a history, a bundle')
  .description('Looks for credentials in files and folders, in what is staged, in every version that git keeps, or in a built front end.\n'
    + 'Reads what git does not ignore; nothing leaves this machine, and no secret is printed whole.')
  .argument('[paths...]', 'files, folders and pipes; the current folder where none is named, - for the standard input')
  .option('--staged', 'what the next commit would bring')
  .option('--history', 'every version of every file of every branch, each once')
  .option('--bundle', 'a built front end: findings are told where the source maps say they come from')
  .option('--stdin', 'what comes on the standard input')
  .option('--all', 'also what git ignores, and node_modules outside repositories')
  .option('--json', 'print one JSON object')
  .option('--sarif', 'print SARIF 2.1.0, for code scanning')
  .option('-o, --output <file>', 'print into a file')
  .option('--baseline <file>', 'leave out what is in this baseline (.keyward-baseline.json, here or at the top of the repository)')
  .option('--write-baseline <file>', 'accept all findings of now: write them into a baseline (fingerprints, no secrets)')
  .addOption(new Option('--confidence <level>', 'tell findings of this confidence and above').choices(['low', 'medium', 'high']).default('medium'))
  .option('--brand <word>', 'brand of your own keyward keys, whatever their environment; may be given several times', brand, [])
  .option('--report-to <url>', 'report keys of keyward\'s format that were found to this deployment, which applies their policy; KEYWARD_KEY holds the key that may')
  .option('--no-hygiene', 'do not look at files of variables (.env) and at names of secrets that bundlers publish')
  .option('-v, --verbose', 'name everything that was not scanned')
  .option('-q, --quiet', 'print findings only, and what could not be scanned')
  .addHelpText('after', `
Exit codes
  0  nothing found    1  findings    2  something could not be scanned

A line that holds no secret, whatever it looks like, ends with a comment: keyward:allow
The comment may also stand alone on the line before.

Examples
  keyward scan                                 this folder
  keyward scan --history                       and everything that it ever held
  keyward scan --bundle dist                   what visitors of the page can read
  keyward scan --staged                        before a commit (keyward hook install)
  keyward scan --sarif -o leaks.sarif          for code scanning
  keyward scan --write-baseline .keyward-baseline.json`)
  .action(async (paths: string[], options: Options) => {
    process.exitCode = await run(paths, options, version);
  });

required(program.command('export'), '--brand <word>', 'your brand (KEYWARD_BRAND)')
  .summary('let other scanners find your keys')
  .description('Prints a rule by which another scanner finds keys of your brand. It cannot confirm their check digits; keyward scan can.')
  .addArgument(new Argument('<scanner>', 'which one').choices(['gitleaks', 'trufflehog']))
  .addHelpText('after', `
Examples
  keyward export gitleaks --brand acme > .gitleaks.toml
  keyward export trufflehog --brand acme > trufflehog.yaml`)
  .action((scanner: string, { brand }: { brand: string }) => void process.stdout.write(ruleFor(scanner, brand)));

program
  .command('respond')
  .summary('answer a leak, step by step')
  .description('Leads through what is to be done when a key has leaked: it is revoked or rotated, what was done with it is collected, the owner\'s other\n'
    + 'keys are named, and an incident is opened that keeps what remains to be done (keyward incidents). What is not given is asked for, and it is asked again before\n'
    + 'anything is done; where nobody can be asked, --action and the id are enough. KEYWARD_KEY holds a management key (keyward.leaks:write, keyward.keys:read).')
  .argument('[id]', 'id of the key; asked for where it is left out')
  .option('--url <url>', 'the deployment (KEYWARD_URL)')
  .addOption(new Option('--action <action>', 'what to do').choices(['revoke', 'rotate', 'disable', 'none']))
  .option('--grace <span>', 'with rotate: how long the old secret works on: 1h; it ends at once where this is left out', seconds)
  .option('--suspected-at <time>', 'since when others may have it: 2026-11-21T08:00:00Z')
  .option('--reason <text>', 'why, for the log')
  .option('--note <text>', 'a note for the incident')
  .option('-o, --output <file>', 'write the incident as Markdown')
  .option('-y, --yes', 'do not ask before it is done')
  .addHelpText('after', `
Examples
  keyward respond
  keyward respond 7Qm2ZxT0aBcD3fGh --action rotate --grace 1h
  keyward respond 7Qm2ZxT0aBcD3fGh --action revoke --reason "found in a public repository" -o incident.md`)
  .action((id: string | undefined, options: Response) => respond(id, options));

/** `keyward help keys rotate`, and `keyward keys help rotate`: the help of a command, however deep it lies. */
function helpCommand(root: Command): void {
  for (const group of root.commands) if (group.commands.length > 0) helpCommand(group);
  root.command('help').summary('print the help of a command').description('Prints the help of a command.').argument('[command...]', 'which one: keys rotate')
    .addHelpText('after', '\nExample\n  keyward help keys rotate')
    .action((path: string[]) => {
      const found = path.reduce<Command>((at, name) => at.commands.find((one) => one.name() === name) ?? at.error(`error: unknown command '${name}'`), root);
      found.help();
    });
}

const hooks = program.command('hook').summary('scan before each commit').description('What git runs before each commit of this repository.');
hooks.command('install').description('scan what is staged before each commit; what the hook does already, it goes on to do').action(() => void process.stdout.write(`${hook.install()}\n`));
hooks.command('uninstall').description('scan no longer').action(() => void process.stdout.write(`${hook.uninstall()}\n`));

keysCommands(program);
routesCommands(program);
incidentsCommands(program);
auditCommands(program);
doctorCommand(program, version);
completionCommand(program);
helpCommand(program);
refuseEmpty(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof KeywardApiError) {
    process.stderr.write(`keyward: ${sentence(error)}\n`);
    process.exitCode = 2;
  } else {
    process.stderr.write(`keyward: ${(error as Error).message}\n`);
    if (!(error instanceof Misuse) && !(error instanceof Refused) && process.env.KEYWARD_DEBUG) process.stderr.write(`${(error as Error).stack}\n`);
    process.exitCode = 2;
  }
}
