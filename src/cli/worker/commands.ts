/** The commands that bring keyward's Worker to a folder, run it there, and deploy it. */
import { type Command, InvalidArgumentError } from 'commander';
import { Refused } from '../connection.js';
import { type Options as Deploy, deploy } from './deploy.js';
import { type Options as Dev, dev } from './dev.js';
import { type Options as Init, fitting, init } from './init.js';

/** Makes of a rule's refusal what commander shows beside the flag. */
const held = (what: Parameters<typeof fitting>[0]) => (text: string) => {
  try {
    return fitting(what, text);
  } catch (error) {
    throw error instanceof Refused ? new InvalidArgumentError(error.message) : error;
  }
};

const port = (text: string) => {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('A port is a number from 1 to 65535, or 0 for any that is free.');
  return Number(text);
};

const environment = (text: string) => {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,53}$/.test(text)) throw new InvalidArgumentError('It is the name of one of the "env" in wrangler.jsonc.');
  return text;
};

const address = (text: string) => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw new InvalidArgumentError('It begins with https://.');
  return new URL(text).origin;
};

export function deploymentCommands(program: Command, version: string): void {
  program
    .command('init')
    .summary('make a folder that keyward is run in and deployed from')
    .description('Writes wrangler.jsonc, .env.example and lines of .gitignore and package.json, makes secrets and a first management key, once for this\n'
      + 'machine and once for Cloudflare, and installs the runtime. What is there already is left alone, so it may be run again.')
    .argument('[folder]', 'where; the current one where it is left out')
    .option('--brand <word>', 'how every key begins: psk_live_…', held('brand'))
    .option('--name <name>', 'the Worker\'s name at Cloudflare; the folder\'s', held('name'))
    .option('--environments <list>', 'what keys are for, the first unless another is asked for; :mock is answered from mocks (live,test:mock,staging,dev)', held('environments'))
    .option('-y, --yes', 'ask nothing: take the flags and the defaults')
    .option('--no-install', 'install nothing; say what is to be installed')
    .option('--force', 'write over wrangler.jsonc and .env.example, of which copies are kept; never over secrets')
    .addHelpText('after', `
Examples
  keyward init                                  asks, in this folder
  keyward init keys --yes                       in the folder keys, with the defaults
  keyward init --brand acme --environments live,test:mock --yes

Secrets lie in .keyward/, which git ignores and only this account can read: secrets.json and admin-key for keyward dev,
production.json and production-admin-key for keyward deploy. No key is ever uploaded, only its digest.`)
    .action((folder: string | undefined, options: Init) => init(folder, options, version));

  program
    .command('dev')
    .summary('run keyward on this machine')
    .description('Runs the Worker of this package in workerd, Cloudflare\'s runtime, with its state in .keyward/. Variables come from wrangler.jsonc, then\n'
      + '.dev.vars or .env, then the shell (KEYWARD_…, UPSTREAM_…). One folder runs one at a time.')
    .option('-p, --port <number>', 'where it listens, on 127.0.0.1; 0 takes any that is free', port, 8787)
    .addHelpText('after', `
Examples
  keyward dev
  keyward dev --port 8790
  KEYWARD_LOCAL_UPSTREAMS=http://127.0.0.1:3000 keyward dev      lets routes lead to a server of yours`)
    .action((options: Dev) => dev(options, version));

  program
    .command('deploy')
    .summary('bring keyward to Cloudflare')
    .description('Looks whether you are logged in and which secrets the Worker has, says what will be done, uploads secrets where there are none, deploys by\n'
      + 'wrangler, and asks the result how it is. Secrets that are there are never replaced unasked: every key hangs on them.')
    .option('--dry-run', 'send nothing: show what would be uploaded (works without a network where wrangler is installed)')
    .option('--env <name>', 'one of the "env" in wrangler.jsonc, with secrets of its own (.keyward/production-<name>.json)', environment)
    .option('--replace-secrets', 'upload the secrets of .keyward/ although the Worker has some')
    .option('--url <url>', 'where it answers, if wrangler does not tell', address)
    .option('-y, --yes', 'ask nothing')
    .addHelpText('after', `
Examples
  keyward deploy --dry-run
  keyward deploy                                    says how to log in, where you are not
  CLOUDFLARE_API_TOKEN=… keyward deploy --yes       where nobody can be asked`)
    .action((options: Deploy) => deploy(options, version));
}
