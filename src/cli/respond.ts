/** `keyward respond`: the answer to a leaked key, step by step. */
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { connect, idOf, Refused } from './connection.js';
import { painter, plural, shown } from './scan/report.js';

export interface Options {
  url?: string;
  action?: 'revoke' | 'rotate' | 'disable' | 'none';
  suspectedAt?: string;
  reason?: string;
  note?: string;
  output?: string;
}

const ACTIONS = {
  revoke: 'end it at every edge: nothing that uses it works any more',
  rotate: 'put a new secret in its place: the old one ends',
  disable: 'stop it until somebody enables it again',
  none: 'leave it as it is, and only write down what is known',
} as const;

export async function respond(which: string | undefined, options: Options): Promise<void> {
  const keyward = connect({ ...(options.url === undefined ? {} : { url: options.url }) }, 'keyward.leaks:write');
  const paint = painter(process.stdout);
  const say = (text = '') => process.stdout.write(`${text}\n`);
  const asks = process.stdin.isTTY === true || process.env.KEYWARD_ASK === '1';
  const terminal = asks ? createInterface({ input: process.stdin, output: process.stderr }) : undefined;
  const lines = terminal?.[Symbol.asyncIterator]();
  const ask = async (question: string, flag: string): Promise<string> => {
    if (lines === undefined) throw new Refused(`${flag} is needed where nobody can be asked`);
    process.stderr.write(`${question} `);
    const { value, done } = await lines.next();
    if (done) throw new Refused('the answers ended: nothing was done');
    return value.trim();
  };
  try {
    // What is typed may be the key itself: a command line is remembered by the shell, an answer is not.
    const id = idOf(which ?? await ask('The key that leaked, or its id:', 'the id of the key'));
    const key = await keyward.keys.get(id);
    say(`${paint('bold', shown(key.name))} of ${shown(key.owner)}, ${key.environment}, ${key.status}`);
    let action = options.action;
    if (action === undefined) {
      const names = Object.keys(ACTIONS) as (keyof typeof ACTIONS)[];
      for (const [i, name] of names.entries()) process.stderr.write(`  ${i + 1} ${name}: ${ACTIONS[name]}\n`);
      const answer = await ask('What is to be done now?', '--action revoke|rotate|disable|none');
      action = names.find((name, i) => answer === name || answer === String(i + 1));
      if (action === undefined) throw new Refused(`${answer || 'nothing'} is none of ${names.join(', ')}: nothing was done`);
    }
    const since = options.suspectedAt ?? (asks ? await ask('Since when may others have it? (2026-11-21T08:00:00Z; empty: since this secret was made)', '--suspected-at') : '');
    const done = await keyward.leaks.respond(id, { action, suspected_at: since || undefined, reason: options.reason, note: options.note });
    say(`${action === 'none' ? 'nothing was changed' : `${action}: done`}, the key is ${done.status}${done.effective_by ? `; every edge knows by ${done.effective_by}` : ''}`);
    if (done.key !== undefined) say(`the new secret, shown this once:\n${done.key}`);
    const { incident } = done;
    if (incident === null) throw new Refused('the action was carried out, but the incident could not be opened: run this again with --action none');
    const { evidence, keys_at_risk: others } = incident;
    if (evidence?.calls !== undefined) say(`${plural(evidence.calls, 'call')} since then, ${evidence.refused ?? 0} of them refused`);
    if (others.length > 0) say(`of the same owner: ${others.map(({ key_id: other, name, status }) => `${shown(name)} (${other}, ${status})`).join(', ')}`);
    say();
    for (const { title, done_at: at, note } of incident.steps) say(`${at === null ? paint('yellow', '[ ]') : paint('green', '[x]')} ${title}${note ? ` (${shown(note)})` : ''}`);
    say();
    say(`incident ${incident.id}: GET ${keyward.origin}/v1/incidents/${incident.id}?format=markdown`);
    if (options.output) {
      writeFileSync(options.output, await keyward.incidents.markdown(incident.id));
      say(`written to ${options.output}`);
    }
  } finally {
    terminal?.close();
  }
}
