/** Which deployment is asked, with which key, and how what it says against it is told. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { Keyward, KeywardApiError, type KeywardOptions } from '../client/index.js';
import { runningUrl } from './worker/state.mjs';

/** What could not be done, in words for whoever asked. */
export class Refused extends Error {}

/** Options of every command that asks a deployment. */
export interface Asking {
  url?: string;
  json?: boolean;
}

const STATE = '.keyward';
const ADMIN_KEY = join(STATE, 'admin-key');

const isLocal = (url: URL) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);

/** The URL of the deployment: from the flag, or the variable, or of the one that runs from this folder, which is said. */
export function deploymentUrl(given: string | undefined): URL {
  const url = given ?? process.env.KEYWARD_URL;
  if (!url) {
    const running = runningUrl(STATE);
    if (running === undefined) throw new Refused('which deployment? name it with --url https://keys.example, or in the variable KEYWARD_URL; none runs from this folder (keyward dev)');
    process.stderr.write(`keyward: asking ${running.origin}, which runs from this folder\n`);
    return running;
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new Refused('the URL of a deployment begins with https://; that of one on this machine may begin with http://');
  return new URL(url);
}

/** The key that is sent there: of a deployment on this machine, that of `.keyward/` in this folder will do. A flag for it there is none: shells remember. */
export function managementKey(url: URL): string | undefined {
  if (process.env.KEYWARD_KEY) return process.env.KEYWARD_KEY.trim();
  return isLocal(url) && existsSync(ADMIN_KEY) ? readFileSync(ADMIN_KEY, 'utf8').trim() : undefined;
}

/** A client of the deployment that options and variables name; `scope` is what its key has to hold. */
export function connect({ url: given }: Asking, scope: string, more: Partial<KeywardOptions> = {}): Keyward {
  const url = deploymentUrl(given);
  const key = managementKey(url);
  if (key === undefined) throw new Refused(`a management key with the scope ${scope} is needed, in the variable KEYWARD_KEY${isLocal(url) ? `, or in ${ADMIN_KEY} of this folder` : ''}`);
  return client({ url: url.href, key, ...more });
}

export function client(options: KeywardOptions): Keyward {
  try {
    return new Keyward(options);
  } catch (error) {
    throw new Refused((error as Error).message);
  }
}

const HINTS: Partial<Record<string, string>> = {
  UNAUTHORIZED: 'the key in KEYWARD_KEY is not accepted there: keyward keys verify says why, with a key that may ask',
  INSUFFICIENT_SCOPE: 'KEYWARD_KEY holds a key without that scope',
  NOT_CONFIGURED: 'keyward doctor says what is missing',
};

/** A failure of a call as one sentence. */
export function sentence(error: KeywardApiError): string {
  const { status, code, detail, request_id: id } = error;
  if (status === 0) return detail;
  const hint = HINTS[code];
  return `the deployment answered ${status} ${code}: ${detail}${id === null ? '' : ` (${id})`}${hint === undefined ? '' : `\n${hint}`}`;
}

/** Gives a command what all of these have in common. */
export const asking = (command: Command): Command => command
  .addOption(new Option('--url <url>', 'the deployment (KEYWARD_URL)'))
  .addOption(new Option('--json', 'print JSON'));

/**
 * Gives a command an option that must be given. commander itself would miss it before it says which one is none, and `--nme` is a misspelt
 * `--name` rather than a missing one.
 */
export function required(command: Command, flags: string, about: string): Command {
  const option = new Option(flags, about);
  return command.addOption(option).hook('preAction', (of) => {
    if (of.getOptionValue(option.attributeName()) === undefined) of.error(`error: required option '${flags}' not specified`);
  });
}

/** What helps say of the key. */
export const KEY_HELP = `
The key that is asked with stands in the variable KEYWARD_KEY, or, of a deployment on this machine, in .keyward/admin-key.
There is no flag for it: shells remember what was typed.`;

/** The id in the text of a key, or the id itself. */
export function idOf(text: string): string {
  const id = text.trim().match(/^(?:[a-z][a-z0-9]{1,11}_[a-z][a-z0-9]{1,11}_)?([0-9A-Za-z]{16})(?:_.*)?$/)?.[1];
  if (id === undefined) throw new Refused('that is no key and no id of one: an id has 16 letters and digits');
  return id;
}

/** As {@link idOf}, of an argument. */
export function idArgument(text: string): string {
  const id = idOf(text);
  if (text.trim().length > 50) process.stderr.write('keyward: the id is enough; a whole key on a command line is remembered by the shell\n');
  return id;
}
