/** `keyward routes …`: which upstreams are called for whom, and with whose secrets. */
import { readFileSync } from 'node:fs';
import { Argument, type Command } from 'commander';
import { KeywardApiError, type ChangedRoute, type PutRouteBody, type Route, type RouteUse, type SlotUse } from '../client/index.js';
import { asking, connect, KEY_HELP, Refused, type Asking } from './connection.js';
import { listed, moment, out, print, printJson, say, sheet, shown, table } from './print.js';
import { input, secret } from './secret.js';
import { count, seconds } from './values.js';

const slot = (state: Route['secrets']['current']) => (state === null ? 'empty' : `secret ${state.number}, ${state.share} of 100 calls, set ${moment(state.set_at)}${state.environment ? `, from ${state.environment}` : ''}`);

/** Who may call, in a few words. */
function callers({ callers: who }: Route): string {
  const { key, session } = who as { key?: { scopes?: string[] } | null; session?: { mint?: string; origins?: string[] } | null };
  return [key ? `keys${key.scopes?.length ? ` with ${key.scopes.join(' ')}` : ''}` : '', session ? `sessions (${session.mint}) of ${listed(session.origins)}` : ''].filter(Boolean).join(', ') || 'nobody';
}

/** A slot. commander's own words about what is none would repeat it, and it may be the secret. */
function slotArgument(text: string): 'current' | 'next' {
  if (text !== 'current' && text !== 'next') throw new Refused('the slot is current or next; the secret itself is no argument: it is read from the standard input, or asked for');
  return text;
}

const describe = (route: Route) => `${sheet([
  ['name', route.name], ['upstream', shown(route.upstream)], ['environment', route.environment], ['callers', callers(route)], ['current', slot(route.secrets.current)], ['next', slot(route.secrets.next)],
  ['limit', route.limit ? `${route.limit.limit}/${route.limit.window_seconds}s` : 'none'], ['changed', moment(route.updated_at)],
])}\n\n${table(['methods', 'path'], route.allow.map(({ methods, path }) => [methods.join(' ') || 'any', shown(path)]))}`;

const used = (slots: SlotUse[]) => table(['slot', 'secret', 'share', 'calls', 'failures', '401', 'last used'], slots.map((one) => [one.slot, one.number, one.share, one.calls, one.failures, one.unauthorized, moment(one.last_used_at)]));

function tell(route: ChangedRoute, done: string, json: boolean | undefined) {
  if (json) return printJson(route);
  say(`${done}; it holds everywhere by ${route.effective_by}`);
  print(describe(route));
}

/** A route as JSON, from a file or the standard input. */
async function definition(file: string, name: string): Promise<PutRouteBody> {
  if (file === '-' && process.stdin.isTTY) throw new Refused('the route comes as JSON from a file (--file route.json) or on the standard input');
  let text: string;
  try {
    text = file === '-' ? await input() : readFileSync(file, 'utf8');
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(`${file} cannot be read`);
  }
  try {
    return JSON.parse(text) as PutRouteBody;
  } catch {
    // Without the words of the parser, which repeat the text: it may be what belongs elsewhere.
    throw new Refused(`${file === '-' ? 'the standard input' : file} is no JSON; the secret of a provider is set with: keyward routes secret ${name} current`);
  }
}

export function routesCommands(program: Command): void {
  const routes = program.command('routes').summary('relay calls to providers without showing their keys')
    .description('Routes: who may call which upstream, and with which secret, that no caller sees.').addHelpText('after', `
Examples
  keyward routes put sms --file sms.json
  keyward routes secret sms current                    asks for the provider's key
  keyward routes secret sms next < new-key.txt         a second one; then shift traffic to it:
  keyward routes secret sms next --weight 10
  keyward routes use sms                               what was seen of both
  keyward routes secret sms current --retire           next takes its place
${KEY_HELP}`);

  asking(routes.command('list')).summary('all routes').description('All routes. Needs keyward.routes:read.').action(async (options: Asking) => {
    const data = await connect(options, 'keyward.routes:read').routes.list();
    if (options.json) return printJson({ data });
    if (data.length === 0) return say('no routes');
    print(table(['name', 'environment', 'upstream', 'current', 'next', 'callers'], data.map((route) => [route.name, route.environment, shown(route.upstream), ...[route.secrets.current, route.secrets.next].map((state) => (state === null ? '-' : `${state.share} %`)), callers(route)])));
  });

  asking(routes.command('show')).argument('<name>', 'name of the route').summary('one route').description('One route. Its secrets are never shown. Needs keyward.routes:read.').action(async (name: string, options: Asking) => {
    const route = await connect(options, 'keyward.routes:read').routes.get(name);
    if (options.json) return printJson(route);
    print(describe(route));
  });

  asking(routes.command('put')).argument('<name>', 'name of the route')
    .summary('write a route')
    .description('Writes a route from JSON; what it leaves out is closed. Another origin of the upstream empties its secrets. Needs keyward.routes:write.')
    .option('-f, --file <file>', 'where the JSON is; - is the standard input', '-')
    .addHelpText('after', `
Example
  keyward routes put sms <<'JSON'
  {
    "upstream": "https://api.sms.example/v1",
    "callers": {"session": {"origins": ["https://shop.example"], "mint": "turnstile", "calls": 5}},
    "allow": [{"methods": ["POST"], "path": "/messages"}],
    "credential": {"type": "header", "name": "Authorization", "prefix": "Bearer "},
    "request": {"numbers": {"pointer": "/to", "countries": ["DE", "AT"]}}
  }
  JSON`)
    .action(async (name: string, options: Asking & { file: string }) => {
      const { routes: of } = connect(options, 'keyward.routes:write');
      tell(await of.put(name, await definition(options.file, name)), 'written', options.json);
    });

  asking(routes.command('delete')).argument('<name>', 'name of the route').summary('remove a route').description('Removes a route; its sessions end with it. Needs keyward.routes:write.').action(async (name: string, options: Asking) => {
    const route = await connect(options, 'keyward.routes:write').routes.delete(name);
    if (options.json) return printJson(route);
    say(`${name} is removed; it holds everywhere by ${route.effective_by}`);
  });

  const sealed = asking(routes.command('secret'));
  const { outputError: told } = sealed.configureOutput();
  // A value that is none of its option may be the secret as well.
  sealed.configureOutput({ outputError: (text, write) => told?.(text.replace(/^(error: option '[^']*' argument) '[^]*' (is invalid)/, '$1 $2'), write) })
    .argument('<name>', 'name of the route').addArgument(new Argument('<slot>', 'where the secret stands').choices(['current', 'next']).argParser(slotArgument))
    .summary('set, share or retire the upstream\'s secret')
    .description('Sets the secret that is read from the standard input, or asked for without an echo. It is sealed and never shown. Retiring one that still\ncarries traffic is refused with its use (exit code 1), unless forced. Needs keyward.routes:write.')
    .option('--weight <percent>', 'of next: this share of the calls uses it', count)
    .option('--from-env <name>', 'take it from this variable of the Worker: UPSTREAM_SMS')
    .option('--retire', 'let it go; in the place of current stands next then')
    .option('--quiet <span>', 'with --retire: how long it must not have been used; 60s', seconds)
    .option('--force', 'with --retire: whatever was seen')
    .action(async (name: string, at: 'current' | 'next', options: Asking & { weight?: number; fromEnv?: string; retire?: boolean; quiet?: number; force?: boolean }) => {
      const { secrets } = connect(options, 'keyward.routes:write').routes;
      if ([options.weight, options.fromEnv, options.retire].filter((one) => one !== undefined).length > 1) throw new Refused('--weight, --from-env and --retire exclude one another');
      if (!options.retire) {
        const body = options.weight !== undefined ? { weight: options.weight } : options.fromEnv !== undefined ? { environment: options.fromEnv } : { secret: await secret(`The secret of ${name}, ${at}`) };
        return tell(await secrets.set(name, at, body), 'set', options.json);
      }
      try {
        tell(await secrets.retire(name, at, { quiet_seconds: options.quiet, force: options.force }), 'retired', options.json);
      } catch (error) {
        if (!(error instanceof KeywardApiError) || error.code !== 'SLOT_IN_USE') throw error;
        process.exitCode = 1;
        if (options.json) return printJson(error.problem);
        say(`keyward: ${error.detail}`);
        if (error.problem?.use) print(used(error.problem.use));
        say('--force does it all the same');
      }
    });

  asking(routes.command('use')).argument('<name>', 'name of the route')
    .summary('what was seen of its secrets, and which limits were run into')
    .description('What was seen of each secret, and which limits were run into. Needs keyward.routes:read.')
    .action(async (name: string, options: Asking) => {
      const use: RouteUse = await connect(options, 'keyward.routes:read').routes.use(name);
      if (options.json) return printJson(use);
      print(use.slots.length === 0 ? 'no secrets' : used(use.slots));
      if (use.anomalies.length > 0) print(`\n${out('yellow', 'limits that were run into')}\n${table(['kind', 'of', 'stopped', 'first', 'last', 'by'], use.anomalies.map((one) => [one.kind, shown(one.of), one.refused, moment(one.first_at), moment(one.last_at), one.last_by]))}`);
    });
}
