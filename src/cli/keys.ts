/** `keyward keys …`: make, find, change, replace and end keys, and see how they are used. */
import { type Command, Option } from 'commander';
import { KeywardApiError, type CreateKeyBody, type Key, type Keys, type Rotation, type UpdateKeyBody } from '../client/index.js';
import { asking, connect, idArgument, KEY_HELP, Refused, required, type Asking } from './connection.js';
import { listed, moment, out, plural, print, printJson, say, sheet, shown, table, toned } from './print.js';
import { secret } from './secret.js';
import { ago, ahead, count, limit, object, quota, seconds, several, spanned } from './values.js';

/** What keys may be given, as flags. */
interface Fields {
  name?: string;
  owner?: string;
  scope?: string[];
  expires?: string;
  notBefore?: string;
  allowIp?: string[];
  denyIp?: string[];
  allowCountry?: string[];
  allowOrigin?: string[];
  limit?: NonNullable<CreateKeyBody['rate_limits']>;
  quota?: NonNullable<CreateKeyBody['quotas']>;
  staleness?: number;
  rotationDays?: number;
  onAnomaly?: NonNullable<CreateKeyBody['on_anomaly']>;
  onLeak?: NonNullable<CreateKeyBody['on_leak']>;
  metadata?: Record<string, unknown>;
}

const fields = (command: Command) => command
  .option('--scope <resource:action>', 'what it may do; several: again, or with commas', several)
  .option('--expires <time>', 'when it ends: 90d, 2027-01-01', ahead)
  .option('--not-before <time>', 'when it begins', ahead)
  .option('--allow-ip <cidr>', 'from where it may be used; several', several)
  .option('--deny-ip <cidr>', 'from where it may not be used; several', several)
  .option('--allow-country <code>', 'from which countries; several', several)
  .option('--allow-origin <origin>', 'from pages of which origins; several', several)
  .option('--limit <name=calls/window>', 'a rate limit, over all edges: requests=100/60s; several', limit)
  .option('--quota <name=calls/period>', 'a quota of a day, a month or in total: monthly=10000/month; several', quota)
  .option('--staleness <seconds>', 'how long an edge may go on without asking, 0 to 60', seconds)
  .option('--rotation-days <days>', 'how old its secret should grow', count)
  .addOption(new Option('--on-anomaly <action>', 'what to do when its use is unusual').choices(['notify', 'throttle', 'disable', 'revoke']))
  .addOption(new Option('--on-leak <action>', 'what to do when it was found in the open').choices(['notify', 'disable', 'revoke']))
  .option('--metadata <json>', 'an object of your own', object);

/** What the flags name, as the API has it. */
const named = (of: Fields) => Object.fromEntries(Object.entries({
  name: of.name, owner: of.owner, scopes: of.scope, expires_at: of.expires, not_before: of.notBefore, allowed_ips: of.allowIp, denied_ips: of.denyIp, allowed_countries: of.allowCountry,
  allowed_origins: of.allowOrigin, rate_limits: of.limit, quotas: of.quota, max_staleness_seconds: of.staleness, rotation_days: of.rotationDays, on_anomaly: of.onAnomaly, on_leak: of.onLeak,
  metadata: of.metadata,
}).filter(([, value]) => value !== undefined)) as UpdateKeyBody;

/** By what names a field is put back to its default. */
const RESET: Record<string, keyof UpdateKeyBody> = {
  'scope': 'scopes', 'expires': 'expires_at', 'not-before': 'not_before', 'allow-ip': 'allowed_ips', 'deny-ip': 'denied_ips', 'allow-country': 'allowed_countries', 'allow-origin': 'allowed_origins',
  'limit': 'rate_limits', 'quota': 'quotas', 'staleness': 'max_staleness_seconds', 'rotation-days': 'rotation_days', 'on-anomaly': 'on_anomaly', 'on-leak': 'on_leak', 'metadata': 'metadata',
};

/** Where a secret stands. With a revoked key all of its secrets have ended, whatever a rotation had made of them. */
const standing = (status: string, revoked: boolean) => (revoked && status !== 'gone' ? out('dim', 'ended') : toned(status));

function describe(key: Key): string {
  const limits = (key.rate_limits ?? []).map(({ name, limit: calls, window_seconds: window, burst, mode }) => `${name}=${calls}/${window}s, at most ${burst} at once${mode === 'exact' ? '' : ', by each edge'}`);
  const quotas = (key.quotas ?? []).map(({ name, limit: calls, period }) => `${name}=${calls}/${period}`);
  const lines: [string, string | number][] = [
    ['id', key.id], ['name', shown(key.name)], ['owner', shown(key.owner)], ['environment', key.environment], ['status', toned(key.status)], ['scopes', listed(key.scopes)],
    ['expires', key.expires_at === null ? 'never' : moment(key.expires_at)], ['made', moment(key.created_at)], ['changed', `${moment(key.updated_at)}, version ${key.version}`],
    ['holds everywhere after', `${key.max_staleness_seconds} s`],
  ];
  if (key.not_before) lines.push(['begins', moment(key.not_before)]);
  for (const [label, list] of [['allowed addresses', key.allowed_ips], ['denied addresses', key.denied_ips], ['allowed countries', key.allowed_countries], ['allowed origins', key.allowed_origins]] as const) if (list.length > 0) lines.push([label, listed(list)]);
  for (const text of limits) lines.push(['limit', text]);
  for (const text of quotas) lines.push(['quota', text]);
  if (Object.keys(key.metadata).length > 0) lines.push(['metadata', shown(JSON.stringify(key.metadata))]);
  if (key.revoked_at) lines.push(['revoked', `${moment(key.revoked_at)}${key.revoke_reason ? `: ${shown(key.revoke_reason)}` : ''}`]);
  const secrets = key.secrets.map((one) => [one.number, standing(one.status, key.status === 'revoked'), moment(one.created_at), moment(key.status === 'revoked' && one.status !== 'gone' ? key.revoked_at : one.until)]);
  return `${sheet(lines)}\n\n${table(['secret', 'status', 'made', 'until'], secrets)}`;
}

/** What was seen of each secret. One that has ended may have been seen a moment ago, and is in use no more. */
const evidence = ({ secrets }: Rotation, revoked = false) => table(['secret', 'status', 'in use', 'calls', 'last seen', 'from'],
  secrets.map((one) => [one.number, standing(one.status, revoked), one.in_use && !revoked && one.status !== 'gone' ? out('yellow', 'yes') : 'no', one.calls, moment(one.last_seen), [...one.addresses, ...one.countries].join(' ') || '-']));

const effective = ({ effective_by: by, confirmed }: { effective_by?: string; confirmed?: boolean }) => (by === undefined ? '' : confirmed ? '; it holds everywhere' : `; it holds everywhere by ${by}`);

/** A text that is shown once: alone on the standard output, so that `KEY=$(…)` takes it. */
function once(text: string | undefined, lost: string): void {
  if (text === undefined) throw new Refused(lost);
  print(text);
}

/** As {@link once}, for programs: an answer without its text is a problem, and exit code 2. */
function onceJson(answer: { key?: string | undefined }, id: string, lost: string): void {
  if (answer.key !== undefined) return printJson(answer);
  printJson({ code: 'SHOWN_BEFORE', title: 'The text is not shown again', detail: lost, key_id: id });
  throw new Refused(lost);
}

/** Why a rotation is not ended, and what to do about it. */
const IN_USE: Partial<Record<string, [why: string, what: string]>> = {
  OLD_SECRET_IN_USE: ['the old secret is still in use', 'deploy the new one where the old one is seen'],
  NEW_SECRET_UNUSED: ['the new secret was not seen yet', 'whoever calls may not have it: deploy it first'],
  NEW_SECRET_IN_USE: ['the new secret is in use', 'go back to the old one where the new one is seen'],
};

/** A refusal that says why in evidence is an answer, not a failure: exit code 1. */
async function unlessInUse<T>(call: Promise<T>, again: string, json: boolean | undefined): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    const known = error instanceof KeywardApiError ? IN_USE[error.code] : undefined;
    if (!(error instanceof KeywardApiError) || known === undefined) throw error;
    if (json) printJson(error.problem);
    else {
      say(`${known[0]}: nothing was done`);
      if (error.problem?.rotation) print(`\n${out('bold', 'What was seen of each secret')}\n${evidence(error.problem.rotation)}\n`);
      say(`${known[1]}, or end it all the same: ${again} --force`);
    }
    process.exitCode = 1;
    return undefined;
  }
}

const oneForm = ({ json, csv }: { json?: boolean; csv?: boolean }) => {
  if (json && csv) throw new Refused('--json and --csv exclude one another');
};

export function keysCommands(program: Command): void {
  const keys = program.command('keys').summary('make, find, change and end keys').description('Keys of a deployment, and how they are used.').addHelpText('after', `
Examples
  export KEYWARD_URL=https://keys.example
  KEY=$(keyward keys create --name server-prod --owner acme --scope calls:create)
  echo "$KEY" | keyward keys verify --scope calls:create
  keyward keys list --owner acme
  keyward keys revoke 7Qm2ZxT0aBcD3fGh --wait --reason "left the company"
${KEY_HELP}`);

  fields(required(required(asking(keys.command('create')), '--name <name>', 'what it is for: server-prod'), '--owner <owner>', 'whose it is')
    .option('--environment <name>', 'live where it is left out'))
    .summary('make a key')
    .description('Makes a key and prints its text, this once, on the standard output; all else goes to the other one. Needs keyward.keys:write.')
    .option('--idempotency-key <text>', 'a name for this very request: asked for again within a day, no second key is made')
    .addHelpText('after', `
Examples
  KEY=$(keyward keys create --name server-prod --owner acme --scope calls:create,calls:read --expires 90d)
  keyward keys create --name partner --owner acme --limit requests=100/60s --quota monthly=10000/month --allow-ip 192.0.2.0/24
  keyward keys create --name ci --owner us --scope keyward.keys:verify | gh secret set KEYWARD_KEY`)
    .action(async (options: Asking & Fields & { name: string; owner: string; environment?: string; idempotencyKey?: string }) => {
      const { key, ...made } = await connect(options, 'keyward.keys:write').keys.create({ ...named(options), name: options.name, owner: options.owner, environment: options.environment }, { idempotencyKey: options.idempotencyKey });
      const lost = `the key ${made.id} was made before, and its text is not shown again: keyward keys revoke ${made.id}, then make another`;
      if (options.json) return onceJson({ ...made, key }, made.id, lost);
      say(`made ${made.id}: ${shown(made.name)} of ${shown(made.owner)}, ${made.environment}, ${made.expires_at === null ? 'never ends' : `until ${moment(made.expires_at)}`}; its text is shown this once`);
      once(key, lost);
    });

  asking(keys.command('list'))
    .summary('find keys')
    .description('Keys, the newest first, or by name with --search. Needs keyward.keys:read.')
    .option('--search <text>', 'how the name begins, in any case')
    .option('--owner <owner>', 'of this owner')
    .option('--environment <name>', 'of this environment')
    .addOption(new Option('--status <status>', 'that were left so').choices(['active', 'disabled', 'revoked']))
    .option('--limit <count>', 'this many at most; all where it is left out', count)
    .addHelpText('after', `
Examples
  keyward keys list --search server
  keyward keys list --status active --json | jq -r '.data[] | select(.last_used_on == null) | .id'`)
    .action(async (options: Asking & { search?: string; owner?: string; environment?: string; status?: 'active' | 'disabled' | 'revoked'; limit?: number }) => {
      const { search, owner, environment, status, limit: most = Infinity } = options;
      const data: Keys['data'] = [];
      for await (const key of connect(options, 'keyward.keys:read').keys.list({ search, owner, environment, status, limit: Math.max(1, Math.min(most, 100)) })) {
        if (data.length >= most) break;
        data.push(key);
      }
      if (options.json) return printJson({ data });
      if (data.length === 0) return say('no such key');
      print(table(['id', 'name', 'owner', 'environment', 'status', 'last used', 'expires', 'scopes'], data.map((key) => [key.id, shown(key.name), shown(key.owner), key.environment, toned(key.status), key.last_used_on ?? '-', key.expires_at?.slice(0, 10) ?? 'never', listed(key.scopes)])));
    });

  asking(keys.command('show')).argument('<id>', 'id of the key', idArgument)
    .summary('one key, and where its secrets stand')
    .description('One key, its secrets, and the evidence of a rotation that is under way. Needs keyward.keys:read.')
    .action(async (id: string, options: Asking) => {
      const { keys: of } = connect(options, 'keyward.keys:read');
      const key = await of.get(id);
      const rotation = await of.rotations.get(id).catch((error: unknown) => {
        if (error instanceof KeywardApiError && error.code === 'NO_ROTATION') return null;
        throw error;
      });
      if (options.json) return printJson({ ...key, rotation });
      print(describe(key));
      if (rotation) print(`\n${out('dim', 'rotation')} ${rotation.number}, ${key.status === 'revoked' ? 'ended with the key' : `${toned(rotation.status)}${rotation.ends_at ? `, ends ${moment(rotation.ends_at)}` : ''}`}\n${evidence(rotation, key.status === 'revoked')}`);
    });

  fields(asking(keys.command('update')).argument('<id>', 'id of the key', idArgument)
    .option('--name <name>', 'what it is for')
    .option('--owner <owner>', 'whose it is'))
    .summary('change a key')
    .description('Changes what is named and nothing else. Needs keyward.keys:write.')
    .option('--reset <field>', `put back to the default: ${Object.keys(RESET).join(', ')}; several`, several)
    .addHelpText('after', `
Examples
  keyward keys update 7Qm2ZxT0aBcD3fGh --scope calls:read --expires 30d
  keyward keys update 7Qm2ZxT0aBcD3fGh --reset allow-ip`)
    .action(async (id: string, options: Asking & Fields & { reset?: string[] }) => {
      const body: Record<string, unknown> = { ...named(options) };
      for (const name of options.reset ?? []) {
        const field = RESET[name];
        if (field === undefined) throw new Refused(`--reset ${name}: that is none of ${Object.keys(RESET).join(', ')}`);
        body[field] = null;
      }
      if (Object.keys(body).length === 0) throw new Refused('what is to be changed? keyward keys update --help tells what there is');
      const changed = await connect(options, 'keyward.keys:write').keys.update(id, body as UpdateKeyBody);
      if (options.json) return printJson(changed);
      say(`changed${effective(changed)}`);
      print(describe(changed));
    });

  asking(keys.command('rotate')).argument('<id>', 'id of the key', idArgument)
    .summary('make a second secret under the same id')
    .description('Makes a second secret and prints the new key text, this once, on the standard output. Both work until the overlap ends. Needs keyward.keys:write.')
    .addOption(new Option('--activate <when>', 'when the overlap begins: once the new one is first seen, or now').choices(['first_use', 'now']))
    .option('--grace <span>', 'how long both work: 24h; up to 30d', seconds)
    .option('--quiet <span>', 'not seen for so long, a secret counts as out of use: 24h', seconds)
    .option('--idempotency-key <text>', 'a name for this very request')
    .addHelpText('after', `
Examples
  NEXT=$(keyward keys rotate 7Qm2ZxT0aBcD3fGh)                  then deploy it, and
  keyward keys show 7Qm2ZxT0aBcD3fGh                            see who is still on the old one
  keyward keys complete 7Qm2ZxT0aBcD3fGh                        end the old one
  keyward keys rotate 7Qm2ZxT0aBcD3fGh --activate now --grace 0s    on suspicion: the old one ends at once`)
    .action(async (id: string, options: Asking & { activate?: 'first_use' | 'now'; grace?: number; quiet?: number; idempotencyKey?: string }) => {
      const started = await connect(options, 'keyward.keys:write').keys.rotations.start(id, { activate: options.activate, grace_seconds: options.grace, quiet_seconds: options.quiet }, { idempotencyKey: options.idempotencyKey });
      const lost = `that rotation was begun before, and its text is not shown again: keyward keys cancel ${id}, then rotate anew`;
      if (options.json) return onceJson(started, id, lost);
      const { rotation } = started;
      say(`rotation ${rotation.number} of ${id}: every edge accepts the new secret by ${rotation.usable_by}; ${rotation.ends_at ? `the old one works until ${rotation.ends_at}` : `the old one works for ${spanned(rotation.grace_seconds)} after the new one is first seen`}`);
      once(started.key, lost);
    });

  for (const [name, summary, description] of [
    ['complete', 'keep the new secret alone', 'Ends the old secret. Refused with the evidence (exit code 1) while it is in use, or before the new one was seen, unless forced. Needs keyward.keys:write.'],
    ['cancel', 'keep the old secret alone', 'Takes a rotation back. Refused with the evidence (exit code 1) while the new secret is in use, unless forced. Needs keyward.keys:write.'],
  ] as const) {
    asking(keys.command(name)).argument('<id>', 'id of the key', idArgument).summary(summary).description(description)
      .option('--force', 'whatever the evidence')
      .option('--wait', 'answer once it holds everywhere')
      .action(async (id: string, options: Asking & { force?: boolean; wait?: boolean }) => {
        const { rotations } = connect(options, 'keyward.keys:write').keys;
        const ended = await unlessInUse(rotations[name](id, { force: options.force, wait: options.wait }), `keyward keys ${name} ${id}`, options.json);
        if (ended === undefined) return;
        if (options.json) return printJson(ended);
        say(`rotation ${ended.rotation.number} is ${ended.rotation.status}${effective(ended)}`);
        print(evidence(ended.rotation));
      });
  }

  for (const [name, summary] of [['disable', 'refuse a key until it is enabled'], ['enable', 'accept a disabled key again']] as const) {
    asking(keys.command(name)).argument('<id>', 'id of the key', idArgument).summary(summary).description(`${summary[0]?.toUpperCase()}${summary.slice(1)}. Needs keyward.keys:write.`)
      .option('--wait', 'answer once it holds everywhere')
      .action(async (id: string, options: Asking & { wait?: boolean }) => {
        const changed = await connect(options, 'keyward.keys:write').keys[name](id, { wait: options.wait });
        if (options.json) return printJson(changed);
        say(`${id} is ${changed.status}${effective(changed)}`);
      });
  }

  asking(keys.command('revoke')).argument('<id>', 'id of the key', idArgument)
    .summary('refuse a key for ever, with a receipt')
    .description('Refuses a key for ever. The receipt says from when no edge accepts it; with --wait it comes after that. Needs keyward.keys:write.')
    .option('--wait', 'answer once no edge accepts it')
    .option('--reason <text>', 'why, for the log')
    .action(async (id: string, options: Asking & { wait?: boolean; reason?: string }) => {
      const receipt = await connect(options, 'keyward.keys:write').keys.revoke(id, { reason: options.reason, wait: options.wait });
      if (options.json) return printJson(receipt);
      print(sheet([['key', id], ['status', toned(receipt.status)], ['revoked at', receipt.revoked_at], ['effective by', receipt.effective_by], ['confirmed', receipt.confirmed ? 'yes' : 'not yet'], ['log head', receipt.log_head ?? '-']]));
    });

  asking(keys.command('verify'))
    .summary('ask whether a key is good')
    .description('Reads the text of a key from the standard input, or asks for it without an echo, and says whether it is good for a call. Exit code 1 where it is not,\n2 where nobody could say. Needs keyward.keys:verify.')
    .option('--scope <resource:action>', 'what the call needs; several', several)
    .option('--environment <name>', 'what the key must be for')
    .option('--ip <address>', 'from where the call comes')
    .option('--country <code>', 'from which country')
    .option('--origin <origin>', 'from a page of which origin')
    .option('--cost <calls>', 'how many calls it counts for; 0 only looks. 0 where it is left out', count)
    .option('--fresh', 'ask the key\'s authority itself, and no lease')
    .addHelpText('after', `
Examples
  echo "$KEY" | keyward keys verify --scope calls:create
  keyward keys verify --ip 192.0.2.7 --fresh < key.txt`)
    .action(async (options: Asking & { scope?: string[]; environment?: string; ip?: string; country?: string; origin?: string; cost?: number; fresh?: boolean }) => {
      const keyward = connect(options, 'keyward.keys:verify');
      const { scope: scopes, environment, ip, country, origin, cost = 0 } = options;
      const verdict = await keyward.keys.verify({ key: await secret('The key'), scopes, environment, ip, country, origin, cost }, { fresh: options.fresh });
      process.exitCode = verdict.valid ? 0 : verdict.code === 'UNAVAILABLE' ? 2 : 1;
      if (options.json) return printJson(verdict);
      const lines: [string, string | number][] = [['verdict', verdict.valid ? toned(verdict.code) : out('red', verdict.code)]];
      if (verdict.key_id !== null) lines.push(['key', verdict.key_id]);
      if (verdict.name !== null) lines.push(['name', shown(verdict.name)], ['owner', shown(verdict.owner ?? '-')], ['environment', verdict.environment ?? '-'], ['scopes', listed(verdict.scopes)]);
      for (const one of [...verdict.limits ?? [], ...verdict.quotas ?? []]) lines.push([one.name, `${one.remaining} of ${one.limit} left`]);
      if (verdict.warning) lines.push(['warning', shown(verdict.warning)]);
      if (verdict.denied_by) lines.push(['denied by', verdict.denied_by]);
      const { mode, max_staleness_seconds: bound } = verdict.freshness;
      lines.push(['known from', mode === 'lease' ? `a lease, at most ${bound} s old` : mode === 'authority' ? 'its authority' : 'its text alone']);
      print(sheet(lines));
    });

  asking(keys.command('usage')).argument('<id>', 'id of the key', idArgument)
    .summary('how often a key was called')
    .description('Calls by hour or day. Needs keyward.usage:read.')
    .addOption(new Option('--by <span>', 'what is put together').choices(['hour', 'day']).default('hour'))
    .option('--from <time>', 'since when: 7d, 2026-11-01; a day ago, or 30 days with --by day', ago)
    .option('--to <time>', 'until when; now', ago)
    .option('--csv', 'print CSV')
    .action(async (id: string, options: Asking & { by: 'hour' | 'day'; from?: string; to?: string; csv?: boolean }) => {
      oneForm(options);
      const { keys: of } = connect(options, 'keyward.usage:read');
      const query = { by: options.by, from: options.from, to: options.to };
      if (options.csv) return void process.stdout.write(await of.usageCsv(id, query));
      const usage = await of.usage(id, query);
      if (options.json) return printJson(usage);
      const told = (counts: Record<string, number>) => Object.entries(counts).map(([name, calls]) => `${shown(name)} ${calls}`).join(', ') || '-';
      if (usage.data.length > 0) print(table(['from', 'calls', 'outcomes', 'ways', 'countries'], usage.data.map((one) => [moment(one.at), one.calls, told(one.outcomes), told(one.routes), told(one.countries)])));
      say(`${plural(usage.calls, 'call')} from ${moment(usage.from)} to ${moment(usage.to)}`);
    });

  asking(keys.command('calls')).argument('<id>', 'id of the key', idArgument)
    .summary('the last calls of a key')
    .description('Its last calls, the newest first. Needs keyward.usage:read.')
    .option('--limit <count>', 'this many at most, up to 100', count)
    .option('--csv', 'print CSV')
    .action(async (id: string, options: Asking & { limit?: number; csv?: boolean }) => {
      oneForm(options);
      const { keys: of } = connect(options, 'keyward.usage:read');
      if (options.csv) return void process.stdout.write(await of.callsCsv(id, { limit: options.limit }));
      const calls = await of.calls(id, { limit: options.limit });
      if (options.json) return printJson(calls);
      if (calls.data.length === 0) return say('no calls');
      print(table(['at', 'outcome', 'way', 'secret', 'network', 'country'], calls.data.map((one) => [one.at, toned(one.outcome), shown(one.route), one.secret, one.address, one.country])));
    });
}
