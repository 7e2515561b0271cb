/** `keyward incidents …`: what is known of each leak, and what remains to be done. */
import { writeFileSync } from 'node:fs';
import { Argument, type Command, Option } from 'commander';
import type { Incident, Incidents, UpdateIncidentBody } from '../client/index.js';
import { asking, connect, idArgument, KEY_HELP, Refused, type Asking } from './connection.js';
import { moment, out, plural, print, printJson, say, sheet, shown, table } from './print.js';
import { count } from './values.js';

type Step = NonNullable<UpdateIncidentBody['steps']>[number]['name'];

/** What may be ticked off, in the order of an incident's own list. */
const STEPS: Step[] = ['key_ended', 'evidence_collected', 'other_keys_reviewed', 'source_cleaned', 'owner_told', 'cause_found', 'prevention_in_place'];

const left = ({ steps }: Pick<Incident, 'steps'>) => steps.filter(({ done_at: at }) => at === null).length;

/** The steps of an incident, each with the name that ticks it off. */
export function checklist({ steps }: Pick<Incident, 'steps'>): string {
  const longest = Math.max(...steps.map(({ name }) => name.length));
  return steps.map(({ name, title, done_at: at, note }) => `${at === null ? out('yellow', '[ ]') : out('green', '[x]')} ${out('dim', name.padEnd(longest))}  ${title}${note ? ` (${shown(note)})` : ''}`).join('\n');
}

/** What one types next: told at the end of an answer to a leak, too. */
export const whatNext = ({ id }: Pick<Incident, 'id'>) => `  keyward incidents show ${id} --markdown          for a ticket
  keyward incidents tick ${id} owner_told          what is done, by its name above
  keyward incidents close ${id}`;

function describe(incident: Incident): string {
  const { evidence, keys_at_risk: others, sightings, notes } = incident;
  const lines: [string, string | number][] = [
    ['incident', incident.id], ['status', incident.status === 'open' ? out('yellow', 'open') : out('green', 'closed')], ['key', `${incident.key_id}, ${shown(incident.key_name)} of ${shown(incident.owner)}, secret ${incident.secret}`],
    ['opened', `${moment(incident.opened_at)}, by a ${incident.source === 'response' ? 'response' : 'report'}`], ['known to others since', moment(incident.suspected_at)], ['what was done', incident.action],
  ];
  if (incident.closed_at !== null) lines.push(['closed', moment(incident.closed_at)]);
  for (const { at, url, path, line } of sightings) lines.push(['seen', [moment(at), url && shown(url), path && `${shown(path)}${line === null ? '' : `:${line}`}`].filter(Boolean).join('  ')]);
  if (evidence?.calls !== undefined) lines.push(['calls since then', `${evidence.calls}, ${evidence.refused ?? 0} of them refused`]);
  for (const { key_id: id, name, environment, status } of others) lines.push(['of the same owner', `${id}, ${shown(name)}, ${environment}, ${status}`]);
  for (const { at, text } of notes) lines.push(['note', `${moment(at)}  ${shown(text)}`]);
  return `${sheet(lines)}\n\n${checklist(incident)}`;
}

export function incidentsCommands(program: Command): void {
  const incidents = program.command('incidents').summary('what remains to be done after a leak')
    .description('Incidents: where a key was found, what was done, what remains to be done. keyward respond opens them, and so does a report of a leak.').addHelpText('after', `
Examples
  keyward incidents list --status open
  keyward incidents show inc_7Qm2ZxT0aBcD3fGh_1 --markdown | gh issue create --title "A key leaked" --body-file -
  keyward incidents tick inc_7Qm2ZxT0aBcD3fGh_1 owner_told source_cleaned --note "by phone"
  keyward incidents close inc_7Qm2ZxT0aBcD3fGh_1
${KEY_HELP}`);
  const one = (name: string) => asking(incidents.command(name)).argument('<incident>', 'id of the incident: inc_…');

  asking(incidents.command('list')).summary('incidents, the newest first').description('Incidents, the newest first. Needs keyward.leaks:write.')
    .addOption(new Option('--status <status>', 'only those that are so').choices(['open', 'closed']))
    .option('--key-id <id>', 'only those of this key', idArgument)
    .option('--limit <count>', 'this many at most; all where it is left out', count)
    .action(async (options: Asking & { status?: 'open' | 'closed'; keyId?: string; limit?: number }) => {
      const { status, keyId, limit: most = Infinity } = options;
      const data: Incidents['data'] = [];
      for await (const incident of connect(options, 'keyward.leaks:write').incidents.list({ status, key_id: keyId, limit: Math.max(1, Math.min(most, 100)) })) {
        if (data.length >= most) break;
        data.push(incident);
      }
      if (options.json) return printJson({ data });
      if (data.length === 0) return say('no such incident');
      print(table(['id', 'status', 'opened', 'what was done', 'key', 'owner', 'steps left'], data.map((incident) => [
        incident.id, incident.status === 'open' ? out('yellow', 'open') : out('green', 'closed'), moment(incident.opened_at), incident.action, shown(incident.key_name), shown(incident.owner), incident.steps_open,
      ])));
    });

  one('show').summary('one incident').description('One incident: where the key was found, what was done, what remains to be done. Needs keyward.leaks:write.')
    .option('--markdown', 'print Markdown, for a ticket')
    .option('-o, --output <file>', 'write it as Markdown into a file')
    .action(async (id: string, options: Asking & { markdown?: boolean; output?: string }) => {
      const markdown = options.markdown || options.output !== undefined;
      if (options.json && markdown) throw new Refused('--json and Markdown exclude one another');
      const { incidents: of } = connect(options, 'keyward.leaks:write');
      if (!markdown) {
        const incident = await of.get(id);
        return options.json ? printJson(incident) : print(describe(incident));
      }
      const text = await of.markdown(id);
      if (options.output === undefined) return void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
      writeFileSync(options.output, text);
      say(`written to ${options.output}`);
    });

  one('tick').summary('tick steps off').description('Ticks off what is done; each is a row of the log. Needs keyward.leaks:write.')
    .addArgument(new Argument('<steps...>', 'what is done').choices(STEPS))
    .option('--note <text>', 'how it was done, for each of them')
    .option('--undo', 'it is not done after all')
    .action(async (id: string, steps: Step[], options: Asking & { note?: string; undo?: boolean }) => {
      const changed = await connect(options, 'keyward.leaks:write').incidents.update(id, { steps: steps.map((name) => ({ name, done: !options.undo, note: options.note })) });
      if (options.json) return printJson(changed);
      print(checklist(changed));
      say(left(changed) === 0 ? `nothing is left: keyward incidents close ${id}` : `${plural(left(changed), 'step')} left`);
    });

  one('close').summary('close an incident').description('Closes an incident, whatever is left of it. Needs keyward.leaks:write.')
    .option('--note <text>', 'a last word')
    .action(async (id: string, options: Asking & { note?: string }) => {
      const changed = await connect(options, 'keyward.leaks:write').incidents.update(id, { status: 'closed', note: options.note });
      if (options.json) return printJson(changed);
      say(`${id} is closed${left(changed) === 0 ? '' : `; ${plural(left(changed), 'step')} of it ${left(changed) === 1 ? 'was' : 'were'} not done`}`);
    });
}
