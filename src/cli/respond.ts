/** `keyward respond`: the answer to a leaked key, step by step. */
import { writeFileSync } from 'node:fs';
import { type Ask, asking, asks } from './ask.js';
import { connect, idOf, Refused } from './connection.js';
import { checklist, whatNext } from './incidents.js';
import { out, plural, print, shown } from './print.js';
import { spanned } from './values.js';

export interface Options {
  url?: string;
  action?: 'revoke' | 'rotate' | 'disable' | 'none';
  /** Seconds. */
  grace?: number;
  suspectedAt?: string;
  reason?: string;
  note?: string;
  output?: string;
  yes?: boolean;
}

const ACTIONS = {
  revoke: 'end it at every edge: nothing that uses it works any more',
  rotate: 'put a new secret in its place: the old one ends',
  disable: 'stop it until somebody enables it again',
  none: 'leave it as it is, and only write down what is known',
} as const;
const NAMES = Object.keys(ACTIONS) as (keyof typeof ACTIONS)[];

/** What an action will do, in the words that are asked about. */
const promise = (action: keyof typeof ACTIONS, grace = 0) => (action === 'rotate' ? `put a new secret in its place: the old one ends ${grace === 0 ? 'at once' : `in ${spanned(grace)}`}` : ACTIONS[action]);

export async function respond(which: string | undefined, options: Options): Promise<void> {
  if (options.grace !== undefined && options.action !== undefined && options.action !== 'rotate') throw new Refused('--grace is how long the old secret works on, which only --action rotate has');
  if (asks()) return asking((ask) => answer(which, options, ask));
  return answer(which, options, undefined);
}

/** `ask` is absent where nobody can be asked: what the flags do not say is then refused, and what they say is carried out. */
async function answer(which: string | undefined, options: Options, ask: Ask | undefined): Promise<void> {
  const keyward = connect({ ...(options.url === undefined ? {} : { url: options.url }) }, 'keyward.leaks:write');
  const needed = (question: string, flag: string) => {
    if (ask === undefined) throw new Refused(`${flag} is needed where nobody can be asked`);
    return ask(question, '');
  };
  // What is typed may be the key itself: a command line is remembered by the shell, an answer is not.
  const id = idOf(which ?? await needed('The key that leaked, or its id:', 'the id of the key'));
  const key = await keyward.keys.get(id);
  print(`${out('bold', shown(key.name))} (${id}) of ${shown(key.owner)}, ${key.environment}, ${key.status}`);
  let { action } = options;
  if (action === undefined) {
    if (ask !== undefined) for (const [i, name] of NAMES.entries()) process.stderr.write(`  ${i + 1} ${name}: ${promise(name, options.grace)}\n`);
    const text = await needed('What is to be done now?', '--action revoke|rotate|disable|none');
    action = NAMES.find((name, i) => text === name || text === String(i + 1));
    if (action === undefined) throw new Refused(`${text || 'nothing'} is none of ${NAMES.join(', ')}: nothing was done`);
    if (options.grace !== undefined && action !== 'rotate') throw new Refused('--grace is how long the old secret works on, which only rotate has: nothing was done');
  }
  const since = options.suspectedAt ?? await ask?.('Since when may others have it? (2026-11-21T08:00:00Z; empty: since this secret was made)', '');
  const reason = options.reason ?? await ask?.('Why, for the log? (may be empty)', '');
  if (ask !== undefined && !options.yes) {
    process.stderr.write(`\n${action} ${shown(key.name)} (${id}) of ${shown(key.owner)} at ${keyward.origin}: ${promise(action, options.grace)}\n`);
    if (!/^y(es)?$/i.test(await ask('Go on?', 'y/N'))) throw new Refused('nothing was done');
  }
  const done = await keyward.leaks.respond(id, { action, grace_seconds: options.grace, suspected_at: since || undefined, reason: reason || undefined, note: options.note });
  print(`${action === 'none' ? 'nothing was changed' : `${action}: done`}, the key is ${done.status}${done.effective_by ? `; every edge knows by ${done.effective_by}` : ''}`);
  if (done.key !== undefined) print(`the new secret, shown this once:\n${done.key}`);
  const { incident } = done;
  if (incident === null) throw new Refused('the action was carried out, but the incident could not be opened: run this again with --action none');
  const { evidence, keys_at_risk: others } = incident;
  if (evidence?.calls !== undefined) print(`${plural(evidence.calls, 'call')} since then, ${evidence.refused ?? 0} of them refused`);
  if (others.length > 0) print(`of the same owner: ${others.map(({ key_id: other, name, status }) => `${shown(name)} (${other}, ${status})`).join(', ')}`);
  print(`\n${checklist(incident)}\n\nincident ${incident.id}, open until what remains is done:\n${whatNext(incident)}`);
  if (options.output) {
    writeFileSync(options.output, await keyward.incidents.markdown(incident.id));
    print(`written to ${options.output}`);
  }
}
